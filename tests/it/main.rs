//! tests

mod classify;
