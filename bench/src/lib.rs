//! The cost gate.
