//! A stream that is held until it is complete (contract section 5, `buffer`).
//!
//! Owns the bytes in the meantime, up to a limit: what is longer goes out from there, and may then break like any other.
//! Refuses to know slots.

use std::pin::Pin;
use std::time::Duration;

use http_body_util::BodyExt;

use super::ending::{Break, End, Ending, Last, Upstream};
use super::gate::{Chunks, Held};
use super::relay::{Patience, Relay};
use super::tap::Tally;
use crate::clock;

/// What became of it.
pub enum Kept<B> {
    /// All of it.
    Whole(Chunks, Tally),
    /// More than may be held: the beginning, and the rest.
    Long(Held<B>),
}

/// Nobody hears of a stream that nobody has seen.
#[derive(Default)]
struct Quiet(Option<(End, Tally)>);

impl Ending for Quiet {
    fn end(&mut self, end: End, tally: &Tally) -> Last {
        self.0 = Some((end, *tally));
        Last::Nothing
    }

    fn left(&mut self, _: &Tally) {}
}

/// Reads a committed stream to its end. `over` is a body that has ended.
///
/// # Errors
/// It did not end well.
pub async fn keep<B>(held: Held<B>, stall: Duration, most: usize, over: B) -> Result<Kept<B>, End>
where
    B: Upstream,
{
    /// Nobody waits for comments, and who called has the deadline.
    const NEVER: Duration = Duration::from_secs(86_400 * 365);
    let patience = Patience { stall, keep_alive: NEVER, deadline: clock::now() + NEVER };
    let mut relay = Box::pin(Relay::new(held, Quiet::default(), patience));
    let mut chunks = Chunks::new();
    let mut length = 0;
    while let Some(frame) = relay.frame().await {
        let Ok(frame) = frame;
        if let Ok(chunk) = frame.into_data() {
            length += chunk.len();
            chunks.push(chunk);
        }
        if length > most {
            return Ok(Kept::Long(surrendered(relay.as_mut(), chunks, over)));
        }
    }
    match relay.as_mut().ending().0.take() {
        Some((End::Complete, tally)) => Ok(Kept::Whole(chunks, tally)),
        Some((end, _)) => Err(end),
        None => Err(End::Broken(Break::Unfinished)),
    }
}

fn surrendered<B>(relay: Pin<&mut Relay<B, Quiet>>, mut chunks: Chunks, over: B) -> Held<B>
where
    B: Upstream,
{
    let mut held = relay.surrender(over);
    chunks.extend(std::mem::take(&mut held.chunks));
    Held { chunks, ..held }
}

#[cfg(test)]
mod tests {
    use super::super::gate::{GateLimits, hold};
    use super::super::script::{Act, Script, send};
    use super::super::spoken::Spoken;
    use super::*;

    const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
    const STOP: &str =
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3}}\n\n";

    async fn kept(acts: Vec<Act>, most: usize) -> Result<Kept<Script>, End> {
        let Ok(held) = hold(Script::new(acts), &GateLimits::default(), Spoken::Chat).await else {
            unreachable!("it has content")
        };
        keep(held, Duration::from_secs(30), most, Script::new([])).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_stream_is_kept_with_its_end() {
        let acts = vec![send(TEXT.as_bytes()), Act::Pause(Duration::from_secs(29)), send(STOP.as_bytes())];
        let Ok(Kept::Whole(chunks, tally)) = kept(acts, 1 << 20).await else { unreachable!("it is complete") };
        assert_eq!(chunks.concat(), format!("{TEXT}{STOP}data: [DONE]\n\n").into_bytes());
        assert_eq!(tally.usage.map(|usage| usage.prompt_tokens), Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_well_is_not_kept() {
        let cases = [
            (vec![send(TEXT.as_bytes()), Act::Break], End::Broken(Break::Cut)),
            (vec![send(TEXT.as_bytes()), Act::Hang], End::Broken(Break::Stalled)),
            (vec![send(TEXT.as_bytes())], End::Broken(super::Break::Unfinished)),
        ];
        for (acts, end) in cases {
            assert!(kept(acts, 1 << 20).await.is_err_and(|ended| ended == end));
        }
    }

    #[tokio::test]
    async fn what_is_too_long_is_given_back_with_all_its_bytes() {
        let apart = |text: &str| [send(text.as_bytes()), Act::Pause(Duration::from_millis(1))];
        let acts = [TEXT, TEXT, TEXT, STOP].into_iter().flat_map(apart).collect();
        let Ok(Kept::Long(mut held)) = kept(acts, 2 * TEXT.len() - 1).await else { unreachable!("it is too long") };
        let mut bytes = held.chunks.concat();
        while let Some(Ok(frame)) = held.body.frame().await {
            bytes.extend(frame.into_data().unwrap_or_default());
        }
        assert_eq!(bytes, format!("{TEXT}{TEXT}{TEXT}{STOP}").into_bytes());
    }
}
