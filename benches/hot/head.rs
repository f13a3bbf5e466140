//! The head of a request: its JSON is checked to the end, and what the gateway must know is taken out.
//!
//! Measures what `server/chat.rs` calls with a whole body, for bodies of three lengths. Refuses to measure how the body
//! came, and what is made of the head (`pick`, `splice`).

use backstop::dialect::openai_chat::request;
use backstop::dialect::{anthropic, openai_responses};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};

use crate::input::{SIZES, chat_request, messages_request, responses_request};

#[divan::bench(args = SIZES)]
fn chat(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = chat_request(bytes, "");
    assert!(request::read(&body).is_ok_and(|head| head.stream));
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| request::read(black_box(&body)));
}

#[divan::bench(args = SIZES)]
fn messages(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = messages_request(bytes);
    assert!(anthropic::head::read(&body).is_ok_and(|head| head.user.is_some()));
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| anthropic::head::read(black_box(&body)));
}

#[divan::bench(args = SIZES)]
fn responses(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = responses_request(bytes);
    let read = |body| {
        let mut head = request::read(body)?;
        openai_responses::request::complete(&mut head, body).map(|()| head)
    };
    assert!(read(&body).is_ok_and(|head| head.needs.max_output_tokens.is_some()));
    bencher.counter(BytesCount::of_slice(&body)).bench_local(|| read(black_box(&body)));
}
