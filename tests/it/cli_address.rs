//! Addresses and periods of the command line: read as the configuration reads them, and blamed where they stand.

use crate::cli_run::{backstop, file};

const LOCAL: &str = "{ providers: { local: { base_url: 'http://127.0.0.1:1/v1' } }, chains: { default: ['local/m'] } }";

#[test]
fn an_address_to_listen_on_is_read_alike_everywhere() {
    for command in ["serve", "demo", "sim"] {
        for address in ["8080", "nowhere", "127.0.0.1:99999"] {
            let ran = backstop(&[command, "--listen", address], &[]);
            assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{command} {address}: {}", ran.err);
            for part in [address, "--listen", "127.0.0.1:8080", "[::1]:8080"] {
                assert!(ran.err.contains(part), "{command} {address}: {part}: {}", ran.err);
            }
        }
    }
    // Somebody listens there, so that it ends by itself; the name was understood.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (_directory, path) = file(LOCAL);
    let path = path.display().to_string();
    let listen = format!("localhost:{port}");
    for arguments in [
        &["serve", "--config", &path, "--listen", &listen][..],
        &["demo", "--listen", &listen],
        &["sim", "--listen", &listen],
    ] {
        let ran = backstop(arguments, &[]);
        assert_eq!(ran.status, 1, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{arguments:?}: {}", ran.err);
    }
}

#[test]
fn the_flag_is_blamed_for_its_address() {
    let (_directory, path) = file(LOCAL);
    let ran = backstop(&["serve", "--config", &path.display().to_string(), "--listen", "0.0.0.0:0"], &[]);
    assert_eq!(ran.status, 2, "{}", ran.all());
    assert!(ran.err.contains("(in --listen)") && !ran.err.contains("environment"), "{}", ran.err);
    let variable = [("BACKSTOP_SERVER__LISTEN", "0.0.0.0:0")];
    let ran = backstop(&["serve", "--config", &path.display().to_string()], &variable);
    assert!(ran.err.contains("(in environment variable BACKSTOP_SERVER__LISTEN)"), "{}", ran.err);
}

#[test]
fn a_number_alone_is_seconds_and_no_time_is_refused() {
    let (_directory, path) = file(LOCAL);
    let path = path.display().to_string();
    for line in [&["probe", "--config", &path, "--timeout"][..], &["status", "--url", "127.0.0.1:1", "--interval"]] {
        for (time, status) in [("5", 1), ("250ms", 1), ("0", 2), ("0s", 2), ("soon", 2)] {
            let ran = backstop(&[line, &[time]].concat(), &[]);
            assert_eq!(ran.status, status, "{line:?} {time}: {}", ran.all());
        }
    }
}
