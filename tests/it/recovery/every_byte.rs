//! One answer, cut at every byte: with letters of several bytes, a fence of code, JSON, runs of white space, and a smiley
//! whose two escapes are in two chunks. Behind the cut it goes on without a lost or a repeated letter, or it ends with an
//! error; it never looks complete when it is not.
//!
//! Owns the offsets. A cut is asked for in the request's own words, so that several cases share one vendor.

use std::ops::Range;
use std::sync::Arc;

use super::heard::Heard;
use super::{Front, config, several};
use crate::support::Gateway;
use crate::support::replay::fault::parts_before;
use crate::support::replay::{Act, Asked, Dialect, Ending, Place, Prefill, Speech, Vendor};

const PIECES: [&str; 4] = ["Grüße — 日本:\n\n", "```json\n{\"a\": [1,  2]}\n```  \t", "\n\n\n  x \\\" ", "ok 😀 fin."];
const OTHER: &str = "Something else entirely.";
/// The most that the stream may be, so that all its bytes can be tried.
const LONGEST: usize = 1_536;
/// Failures never cool where one attempt was good: each request meets the cut.
const TOLERANT: &str = "cooldowns: { blip_attempts: 0, blip_percent: 100, blip_window: '60s', target_keys: 1000,
    endpoint_failures: 1000000, broken_stream: { first: '1ms', cap: '1ms' } },
    run: { same_target_wait: 0, retry_pause_min: '1ms', retry_pause_max: '2ms', keep_alive: '60s' },";

/// What is asked behind the cut.
#[derive(Debug, Clone, Copy)]
enum Behind {
    /// Nobody.
    Nobody,
    /// A target that goes on from what was said.
    Capable,
    /// One that cannot, and says something else.
    Other,
}

impl Behind {
    const ALL: [Self; 3] = [Self::Nobody, Self::Capable, Self::Other];

    const fn mode(self) -> &'static str {
        if matches!(self, Self::Nobody) { "error" } else { "continue" }
    }

    const fn chain(self) -> &'static str {
        if matches!(self, Self::Other) { "other" } else { "capable" }
    }
}

/// A stream, and where in it the first content and the reason to finish stand.
#[derive(Debug)]
struct Stream {
    front: Front,
    text: String,
    length: usize,
    content: Range<usize>,
    finish: Range<usize>,
}

impl Stream {
    fn of(front: Front, upstream: Dialect, speech: &Speech) -> Self {
        let parts = speech.parts(upstream, true);
        let until = |count: usize| parts[..count].iter().map(|part| part.bytes.len()).sum();
        let part = |place: Place| {
            let behind = parts_before(&parts, place);
            until(behind - 1)..until(behind)
        };
        let (content, finish) = (part(Place::Content(1)), part(Place::Finish));
        Self { front, text: speech.text(), length: until(parts.len()), content, finish }
    }

    /// What has to be heard of a stream that is cut there.
    fn check(&self, behind: Behind, at: usize, heard: &Heard) {
        let who = format!("{:?} cut at {at} of {}, {behind:?}", self.front, self.length);
        let other = if matches!(behind, Behind::Other) { OTHER } else { &self.text };
        if matches!(behind, Behind::Capable) || at >= self.finish.end {
            return heard.assert_whole(&self.text, &who);
        }
        if at <= self.content.start {
            return heard.assert_whole(other, &who);
        }
        // Within those two frames: whether half of one is heard is the reader's business.
        let open = self.content.contains(&at) || (at > self.finish.start && self.finish.contains(&at));
        if !(open && heard.is_normal()) {
            return heard.assert_broken(&self.text, &who);
        }
        heard.assert_whole(if at < self.content.end { other } else { &self.text }, &who);
    }
}

/// `cut AT`, in the user's words; anything else is answered well.
fn play(asked: &Asked, _: usize) -> Act {
    let said = asked.said();
    let Some(at) = said.strip_prefix("cut ").and_then(|at| at.parse::<usize>().ok()) else { return Act::Healthy };
    Act::Cut(at, [Ending::Body, Ending::Reset, Ending::Close][at % 3])
}

/// Asks until the first provider was asked: only then was anything cut.
async fn cut(gateway: &Gateway, front: Front, behind: Behind, at: usize) -> Heard {
    for _ in 0..100 {
        let heard = front.listen(gateway, behind.mode(), &front.ask(behind.chain(), &format!("cut {at}"))).await;
        if heard.trail.starts_with("one/") {
            return heard;
        }
    }
    panic!("the first provider was not asked: it cools")
}

async fn run(front: Front, upstream: Dialect) {
    let speech = Speech { halves: true, ..Speech::of("one", &PIECES) };
    let stream = Arc::new(Stream::of(front, upstream, &speech));
    assert!(stream.length < LONGEST, "{stream:?}");
    let one = Vendor::start(&speech, Prefill::Ignores, play).await;
    let two = Vendor::healthy(&speech.by("two"), Prefill::GoesOn).await;
    let three = Vendor::healthy(&Speech::of("three", &[OTHER]), Prefill::Ignores).await;
    let providers = [(&one, "one"), (&two, "two"), (&three, "three")];
    let providers = providers.map(|(vendor, name)| vendor.provider(name, upstream, &["K"], ""));
    let chains = [
        "capable: ['one/m1', { target: 'two/m2', prefill: true }]".to_owned(),
        "other: ['one/m1', { target: 'three/m3', prefill: false }]".to_owned(),
    ];
    let gateway = Arc::new(Gateway::start(&config(&providers, &chains, TOLERANT)).await);
    front.listen(&gateway, "error", &front.ask("capable", "well")).await.assert_whole(&stream.text, "whole");
    let cases = (0..=stream.length).flat_map(|at| Behind::ALL.map(|behind| (at, behind)));
    let cases = cases.map(|(at, behind)| {
        let (gateway, stream) = (Arc::clone(&gateway), Arc::clone(&stream));
        async move { stream.check(behind, at, &cut(&gateway, front, behind, at).await) }
    });
    several(8, cases).await;
    two.assert_understood("two");
    gateway.idle().await;
}

#[tokio::test]
async fn a_chat_of_openai() {
    run(Front::Chat, Dialect::OpenAi).await;
}

#[tokio::test]
async fn a_chat_of_anthropic() {
    run(Front::Chat, Dialect::Anthropic).await;
}

#[tokio::test]
async fn a_chat_of_bedrock() {
    run(Front::Chat, Dialect::Bedrock).await;
}

#[tokio::test]
async fn messages_of_openai() {
    run(Front::Messages, Dialect::OpenAi).await;
}

#[tokio::test]
async fn messages_of_anthropic() {
    run(Front::Messages, Dialect::Anthropic).await;
}

#[tokio::test]
async fn messages_of_bedrock() {
    run(Front::Messages, Dialect::Bedrock).await;
}
