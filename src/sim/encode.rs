//! Encodings that answers need and nothing else here has: gzip, base64 and repeatable chance.
//!
//! Pure functions. Refuses to compress well: a body that can't be read without decoding is all a fault needs.

/// `body` as a gzip file: one block with the fixed code, literals only.
pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut bits = Bits { out: &mut out, held: 0, count: 0 };
    // Last block, type 1; codes go in from their highest bit.
    bits.put(0b011, 3);
    for byte in body {
        let (code, width) = match u16::from(*byte) {
            literal @ 0..=143 => (0x30 + literal, 8),
            literal => (0x190 + literal - 144, 9),
        };
        bits.put(code.reverse_bits() >> (16 - width), width);
    }
    bits.put(0, 7);
    bits.put(0, 7);
    out.extend(crc32fast::hash(body).to_le_bytes());
    let size = u32::try_from(body.len() & 0xffff_ffff).unwrap_or(0);
    out.extend(size.to_le_bytes());
    out
}

/// Packs bits into bytes, lowest first. A last incomplete byte is not written.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, value: u16, width: u32) {
        self.held |= u32::from(value) << self.count;
        self.count += width;
        while self.count >= 8 {
            self.out.push(self.held.to_le_bytes()[0]);
            self.held >>= 8;
            self.count -= 8;
        }
    }
}

/// Standard base64 with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (at, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let letter = LETTERS.get((bits >> shift & 63) as usize).copied().unwrap_or(b'=');
            out.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// Whether a text is what [`base64`] writes.
pub(super) fn is_base64(text: &str) -> bool {
    let letters = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let known = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'+' | b'/');
    text.len().is_multiple_of(4) && letters.bytes().all(known)
}

/// A number that looks random and depends on its arguments only.
pub(super) fn mix(seed: u64, n: u64) -> u64 {
    let mut x = seed ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x632b_e593_04b4_dd6b);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(base64(b""), "");
        assert_eq!(base64(b"f"), "Zg==");
        assert_eq!(base64(b"fo"), "Zm8=");
        assert_eq!(base64(b"foob"), "Zm9vYg==");
        assert!(["", "Zg==", "Zm8=", "Zm9v", "+/+/"].iter().all(|text| is_base64(text)));
        assert!(["Zg", "Zg=", "Z===", "Zm9v\n", "data:,x", "Zm9vYg_-"].iter().all(|text| !is_base64(text)));
    }

    /// The expected bytes were made by zlib.
    #[test]
    fn a_gzip_file_is_what_other_tools_write() {
        assert_eq!(gzip(b"hi")[10..], [0xcb, 0xc8, 0x04, 0x00, 0xac, 0x2a, 0x93, 0xd8, 2, 0, 0, 0]);
        let nine_bits = gzip(&[0xf6, b'A']);
        assert_eq!(nine_bits[10..], [0xfb, 0xe6, 0x08, 0x00, 0xc2, 0x25, 0xe4, 0x02, 2, 0, 0, 0]);
    }
}
