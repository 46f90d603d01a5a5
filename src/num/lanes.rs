//! [`Lanes`]: sixteen scalars that move together, one per trajectory of an ensemble.

use super::kernels::{cos_moderate, moderate, sin_moderate};
use super::scalar::{Real, Scalar, power};
use std::ops::{Add, AddAssign, Div, DivAssign, Index, IndexMut, Mul, MulAssign, Neg, Sub, SubAssign};

/// How many trajectories a [`Lanes`] holds.
pub const LANES: usize = 16;

/// Sixteen scalars (two AVX-512 registers in f64, so that the latency of one hides behind the
/// other); every operation acts on each lane exactly as it would on the scalar alone, so a
/// trajectory integrated in a lane has the same bits as one integrated by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(align(64))]
pub struct Lanes<T>(pub [T; LANES]);

impl<T: Real> Lanes<T> {
    /// The same value in every lane.
    #[inline(always)]
    pub fn splat(x: T) -> Self {
        Self([x; LANES])
    }
    /// `f` of each lane.
    #[inline(always)]
    pub fn map(self, f: impl Fn(T) -> T) -> Self {
        let mut out = self;
        for x in &mut out.0 {
            *x = f(*x);
        }
        out
    }
    /// `f` of each pair of lanes.
    #[inline(always)]
    pub fn zip(self, other: Self, f: impl Fn(T, T) -> T) -> Self {
        let mut out = self;
        for i in 0..LANES {
            out.0[i] = f(self.0[i], other.0[i]);
        }
        out
    }
    /// Whether `condition` holds in every lane.
    #[inline(always)]
    pub fn all(self, condition: impl Fn(T) -> bool) -> bool {
        self.0.iter().fold(true, |all, &x| all & condition(x))
    }
    /// Lane `i` of `self` where `mask[i]`, of `other` elsewhere.
    #[inline(always)]
    pub fn select(mask: [bool; LANES], yes: Self, no: Self) -> Self {
        let mut out = no;
        for ((out, yes), mask) in out.0.iter_mut().zip(yes.0).zip(mask) {
            *out = if mask { yes } else { *out };
        }
        out
    }
}

impl<T> Index<usize> for Lanes<T> {
    type Output = T;
    #[inline(always)]
    fn index(&self, lane: usize) -> &T {
        &self.0[lane]
    }
}

impl<T> IndexMut<usize> for Lanes<T> {
    #[inline(always)]
    fn index_mut(&mut self, lane: usize) -> &mut T {
        &mut self.0[lane]
    }
}

macro_rules! binary {
    ($($trait:ident $fn:ident $assign:ident $assign_fn:ident),*) => {$(
        impl<T: Real> $trait for Lanes<T> {
            type Output = Self;
            #[inline(always)]
            fn $fn(self, rhs: Self) -> Self {
                self.zip(rhs, |a, b| $trait::$fn(a, b))
            }
        }
        impl<T: Real> $assign for Lanes<T> {
            #[inline(always)]
            fn $assign_fn(&mut self, rhs: Self) {
                *self = $trait::$fn(*self, rhs);
            }
        }
    )*};
}
binary!(Add add AddAssign add_assign, Sub sub SubAssign sub_assign, Mul mul MulAssign mul_assign, Div div DivAssign div_assign);

impl<T: Real> Neg for Lanes<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|a| -a)
    }
}

macro_rules! each {
    ($($fn:ident),*) => {$(
        #[inline(always)]
        fn $fn(self) -> Self {
            self.map(Scalar::$fn)
        }
    )*};
}

impl<T: Real> Scalar for Lanes<T> {
    #[inline(always)]
    fn of(c: f64) -> Self {
        Self::splat(T::of(c))
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        let mut out = b;
        for i in 0..LANES {
            out.0[i] = self.0[i].mul_add(a.0[i], b.0[i]);
        }
        out
    }
    each!(sqrt, exp, ln, tanh, sigmoid, softplus, silu, gelu, abs);
    #[inline(always)]
    fn sin(self) -> Self {
        // The branch-free code where it serves every lane, so that the lanes move together.
        if self.all(moderate) { self.map(sin_moderate) } else { self.map(Scalar::sin) }
    }
    #[inline(always)]
    fn cos(self) -> Self {
        if self.all(moderate) { self.map(cos_moderate) } else { self.map(Scalar::cos) }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, Scalar::max)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, Scalar::min)
    }
    #[inline(always)]
    fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
        let mut out = no;
        for i in 0..LANES {
            out.0[i] = if self.0[i] > other.0[i] { yes.0[i] } else { no.0[i] };
        }
        out
    }
    #[inline(always)]
    fn powi(self, n: i32) -> Self {
        power(self, n)
    }
}
