//! Where a request goes next, as scenarios: what each attempt gets, and when and where the next one is.

use std::time::Duration;

use backstop::policy::failure::{Failure, Kind};
use backstop::policy::run::{Entry, Verdict};

use super::world::{Missed, World};

#[derive(Debug, Clone, Copy)]
enum Reply {
    Good,
    Fail(Failure),
    Hang,
}
use Reply::{Fail, Good, Hang};

#[derive(Debug, Clone, Copy)]
enum End {
    Served,
    /// The vendor's answer to the attempt of this number.
    Returned(usize),
    /// A composed error of this status, this many ms after arrival.
    Status(u16, u64),
}
use End::{Returned, Served, Status};

struct Scenario {
    promise: &'static str,
    /// Keys of each target.
    keys: &'static [usize],
    deadline_s: u64,
    /// When (ms after arrival), on which slot, what comes of it.
    attempts: &'static [(u64, u32, Reply)],
    end: End,
}

const fn http(kind: Kind, status: u16) -> Reply {
    Fail(Failure::new(kind).with_status(status))
}

const fn limited(hint_ms: u64) -> Reply {
    Fail(Failure::new(Kind::RateLimit).with_status(429).with_hint(Some(Duration::from_millis(hint_ms))))
}

const AUTH: Reply = http(Kind::Auth, 401);
const BILLING: Reply = http(Kind::Billing, 402);
const FORBIDDEN: Reply = http(Kind::Forbidden, 403);
const LIMITED: Reply = http(Kind::RateLimit, 429);
const BROKEN: Reply = http(Kind::ServerError, 500);
const FULL: Reply = http(Kind::Overloaded, 503);
const NO_MODEL: Reply = http(Kind::ModelNotFound, 404);
const BAD: Reply = http(Kind::BadRequest, 400);
const REFUSED: Reply = http(Kind::ContentFilter, 400);
const LARGE: Reply = http(Kind::TooLarge, 413);
const UNABLE: Reply = http(Kind::NotCapable, 400);
const ODD: Reply = http(Kind::Unknown, 418);
const NETWORK: Reply = Fail(Failure::new(Kind::Network));

const fn scene(
    promise: &'static str,
    keys: &'static [usize],
    attempts: &'static [(u64, u32, Reply)],
    end: End,
) -> Scenario {
    Scenario { promise, keys, deadline_s: 600, attempts, end }
}

const ROTATION: &[Scenario] = &[
    scene("a good answer ends it", &[2, 1], &[(0, 0, Good)], Served),
    scene("401: next key at once", &[2, 1], &[(0, 0, AUTH), (0, 1, Good)], Served),
    scene("402: next key at once", &[2, 1], &[(0, 0, BILLING), (0, 1, Good)], Served),
    scene("403: next key at once", &[2, 1], &[(0, 0, FORBIDDEN), (0, 1, Good)], Served),
    scene("429: next key at once", &[2, 1], &[(0, 0, LIMITED), (0, 1, Good)], Served),
    scene("500: next key at once", &[2, 1], &[(0, 0, BROKEN), (0, 1, Good)], Served),
    scene("503: next key at once", &[2, 1], &[(0, 0, FULL), (0, 1, Good)], Served),
    scene("no such model: key, then target", &[2, 1], &[(0, 0, NO_MODEL), (0, 1, NO_MODEL), (0, 2, Good)], Served),
    scene("not capable: next slot", &[2, 1], &[(0, 0, UNABLE), (0, 1, Good)], Served),
    scene("all keys, then the next target", &[2, 1], &[(0, 0, LIMITED), (0, 1, AUTH), (0, 2, Good)], Served),
    scene("four levels", &[1, 1, 1, 1], &[(0, 0, FULL), (0, 1, AUTH), (0, 2, LIMITED), (0, 3, Good)], Served),
    scene("unknown: next target", &[2, 1], &[(0, 0, ODD), (0, 2, Good)], Served),
    scene("too large: next target", &[2, 1], &[(0, 0, LARGE), (0, 2, Good)], Served),
    scene(
        "at most three attempts on a target",
        &[5, 1],
        &[(0, 0, AUTH), (0, 1, AUTH), (0, 2, AUTH), (0, 5, Good)],
        Served,
    ),
];

