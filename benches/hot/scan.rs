//! One chunk of a committed stream: cut into frames and read as far as it must be.
//!
//! Measures a [`Tap`] that has seen sixteen such chunks, so that what can be learned was learned. Refuses to measure the body
//! around it (`relay`).

use backstop::framing::sse::Block;
use backstop::stream::spoken::Spoken;
use backstop::stream::tap::Tap;
use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;

use crate::input::{chat_escaped, chat_tool_call, chat_word, messages_input, messages_word, responses_word};

/// What a client gets of a chunk, in bytes.
fn pass(tap: &mut Tap, chunk: Bytes) -> usize {
    tap.push(chunk);
    let mut length = 0;
    while let Some(block) = tap.pull() {
        length += match block {
            Block::Whole(block) => tap.pass(block).bytes.len(),
            Block::Loose(piece) => tap.pass_loose(piece).len(),
        };
    }
    length
}

fn scanned(bencher: Bencher<'_, '_>, spoken: Spoken, chunk: &Bytes) {
    let mut tap = Tap::new(Tap::FRAME_BYTES, spoken);
    tap.overrun();
    for _ in 0..16 {
        assert_eq!(pass(&mut tap, chunk.clone()), chunk.len());
    }
    bencher
        .counter(BytesCount::of_slice(chunk))
        .with_inputs(|| chunk.clone())
        .bench_local_values(|chunk| pass(&mut tap, chunk));
}

/// The usual chunk, which is compared with the one before.
#[divan::bench]
fn chat_word_alone(bencher: Bencher<'_, '_>) {
    scanned(bencher, Spoken::Chat, &chat_word(0));
}

/// Eight of them in one read.
#[divan::bench]
fn chat_words_together(bencher: Bencher<'_, '_>) {
    let words: Vec<Bytes> = (0..8).map(chat_word).collect();
    scanned(bencher, Spoken::Chat, &Bytes::from(words.concat()));
}

/// Escapes in its text: no comparison helps.
#[divan::bench]
fn chat_text_with_escapes(bencher: Bencher<'_, '_>) {
    scanned(bencher, Spoken::Chat, &chat_escaped());
}

#[divan::bench]
fn chat_piece_of_a_call(bencher: Bencher<'_, '_>) {
    scanned(bencher, Spoken::Chat, &chat_tool_call());
}

#[divan::bench]
fn messages_word_alone(bencher: Bencher<'_, '_>) {
    scanned(bencher, Spoken::Messages, &messages_word(0));
}

#[divan::bench]
fn messages_piece_of_a_call(bencher: Bencher<'_, '_>) {
    scanned(bencher, Spoken::Messages, &messages_input());
}

#[divan::bench]
fn responses_word_alone(bencher: Bencher<'_, '_>) {
    scanned(bencher, Spoken::Responses, &responses_word(7));
}
