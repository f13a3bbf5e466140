//! Every fault of the simulator on every slot of the article's template, and every pair of faults on every pair of
//! slots: two slots stay alive, and no request may fail.
//!
//! The one exception is the contract's own (section 5, `error`): a stream that breaks after content ends in an error
//! event, and does not look complete.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use backstop::config::{Config, load};
use backstop::sim::{Listed, Rule, Script, Sim, SimOptions, Stage, faults, pieces};
use tokio::time::Instant;

use super::hostile_support::{Gate, Reply, ask, bound, chat, once};

/// A slot of the template: provider, model, key's name, variable, key.
type Slot = (&'static str, &'static str, &'static str, &'static str, &'static str);

const SLOTS: [Slot; 4] = [
    ("anthropic", "claude-opus-4-5", "primary", "ANTHROPIC_KEY_1", "sk-ant-first-key-aa01"),
    ("anthropic", "claude-opus-4-5", "backup", "ANTHROPIC_KEY_2", "sk-ant-second-key-aa02"),
    ("openai", "gpt-4o", "primary", "OPENAI_API_KEY", "sk-openai-key-bb01"),
    ("openrouter", "anthropic/claude-3.5-sonnet", "primary", "OPENROUTER_API_KEY", "sk-or-key-cc01"),
];

/// Shorter than the defaults, so that what hangs does not hang for a minute; and one worker does not wait for another.
const SETTINGS: [(&str, &str); 6] = [
    ("BACKSTOP_RUN__FIRST_CONTENT", "600ms"),
    ("BACKSTOP_RUN__FIRST_CONTENT_REASONING", "600ms"),
    ("BACKSTOP_RUN__RESPONSE_TIMEOUT", "600ms"),
    ("BACKSTOP_RUN__STALL", "600ms"),
    ("BACKSTOP_RUN__RETRY_PAUSE_MIN", "5ms"),
    ("BACKSTOP_RUN__RETRY_PAUSE_MAX", "10ms"),
];

/// Cases at a time. Most of their time is waiting.
const WORKERS: usize = 64;
const CHUNKS: u32 = 8;

/// Which slots have which faults (by number), and how the client asks.
#[derive(Debug, Clone)]
struct Case {
    faults: Vec<(usize, usize)>,
    stream: bool,
}

fn cases(count: usize) -> Vec<Case> {
    let mut all = Vec::new();
    for stream in [false, true] {
        for slot in 0..SLOTS.len() {
            all.extend((0..count).map(|fault| Case { faults: vec![(slot, fault)], stream }));
            for other in slot + 1..SLOTS.len() {
                let pairs = (0..count * count).map(|pair| vec![(slot, pair / count), (other, pair % count)]);
                all.extend(pairs.map(|faults| Case { faults, stream }));
            }
        }
    }
    all
}

fn template(sim: &Sim) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/article.json5");
    let keys = SLOTS.iter().map(|(_, _, _, variable, key)| ((*variable).to_owned(), (*key).to_owned()));
    let addresses = SLOTS.iter().map(|(provider, ..)| {
        let name = format!("BACKSTOP_PROVIDERS__{}__BASE_URL", provider.to_ascii_uppercase());
        (name, sim.base_url(provider))
    });
    let settings = SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    load(Some(&path), keys.chain(addresses).chain(settings)).unwrap_or_else(|error| panic!("{error}"))
}

