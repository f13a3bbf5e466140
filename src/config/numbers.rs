//! Server, transport, cooldowns and run: every number over its default, each within reason.
//!
//! Owns the bounds. Refuses to know the defaults themselves: they are the `Default`s of the settings.

use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::file;
use super::keys::flaw_of_name;
use super::problem::{Place, shown};
use super::quantity::{Period, Size};
use super::raw::{RawClientKey, RawCooldowns, RawLadder, RawLog, RawRun, RawServer, RawUpstream};
use super::resolve::Desk;
use super::{ClientKey, LogFormat, LogSettings, Server, Upstream};
use crate::policy::settings::{CooldownSettings, Ladder, RunSettings};

/// Puts what was written over a default.
trait Over<T> {
    fn over(self, default: &mut T);
}

impl Over<Duration> for Option<Period> {
    fn over(self, default: &mut Duration) {
        if let Some(Period(period)) = self {
            *default = period;
        }
    }
}

impl<T> Over<T> for Option<T> {
    fn over(self, default: &mut T) {
        if let Some(value) = self {
            *default = value;
        }
    }
}

/// `field: raw` for each named field, over the defaults in `$settings`.
macro_rules! over {
    ($settings:ident, $raw:ident: $($field:ident)*) => { $($raw.$field.over(&mut $settings.$field);)* };
}

/// Refuses each named duration that is zero.
macro_rules! longer_than_zero {
    ($desk:ident, $place:ident, $settings:ident: $($field:ident)*) => {$(
        $desk.check(&$place, stringify!($field), !$settings.$field.is_zero(), "must be longer than 0");
    )*};
}

/// Refuses each named count that is zero.
macro_rules! at_least_one {
    ($desk:ident, $place:ident, $settings:ident: $($field:ident)*) => {$(
        $desk.check(&$place, stringify!($field), $settings.$field >= 1, "must be at least 1");
    )*};
}

impl Desk {
    fn check(&mut self, place: &Place, field: &str, good: bool, what: &str) {
        if !good {
            self.problem(&place.at(field), what, None);
        }
    }

    pub(super) fn server(&mut self, raw: RawServer) -> Server {
        let place = Place::of(&["server"]);
        let mut server = Server::default();
        if let Some(text) = &raw.listen {
            match text.trim().replace("localhost:", "127.0.0.1:").parse() {
                Ok(listen) => server.listen = listen,
                Err(_) => {
                    let what = format!("`{}` is not an address to listen on", shown(text));
                    self.problem(&place.at("listen"), what, Some(listen_hint(text.trim()).to_owned()));
                }
            }
        }
        over!(server, raw: allow_anonymous max_headers header_timeout body_timeout drain);
        raw.max_body.map(|Size(bytes)| bytes).over(&mut server.max_body);
        server.workers = raw.workers;
        server.client_keys = self.client_keys(&place.at("client_keys"), raw.client_keys);
        server.log = self.log(&place.at("log"), raw.log);

        at_least_one!(self, place, server: max_body max_headers);
        longer_than_zero!(self, place, server: header_timeout body_timeout);
        let workers = server.workers.is_none_or(|workers| (1..=1_024).contains(&workers));
        self.check(&place, "workers", workers, "must be from 1 to 1024");
        let open = server.client_keys.is_empty() && !server.allow_anonymous;
        if open && !server.listen.ip().to_canonical().is_loopback() {
            let what = format!("{} is reachable from outside, and no client key is asked for", server.listen);
            let hint = "add server.client_keys, listen on 127.0.0.1, or set server.allow_anonymous: true";
            self.problem(&place.at("listen"), what, Some(hint.to_owned()));
        }
        server
    }

