//! Normal pairs by Box and Muller's transformation.
//!
//! Source: Box & Muller, *A note on the generation of random normal deviates*, Ann. Math. Stat. 29
//! (1958): √(−2 ln u) (cos φ, sin φ) for u uniform in (0, 1] and φ uniform on the circle.

use super::philox::at;
use crate::num::kernels::{Elementary, horner, ln};
use crate::num::{Kernel, dispatch};

/// Two independent standard normal numbers from 128 random bits.
///
/// u takes 52 bits, so that 2⁻⁵² ≤ u ≤ 1 and no number exceeds √(104 ln 2) = 8.49 (a standard normal
/// does so once in 10¹⁷). φ is an angle in [−π/4, π/4) of 52 bits and one of four quadrants: no
/// reduction is needed, and sine and cosine share their argument.
#[inline(always)]
pub fn normal_pair(bits: [u64; 2]) -> (f64, f64) {
    const ONE: u64 = 1.0_f64.to_bits();
    let u = 2.0 - f64::from_bits(ONE | bits[0] >> 12);
    let radius = (-2.0 * ln(u)).sqrt();
    let phi = (f64::from_bits(ONE | bits[1] >> 12) - 1.5) * std::f64::consts::FRAC_PI_2;
    let square = phi * phi;
    let sine = (phi * square).mul_add(horner(f64::SIN_TAIL, square), phi);
    let top = square.mul_add(-0.5, 1.0);
    let cosine = (square * square).mul_add(horner(f64::COS_TAIL, square), top);
    // The quadrants around ±1 and ±i: the sign of the cosine, and an exchange.
    let cosine = f64::from_bits(cosine.to_bits() ^ bits[1] << 63);
    let (x, y) = if bits[1] & 2 == 0 { (cosine, sine) } else { (sine, cosine) };
    (radius * x, radius * y)
}

/// The (id, stream) of each pair of a batch.
pub trait Addresses: Copy {
    /// The first `n` of them.
    ///
    /// # Panics
    /// Where there are fewer.
    fn cut(self, n: usize) -> Self;
    /// Id and stream of pair `i`.
    fn address(&self, i: usize) -> (u64, u64);
}

/// Consecutive ids of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Consecutive {
    /// The first id.
    pub first: u64,
    /// The stream of all.
    pub stream: u64,
}

/// Any ids of one stream.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    /// The ids.
    pub ids: &'a [u64],
    /// The stream of all.
    pub stream: u64,
}

/// One id of many streams.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'a> {
    /// The id of all.
    pub id: u64,
    /// The streams.
    pub streams: &'a [u64],
}

impl Addresses for Consecutive {
    #[inline(always)]
    fn cut(self, _: usize) -> Self {
        self
    }
    #[inline(always)]
    fn address(&self, i: usize) -> (u64, u64) {
        (self.first.wrapping_add(i as u64), self.stream)
    }
}

impl Addresses for Ids<'_> {
    #[inline(always)]
    fn cut(self, n: usize) -> Self {
        Self { ids: &self.ids[..n], ..self }
    }
    #[inline(always)]
    fn address(&self, i: usize) -> (u64, u64) {
        (self.ids[i], self.stream)
    }
}

impl Addresses for Streams<'_> {
    #[inline(always)]
    fn cut(self, n: usize) -> Self {
        Self { streams: &self.streams[..n], ..self }
    }
    #[inline(always)]
    fn address(&self, i: usize) -> (u64, u64) {
        (self.id, self.streams[i])
    }
}

/// `first[i]`, `second[i]` ← the pair at address i: the part of a larger kernel.
///
/// # Panics
/// Where `second` or the addresses are fewer than `first`.
#[inline(always)]
pub fn normal_pairs<A: Addresses>(seed: u64, addresses: A, first: &mut [f64], second: &mut [f64]) {
    let n = first.len();
    let (addresses, second) = (addresses.cut(n), &mut second[..n]);
    for i in 0..n {
        let (id, stream) = addresses.address(i);
        (first[i], second[i]) = normal_pair(at(seed, id, stream));
    }
}

struct Fill<'a, A>(u64, A, [&'a mut [f64]; 2]);

impl<A: Addresses> Kernel for Fill<'_, A> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let [first, second] = self.2;
        normal_pairs(self.0, self.1, first, second);
    }
}

/// [`normal_pairs`] compiled for the CPU.
///
/// ```
/// use odeon::num::random::{Consecutive, fill_normal_pairs, stream};
///
/// let (mut x, mut y) = ([0.0; 1000], [0.0; 1000]);
/// let addresses = Consecutive { first: 0, stream: stream(0, 0) };
/// fill_normal_pairs(1, addresses, &mut x, &mut y);
/// assert!((x.iter().sum::<f64>() / 1000.0).abs() < 0.1);
/// ```
///
/// # Panics
/// Where `second` or the addresses are fewer than `first`.
pub fn fill_normal_pairs<A: Addresses>(seed: u64, addresses: A, first: &mut [f64], second: &mut [f64]) {
    dispatch(Fill(seed, addresses, [first, second]));
}
