//! A committed stream from its first content to its end: the body that a client reads.
//!
//! Measures a [`Relay`] over chunks that are there, one event in each; the items are events. Refuses to measure the gate
//! before it, and timers: nothing pauses, so none is armed.

use std::pin::Pin;
use std::time::Duration;

use backstop::clock;
use backstop::stream::ending::{End, Ending, Last};
use backstop::stream::gate::{GateLimits, hold};
use backstop::stream::relay::{Patience, Relay};
use backstop::stream::spoken::Spoken;
use backstop::stream::tap::Tally;
use bytes::Bytes;
use divan::Bencher;
use divan::counter::ItemsCount;

use crate::body::{Chunks, drain, ready, runtime};
use crate::input::{CONTENTS, chat_role, chat_stream, chat_tool_call, messages_stream};

/// Hears the end and has nothing to settle.
struct Nobody;

impl Ending for Nobody {
    fn end(&mut self, end: End, _: &Tally) -> Last {
        assert!(matches!(end, End::Complete), "the stream is whole");
        Last::Own
    }

    fn left(&mut self, _: &Tally) {}
}

fn committed(events: &[Bytes], spoken: Spoken) -> Pin<Box<Relay<Chunks, Nobody>>> {
    let held = ready(hold(Chunks::new(events.to_vec()), &GateLimits::default(), spoken));
    let Ok(held) = held else { unreachable!("there is content") };
    let patience = Patience {
        stall: Duration::from_secs(30),
        keep_alive: Duration::from_secs(15),
        deadline: clock::now() + Duration::from_secs(600),
    };
    Box::pin(Relay::new(held, Nobody, patience))
}

fn relayed(bencher: Bencher<'_, '_>, spoken: Spoken, events: &[Bytes]) {
    let runtime = runtime();
    let _entered = runtime.enter();
    let length: usize = events.iter().map(Bytes::len).sum();
    assert_eq!(drain(&mut committed(events, spoken)), length);
    bencher.counter(ItemsCount::new(events.len())).with_inputs(|| committed(events, spoken)).bench_local_values(
        |mut relay| {
            drain(&mut relay);
            relay
        },
    );
}

/// Words, a finish reason, tokens, `[DONE]`.
#[divan::bench]
fn chat(bencher: Bencher<'_, '_>) {
    relayed(bencher, Spoken::Chat, &chat_stream());
}

/// A tool's arguments in as many pieces.
#[divan::bench]
fn chat_with_a_call(bencher: Bencher<'_, '_>) {
    let mut events = chat_stream();
    let end = events.split_off(CONTENTS + 1);
    events.clear();
    events.push(chat_role());
    events.extend(std::iter::repeat_n(chat_tool_call(), CONTENTS));
    events.extend(end);
    relayed(bencher, Spoken::Chat, &events);
}

#[divan::bench]
fn messages(bencher: Bencher<'_, '_>) {
    relayed(bencher, Spoken::Messages, &messages_stream());
}
