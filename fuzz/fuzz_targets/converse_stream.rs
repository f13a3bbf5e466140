//! See [`backstop_fuzz::law::converse_stream`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| backstop_fuzz::law::converse_stream(data));
