//! Integration tests: one binary, scenarios as data.

mod tidy;
