//! The body for another model: slices of itself around the target's name.
//!
//! Measures the cut alone, where the head was read before. Nothing is copied, so its length should not matter: that is what the
//! two lengths are for. Refuses to measure sending it.

use backstop::dialect::openai_chat::request::{self, ModelName, splice};
use bytes::Bytes;
use divan::{Bencher, black_box};

use crate::input::{MODEL, SIZES, chat_request};

const ENDS: [usize; 2] = [SIZES[0], SIZES[2]];

fn cut(bencher: Bencher<'_, '_>, body: &Bytes, model: &str, segments: usize) {
    let edit = request::read(body).expect("it is a request").edit;
    let name = ModelName::new(model);
    assert_eq!(splice(body, &edit, &name).len(), segments);
    bencher.bench_local(|| splice(black_box(body), black_box(&edit), black_box(&name)));
}

/// The client asked a chain, so another name goes upstream.
#[divan::bench(args = ENDS)]
fn another_model(bencher: Bencher<'_, '_>, bytes: usize) {
    cut(bencher, &chat_request(bytes, ""), "gpt-4o-2024-08-06", 3);
}

/// The name stands there already.
#[divan::bench(args = ENDS)]
fn same_model(bencher: Bencher<'_, '_>, bytes: usize) {
    cut(bencher, &chat_request(bytes, ""), MODEL, 1);
}

/// A field of the gateway's own is cut out as well.
#[divan::bench(args = ENDS)]
fn own_field(bencher: Bencher<'_, '_>, bytes: usize) {
    let body = chat_request(bytes, r#""fallbacks":["openai/gpt-4o","anthropic/claude-sonnet-4-5"],"#);
    cut(bencher, &body, "gpt-4o-2024-08-06", 4);
}
