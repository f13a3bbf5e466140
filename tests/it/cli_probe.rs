//! `backstop probe`, the real binary, in front of simulated providers: each verdict is the gateway's own, bounds and
//! order are kept, and nothing secret is printed.

use std::process::{Command, Output, Stdio};

use backstop::sim::{ErrorSpec, Fault, Point, Rule, Script, Sim, Stage, faults};
use serde_json::Value;
use tokio::task::{JoinSet, spawn_blocking};

use super::support::{CALM, Gateway, chat, soon};

/// A configuration in a file, and the command that reads it.
struct Probe {
    folder: tempfile::TempDir,
}

impl Probe {
    fn of(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("probe.json5"), config).unwrap();
        Self { folder }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
        command.arg("probe").arg("--config").arg(self.folder.path().join("probe.json5")).args(arguments);
        // What the machine has set must not get into the configuration.
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        let output = soon("the end of the probe", spawn_blocking(move || command.output())).await;
        Ran::of(&output.unwrap().unwrap())
    }
}

/// What a finished command left.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Slot, verdict and status of each row.
    fn rows(&self) -> Vec<(String, String, Option<u64>)> {
        let document = self.json();
        let rows = document["slots"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.map(|row| (text(&row["slot"]), text(&row["verdict"]), row["status"].as_u64())).collect()
    }
}

fn keyed(key: &str, fault: Fault) -> Rule {
    Rule::of(fault).key(key)
}

