//! One example for each sentence of contract section 5 that is about who finishes a broken stream.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::tests::{Request, Table, http};
use super::*;
use crate::policy::ledger::Outcome;

const BROKEN: Failure = Failure::new(Kind::BrokenStream).with_status(200);

/// The attempt in flight breaks after content.
fn breaks(table: &mut Table, request: &mut Request, can_prefill: bool) {
    let Try { permit, .. } = request.pending.take().unwrap();
    table.ledger.close(permit, Outcome::Failed(&BROKEN), Jitter::NONE, table.now);
    request.run.resume(&BROKEN, can_prefill);
}

fn honouring(keys: u32, targets: u32) -> Table {
    let mut table = Table::new(keys, targets);
    for level in &mut table.levels {
        level.abilities.prefill = Some(true);
    }
    table
}

fn prefills(request: &Request) -> bool {
    request.pending.as_ref().unwrap().prefill
}

#[test]
fn the_next_key_then_the_next_target_finishes_it() {
    let mut table = honouring(2, 2);
    let mut request = table.request();
    assert_eq!(table.turn(&mut request), 0);
    assert!(!prefills(&request), "nothing was sent yet");
    breaks(&mut table, &mut request, true);
    assert_eq!((table.turn(&mut request), prefills(&request)), (1, true));
    breaks(&mut table, &mut request, true);
    // Two keys that break alike cool their target.
    assert_eq!((table.turn(&mut request), prefills(&request)), (2, true));
}

#[test]
fn a_lone_slot_is_waited_for_and_asked_again() {
    let mut table = honouring(1, 1);
    let mut request = table.request();
    for break_no in 0..2 {
        assert_eq!(table.turn(&mut request), 0, "part {break_no}");
        breaks(&mut table, &mut request, true);
        let before = table.now;
        table.waits(&mut request);
        assert!(table.now > before && table.now.since(before) <= table.settings.max_wait);
    }
    assert_eq!((table.turn(&mut request), prefills(&request)), (0, true));
}

#[test]
fn unknown_counts_as_unable() {
    let mut table = Table::new(2, 1);
    let mut request = table.request();
    table.turn(&mut request);
    breaks(&mut table, &mut request, true);
    assert_eq!((table.turn(&mut request), prefills(&request)), (1, false));
}

#[test]
fn what_cannot_be_given_as_a_beginning_is_asked_afresh() {
    let mut table = honouring(2, 1);
    let mut request = table.request();
    table.turn(&mut request);
    breaks(&mut table, &mut request, false);
    assert_eq!((table.turn(&mut request), prefills(&request)), (1, false));
}

#[test]
fn a_refused_prefill_is_asked_afresh_at_once_on_the_same_slot() {
    let mut table = honouring(2, 1);
    let mut request = table.request();
    table.turn(&mut request);
    breaks(&mut table, &mut request, true);
    assert_eq!((table.turn(&mut request), prefills(&request)), (1, true));
    table.fails(&mut request, &http(Kind::NotCapable, 400));
    assert_eq!((table.turn(&mut request), prefills(&request)), (1, false));
}

#[test]
fn a_refusal_that_is_remembered_holds_for_every_request() {
    let mut table = honouring(2, 1);
    let target = table.levels[0].target;
    table.ledger.refuse_prefill(target);
    let mut request = table.request();
    table.turn(&mut request);
    breaks(&mut table, &mut request, true);
    assert_eq!((table.turn(&mut request), prefills(&request)), (1, false));
}

#[test]
fn another_answer_passes_the_whole_target_over() {
    for kind in [Kind::NotCapable, Kind::BadRequest, Kind::ContentFilter, Kind::TooLarge] {
        let mut table = Table::new(3, 2);
        let mut request = table.request();
        table.turn(&mut request);
        breaks(&mut table, &mut request, false);
        assert_eq!(table.turn(&mut request), 1);
        table.fails(&mut request, &http(kind, 400));
        assert_eq!(table.turn(&mut request), 3, "{kind:?}");
    }
}

#[test]
fn the_budget_is_the_requests_own() {
    let mut table = honouring(4, 3);
    table.settings.max_attempts = 3;
    let mut request = table.request();
    for _ in 0..3 {
        let (_, why) = table.tried(&mut request);
        assert_eq!(why, Why::Turn);
        breaks(&mut table, &mut request, true);
    }
    table.done(&mut request);
}

#[test]
fn an_attempt_that_is_held_has_a_limit_to_its_first_content_and_the_rest_of_the_time() {
    let mut table = honouring(2, 1);
    let mut request = table.request();
    table.turn(&mut request);
    let first = request.pending.as_ref().unwrap();
    assert_eq!((first.limit, first.timer, first.first_content), (Duration::from_secs(60), Timer::FirstContent, None));
    breaks(&mut table, &mut request, true);
    table.turn(&mut request);
    let held = request.pending.as_ref().unwrap();
    assert_eq!((held.limit, held.timer), (Duration::from_secs(600), Timer::Deadline));
    assert_eq!(held.first_content, Some((Duration::from_secs(60), Timer::FirstContent)));

    let mut table = Table::new(1, 2);
    table.settings.deadline = Duration::from_secs(20);
    let mut request = table.planned(Plan { recovery: Recovery::Buffer, ..table.plan() });
    table.turn(&mut request);
    let held = request.pending.as_ref().unwrap();
    assert_eq!((held.limit, held.timer), (Duration::from_secs(20), Timer::Deadline));
    assert_eq!(held.first_content, Some((Duration::from_secs(10), Timer::Deadline)), "half is for those behind it");
}