    fn client_keys(&mut self, place: &Place, raw: Vec<RawClientKey>) -> Vec<ClientKey> {
        let mut keys: Vec<ClientKey> = Vec::new();
        for (at, raw) in raw.into_iter().enumerate() {
            let place = place.item(at);
            let name = raw.name.unwrap_or_else(|| format!("client-{}", at + 1));
            if let Some(flaw) = flaw_of_name(&name) {
                self.problem(&place.at("name"), flaw, None);
            } else if keys.iter().any(|key| key.name == name) {
                self.problem(&place, format!("two client keys are named `{name}`"), None);
            }
            let Some(sha256) = raw.sha256.as_deref().and_then(hex_32) else {
                let hint = "here stands the hash, not the key: 64 hexadecimal digits; `backstop hash-key` makes them";
                self.problem(&place.at("sha256"), "this is not a SHA-256 hash", Some(hint.to_owned()));
                continue;
            };
            if keys.iter().any(|key| key.sha256 == sha256) {
                self.problem(&place, "another client has the same key", None);
            }
            keys.push(ClientKey { name, sha256 });
        }
        keys
    }

    fn log(&mut self, place: &Place, raw: RawLog) -> LogSettings {
        let mut log = LogSettings::default();
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        raw.format.and_then(|text| self.choose(&place.at("format"), &text, &formats)).over(&mut log.format);
        over!(log, raw: level requests);
        if log.level.trim().is_empty() || EnvFilter::builder().parse(&log.level).is_err() {
            let hint = "error, warn, info, debug, trace, off, or a filter such as \"info,backstop=debug\"".to_owned();
            self.problem(&place.at("level"), "this is not a log level", Some(hint));
        }
        log
    }

    pub(super) fn upstream(&mut self, raw: RawUpstream) -> Upstream {
        let place = Place::of(&["upstream"]);
        let mut upstream = Upstream::default();
        over!(upstream, raw: connect_timeout pool_idle_timeout pool_max_idle);
        upstream.ca_file = raw.ca_file.map(Into::into);
        if upstream.ca_file.as_ref().is_some_and(|path: &PathBuf| file::is_key(path) && !path.exists()) {
            let hint = "the path of a file with certificates (PEM)".to_owned();
            self.problem(&place.at("ca_file"), file::NO_PATH, Some(hint));
        }
        over!(upstream, raw: silence);
        longer_than_zero!(self, place, upstream: connect_timeout silence);
        for (field, written, size) in [
            ("max_preamble", raw.max_preamble, &mut upstream.max_preamble),
            ("max_frame", raw.max_frame, &mut upstream.max_frame),
            ("max_answer", raw.max_answer, &mut upstream.max_answer),
        ] {
            written.map(|Size(bytes)| bytes).over(size);
            self.check(&place, field, *size >= 1, "must be at least 1");
        }
        upstream
    }

    pub(super) fn cooldowns(&mut self, raw: RawCooldowns) -> CooldownSettings {
        let place = Place::of(&["cooldowns"]);
        let mut settings = CooldownSettings::default();
        let ladders = &mut settings.ladders;
        for (name, raw, ladder) in [
            ("auth", raw.auth, &mut ladders.auth),
            ("billing", raw.billing, &mut ladders.billing),
            ("rate_limit", raw.rate_limit, &mut ladders.rate_limit),
            ("forbidden", raw.forbidden, &mut ladders.forbidden),
            ("overloaded", raw.overloaded, &mut ladders.overloaded),
            ("server_error", raw.server_error, &mut ladders.server_error),
            ("network", raw.network, &mut ladders.network),
            ("timeout", raw.timeout, &mut ladders.timeout),
            ("broken_stream", raw.broken_stream, &mut ladders.broken_stream),
            ("model_not_found", raw.model_not_found, &mut ladders.model_not_found),
        ] {
            self.ladder(&place.at(name), &raw, ladder);
        }
        over!(settings, raw: jitter_percent hint_min hint_max hint_probe_every key_probe_every blip_attempts blip_percent blip_window
            target_keys target_window model_keys endpoint_failures endpoint_window probe_verdict streak_memory quota_rest_max
            max_waiters);
        if let Some(pace) = raw.forced_probe_pace {
            match <[Period; 3]>::try_from(pace) {
                Ok(pace) => settings.forced_probe_pace = pace.map(|Period(pause)| pause),
                Err(_) => self.problem(&place.at("forced_probe_pace"), "must be three periods", None),
            }
        }
        longer_than_zero!(self, place, settings: hint_probe_every key_probe_every target_window endpoint_window
            probe_verdict);
        at_least_one!(self, place, settings: endpoint_failures);
        let minute = Duration::from_secs(1)..=Duration::from_secs(60);
        self.check(&place, "blip_window", minute.contains(&settings.blip_window), "must be from 1 s to 60 s");
        self.check(&place, "blip_percent", settings.blip_percent <= 100, "must be at most 100");
        self.check(&place, "jitter_percent", settings.jitter_percent <= 50, "must be at most 50");
        self.check(&place, "model_keys", settings.model_keys >= 2, "must be at least 2");
        self.check(&place, "target_keys", settings.target_keys >= 2, "must be at least 2");
        self.check(&place, "hint_min", settings.hint_min <= settings.hint_max, "must not be longer than hint_max");
        let pace = settings.forced_probe_pace;
        let rising = pace.is_sorted() && pace.first().is_some_and(|first| !first.is_zero());
        self.check(&place, "forced_probe_pace", rising, "must rise and begin above 0");
        settings
    }

