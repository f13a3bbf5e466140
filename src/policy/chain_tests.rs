//! Unit tests of the chain names.
