//! `hash-key` and `healthcheck`.

use std::net::TcpListener;

use backstop::config::load_text;
use backstop::server::keys::ClientKeys;
use http::HeaderMap;

use crate::cli_run::{Ran, backstop, backstop_with, file};
use crate::support::{Gateway, until};

/// A client's key that must not be repeated.
const KEY: &str = "CANARY-client-key-0123456789";

/// Whether a configuration with this line in `server.client_keys` lets the key in.
fn opens(line: &str, key: &str) -> bool {
    let text = format!(
        "{{ server: {{ client_keys: [ {line} ] }}, providers: {{ local: {{ base_url: 'http://127.0.0.1:1/v1' }} }} }}"
    );
    let config = load_text(Some(("test.json5", &text)), []).unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {key}").parse().unwrap());
    ClientKeys::new(config.server.client_keys).admit(&headers)
}

#[test]
fn the_printed_line_lets_the_client_in() {
    for ran in [
        backstop(&["hash-key", KEY], &[]),
        backstop_with(&["hash-key"], &[], &format!("{KEY}\n")),
        backstop_with(&["hash-key"], &[], &format!("  {KEY}\r\n\n")),
    ] {
        assert_eq!(ran.status, 0, "{}", ran.err);
        assert!(opens(&ran.out, KEY), "{}", ran.out);
        assert!(!opens(&ran.out, "another-client-key"), "{}", ran.out);
        assert_eq!(ran.out.lines().count(), 1, "a script gets the line alone");
        assert!(ran.err.contains("server.client_keys"), "{}", ran.err);
        assert!(!ran.all().contains("CANARY"), "{}", ran.all());
    }
    let named = backstop(&["hash-key", KEY, "--name", "ci runner"], &[]);
    assert!(named.out.starts_with("{ name: \"ci runner\", sha256: \""), "{}", named.out);
}

#[test]
fn a_new_key_is_long_random_and_fits_its_line() {
    let one = backstop(&["hash-key", "--generate"], &[]);
    let two = backstop(&["hash-key", "--generate"], &[]);
    let parts = |ran: &Ran| {
        assert_eq!(ran.status, 0, "{}", ran.err);
        let (key, line) = ran.out.trim_end().split_once('\n').unwrap();
        (key.to_owned(), line.to_owned())
    };
    let ((key, line), (other, _)) = (parts(&one), parts(&two));
    let random = key.strip_prefix("bsk-").unwrap();
    // Four bits a digit.
    assert!(random.len() * 4 >= 160 && random.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");
    assert!(opens(&line, &key) && !opens(&line, &other));
    assert_ne!(key, other);
    assert!(!one.err.contains(&key), "it is shown once");

    let json = backstop(&["hash-key", "--generate", "--json", "--name", "ci"], &[]).json();
    let line = format!("{{ name: \"ci\", sha256: {} }}", json["sha256"]);
    assert_eq!(json["name"], "ci");
    assert!(opens(&line, json["key"].as_str().unwrap()));
    let given = backstop(&["hash-key", KEY, "--json"], &[]).json();
    assert_eq!(given.as_object().unwrap().len(), 2, "a given key is not repeated: {given}");
}

#[test]
fn what_cannot_be_a_key_or_a_name_is_refused_and_not_repeated() {
    for (arguments, input) in [
        (&["hash-key"][..], ""),
        (&["hash-key"], "\n"),
        (&["hash-key"], "CANARY with spaces\n"),
        (&["hash-key", "CANARY-schlüssel"], ""),
        (&["hash-key", KEY, "--name", "a,b"], ""),
        (&["hash-key", KEY, "--name", "a\"b"], ""),
    ] {
        let ran = backstop_with(arguments, &[], input);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?} {input:?}");
        assert!(!ran.err.contains("CANARY"), "{}", ran.err);
    }
    assert_eq!(backstop(&["hash-key", "x", "--generate"], &[]).status, 2);
    let short = backstop(&["hash-key", "shorty"], &[]);
    assert!(short.status == 0 && short.err.contains("--generate"), "{}", short.err);
}

const LOCAL: &str = "{ providers: { local: { base_url: 'http://127.0.0.1:1/v1', keys: ['CANARY-key-1'] } } }";

