//! The lock of the shared ledger: std's, or shuttle's when the model checker runs (feature `shuttle`).
//!
//! Owns the choice. Poisoning is ignored: the ledger's tables stay whole whatever panicked beside them.

#[cfg(not(feature = "shuttle"))]
use std::sync::Mutex as Inner;
#[cfg(not(feature = "shuttle"))]
use std::sync::MutexGuard;

#[cfg(feature = "shuttle")]
use shuttle::sync::Mutex as Inner;
#[cfg(feature = "shuttle")]
use shuttle::sync::MutexGuard;

/// A short lock, never held across an await.
#[derive(Debug)]
pub(super) struct Mutex<T>(Inner<T>);

impl<T> Mutex<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