    fn ladder(&mut self, place: &Place, raw: &RawLadder, ladder: &mut Ladder) {
        over!(ladder, raw: first factor cap);
        longer_than_zero!(self, place, ladder: first);
        at_least_one!(self, place, ladder: factor);
        self.check(place, "first", ladder.first <= ladder.cap, "must not be longer than cap");
    }

    pub(super) fn run(&mut self, raw: &RawRun) -> RunSettings {
        let place = Place::of(&["run"]);
        let mut settings = RunSettings::default();
        over!(settings, raw: max_attempts max_attempts_per_target deadline max_wait same_target_wait retry_pause_min
            retry_pause_max first_content first_content_reasoning response_timeout stall stream_headers_after keep_alive);
        at_least_one!(self, place, settings: max_attempts max_attempts_per_target);
        longer_than_zero!(self, place, settings: deadline first_content first_content_reasoning response_timeout stall
            stream_headers_after keep_alive);
        let word = raw.stream_recovery.as_ref();
        if let Some(recovery) = word.and_then(|text| self.recovery(&place.at("stream_recovery"), text)) {
            settings.stream_recovery = recovery;
        }
        let ordered = settings.retry_pause_min <= settings.retry_pause_max;
        self.check(&place, "retry_pause_min", ordered, "must not be longer than retry_pause_max");
        settings
    }
}

/// What is missing in an address to listen on.
fn listen_hint(text: &str) -> &'static str {
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    if text.contains("://") {
        "an address without a scheme, for example \"127.0.0.1:8080\""
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        "IPv6 stands in brackets before its port, for example \"[::1]:8080\""
    } else if text.parse::<std::net::Ipv4Addr>().is_ok()
        || text == "localhost"
        || text.starts_with('[') && text.ends_with(']')
    {
        "the port is missing, for example \"127.0.0.1:8080\""
    } else if is_port(text) || host.is_empty() && is_port(port) {
        "the address before the port is missing, for example \"127.0.0.1:8080\""
    } else if host == "*" && is_port(port) {
        "every address is \"0.0.0.0:8080\""
    } else if !host.is_empty() && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !is_port(port) {
        "the port must be at most 65535, for example \"127.0.0.1:8080\""
    } else if is_port(port) {
        "an address, not a name, for example \"127.0.0.1:8080\""
    } else {
        "for example \"127.0.0.1:8080\""
    }
}

/// A hash as tools print it: bare, behind `sha256:`, or before a file's name that is none.
fn hex_32(text: &str) -> Option<[u8; 32]> {
    let text = text.trim().strip_suffix('-').unwrap_or(text).trim();
    let text = text.strip_prefix("sha256:").unwrap_or(text).trim();
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |high, low| high << 4 | low);
    }
    Some(bytes)
}
