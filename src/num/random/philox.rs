//! Philox4x32-10: ten rounds of two 32 × 32 → 64 bit products.
//!
//! Source: Salmon, Moraes, Dror & Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC'11,
//! section 3.3, and the known answers of their library Random123.

/// What the words of the counter are multiplied by.
const MULTIPLIERS: [u64; 2] = [0xd251_1f53, 0xcd9e_8d57];

/// What the words of the key grow by from round to round: the golden ratio and √3 − 1.
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];

/// A word in the low half of a `u64`.
const WORD: u64 = 0xffff_ffff;

/// Philox4x32-10 of a counter and a key: 128 random bits, a bijection of the counter for each key.
///
/// ```
/// let zeros = odeon::num::random::philox([0; 4], [0; 2]);
/// assert_eq!(zeros, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
#[inline(always)]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [a, b, c, d] = counter;
    let [low, high] = rounds([a.into(), b.into(), c.into(), d.into()], key);
    [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
}

/// The 128 bits at an address; `stream` as [`stream`] packs it.
#[inline(always)]
pub fn at(seed: u64, id: u64, stream: u64) -> [u64; 2] {
    rounds([id, id >> 32, stream, stream >> 32], [seed as u32, (seed >> 32) as u32])
}

/// A uniform number in [0, 1) from random bits, a multiple of 2⁻⁵³.
#[inline(always)]
pub fn uniform(bits: u64) -> f64 {
    (bits >> 11) as f64 * 2f64.powi(-53)
}

/// The stream of a path's component.
#[inline(always)]
pub const fn stream(path: u32, component: u32) -> u64 {
    path as u64 | (component as u64) << 32
}

/// The rounds on words in the low halves of 64-bit lanes. High halves are ignored on entry and may
/// hold anything between rounds: only the low one of a factor is multiplied (`vpmuludq`), and no other
/// operation carries bits downwards.
#[inline(always)]
fn rounds(counter: [u64; 4], key: [u32; 2]) -> [u64; 2] {
    let [mut a, mut b, mut c, mut d] = counter;
    let [mut left, mut right] = key;
    for _ in 0..10 {
        let first = (a & WORD) * MULTIPLIERS[0];
        let second = (c & WORD) * MULTIPLIERS[1];
        a = (second >> 32) ^ b ^ u64::from(left);
        c = (first >> 32) ^ d ^ u64::from(right);
        (b, d) = (second, first);
        left = left.wrapping_add(WEYL[0]);
        right = right.wrapping_add(WEYL[1]);
    }
    [(a & WORD) | b << 32, (c & WORD) | d << 32]
}
