//! Checksums (RFC 1321, FIPS 180-4) and base64 (RFC 4648).

use std::io::Write;

use super::{Fault, Outcome, content, contents};
use crate::io::Io;
use crate::options::Given;

fn sums(given: &Given, io: &mut Io, sum: fn(&[u8]) -> Vec<u8>) -> Outcome {
    let stdin = ["-".to_owned()];
    let files = if given.rest.is_empty() { &stdin[..] } else { &given.rest };
    for file in files {
        let hex: String = sum(&content(file, io)?).iter().map(|b| format!("{b:02x}")).collect();
        writeln!(io.out, "{hex}  {file}")?;
    }
    Ok(0)
}

/// `md5sum`.
pub fn md5sum(given: &Given, io: &mut Io) -> Outcome {
    sums(given, io, md5)
}

/// `sha256sum`.
pub fn sha256sum(given: &Given, io: &mut Io) -> Outcome {
    sums(given, io, sha256)
}

/// The message with its padding: a one bit, zeros, its length in bits.
fn padded(bytes: &[u8], length: [u8; 8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.push(0x80);
    out.resize(out.len().next_multiple_of(64) + if out.len() % 64 > 56 { 64 } else { 0 }, 0);
    let end = out.len() - 8;
    out[end..].copy_from_slice(&length);
    out
}

fn md5(bytes: &[u8]) -> Vec<u8> {
    const SHIFTS: [[u32; 4]; 4] =
        [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
    let table: Vec<u32> =
        (1..=64).map(|n| (f64::from(n).sin().abs() * 4_294_967_296.0) as u32).collect();
    let mut state = [0x6745_2301u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded(bytes, (bytes.len() as u64 * 8).to_le_bytes()).chunks(64) {
        let word = |n: usize| u32::from_le_bytes([0, 1, 2, 3].map(|b| block[n * 4 + b]));
        let [mut a, mut b, mut c, mut d] = state;
        for n in 0..64 {
            let (mix, index) = match n / 16 {
                0 => ((b & c) | (!b & d), n),
                1 => ((d & b) | (!d & c), (5 * n + 1) % 16),
                2 => (b ^ c ^ d, (3 * n + 5) % 16),
                _ => (c ^ (b | !d), (7 * n) % 16),
            };
            let sum = a.wrapping_add(mix).wrapping_add(table[n]).wrapping_add(word(index));
            (a, d, c) = (d, c, b);
            b = b.wrapping_add(sum.rotate_left(SHIFTS[n / 16][n % 4]));
        }
        for (s, v) in state.iter_mut().zip([a, b, c, d]) {
            *s = s.wrapping_add(v);
        }
    }
    state.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// The first 32 bits of the fractions of the `power`th roots of the first primes.
fn roots(count: usize, root: fn(f64) -> f64) -> Vec<u32> {
    let prime = |n: &u32| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    let bits = |n: u32| (root(f64::from(n)).fract() * 4_294_967_296.0) as u32;
    (2..).filter(prime).take(count).map(bits).collect()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let (constants, mut state) = (roots(64, f64::cbrt), roots(8, f64::sqrt));
    for block in padded(bytes, (bytes.len() as u64 * 8).to_be_bytes()).chunks(64) {
        let mut w: Vec<u32> =
            (0..16).map(|n| u32::from_be_bytes([0, 1, 2, 3].map(|b| block[n * 4 + b]))).collect();
        for n in 16..64 {
            let (a, b) = (w[n - 15], w[n - 2]);
            let s0 = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
            let s1 = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
            w.push(w[n - 16].wrapping_add(s0).wrapping_add(w[n - 7]).wrapping_add(s1));
        }
        let mut v = state.clone();
        for n in 0..64 {
            let s1 = v[4].rotate_right(6) ^ v[4].rotate_right(11) ^ v[4].rotate_right(25);
            let choice = (v[4] & v[5]) ^ (!v[4] & v[6]);
            let one = [s1, choice, constants[n], w[n]].iter().fold(v[7], |a, b| a.wrapping_add(*b));
            let s0 = v[0].rotate_right(2) ^ v[0].rotate_right(13) ^ v[0].rotate_right(22);
            let majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
            v.rotate_right(1);
            v[4] = v[4].wrapping_add(one);
            v[0] = one.wrapping_add(s0).wrapping_add(majority);
        }
        for (s, v) in state.iter_mut().zip(v) {
            *s = s.wrapping_add(v);
        }
    }
    state.iter().flat_map(|w| w.to_be_bytes()).collect()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits =
            three.iter().fold(0u32, |a, b| a << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for n in 0..4 {
            let six = (bits >> (18 - 6 * n)) & 63;
            out.push(if n <= three.len() { ALPHABET[six as usize].into() } else { '=' });
        }
    }
    out
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    let end = digits.iter().position(|b| *b == b'=').unwrap_or(digits.len());
    let padding = &digits[end..];
    if padding.len() > 2 || padding.iter().any(|b| *b != b'=') || end % 4 == 1 {
        return None;
    }
    let mut out = Vec::new();
    for four in digits[..end].chunks(4) {
        let mut bits = 0u32;
        for digit in four {
            bits = bits << 6 | ALPHABET.iter().position(|a| a == digit)? as u32;
        }
        bits <<= 6 * (4 - four.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(out)
}

/// `base64`.
pub fn base64(given: &Given, io: &mut Io) -> Outcome {
    let bytes = contents(&given.rest, io)?;
    if given.has('d') {
        let wrong = || Fault::Io(std::io::Error::other("invalid input"));
        io.out.write_all(&decode(&bytes).ok_or_else(wrong)?)?;
        return Ok(0);
    }
    let text = encode(&bytes);
    let columns = given.value('w').unwrap_or("76").parse();
    let columns: usize = columns.map_err(|_| Fault::Usage("-w needs a number".into()))?;
    if columns == 0 {
        io.out.write_all(text.as_bytes())?;
        return Ok(0);
    }
    for line in text.as_bytes().chunks(columns) {
        io.out.write_all(&[line, b"\n"].concat())?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use crate::applets::tests::{out, ran};

    #[test]
    fn the_standards_own_examples() {
        assert_eq!(out(&["md5sum"], ""), "d41d8cd98f00b204e9800998ecf8427e  -\n");
        assert_eq!(out(&["md5sum"], "message digest"), "f96b697d7cb7938d525a2f31aaf161d0  -\n");
        let long =
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890";
        assert_eq!(out(&["md5sum"], long), "57edf4a22be3c955ac49da2e2107b67a  -\n");
        let of = |text: &str| out(&["sha256sum"], text)[..64].to_owned();
        assert_eq!(of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(
            of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        );
        for (text, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(out(&["base64", "-w", "0"], text), encoded);
            assert_eq!(out(&["base64", "-d"], encoded), text);
        }
        assert_eq!(out(&["base64", "-w4"], "foobar"), "Zm9v\nYmFy\n");
        for bad in ["Z", "Zg=a", "Z!==", "===="] {
            assert_eq!(ran(&["base64", "-d"], bad).0, 1, "{bad}");
        }
    }
}
