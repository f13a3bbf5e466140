//! See [`backstop_fuzz::law::converse_answer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| backstop_fuzz::law::converse_answer(data));