/// One provider per fault of the catalogue.
fn catalogue(sim: &Sim, names: &[&str]) -> String {
    let providers: String = names
        .iter()
        .map(|name| format!("{name}: {{ base_url: '{}', keys: ['sk-{name}'] }},", sim.base_url(name)))
        .collect();
    let targets: Vec<String> = names.iter().map(|name| format!("'{name}/m'")).collect();
    format!(
        "{{ providers: {{ {providers} }}, chains: {{ default: [{}] }},
            run: {{ response_timeout: '4s', same_target_wait: 0, retry_pause_min: '1ms', retry_pause_max: '2ms' }} }}",
        targets.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_is_what_the_gateway_decides_for_every_fault_there_is() {
    let listed = faults();
    let rules = listed.iter().map(|listed| listed.rule.clone().provider(listed.name)).collect();
    let sim = Sim::start(Script::of(rules)).unwrap();
    let names: Vec<&str> = listed.iter().map(|listed| listed.name).collect();
    let config = catalogue(&sim, &names);

    let ran = Probe::of(&config).run(&["--json", "--timeout", "4s", "--concurrency", "64"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let rows = ran.rows();
    assert_eq!(rows.len(), listed.len());

    let gateway = std::sync::Arc::new(Gateway::start(&config).await);
    let mut asking = JoinSet::new();
    for (place, name) in names.iter().enumerate() {
        let (gateway, model) = (gateway.clone(), format!("{name}/m"));
        asking.spawn(async move {
            let alone = [("x-backstop-fallbacks", "off")];
            let answer = gateway.post("/v1/chat/completions", &alone, &chat(&model, false)).await;
            // `provider/m@key-1=kind:status`, a comma, and what was tried again.
            let first = answer.trail().split(", ").next().unwrap().to_owned();
            (place, first)
        });
    }
    while let Some(decided) = asking.join_next().await {
        let (place, entry) = decided.unwrap();
        let (slot, verdict, status) = &rows[place];
        let status = status.map(|status| format!(":{status}")).unwrap_or_default();
        // The trail names the limit that was reached; the probe's own is another one.
        let entry = entry.strip_suffix(":response_timeout").unwrap_or(&entry);
        assert_eq!(format!("{slot}={verdict}{status}"), entry, "{}", listed[place].name);
        let harmless = listed[place].plain == Stage::Harmless;
        assert_eq!(verdict == "ok", harmless, "{}: {verdict}", listed[place].name);
    }
}

#[tokio::test]
async fn each_kind_of_failure_has_its_verdict_and_its_cure() {
    let quota = Fault { error: Some(ErrorSpec::Code("insufficient_quota".to_owned())), ..Fault::status(429) };
    let limit = Fault { retry_after: Some(20.into()), ..Fault::status(429) };
    let cases = [
        ("good", Fault::default(), "ok", Some(200), ""),
        ("auth", Fault::status(401), "auth", Some(401), "replace it"),
        ("billing", quota, "billing", Some(429), "top it up"),
        ("limit", limit, "rate_limit", Some(429), "wait 20s"),
        ("forbidden", Fault::status(403), "forbidden", Some(403), "permissions"),
        ("model", Fault::error(404, "model_not_found"), "model_not_found", Some(404), "check its name"),
        ("broken", Fault::status(500), "server_error", Some(500), "try later"),
        ("full", Fault::status(529), "overloaded", Some(529), "try later"),
        ("reset", Fault { reset: Some(Point::BeforeHeaders), ..Fault::default() }, "network", None, "base_url"),
    ];
    let rules = cases.iter().map(|(name, fault, ..)| keyed(&format!("sk-{name}"), fault.clone())).collect();
    let sim = Sim::start(Script::of(rules)).unwrap();
    let keys: String = cases.iter().map(|(name, ..)| format!("{{ key: 'sk-{name}', profile: '{name}' }},")).collect();
    let probe = Probe::of(&format!(
        "{{ providers: {{ a: {{ base_url: '{}', auth: [{keys}] }} }}, chains: {{ default: ['a/m'] }} }}",
        sim.base_url("a")
    ));
    let ran = probe.run(&["--json"]).await;
    let expected: Vec<_> = cases
        .iter()
        .map(|(name, _, verdict, status, _)| (format!("a/m@{name}"), (*verdict).to_owned(), *status))
        .collect();
    assert_eq!(ran.rows(), expected, "the order is the configuration's");
    for ((name, .., cure), row) in cases.iter().zip(ran.json()["slots"].as_array().unwrap()) {
        assert!(row["advice"].as_str().unwrap_or_default().contains(cure), "{name}: {row}");
    }
    // The same for people.
    let ran = probe.run(&[]).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(1), ""));
    assert!(!ran.out.contains('\x1b'), "no colours in a pipe: {}", ran.out);
    let line = |part: &str| {
        ran.out.lines().position(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {}", ran.out))
    };
    for (name, _, verdict, _, cure) in &cases {
        let at = line(&format!("a/m@{name}"));
        assert!(ran.out.lines().nth(at).unwrap().starts_with(verdict), "{}", ran.out);
        assert!(ran.out.lines().skip(at).take(3).collect::<String>().contains(cure), "{name}: {}", ran.out);
    }
    assert!(ran.out.contains("1 ok, 8 failed"), "{}", ran.out);
}

#[tokio::test]
async fn a_slot_that_says_nothing_has_timed_out() {
    let sim =
        Sim::start(Script::of(vec![Rule::of(Fault { hang: Some(Point::BeforeHeaders), ..Fault::default() })])).unwrap();
    let config = format!(
        "{{ providers: {{ a: {{ base_url: '{}', keys: ['sk-a'] }} }}, chains: {{ default: ['a/m'] }} }}",
        sim.base_url("a")
    );
    let ran = Probe::of(&config).run(&["--json", "--timeout", "300ms"]).await;
    assert_eq!((ran.code, ran.rows()), (Some(1), vec![("a/m@key-1".into(), "timeout".into(), None)]));
    assert!(ran.json()["slots"][0]["latency_ms"].as_u64().unwrap() >= 300);
}

/// Who is asked what, in the order of the configuration, and who is not.
const CHOICE: &str = "{
    providers: {
        openai: { base_url: 'SIM/openai/v1', auth: [{ key: 'sk-openai', profile: 'Main' }, { key: 'sk-old', profile: 'Old', disabled: true }] },
        local: { base_url: 'SIM/local/v1' },
        bedrock: { keys: ['${NOBODY_SETS_THIS}'] },
        unset: { base_url: 'SIM/unset/v1', keys: ['${NOBODY_SETS_THIS}'] },
    },
    chains: {
        'gpt-*': ['openai/gpt-5', 'bedrock/m'],
        default: ['local/llama', 'openai/gpt-5', 'unset/m'],
        embed: ['openai/text-embedding-3-small'],
    },
}";

