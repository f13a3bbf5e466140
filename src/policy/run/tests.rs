//! Unit tests of the run.
