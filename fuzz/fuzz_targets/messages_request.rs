//! See [`backstop_fuzz::law::messages_request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| backstop_fuzz::law::messages_request(data));