#[tokio::test]
async fn each_slot_is_asked_once_as_its_model_takes_it() {
    let sim = Sim::start(Script::default()).unwrap();
    let probe = Probe::of(&CHOICE.replace("SIM", &format!("http://{}", sim.addr())));
    let ran = probe.run(&["--json", "--concurrency", "1"]).await;
    assert_eq!(ran.code, Some(0), "what is skipped has not failed: {ran:?}");
    let expected = [
        ("openai/gpt-5@Main", "ok"),
        ("openai/gpt-5@Old", "skipped"),
        ("bedrock/m@default", "skipped"),
        ("local/llama@default", "ok"),
        ("unset/m@default", "skipped"),
        ("openai/text-embedding-3-small@Main", "ok"),
        ("openai/text-embedding-3-small@Old", "skipped"),
    ];
    let rows = ran.rows();
    assert_eq!(rows.iter().map(|(slot, verdict, _)| (slot.as_str(), verdict.as_str())).collect::<Vec<_>>(), expected);
    let document = ran.json();
    assert_eq!(document["ok"], true);
    assert_eq!(document["interrupted"], false);
    assert_eq!(document["counts"], serde_json::json!({ "ok": 3, "failed": 0, "skipped": 4, "interrupted": 0 }));
    let slots = &document["slots"];
    assert_eq!(slots[0]["chains"], serde_json::json!(["gpt-*", "default"]), "one slot of two chains is asked once");
    assert_eq!((&slots[0]["endpoint"], &slots[5]["endpoint"]), (&"chat".into(), &"embeddings".into()));
    assert!(slots[0]["latency_ms"].is_u64() && slots[1]["latency_ms"].is_null(), "{slots}");
    let reasons = [(1, "disabled"), (2, "unset"), (4, "unset")];
    for (place, reason) in reasons {
        assert!(slots[place]["message"].as_str().unwrap().contains(reason), "{}", slots[place]);
    }
    assert!(document["warnings"].to_string().contains("NOBODY_SETS_THIS"), "{document}");
    let bodies: Vec<(String, Value)> =
        sim.requests().iter().map(|asked| (asked.path.clone(), serde_json::from_slice(&asked.body).unwrap())).collect();
    assert_eq!(bodies.len(), 3);
    let (path, body) = &bodies[0];
    assert!(path.ends_with("/openai/v1/chat/completions") && body["max_completion_tokens"] == 1_024, "{path} {body}");
    assert!(body.get("max_tokens").is_none() && body["model"] == "gpt-5", "{body}");
    let (path, body) = &bodies[1];
    assert!(path.ends_with("/local/v1/chat/completions") && body["max_tokens"] == 16, "{path} {body}");
    let (path, body) = &bodies[2];
    assert!(path.ends_with("/openai/v1/embeddings") && body["input"] == "ok", "{path} {body}");
}

#[tokio::test]
async fn chains_and_patterns_narrow_what_is_asked() {
    let sim = Sim::start(Script::default()).unwrap();
    let probe = Probe::of(&CHOICE.replace("SIM", &format!("http://{}", sim.addr())));
    let slots = async |arguments: &[&str]| {
        let ran = probe.run(&[arguments, &["--json"]].concat()).await;
        ran.rows().into_iter().map(|(slot, ..)| slot).collect::<Vec<_>>()
    };
    assert_eq!(slots(&["--chain", "embed", "Main"]).await, ["openai/text-embedding-3-small@Main"]);
    assert_eq!(slots(&["local", "gpt-5*Main"]).await, ["openai/gpt-5@Main", "local/llama@default"]);
    assert_eq!(sim.stats().total().requests, 3);

    let wrong = [
        (vec!["--chain", "defualt"], "no chain is called `defualt`: there are gpt-*, default, embed"),
        (vec!["opnai"], "no slot has `opnai` in its name"),
        (vec!["--concurrency", "0"], "--concurrency"),
    ];
    for (arguments, said) in wrong {
        let ran = probe.run(&arguments).await;
        assert!(ran.code == Some(2) && ran.err.contains(said) && ran.out.is_empty(), "{ran:?}");
    }
    let ran = Probe::of("{ providers: { a: {} } }").run(&[]).await;
    assert!(ran.code == Some(2) && ran.err.contains("base_url"), "{ran:?}");
    assert_eq!(sim.stats().total().requests, 3, "nobody was asked");
}

