//! `--help` teaches: every command is there, with an example and its exit statuses; mistakes are answered with what
//! was probably meant.

use std::collections::BTreeSet;

use crate::cli_run::backstop;

/// Every command, as the shell's completions know them.
fn commands() -> BTreeSet<String> {
    let script = backstop(&["completions", "fish"], &[]).out;
    let lines = script.lines().filter(|line| line.contains("__fish_backstop_needs_command"));
    let names = lines.filter_map(|line| line.split("-a \"").nth(1)?.split('"').next().map(str::to_owned));
    let plain = |name: &String| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    let names: BTreeSet<String> = names.filter(plain).collect();
    for known in ["serve", "check", "hash-key", "healthcheck", "completions", "sim", "help"] {
        assert!(names.contains(known), "{known}: {script}");
    }
    names
}

#[test]
fn the_help_names_every_command_and_first_steps() {
    let help = backstop(&["--help"], &[]);
    assert_eq!((help.status, help.err.as_str()), (0, ""));
    for command in commands() {
        let told = help.out.lines().filter(|line| line.starts_with(&format!("  {command} "))).count();
        assert_eq!(told, 1, "{command} is told once:\n{}", help.out);
    }
    let steps = help.out.split("First steps:\n").nth(1).unwrap();
    let steps: Vec<&str> = steps.lines().take_while(|line| !line.is_empty()).collect();
    for command in ["check", "serve"] {
        assert!(steps.iter().any(|line| line.starts_with(&format!("  backstop {command} "))), "{steps:?}");
    }
    assert!(help.out.contains("Exit status:"), "{}", help.out);
    let bare = backstop(&[], &[]);
    assert_eq!((bare.status, bare.err), (2, help.out), "no command is a question for help");
}

#[test]
fn every_command_has_an_example_and_says_its_exit_statuses() {
    for command in commands().iter().filter(|command| *command != "help") {
        for flag in ["--help", "-h"] {
            let help = backstop(&[command, flag], &[]);
            assert_eq!(help.status, 0, "{command}: {}", help.err);
            let (_, examples) =
                help.out.split_once("Examples:\n").unwrap_or_else(|| panic!("{command}:\n{}", help.out));
            assert!(examples.contains(&format!("backstop {command}")), "{command}:\n{examples}");
            let (_, statuses) =
                examples.split_once("Exit status:\n").unwrap_or_else(|| panic!("{command}:\n{examples}"));
            assert!(statuses.trim().starts_with('0'), "{command}: {statuses}");
            assert!(help.out.contains("--color"), "{command}:\n{}", help.out);
        }
    }
}

#[test]
fn the_version_is_the_crates() {
    assert_eq!(backstop(&["-V"], &[]).out, format!("backstop {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_mistyped_command_or_flag_is_answered_with_the_near_one() {
    for (line, meant) in [
        (&["chek"][..], "'check'"),
        (&["check", "--strickt"], "'--strict'"),
        (&["--colour", "never"], "'--color'"),
        (&["completions", "bashh"], "'bash'"),
    ] {
        let ran = backstop(line, &[]);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{line:?}");
        assert!(ran.err.contains("similar") && ran.err.contains(meant), "{line:?}: {}", ran.err);
    }
}

#[test]
fn help_is_coloured_where_it_is_asked_for() {
    let escape = '\u{1b}';
    assert!(!backstop(&["--help"], &[]).out.contains(escape));
    assert!(backstop(&["--color", "always", "--help"], &[]).out.contains(escape));
    assert!(backstop(&["check", "--help", "--color=always"], &[]).out.contains(escape));
}

#[test]
fn every_shell_gets_its_completions() {
    for (shell, sign) in [
        ("bash", "complete -F _backstop"),
        ("zsh", "#compdef backstop"),
        ("fish", "complete -c backstop"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let ran = backstop(&["completions", shell], &[]);
        assert_eq!((ran.status, ran.err.as_str()), (0, ""), "{shell}");
        assert!(ran.out.contains(sign) && ran.out.contains("healthcheck") && ran.out.contains("strict"), "{shell}");
        assert!(!ran.out.contains('\u{1b}'), "{shell}");
    }
}
