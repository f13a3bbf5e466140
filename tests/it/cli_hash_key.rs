//! What is given to `hash-key` and cannot be a key, and arguments and variables of any bytes: nothing is repeated.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::{Command, Output, Stdio};

use crate::cli_run::{backstop, backstop_with};

/// `backstop ARGUMENTS` with variables of any bytes.
fn bytes(arguments: &[&OsStr], env: &[(&str, &OsStr)]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.args(arguments).env_clear().envs(env.iter().copied()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)))
}

#[test]
fn an_argument_that_is_not_utf8_is_refused_and_not_repeated() {
    let key = OsString::from_vec(b"CANARY-key\xff".to_vec());
    let (status, text) = bytes(&["hash-key".as_ref(), &key], &[]);
    assert_eq!(status, Some(2), "{text}");
    assert!(text.contains("not UTF-8") && !text.contains("CANARY"), "{text}");
    for arguments in
        [&["check".as_ref(), key.as_os_str()][..], &[key.as_os_str()], &["status".as_ref(), "--url".as_ref(), &key]]
    {
        let (status, text) = bytes(arguments, &[]);
        assert_eq!(status, Some(2), "{arguments:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[test]
fn a_variable_of_ours_that_is_not_utf8_is_told_and_not_shown() {
    let value = OsStr::from_bytes(b"CANARY\xff");
    for name in ["BACKSTOP_SERVER__DRAIN", "OPENAI_API_KEY"] {
        let env = [(name, value), ("OTHER", value)];
        let (_, text) = bytes(&["check".as_ref(), "--config".as_ref(), "config/article.json5".as_ref()], &env);
        assert_eq!(text.matches(&format!("the variable {name} is not UTF-8")).count(), 1, "{text}");
        assert!(!text.contains("CANARY") && !text.contains("OTHER"), "{text}");
    }
}

#[test]
fn what_clap_would_repeat_is_not_repeated() {
    for arguments in [
        &["hash-key", "CANARY-one-0123456789", "CANARY-two-0123456789"][..],
        &["hash-key", "-CANARY-key"],
        &["hash-key", "--CANARY-key"],
        &["hash-key", "CANARY-key", "--generate"],
    ] {
        let ran = backstop(arguments, &[]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!ran.err.contains("CANARY"), "{}", ran.err);
    }
    let near = backstop(&["hash-key", "--genrate"], &[]);
    assert!(near.status == 2 && near.err.contains("'--generate'"), "{}", near.err);
}

#[test]
fn quotes_and_several_lines_are_refused_with_the_cure() {
    for (arguments, input, cure) in [
        (&["hash-key"][..], "\"CANARY-key-0123456789\"\n", "leave them out"),
        (&["hash-key", "'CANARY-key-0123456789'"], "", "leave them out"),
        (&["hash-key"], "CANARY-key-0123456789\nCANARY-another\n", "give one key"),
        (&["hash-key"], "\nCANARY-key-0123456789\r\n\r\nCANARY-another", "give one key"),
    ] {
        let ran = backstop_with(arguments, &[], input);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{input:?}: {}", ran.err);
        assert!(ran.err.contains(cure) && !ran.err.contains("CANARY"), "{}", ran.err);
    }
    assert_eq!(backstop_with(&["hash-key"], &[], "\n  CANARY-key-0123456789\r\n\n").status, 0);
}

#[test]
fn a_name_that_the_configuration_would_refuse_is_refused() {
    for name in ["sk-CANARY-0123456789", "", " x", "a@b", "a/b", "CANARY\n", "${CANARY}"] {
        let ran = backstop(&["hash-key", "--generate", "--name", name], &[]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{name:?}: {}", ran.err);
        assert!(ran.err.contains("--name") && !ran.err.contains("CANARY"), "{name:?}: {}", ran.err);
    }
    assert!(backstop(&["hash-key", "--generate", "--name", "sk-x"], &[]).err.contains("looks like a key"));
}

/// Reads until `text` was there, or all that there is.
fn read_until(from: &mut impl Read, text: &str) -> String {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(text.as_bytes()) && from.read(&mut byte).unwrap_or(0) == 1 {
        seen.push(byte[0]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn the_terminal_shows_what_is_typed_after_the_prompt_whatever_ended_it() {
    if Command::new("script").arg("--version").output().is_err() {
        return println!("skipped: there is no script(1) to make a terminal with");
    }
    let program = env!("CARGO_BIN_EXE_backstop");
    for (typed, status) in [("\u{3}", 130), ("CANARY-key-0123456789\r", 0), ("\u{4}", 1)] {
        // What is typed before the terminal is changed would be shown: wait for it.
        let ready = "(until stty -F /dev/tty -a | grep -qw -- -icanon; do :; done; echo REA''DY) &";
        let line = format!("trap : INT; {ready} {program} hash-key; echo status=$?; stty -a; echo THE-END");
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--command", &line, "/dev/null"]).env("SHELL", "/bin/sh");
        let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (mut input, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let asked = read_until(&mut out, "READY");
        input.write_all(typed.as_bytes()).unwrap();
        let after = read_until(&mut out, "THE-END");
        drop(input);
        child.wait().unwrap();
        assert!(after.contains(&format!("status={status}\r")), "{typed:?}: {asked}{after}");
        for mode in ["echo", "icanon", "isig"] {
            let set = after.split_whitespace().any(|word| word.trim_end_matches(';') == mode);
            assert!(set, "{typed:?}: -{mode}: {after}");
        }
        assert!(!after.contains("CANARY"), "{after}");
    }
}
