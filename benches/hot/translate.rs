//! Between two dialects: one event, a whole stream, a whole answer, and the request on its way there.
//!
//! Measures an Anthropic upstream behind a chat, and the other way round where streams and answers are whole. An event includes
//! the reading of its frame, as in `stream/translated.rs`. Refuses to measure gate and relay, which see the result as any stream.

use backstop::dialect::canonical::{Frame, Profile};
use backstop::dialect::translate::{Translation, Translator, parse, render};
use backstop::dialect::vendor::{Dialect, Vendor};
use backstop::framing::sse::events;
use backstop::policy::capability::Abilities;
use backstop::stream::tap::Tap;
use backstop::stream::translated::Translated;
use bytes::{Bytes, BytesMut};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

use crate::body::{Chunks, drain};
use crate::input::{
    SIZES, chat_answer, chat_request, chat_stream, messages_answer, messages_input, messages_start, messages_stream,
    messages_text, messages_tool, messages_word,
};

const MODEL: &str = "claude-sonnet-4-5-20250929";

fn translation(upstream: Dialect, front: Dialect) -> Translation {
    let frame = Frame { id: 17, created: 1_700_000_000, model: MODEL.to_owned(), include_usage: true };
    Translation { upstream, front, frame, schema_tool: None, resumption: None }
}

/// A chunk's worth of an upstream's events in the front's words.
fn translated(translator: &mut Translator, chunk: &[u8], out: &mut BytesMut) -> Bytes {
    for event in events(chunk) {
        translator.read(&event, out);
    }
    out.split().freeze()
}

fn event(bencher: Bencher<'_, '_>, chunk: &Bytes) {
    let mut translator = translation(Dialect::Anthropic, Dialect::OpenAiChat).stream();
    let mut out = BytesMut::new();
    for before in [messages_start(), messages_text(), messages_tool()] {
        translated(&mut translator, &before, &mut out);
    }
    let chat = translated(&mut translator, chunk, &mut out);
    assert!(chat.starts_with(b"data: {"), "it says something");
    bencher
        .counter(BytesCount::of_slice(chunk))
        .bench_local(|| translated(&mut translator, black_box(chunk), &mut out));
}

#[divan::bench]
fn event_word(bencher: Bencher<'_, '_>) {
    event(bencher, &messages_word(0));
}

#[divan::bench]
fn event_piece_of_a_call(bencher: Bencher<'_, '_>) {
    event(bencher, &messages_input());
}

fn stream(bencher: Bencher<'_, '_>, way: &Translation, chunks: &[Bytes]) {
    let body = || Translated::new(Chunks::new(chunks.to_vec()), way, Tap::FRAME_BYTES);
    let mut whole = body();
    assert!(drain(&mut whole) > 0 && whole.spent().usage().is_some(), "it is translated to its end");
    bencher.counter(ItemsCount::new(chunks.len())).with_inputs(body).bench_local_refs(drain);
}

#[divan::bench]
fn stream_from_anthropic(bencher: Bencher<'_, '_>) {
    stream(bencher, &translation(Dialect::Anthropic, Dialect::OpenAiChat), &messages_stream());
}

#[divan::bench]
fn stream_to_anthropic(bencher: Bencher<'_, '_>) {
    stream(bencher, &translation(Dialect::OpenAiChat, Dialect::Anthropic), &chat_stream());
}

fn answer(bencher: Bencher<'_, '_>, way: &Translation, body: &Bytes) {
    assert!(way.answer(body).is_ok_and(|(_, usage)| usage.is_some()));
    bencher.counter(BytesCount::of_slice(body)).bench_local(|| way.answer(black_box(body)));
}

#[divan::bench]
fn answer_from_anthropic(bencher: Bencher<'_, '_>) {
    answer(bencher, &translation(Dialect::Anthropic, Dialect::OpenAiChat), &messages_answer());
}

#[divan::bench]
fn answer_to_anthropic(bencher: Bencher<'_, '_>) {
    answer(bencher, &translation(Dialect::OpenAiChat, Dialect::Anthropic), &chat_answer());
}

/// A chat is read, and written for Anthropic.
#[divan::bench(args = SIZES)]
fn request_to_anthropic(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = chat_request(bytes, "");
    let abilities = Abilities::default();
    let profile = Profile { model: MODEL, vendor: Vendor::Anthropic, abilities: &abilities };
    let written = |body: &[u8]| {
        let request = parse(Dialect::OpenAiChat, body).ok()?;
        render(Dialect::Anthropic, &request, &profile).ok()
    };
    assert!(written(&body).is_some());
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| written(black_box(&body)));
}