const RETRIES: &[Scenario] = &[
    scene("500 of a lone key: one quick retry", &[1, 1], &[(0, 0, BROKEN), (125, 0, Good)], Served),
    scene("… only one", &[1, 1], &[(0, 0, BROKEN), (125, 0, BROKEN), (125, 1, Good)], Served),
    scene("… and none for 503", &[1, 1], &[(0, 0, FULL), (0, 1, Good)], Served),
    scene("network: quick retry, next target", &[1, 1], &[(0, 0, NETWORK), (125, 0, NETWORK), (125, 1, Good)], Served),
    scene("network: a sibling is the retry", &[2, 1], &[(0, 0, NETWORK), (0, 1, NETWORK), (0, 2, Good)], Served),
    scene("a short hint is waited for", &[1, 1], &[(0, 0, limited(2_000)), (2_000, 0, Good)], Served),
    scene("… once", &[1, 1], &[(0, 0, limited(2_000)), (2_000, 0, limited(2_000)), (2_000, 1, Good)], Served),
    scene("… unless a sibling is usable", &[2, 1], &[(0, 0, limited(2_000)), (0, 1, Good)], Served),
    scene("a longer hint is not waited for", &[1, 1], &[(0, 0, limited(2_501)), (0, 1, Good)], Served),
];

const LIMITS: &[Scenario] = &[
    scene("a silent target is not asked twice", &[2, 1], &[(0, 0, Hang), (60_000, 2, Good)], Served),
    Scenario {
        promise: "half of the remaining time while targets are left; the deadline holds",
        keys: &[1, 1, 1],
        deadline_s: 16,
        attempts: &[(0, 0, Hang), (8_000, 1, Hang), (12_000, 2, Hang)],
        end: Status(504, 16_000),
    },
    Scenario {
        promise: "no wait for a hint beyond the deadline",
        keys: &[1, 1],
        deadline_s: 1,
        attempts: &[(0, 0, limited(2_000)), (0, 1, Good)],
        end: Served,
    },
    scene(
        "twelve attempts over keys and fallbacks together, the last one for the last target",
        &[3, 3, 3, 3, 3],
        &[
            (0, 0, AUTH),
            (0, 1, AUTH),
            (0, 2, AUTH),
            (0, 3, AUTH),
            (0, 4, AUTH),
            (0, 5, AUTH),
            (0, 6, AUTH),
            (0, 7, AUTH),
            (0, 8, AUTH),
            (0, 9, AUTH),
            (0, 10, AUTH),
            (0, 12, AUTH),
        ],
        Status(502, 0),
    ),
];

const ENDS: &[Scenario] = &[
    scene("bad request of the first target: return it", &[2, 1], &[(0, 0, BAD)], Returned(0)),
    scene("… of a fallback: go on", &[1, 1, 1], &[(0, 0, FULL), (0, 1, BAD), (0, 2, Good)], Served),
    scene("… of the last fallback: not the client's fault", &[1, 1], &[(0, 0, FULL), (0, 1, BAD)], Status(502, 0)),
    scene("… after a rotation on the first target", &[2, 1], &[(0, 0, AUTH), (0, 1, BAD)], Returned(1)),
    scene("a content refusal is returned", &[2, 1], &[(0, 0, REFUSED)], Returned(0)),
    scene("too large for all: the first such answer", &[1, 1], &[(0, 0, LARGE), (0, 1, LARGE)], Returned(0)),
    scene("unknown of the last target: return it", &[1, 1], &[(0, 0, ODD), (0, 1, ODD)], Returned(1)),
    scene("all limited: 429", &[1, 1], &[(0, 0, LIMITED), (0, 1, LIMITED)], Status(429, 0)),
    scene("all silent: 504", &[1, 1], &[(0, 0, Hang), (60_000, 1, Hang)], Status(504, 120_000)),
    scene("broken upstreams: 502", &[1, 1], &[(0, 0, FULL), (0, 1, AUTH)], Status(502, 0)),
];

