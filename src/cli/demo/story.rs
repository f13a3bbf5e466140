//! What happens in the demo, and what must have happened for the story to be true.
//!
//! Owns the steps: what is broken, what is asked, and what headers, log and `/status` must say then. Refuses to know
//! how it looks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use super::live::{Line, Log};
use super::show::{Show, attempts};
use super::stage::{Answer, BACKUP, PRIMARY, Stage};
use crate::sim::{Fault, Rule, pieces};

/// The simulated limit and outages, in seconds: the vendor's hint, which is never shortened.
const HINT: u64 = 4;
/// Requests that come at the same moment when a cooldown has ended.
const CROWD: usize = 5;
/// A cooldown of the story that lasts longer than this is not the one that was told.
const LONGEST: Duration = Duration::from_secs(30);
/// Between two looks at `/status`.
const GLANCE: Duration = Duration::from_millis(100);
/// Time to read a step.
const BEAT: Duration = Duration::from_millis(1_200);

/// How the story departed from what was told.
type Told<T = ()> = Result<T, String>;

/// The story being told.
pub(super) struct Story<'a> {
    stage: &'a Stage,
    log: &'a mut Log,
    show: &'a Show,
    cast: Cast,
    step: u32,
    /// What was logged since the step began and is not shown yet.
    heard: Vec<Line>,
}

/// The slots that play a part.
struct Cast {
    target: String,
    primary: String,
    backup: String,
    second: String,
    third: String,
    last: String,
}

impl Cast {
    /// Out of the chain: a target with two keys, then three more that are served.
    fn of(stage: &Stage) -> Told<Self> {
        let mut served = stage.chain.iter().filter(|(_, keys)| !keys.is_empty());
        let mut next = || served.next().ok_or_else(|| "the template has too few levels".to_owned());
        let (target, keys) = next()?;
        let slot = |(target, keys): &(String, Vec<String>), key: usize| {
            keys.get(key).map(|key| format!("{target}@{key}")).ok_or_else(|| format!("{target} has too few keys"))
        };
        let first = (target.clone(), keys.clone());
        Ok(Self {
            target: target.clone(),
            primary: slot(&first, 0)?,
            backup: slot(&first, 1)?,
            second: slot(next()?, 0)?,
            third: slot(next()?, 0)?,
            last: slot(next()?, 0)?,
        })
    }
}

/// A refusal with the vendor's hint, as long as the hint says and no longer.
fn refusing(status: u16) -> Rule {
    let fault = Fault { retry_after: Some(HINT.into()), ..Fault::status(status) };
    let mut rule = Rule::of(fault);
    rule.when.until_ms = Some(HINT * 1_000);
    rule
}

impl<'a> Story<'a> {
    /// Tells it all.
    ///
    /// # Errors
    /// What happened instead.
    pub(super) async fn tell(stage: &'a Stage, log: &'a mut Log, show: &'a Show) -> Told {
        let mut story = Self { stage, log, show, cast: Cast::of(stage)?, step: 0, heard: Vec::new() };
        story.healthy().await?;
        story.limited().await?;
        story.cooling().await?;
        story.recovery().await?;
        story.outage().await?;
        story.all_well().await?;
        story.broken_stream().await?;
        story.log.drain();
        show.told();
        Ok(())
    }

    async fn healthy(&mut self) -> Told {
        self.title("healthy", "A request comes in.", "");
        let answer = self.ask().await?;
        must(&answer, &[(&self.cast.primary, "ok:200")])?;
        self.beat().await;
        Ok(())
    }

    async fn limited(&mut self) -> Told {
        let remark = format!("Anthropic answers 429, retry-after: {HINT}. The same request goes on to Backup.");
        self.title("rate_limit", "The key Primary hits its rate limit.", &remark);
        self.stage.play("anthropic", &[refusing(429).key(PRIMARY)]);
        let answer = self.ask().await?;
        must(&answer, &[(&self.cast.primary, "rate_limit:429"), (&self.cast.backup, "ok:200")])?;
        self.beat().await;
        Ok(())
    }

    async fn cooling(&mut self) -> Told {
        self.title("cooldown", "While Primary cools down, nobody wastes time on it.", "");
        let answer = self.ask().await?;
        must(&answer, &[(&self.cast.backup, "ok:200")])?;
        let lanes = [("slot", self.cast.primary.clone())];
        self.cool_down(&lanes).await
    }

