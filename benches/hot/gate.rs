//! The gate: a stream is held until its first content, a whole answer to its end.
//!
//! Measures [`hold`] over chunks that are there, in one read and in a read for each event, and [`whole`] with the check of what
//! it read. Refuses to measure the wait for an upstream, and what follows the commit (`scan`, `relay`).

use backstop::dialect::anthropic;
use backstop::dialect::endpoint::Endpoint;
use backstop::dialect::openai_chat::response::{self, Whole};
use backstop::stream::gate::{Collected, GateLimits, hold, whole};
use backstop::stream::spoken::Spoken;
use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;

use crate::body::{Chunks, ready};
use crate::input::{chat_answer, chat_role, chat_word, messages_answer, messages_preamble, messages_word};

fn held(bencher: Bencher<'_, '_>, spoken: Spoken, chunks: &[Bytes]) {
    let limits = GateLimits::default();
    let length: usize = chunks.iter().map(Bytes::len).sum();
    let hold = |body| ready(hold(body, &limits, spoken));
    assert!(hold(Chunks::new(chunks.to_vec())).is_ok_and(|held| !held.ended));
    bencher.counter(BytesCount::new(length)).with_inputs(|| Chunks::new(chunks.to_vec())).bench_local_values(hold);
}

/// The role and the first word came together.
#[divan::bench]
fn chat_in_one_read(bencher: Bencher<'_, '_>) {
    held(bencher, Spoken::Chat, &[Bytes::from([chat_role(), chat_word(0)].concat())]);
}

#[divan::bench]
fn chat_in_two_reads(bencher: Bencher<'_, '_>) {
    held(bencher, Spoken::Chat, &[chat_role(), chat_word(0)]);
}

/// A message's start, a block's, a ping, the first word.
#[divan::bench]
fn messages_in_one_read(bencher: Bencher<'_, '_>) {
    let mut events = messages_preamble();
    events.push(messages_word(0));
    held(bencher, Spoken::Messages, &[Bytes::from(events.concat())]);
}

#[divan::bench]
fn messages_in_four_reads(bencher: Bencher<'_, '_>) {
    let mut events = messages_preamble();
    events.push(messages_word(0));
    held(bencher, Spoken::Messages, &events);
}

fn collected(bencher: Bencher<'_, '_>, answer: &Bytes, inspect: impl Fn(&[u8]) -> Whole) {
    let check = |body| match ready(whole(body, 1 << 20)) {
        Ok(Collected::Whole(body)) => matches!(inspect(&body), Whole::Good { usage: Some(_) }),
        Ok(Collected::Long(_)) | Err(_) => false,
    };
    let body = || Chunks::new(vec![answer.clone()]);
    assert!(check(body()));
    bencher.counter(BytesCount::of_slice(answer)).with_inputs(body).bench_local_values(check);
}

/// A chat's answer in one read.
#[divan::bench]
fn chat_answer_whole(bencher: Bencher<'_, '_>) {
    collected(bencher, &chat_answer(), |body| response::inspect(body, Endpoint::Chat));
}

#[divan::bench]
fn messages_answer_whole(bencher: Bencher<'_, '_>) {
    collected(bencher, &messages_answer(), anthropic::answer::inspect);
}
