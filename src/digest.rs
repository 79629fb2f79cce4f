//! Digests: short texts that tell whether something is still the same. Pure.

use std::fmt::Write as _;

/// How many hexadecimal digits a digest has: 64 bits are enough for what changed by mistake or by hand. It is no proof
/// against somebody who wants to deceive: anybody can make one.
pub const DIGITS: usize = 16;

/// The first [`DIGITS`] hexadecimal digits, in lower case, of the SHA-256 of `bytes`.
pub fn of(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(DIGITS);
    for byte in &hmac_sha256::Hash::hash(bytes)[..DIGITS / 2] {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_beginning_of_a_sha_256() {
        // `printf abc | sha256sum`
        assert_eq!(of(b"abc"), "ba7816bf8f01cfea");
        assert_eq!(of(b""), "e3b0c44298fc1c14");
    }
}
