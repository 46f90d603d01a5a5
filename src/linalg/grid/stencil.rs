//! [`Stencil`]: the 3ᵈ coefficients of one row.

use super::{Ghost, Grid};
use crate::error::{Error, Result};
use crate::num::Real;

/// Coefficients of a row on the 3 × 3 × 3 box around its point; (A u)(p) = Σ_o c(o) u(p + o) with
/// offsets o in {−1, 0, 1} along each axis. In one and two dimensions those of the further axes are 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stencil<T> {
    /// c(o) at [`slot`]`(o)`.
    pub(crate) coefficients: [T; 27],
}

/// Where the centre is.
pub(crate) const CENTRE: usize = 13;

/// Where the coefficient of an offset is.
#[inline(always)]
pub(crate) fn slot([x, y, z]: [isize; 3]) -> usize {
    (9 * (z + 1) + 3 * (y + 1) + x + 1) as usize
}

/// The offset of a slot.
#[inline(always)]
pub(crate) fn offset(slot: usize) -> [isize; 3] {
    [slot % 3, slot / 3 % 3, slot / 9].map(|d| d as isize - 1)
}

impl<T: Real> Default for Stencil<T> {
    fn default() -> Self {
        Self { coefficients: [T::zero(); 27] }
    }
}

impl<T: Real> Stencil<T> {
    /// From (offset, coefficient) pairs; coefficients of equal offsets are added.
    ///
    /// # Errors
    /// An offset beyond −1 … 1, a coefficient that is not finite.
    pub fn new(terms: &[([isize; 3], T)]) -> Result<Self> {
        let mut stencil = Self::default();
        for &(offset, c) in terms {
            if offset.iter().any(|d| d.abs() > 1) {
                let needed = "offsets are −1, 0 or 1 along each axis";
                return Err(Error::invalid("a stencil's offset", format!("{offset:?}"), needed));
            }
            if !c.is_finite() {
                return Err(Error::invalid(format!("the coefficient at {offset:?}"), c, "it must be finite"));
            }
            stencil.add(offset, c);
        }
        Ok(stencil)
    }

    /// The coefficient of an offset, 0 beyond −1 … 1.
    pub fn get(&self, offset: [isize; 3]) -> T {
        if offset.iter().any(|d| d.abs() > 1) { T::zero() } else { self.coefficients[slot(offset)] }
    }

    /// Adds to the coefficient of an offset within −1 … 1.
    pub(crate) fn add(&mut self, offset: [isize; 3], c: T) {
        self.coefficients[slot(offset)] += c;
    }

    /// The stencil of `scale`·A + `shift`·I.
    pub fn affine(mut self, scale: T, shift: T) -> Self {
        self.coefficients.iter_mut().for_each(|c| *c *= scale);
        self.coefficients[CENTRE] += shift;
        self
    }

    /// Coefficients that vanish beyond `dim` axes, all finite.
    pub(crate) fn check(&self, dim: usize) -> Result<()> {
        for (s, &c) in self.coefficients.iter().enumerate() {
            let at = offset(s);
            if !c.is_finite() {
                return Err(Error::invalid(format!("the coefficient at {at:?}"), c, "it must be finite"));
            }
            if c != T::zero() && at[dim..].iter().any(|&d| d != 0) {
                let needed = format!("a grid of {dim} axes has no neighbour there");
                return Err(Error::invalid(format!("the coefficient at {at:?}"), c, needed));
            }
        }
        Ok(())
    }

    /// The row of a point next to the sides `at[axis] = [low, high]`: coefficients of ghost values are
    /// moved to the unknowns that express them. Periodic sides keep theirs.
    pub(crate) fn fold(mut self, ghosts: &[[Ghost; 2]; 3], at: [[bool; 2]; 3]) -> Self {
        for axis in 0..3 {
            for side in 0..2 {
                let Ghost::Fold { near, next, .. } = ghosts[axis][side] else { continue };
                if at[axis][side] {
                    self.fold_side(axis, side, [T::of(near), T::of(next)]);
                }
            }
        }
        self
    }

    fn fold_side(&mut self, axis: usize, side: usize, [near, next]: [T; 2]) {
        let outward = if side == 0 { -1 } else { 1 };
        for s in 0..27 {
            let mut at = offset(s);
            if at[axis] != outward || self.coefficients[s] == T::zero() {
                continue;
            }
            let c = std::mem::replace(&mut self.coefficients[s], T::zero());
            at[axis] = 0;
            self.add(at, near * c);
            at[axis] = -outward;
            self.add(at, next * c);
        }
    }
}

/// Which of the 64 kinds of place a point is at: for each axis bit 0 for the first point, bit 1 for the
/// last one; 0 within, and for axes beyond `dim`.
#[inline(always)]
pub(crate) fn place(dim: usize, extents: [usize; 3], point: [usize; 3]) -> usize {
    let mut kind = 0;
    for axis in 0..dim {
        let low = usize::from(point[axis] == 0);
        let high = usize::from(point[axis] + 1 == extents[axis]);
        kind |= (low | high << 1) << (2 * axis);
    }
    kind
}

/// The sides a [`place`] is at.
pub(crate) fn sides(place: usize) -> [[bool; 2]; 3] {
    std::array::from_fn(|axis| [place >> (2 * axis) & 1 == 1, place >> (2 * axis) & 2 == 2])
}

impl Grid {
    /// [`place`] of a point.
    #[inline(always)]
    pub(crate) fn place(&self, point: [usize; 3]) -> usize {
        place(self.dim, self.extents, point)
    }
}
