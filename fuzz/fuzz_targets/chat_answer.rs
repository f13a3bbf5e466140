//! See [`backstop_fuzz::law::chat_answer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| backstop_fuzz::law::chat_answer(data));