async fn play(scenario: &Scenario) {
    let promise = scenario.promise;
    let mut world = World::new(scenario.keys);
    world.plan.deadline = world.clock.now() + Duration::from_secs(scenario.deadline_s);
    let request = world.request();
    let mut silent = Vec::new();
    for (no, (at, slot, reply)) in scenario.attempts.iter().enumerate() {
        let (got, respond) = world.attempt().await;
        assert_eq!((world.millis(), got), (*at, *slot), "{promise}: attempt {no}, (ms, slot)");
        match reply {
            Good => respond.send_response(got),
            Fail(failure) => respond.send_error(Missed(*failure, Some(no))),
            Hang => silent.push(respond),
        }
    }
    let ended = request.await.unwrap();
    let millis = world.millis();
    let entries = match (ended, scenario.end) {
        (Ok(served), Served) => {
            let last = scenario.attempts.last().unwrap();
            assert_eq!((served.reply, served.lease.slot().0), (last.1, last.1), "{promise}: who served");
            served.lease.complete();
            served.entries
        }
        (Err(gave_up), Returned(no)) => {
            assert_eq!(gave_up.verdict, Verdict::Return(no), "{promise}");
            assert_eq!(gave_up.answer.as_deref(), Some(&no), "{promise}: the vendor's own answer");
            gave_up.entries
        }
        (Err(gave_up), Status(status, at)) => {
            let Verdict::Compose(composed) = gave_up.verdict else { panic!("{promise}: {:?}", gave_up.verdict) };
            assert_eq!((composed.status, millis), (status, at), "{promise}: (status, ms)");
            assert!(gave_up.answer.is_none(), "{promise}: nobody's own answer");
            gave_up.entries
        }
        (ended, _) => panic!("{promise}: {ended:?}"),
    };
    check_trail(scenario, &entries);
    check_heard(scenario, &world);
    world.quiet_for(Duration::from_secs(3_600)).await;
}

fn failure_of(reply: Reply) -> Option<Failure> {
    match reply {
        Good => None,
        Fail(failure) => Some(failure),
        Hang => Some(Failure::new(Kind::Timeout)),
    }
}

fn check_trail(scenario: &Scenario, entries: &[Entry]) {
    let trail: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            // Which limit was reached is the run's to say, and its own tests'.
            Entry::Attempt { slot, failure, .. } => (slot.0, failure.map(|failure| Failure { timer: None, ..failure })),
            Entry::Skipped { .. } => panic!("{}: nothing to skip", scenario.promise),
        })
        .collect();
    let script: Vec<_> = scenario.attempts.iter().map(|(_, slot, reply)| (*slot, failure_of(*reply))).collect();
    assert_eq!(trail, script, "{}: the trail", scenario.promise);
}

/// One attempt event per attempt; one failover event per failed attempt that the request left, and
/// none for the attempt whose answer the client gets.
fn check_heard(scenario: &Scenario, world: &World) {
    let promise = scenario.promise;
    let script = scenario.attempts;
    let ends: Vec<_> = script
        .iter()
        .map(|(_, slot, reply)| {
            (*slot, failure_of(*reply).map_or("complete", |failure| failure.kind.name()).to_owned())
        })
        .collect();
    assert_eq!(world.heard.attempts(), ends, "{promise}: attempt events");
    let returned = if let Returned(no) = scenario.end { Some(no) } else { None };
    let left: Vec<_> = script
        .iter()
        .enumerate()
        .filter_map(|(no, (_, slot, reply))| {
            let next = script.get(no + 1).map(|(_, slot, _)| *slot);
            let stays = next.is_none() && returned == Some(no);
            failure_of(*reply).filter(|_| !stays).map(|failure| (*slot, next, failure))
        })
        .collect();
    let told = world.heard.failovers().into_iter();
    let told: Vec<_> = told.map(|told| (told.from, told.to, Failure { timer: None, ..told.failure })).collect();
    assert_eq!(told, left, "{promise}: failover events (from, to, failure)");
    for slot in 0..scenario.keys.iter().sum::<usize>() {
        assert_eq!(world.lane(slot as u32).in_flight, 0, "{promise}: in flight on {slot}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_moves_the_request_to_the_next_key_or_target() {
    for scenario in ROTATION {
        play(scenario).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_tried_again_only_as_the_contract_says() {
    for scenario in RETRIES {
        play(scenario).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_budget_bounds_the_whole_request() {
    for scenario in LIMITS {
        play(scenario).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_serves_ends_honestly() {
    for scenario in ENDS {
        play(scenario).await;
    }
}
