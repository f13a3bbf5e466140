//! tests

mod wire;