    async fn recovery(&mut self) -> Told {
        let remark = format!("Of {CROWD} requests at the same moment, the first one finds that out for all.");
        self.title("recovery", "The cooldown is over. Is Primary well again?", &remark);
        let mut crowd = JoinSet::new();
        for _ in 0..CROWD {
            let client = self.stage.client();
            crowd.spawn(async move { client.chat(false).await });
        }
        let mut shares: BTreeMap<String, usize> = BTreeMap::new();
        for answer in crowd.join_all().await {
            let answer = answer?;
            let trail = attempts(answer.told("trail"));
            match trail.as_slice() {
                [one] if answer.status == 200 => *shares.entry(one.slot.clone()).or_default() += 1,
                _ => return Err(format!("a request got {}, trail: {}", answer.status, answer.told("trail"))),
            }
        }
        let mut shares: Vec<(String, usize)> = shares.into_iter().collect();
        // The probe first.
        shares.sort_by_key(|(slot, _)| *slot != self.cast.primary);
        self.show.shares(&shares);
        if shares.first().is_none_or(|(slot, _)| *slot != self.cast.primary) {
            return Err(format!("nobody asked {}", self.cast.primary));
        }
        self.recovered()?;
        self.beat().await;
        Ok(())
    }

    async fn broken_stream(&mut self) -> Told {
        let remark = "The connection dies behind a 200 and its headers. Your program has none of it.";
        self.title("broken_stream", "A stream breaks before its first word.", remark);
        let cut = Fault { cut_after_chunks: Some(0), ..Fault::default() };
        self.stage.play("anthropic", &[Rule::of(cut).key(PRIMARY).requests(1, Some(1))]);
        let answer = self.stage.client().chat(true).await?;
        let said = spoken(&answer);
        let wanted = pieces("anthropic", answer.told("model"), BACKUP, 8).concat();
        if said.concat() != wanted || !answer.body.ends_with(b"data: [DONE]\n\n") {
            self.show_answer(&answer, "")?;
            return Err(format!("the stream says {:?} and should say {wanted:?}, then [DONE]", said.concat()));
        }
        let remark = format!("one whole stream: {} pieces of text, [DONE], no trace of the break", said.len());
        self.show_answer(&answer, &remark)?;
        served_by(&answer, &self.cast.backup)?;
        self.beat().await;
        Ok(())
    }

    async fn outage(&mut self) -> Told {
        let title = "All of Anthropic is overloaded: 529 for both keys.";
        self.title("outage", title, "The chain goes on to the next level.");
        self.stage.play("anthropic", &[refusing(529)]);
        let answer = self.ask().await?;
        let (primary, backup) = (&self.cast.primary, &self.cast.backup);
        must(&answer, &[(primary, "overloaded:529"), (backup, "overloaded:529"), (&self.cast.second, "ok:200")])?;
        self.beat().await;
        let remark = "Anthropic cools, so it is not even asked. The last level is a marketplace.";
        self.title("second_outage", "Bedrock and OpenAI go down, too.", remark);
        self.stage.play("bedrock", &[refusing(503)]);
        self.stage.play("openai", &[refusing(503)]);
        let answer = self.ask().await?;
        let (second, third) = (&self.cast.second, &self.cast.third);
        must(&answer, &[(second, "overloaded:503"), (third, "overloaded:503"), (&self.cast.last, "ok:200")])?;
        self.beat().await;
        Ok(())
    }

    async fn all_well(&mut self) -> Told {
        self.title("all_well", "The outages end. Nobody has to do anything.", "");
        let lanes = [("target", self.cast.target.clone()), ("slot", self.cast.primary.clone())];
        self.cool_down(&lanes).await?;
        let answer = self.ask().await?;
        must(&answer, &[(&self.cast.primary, "ok:200")])?;
        self.recovered()?;
        self.beat().await;
        Ok(())
    }

    fn title(&mut self, name: &str, title: &str, remark: &str) {
        self.step += 1;
        self.log.drain();
        self.heard.clear();
        self.show.step(self.step, name, title, remark);
    }

    /// A person needs time to read; a program does not.
    async fn beat(&self) {
        if self.show.live {
            tokio::time::sleep(BEAT).await;
        }
    }

    async fn ask(&mut self) -> Told<Answer> {
        let answer = self.stage.client().chat(false).await?;
        self.show_answer(&answer, "")?;
        Ok(answer)
    }

    /// Shows an answer with the failovers that were logged for it: one for each attempt that failed.
    fn show_answer(&mut self, answer: &Answer, remark: &str) -> Told {
        self.heard.extend(self.log.drain());
        let id = answer.told("request-id");
        let ours = self.heard.extract_if(.., |line| line.message == "failover" && line.text("request") == id);
        let failovers: Vec<Line> = ours.collect();
        self.show.answer(answer, &failovers, remark);
        let failed = attempts(answer.told("trail")).iter().filter(|attempt| attempt.is_failed()).count();
        if failovers.len() == failed {
            return Ok(());
        }
        Err(format!("{failed} attempts failed, but the gateway logged {} failovers", failovers.len()))
    }

