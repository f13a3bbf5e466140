//! The cost gate's parts: a mock upstream, the floor to measure against, and a load that checks every answer.
//!
//! Owns the shapes that the mock sends and the load expects, and the lockstep that makes counts repeatable.
//! Refuses to know Backstop: the proxy under test is an address.

pub mod args;
pub mod load;
pub mod mock;
pub mod wire;
