//! "The path": what a request and its answer go through, seen from real sockets on both sides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends by panicking")]

mod body;
mod cancel;
mod choose;
mod gate;
mod headers;
mod life;
mod pool;
mod shape;
mod tls;

use crate::support::{CALM, Upstream};

/// The configuration of one provider, `one`, with a key K and the chain `default` of its model m1.
fn lone(base_url: &str, more: &str) -> String {
    let calm = if more.contains("run:") { "" } else { CALM };
    format!(
        "{{ providers: {{ one: {{ base_url: '{base_url}', keys: [{{ key: 'sk-one-secret', profile: 'K' }}] }} }},
        chains: {{ default: ['one/m1'] }}, {calm} {more} }}"
    )
}

/// The same in front of an upstream written by hand.
fn by_hand(upstream: &Upstream, more: &str) -> String {
    lone(&upstream.base_url(), more)
}