#[tokio::test]
async fn only_so_many_are_asked_at_a_time_and_ctrl_c_ends_it_with_what_is_known() {
    let hang = Fault { hang: Some(Point::BeforeHeaders), ..Fault::default() };
    let rules = ["a", "b"].map(|provider| Rule::of(hang.clone()).provider(provider));
    let sim = Sim::start(Script::of(rules.to_vec())).unwrap();
    let keys = |name: &str| (1..=4).map(|no| format!("'sk-{name}-{no}',")).collect::<String>();
    let probe = Probe::of(&format!(
        "{{ providers: {{
            c: {{ base_url: '{}', keys: ['sk-c'] }},
            a: {{ base_url: '{}', keys: [{}] }},
            b: {{ base_url: '{}', keys: [{}] }} }},
            chains: {{ default: ['c/m', 'a/m', 'b/m'] }} }}",
        sim.base_url("c"),
        sim.base_url("a"),
        keys("a"),
        sim.base_url("b"),
        keys("b")
    ));
    let child = probe.command(&["--json", "--concurrency", "3", "--timeout", "10m"]).spawn().unwrap();
    // A third of `a` would fit in, were its provider not bounded; a second of `b`, were the whole not.
    let full = sim.wait_until(|stats| stats.total().in_flight == 3 && stats.provider("c").answered == 1);
    let stats = soon("three requests in flight", full).await;
    assert_eq!((stats.provider("a").in_flight, stats.provider("b").in_flight), (2, 1));
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = soon("the end of the probe", spawn_blocking(move || child.wait_with_output())).await;
    let ran = Ran::of(&output.unwrap().unwrap());
    assert_eq!(ran.code, Some(130), "{ran:?}");
    let verdicts: Vec<String> = ran.rows().into_iter().map(|(_, verdict, _)| verdict).collect();
    assert_eq!(verdicts[0], "ok", "{ran:?}");
    assert!(verdicts.len() == 9 && verdicts[1..].iter().all(|verdict| verdict == "interrupted"), "{ran:?}");
    let document = ran.json();
    assert!(document["interrupted"] == true && document["ok"] == false, "{document}");
    assert_eq!(sim.stats().total().requests, 4, "nobody was asked beyond the bounds");
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    // They do not look like keys: only who knows them can hide them.
    let secrets = ["canary.alpha.of.the.first", "canary/beta\"of\\the+second"];
    let echo = |key: &str| Fault {
        body: Some(serde_json::json!({ "error": { "message": format!("wrong key {key}!") } })),
        ..Fault::status(401)
    };
    let sim = Sim::start(Script::of(secrets.iter().map(|key| keyed(key, echo(key))).collect())).unwrap();
    let keys: Vec<String> = secrets.iter().map(|key| Value::from(*key).to_string()).collect();
    let probe = Probe::of(&format!(
        "{{ providers: {{ a: {{ base_url: '{}', keys: [{}] }} }}, chains: {{ default: ['a/m'] }}, {CALM} }}",
        sim.base_url("a"),
        keys.join(", ")
    ));
    for arguments in [&["--json"][..], &[]] {
        let ran = probe.run(arguments).await;
        let all = format!("{}{}", ran.out, ran.err);
        assert_eq!(all.matches("wrong key [redacted]!").count(), 2, "{all}");
        assert!(!all.contains("canary"), "{all}");
    }
}

#[tokio::test]
async fn who_cannot_be_reached_is_told_why() {
    // Bound and dropped: nobody listens there.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let config = format!(
        "{{ providers: {{ a: {{ base_url: 'http://127.0.0.1:{port}/v1', keys: ['sk-a'] }} }}, chains: {{ default: ['a/m'] }} }}"
    );
    let ran = Probe::of(&config).run(&["--json"]).await;
    let row = &ran.json()["slots"][0];
    assert!(row["verdict"] == "network" && row["message"].as_str().unwrap().contains("refused"), "{row}");
}
