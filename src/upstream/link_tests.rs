//! The bell: who is woken, who is not, and who need not look.

use std::sync::atomic::AtomicUsize;

use super::*;

/// Counts how often it is woken.
#[derive(Debug, Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn bell() -> (Arc<Bell>, Arc<Woken>, Waker) {
    let woken = Arc::new(Woken::default());
    (Arc::new(Bell::default()), Arc::clone(&woken), Waker::from(woken))
}

#[test]
fn whoever_drives_is_not_woken_but_looks_again() {
    let (bell, woken, waker) = bell();
    assert!(bell.hush(&waker));
    bell.wake_by_ref();
    bell.wake_by_ref();
    assert!(!bell.rest(), "it was rung");
    assert!(bell.rest(), "and not again");
    assert_eq!(woken.times(), 0);
}

#[test]
fn who_found_nothing_is_woken_once_there_is_something_and_need_not_look_before() {
    let (bell, woken, waker) = bell();
    assert!(bell.hush(&waker));
    assert!(bell.rest());
    assert!(!bell.hush(&waker), "nothing has happened");
    bell.wake_by_ref();
    assert_eq!(woken.times(), 1);
    assert!(bell.hush(&waker), "something has");
}

#[test]
fn another_task_always_looks_and_is_the_one_that_is_woken() {
    let (bell, first, waker) = bell();
    assert!(bell.hush(&waker));
    assert!(bell.rest());
    let second = Arc::new(Woken::default());
    assert!(bell.hush(&Waker::from(Arc::clone(&second))));
    assert!(bell.rest());
    bell.wake_by_ref();
    assert_eq!((first.times(), second.times()), (0, 1));
}

#[test]
fn a_ring_while_something_was_handed_out_is_forgotten_because_he_comes_back() {
    let (bell, woken, waker) = bell();
    assert!(bell.hush(&waker));
    bell.wake_by_ref();
    bell.unhush();
    assert_eq!(woken.times(), 0);
    assert!(bell.hush(&waker), "he comes back and looks");
}

#[test]
fn no_ring_is_lost_between_threads() {
    let (bell, woken, waker) = bell();
    let rounds = 20_000;
    let rings = Arc::new(AtomicUsize::new(0));
    let ringer = std::thread::spawn({
        let (bell, rings) = (Arc::clone(&bell), Arc::clone(&rings));
        move || {
            for _ in 0..rounds {
                rings.fetch_add(1, Ordering::SeqCst);
                bell.wake_by_ref();
            }
        }
    });
    // What was there when it last looked; it must look again whenever there is more.
    let (mut seen, mut wakes) = (0, 0);
    while seen < rounds {
        if bell.hush(&waker) {
            seen = rings.load(Ordering::SeqCst);
            while !bell.rest() {
                seen = rings.load(Ordering::SeqCst);
            }
        }
        // It rests until it is woken, as a task does.
        while seen < rounds && woken.times() == wakes {
            std::thread::yield_now();
        }
        wakes = woken.times();
    }
    ringer.join().unwrap();
}

#[test]
fn what_is_put_away_wakes_nobody_and_is_looked_at_only_if_it_was_rung() {
    let (bell, woken, waker) = bell();
    assert!(bell.hush(&waker));
    bell.unhush();
    assert!(bell.park());
    assert!(bell.unpark(), "as it was");
    assert!(bell.park());
    bell.wake_by_ref();
    assert!(!bell.unpark(), "something happened");
    assert_eq!(woken.times(), 0);
}

#[test]
fn what_was_rung_before_it_is_put_away_is_looked_at_then() {
    let (bell, _, waker) = bell();
    assert!(bell.hush(&waker));
    bell.unhush();
    bell.wake_by_ref();
    assert!(!bell.park());
    assert!(bell.unpark());
}

#[test]
fn what_is_about_to_be_sent_wakes_nobody() {
    let (bell, woken, waker) = bell();
    assert!(bell.hush(&waker));
    bell.unhush();
    bell.mute();
    bell.wake_by_ref();
    assert!(bell.hush(&waker));
    assert!(bell.rest());
    assert_eq!(woken.times(), 0);
}