async fn healthcheck(arguments: &[&str], env: &[(&str, &str)]) -> Ran {
    let arguments: Vec<String> =
        std::iter::once("healthcheck").chain(arguments.iter().copied()).map(str::to_owned).collect();
    let env: Vec<(String, String)> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let asking = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        backstop(&arguments, &env)
    });
    asking.await.unwrap()
}

#[tokio::test]
async fn a_running_gateway_is_found_by_url_variable_and_configuration() {
    let gateway = Gateway::start(LOCAL).await;
    let port = gateway.addr.port();
    let url = format!("http://localhost:{port}/");
    let everywhere = format!("0.0.0.0:{port}");
    let (quoted, local, bare) =
        (format!("\"127.0.0.1:{port}\""), format!("localhost:{port}"), format!("127.0.0.1:{port}"));
    let (_directory, path) = file(&LOCAL.replacen('{', &format!("{{ server: {{ listen: '127.0.0.1:{port}' }},"), 1));
    let path = path.display().to_string();
    for (arguments, env) in [
        (&["--url", &url][..], vec![]),
        (&["--ready", "--url", &url], vec![("BACKSTOP_SERVER__LISTEN", "127.0.0.1:1")]),
        (&[], vec![("BACKSTOP_SERVER__LISTEN", everywhere.as_str())]),
        (&[], vec![("BACKSTOP_SERVER__LISTEN", quoted.as_str())]),
        (&[], vec![("BACKSTOP_SERVER__LISTEN", local.as_str())]),
        (&["--url", &bare], vec![]),
        (&["--config", &path], vec![]),
    ] {
        let ran = healthcheck(arguments, &env).await;
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
        let asked = if arguments.contains(&"--ready") { "/readyz" } else { "/livez" };
        assert!(ran.out.starts_with("ok ") && ran.out.contains(asked), "{}", ran.out);
        assert!(!ran.all().contains("CANARY"), "{}", ran.all());
    }
    let astray = healthcheck(&["--url", &format!("{url}nowhere")], &[]).await;
    assert_eq!((astray.status, astray.out.as_str()), (1, ""), "{}", astray.err);
    assert!(astray.err.contains("404"), "{}", astray.err);
    let _cut = gateway.stopped().await;
    until("a refused connection", async || healthcheck(&["--url", &url], &[]).await.status == 1).await;
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_is_not_healthy() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let ran = healthcheck(&["--url", &url], &[]).await;
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("no answer within 3 s"), "{}", ran.err);
}

#[tokio::test]
async fn what_cannot_be_asked_is_said() {
    for url in [
        "127.0.0.1:99999",
        "https://127.0.0.1:8080",
        "http://user:CANARY@127.0.0.1:1",
        "user:CANARY@127.0.0.1:1",
        "http://",
    ] {
        let ran = healthcheck(&["--url", url], &[]).await;
        assert_eq!(ran.status, 2, "{url}: {}", ran.all());
        assert!(ran.err.contains("http://127.0.0.1:8080") && !ran.err.contains("CANARY"), "{}", ran.err);
    }
    // Docker knows 0 and 1 only: what the environment says wrong is not a wrong command line.
    let ran = healthcheck(&[], &[("BACKSTOP_SERVER__LISTEN", "here")]).await;
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("BACKSTOP_SERVER__LISTEN") && ran.err.contains("[::1]:8080"), "{}", ran.err);
    let ran =
        tokio::task::spawn_blocking(|| backstop(&["status"], &[("BACKSTOP_SERVER__LISTEN", "here")])).await.unwrap();
    assert!(ran.status == 2 && ran.err.contains("variable BACKSTOP_SERVER__LISTEN"), "{}", ran.err);
    let ran = tokio::task::spawn_blocking(|| backstop(&["status", "--url", "http://u:CANARY@h"], &[])).await.unwrap();
    assert!(ran.status == 2 && ran.err.contains("no password") && !ran.err.contains("CANARY"), "{}", ran.err);
    let ran = healthcheck(&["--config", "/nowhere/backstop.json5"], &[]).await;
    assert_eq!(ran.status, 1, "{}", ran.err);
}
