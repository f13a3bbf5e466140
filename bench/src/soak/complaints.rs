//! What went wrong, from everywhere.
//!
//! Owns the count and the first few words. Refuses to judge.

use std::sync::{Mutex, PoisonError};

/// So many are kept in words.
const KEPT: usize = 10;

/// All complaints.
#[derive(Debug, Default)]
pub struct Complaints(Mutex<(u64, Vec<String>)>);

impl Complaints {
    /// One more.
    pub fn add(&self, complaint: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.0 += 1;
        if all.1.len() < KEPT {
            all.1.push(complaint);
        }
    }

    /// The first ones, and how many more there are.
    pub fn words(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = all.1.clone();
        let more = all.0 - words.len() as u64;
        if more > 0 {
            words.push(format!("… and {more} more like these"));
        }
        words
    }
}
