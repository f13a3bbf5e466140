//! Micro-benchmarks of the pieces that every request or every chunk passes: `cargo bench --bench hot`, or `make micro`.
//!
//! Owns one module for each piece, over inputs that are made here. Refuses to measure a whole request: sockets, hyper and
//! the runtime are the cost gate's (`bench/gate.py`), which counts instructions and decides. These are times, for whoever
//! changes a piece and wants to see what it did; they fail on nothing.
//!
//! One piece: `cargo bench --bench hot -- scan`. Each once, as a test: `cargo test --bench hot`.

#![allow(clippy::expect_used, reason = "a benchmark that cannot be set up ends by panicking")]

mod body;
mod contention;
mod gate;
mod head;
mod input;
mod metrics;
mod pick;
mod relay;
mod scan;
mod settle;
mod splice;
mod translate;
mod walk;
mod world;

fn main() {
    divan::main();
}
