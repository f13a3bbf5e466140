//! What is fuzzed, without the rest of the product: the pure rooms, included as they are, and what must hold of them.

#[path = "../../src/dialect/mod.rs"]
pub mod dialect;
#[path = "../../src/framing/mod.rs"]
pub mod framing;
#[path = "../../src/policy/mod.rs"]
pub mod policy;

pub mod law;