    /// The log says that the slot Primary is back.
    fn recovered(&mut self) -> Told {
        self.heard.extend(self.log.drain());
        let name = &self.cast.primary;
        let found = self.heard.iter().find(|line| line.message == "recovered" && line.text("name") == *name);
        found.map(|line| self.show.line(line)).ok_or_else(|| format!("{name} did not recover"))
    }

    /// Follows a cooldown in `/status` until none of these lanes cools; the first that does is named.
    async fn cool_down(&mut self, lanes: &[(&str, String)]) -> Told {
        let counting = async {
            let mut whole = Duration::ZERO;
            let mut last = None;
            loop {
                let views = self.stage.lanes(lanes).await?;
                let cooling = lanes.iter().zip(&views).filter(|(_, view)| view["state"] == "cooling");
                let left = cooling.clone().filter_map(|(_, view)| view["remaining_ms"].as_u64()).max();
                let (Some(left), Some(((_, name), _))) = (left, cooling.clone().next()) else { return Ok(last) };
                let left = Duration::from_millis(left);
                last = Some(name);
                whole = whole.max(left);
                self.show.cooling(name, left, whole);
                tokio::time::sleep(GLANCE.min(left)).await;
            }
        };
        let counted = tokio::time::timeout(LONGEST, counting).await;
        let name = counted.unwrap_or_else(|_| Err(format!("still cooling after {} s", LONGEST.as_secs())))?;
        let name = name.ok_or_else(|| "nothing cooled".to_owned())?;
        self.show.cooled(name);
        Ok(())
    }
}

/// The trail is this one, apart from targets that were skipped, and the client was served.
fn must(answer: &Answer, wanted: &[(&String, &str)]) -> Told {
    let trail = attempts(answer.told("trail"));
    let asked = trail.iter().filter(|attempt| !attempt.is_skipped());
    let fits = asked.map(|attempt| (&attempt.slot, attempt.outcome.as_str())).eq(wanted.iter().copied());
    if fits && answer.status == 200 {
        return Ok(());
    }
    let wanted: Vec<String> = wanted.iter().map(|(slot, outcome)| format!("{slot}={outcome}")).collect();
    Err(format!("{} with the trail {}; expected {}", answer.status, answer.told("trail"), wanted.join(", ")))
}

/// The client was served, by this slot.
fn served_by(answer: &Answer, slot: &str) -> Told {
    let last = attempts(answer.told("trail")).pop();
    if answer.status == 200 && last.is_some_and(|last| last.slot == slot && last.outcome == "ok:200") {
        return Ok(());
    }
    Err(format!("{} with the trail {}; expected {slot} at its end", answer.status, answer.told("trail")))
}

/// The pieces of text in a stream.
fn spoken(answer: &Answer) -> Vec<String> {
    let text = String::from_utf8_lossy(&answer.body);
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let said = events.filter_map(|event| Some(event.pointer("/choices/0/delta/content")?.as_str()?.to_owned()));
    said.filter(|piece| !piece.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(status: u16, trail: &str, body: &'static str) -> Answer {
        let mut headers = http::HeaderMap::new();
        headers.insert("x-backstop-trail", trail.parse().unwrap());
        let status = status.try_into().unwrap();
        Answer { status, headers, body: Bytes::from_static(body.as_bytes()), took: Duration::ZERO }
    }

    #[test]
    fn a_story_that_did_not_happen_is_not_told() {
        let (one, two) = ("a/m@One".to_owned(), "a/m@Two".to_owned());
        let wanted = [(&one, "rate_limit:429"), (&two, "ok:200")];
        let trail = "a/m@One=rate_limit:429, b/x=skipped:no_key, a/m@Two=ok:200";
        assert_eq!(must(&answer(200, trail, ""), &wanted), Ok(()));
        for (status, trail) in [
            (502, trail),
            (200, "a/m@Two=ok:200"),
            (200, "a/m@One=overloaded:529, a/m@Two=ok:200"),
            (200, "a/m@One=rate_limit:429, a/m@Two=network, a/m@Two=ok:200"),
            (200, ""),
        ] {
            let why = must(&answer(status, trail, ""), &wanted).unwrap_err();
            assert!(why.contains(trail) && why.contains("expected a/m@One=rate_limit:429"), "{why}");
        }
        assert_eq!(served_by(&answer(200, trail, ""), &two), Ok(()));
        assert!(served_by(&answer(200, trail, ""), &one).is_err());
        assert!(served_by(&answer(502, trail, ""), &two).is_err());
    }

    #[test]
    fn what_a_stream_says_is_its_text() {
        let body = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n: note\n\n\
                    data: {\"choices\":[{\"delta\":{\"content\":\"one\"}}]}\n\n\
                    data: {\"choices\":[{\"delta\":{\"content\":\" two\"}}]}\n\ndata: [DONE]\n\n";
        assert_eq!(spoken(&answer(200, "", body)), ["one", " two"]);
    }
}
