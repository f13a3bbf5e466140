//! Integration tests, in one binary: real sockets, scenarios as data.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests read clocks and the environment, and end by panicking"
)]

mod classify;
mod cli_address;
mod cli_check;
mod cli_demo;
mod cli_hash_key;
mod cli_help;
mod cli_output;
mod cli_probe;
mod cli_run;
mod cli_status;
mod cli_tools;
mod config;
mod config_accounts;
mod config_credentials;
mod config_cures;
mod config_environment;
mod config_files;
mod config_misplaced;
mod config_mistakes;
mod config_numbers;
mod config_openclaw;
mod docs;
mod failover;
mod hostile;
mod hostile_support;
mod media;
mod messages;
mod pairs;
mod path;
mod recovery;
mod responses;
mod scenario_article;
mod secrets;
mod sim;
mod sim_prefill;
mod sim_refusals;
mod sim_streams;
mod sim_vendors;
mod support;
mod tidy;
mod translate;
mod wire;