/// What is wrong with the answer, if anything is.
fn check(case: &Case, faults: &[Listed], reply: &Reply) -> Result<(), String> {
    let trail = reply.header("x-backstop-trail").unwrap_or_default();
    let wrong = |what: &str| Err(format!("{what}: {} {trail}\n{}", reply.status, reply.text()));
    if reply.status != 200 || !reply.whole {
        return wrong("failed");
    }
    let (provider, key) = (reply.header("x-backstop-provider"), reply.header("x-backstop-key"));
    let by = SLOTS.iter().position(|slot| provider == Some(slot.0) && key == Some(slot.2));
    let Some(by) = by else { return wrong("served by nobody") };
    let (provider, model, _, _, secret) = SLOTS[by];
    let text = pieces(provider, model, &secret[secret.len() - 4..], CHUNKS).concat();
    let content = reply.content();
    let fault = case.faults.iter().find(|(slot, _)| *slot == by).map(|(_, fault)| &faults[*fault]);
    let stage = fault.map_or(Stage::Harmless, |fault| if case.stream { fault.stream } else { fault.plain });
    let data = reply.data();
    let finished = data.iter().any(|data| data.contains("\"finish_reason\":\"stop\""));
    let done = data.iter().filter(|data| *data == "[DONE]").count();
    match stage {
        Stage::Harmless if content != text => wrong("not the whole text"),
        Stage::Harmless if case.stream && (!finished || done != 1) => wrong("does not end as a whole answer does"),
        Stage::Harmless => Ok(()),
        Stage::BeforeContent => wrong("served by a slot that serves nobody"),
        Stage::AfterContent => {
            let error = data.last().is_some_and(|last| last.contains("\"error\":{") && last.contains("server_error"));
            if !error || finished || done > 0 {
                wrong("a broken answer must end in an error event and not look complete")
            } else if content.is_empty() || !text.starts_with(&content) {
                wrong("broken, and not the beginning of the text")
            } else {
                Ok(())
            }
        }
    }
}

struct Board {
    faults: Vec<Listed>,
    cases: Vec<Case>,
    next: AtomicUsize,
    /// Answers that broke after content.
    broken: AtomicUsize,
}

/// Plays cases until there are none, each on a gateway of its own.
async fn worker(board: Arc<Board>) -> Vec<String> {
    let options = SimOptions { record: 0, ..SimOptions::default() };
    let sim = Sim::start_with(Script::default(), options).unwrap();
    let config = template(&sim);
    let listener = bound();
    let mut failures = Vec::new();
    while let Some(case) = board.cases.get(board.next.fetch_add(1, Ordering::Relaxed)) {
        let rules: Vec<Rule> = case
            .faults
            .iter()
            .map(|(slot, fault)| board.faults[*fault].rule.clone().provider(SLOTS[*slot].0).key(SLOTS[*slot].4))
            .collect();
        sim.set_script(Script { chunks: CHUNKS, ..Script::of(rules) });
        let gate = Gate::on(&listener, &config);
        let reply = once(gate.addr, &chat(&ask("default", case.stream))).await;
        let verdict = reply.map_or(Err("no answer".to_owned()), |reply| {
            let broke = reply.data().last().is_some_and(|last| last != "[DONE]");
            board.broken.fetch_add(usize::from(broke), Ordering::Relaxed);
            check(case, &board.faults, &reply)
        });
        if let Err(why) = verdict {
            let named: Vec<_> = case.faults.iter().map(|(slot, fault)| (slot, board.faults[*fault].name)).collect();
            failures.push(format!("{named:?}, stream: {}: {why}", case.stream));
        }
        gate.rests().await;
        assert!(gate.stop().await == 0.0, "{case:?}: nothing is left to cut");
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_and_no_pair_of_faults_fails_a_request() {
    let faults = faults();
    let cases = cases(faults.len());
    let count = cases.len();
    let board = Arc::new(Board { faults, cases, next: AtomicUsize::new(0), broken: AtomicUsize::new(0) });
    let begun = Instant::now();
    let workers: Vec<_> = (0..WORKERS).map(|_| tokio::spawn(worker(Arc::clone(&board)))).collect();
    let mut failures = Vec::new();
    for worker in workers {
        failures.extend(worker.await.unwrap());
    }
    let broken = board.broken.load(Ordering::Relaxed);
    println!("{count} cases in {:.1?}: {} failed, {broken} broke after content", begun.elapsed(), failures.len());
    let shown: Vec<&str> = failures.iter().take(20).map(String::as_str).collect();
    assert!(failures.is_empty(), "{} of {count} cases failed, such as\n{}", failures.len(), shown.join("\n"));
    assert!(broken > 0, "the exception was never met: the faults do not reach the gateway");
}
