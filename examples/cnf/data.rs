//! Two-dimensional distributions, drawn by counter: any sample at any time.

use odeon::num::{Real, random};
use std::f64::consts::TAU;
use std::fmt;
use std::str::FromStr;

/// A distribution on the plane, of standard deviation about 1 in each coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Two interleaved half circles with noise.
    Moons,
    /// Eight normal distributions on a circle.
    Gaussians,
    /// The dark fields of a 4 × 4 board.
    Checkerboard,
}

impl Shape {
    const ALL: [Self; 3] = [Self::Moons, Self::Gaussians, Self::Checkerboard];

    pub fn name(self) -> &'static str {
        match self {
            Self::Moons => "moons",
            Self::Gaussians => "gaussians",
            Self::Checkerboard => "checkerboard",
        }
    }

    /// Half the side of the square that is drawn.
    #[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
    pub const REACH: f64 = 2.4;

    /// Point `i` of the sample with this seed.
    fn point(self, seed: u64, i: u64) -> [f64; 2] {
        let uniform = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        let choice = random::at(seed, i, 0);
        let (u, v) = (uniform(choice[0]), uniform(choice[1]));
        let (a, b) = random::normal_pair(random::at(seed, i, 1));
        match self {
            Self::Moons => {
                let (sin, cos) = (0.5 * TAU * v).sin_cos();
                let (x, y) = if u < 0.5 { (cos, sin) } else { (1.0 - cos, 0.5 - sin) };
                [1.2 * (x - 0.5 + 0.1 * a), 2.0 * (y - 0.25 + 0.1 * b)]
            }
            Self::Gaussians => {
                let (sin, cos) = ((8.0 * u).floor() * TAU / 8.0).sin_cos();
                [1.4 * cos + 0.18 * a, 1.4 * sin + 0.18 * b]
            }
            Self::Checkerboard => {
                let column = (4.0 * u).floor();
                let row = 2.0 * (2.0 * v).floor() + column % 2.0;
                let inside = random::at(seed, i, 2);
                [column + uniform(inside[0]) - 2.0, row + uniform(inside[1]) - 2.0]
            }
        }
    }

    /// `count` points, column-major `2 × count`.
    pub fn draw<T: Real>(self, seed: u64, count: usize) -> Vec<T> {
        (0..count as u64).flat_map(|i| self.point(seed, i)).map(T::of).collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        crate::options::named(text, &Self::ALL)
    }
}
