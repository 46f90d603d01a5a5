//! What happens between convolutions, point by point.

use crate::num::{Kernel, Real, dispatch};

/// Two fields, the second updated by the first.
struct Pairs<'a, T, F> {
    x: &'a [T],
    y: &'a mut [T],
    update: F,
}

/// A trait and not a closure, so that it is inlined into [`dispatch`].
trait Update<T> {
    fn at(&self, x: T, y: T) -> T;
}

impl<T: Real, F: Update<T>> Kernel for Pairs<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = self.update.at(*x, *y);
        }
    }
}

struct Sum;
impl<T: Real> Update<T> for Sum {
    #[inline(always)]
    fn at(&self, x: T, y: T) -> T {
        y + x
    }
}

/// ACCUMULATES: `y` += `x`.
pub(super) fn add<T: Real>(x: &[T], y: &mut [T]) {
    dispatch(Pairs { x, y, update: Sum });
}

struct Product;
impl<T: Real> Update<T> for Product {
    #[inline(always)]
    fn at(&self, x: T, y: T) -> T {
        y * x
    }
}

/// Every field times the mask, where there is one.
pub(super) fn weigh<T: Real>(mask: Option<&Vec<T>>, fields: &mut [T]) {
    let Some(mask) = mask else { return };
    for field in fields.chunks_exact_mut(mask.len()) {
        dispatch(Pairs { x: mask, y: field, update: Product });
    }
}

/// The cotangent of max(x, slope·x), 0 counting as negative.
struct Slope<T>(T);
impl<T: Real> Update<T> for Slope<T> {
    #[inline(always)]
    fn at(&self, x: T, y: T) -> T {
        y * x.where_greater(T::zero(), T::one(), self.0)
    }
}

/// The cotangent before [`activate`], from the sign of what it gave.
pub(super) fn deactivate<T: Real>(slope: Option<f64>, y: &[T], bar: &mut [T]) {
    if let Some(slope) = slope {
        dispatch(Pairs { x: y, y: bar, update: Slope(T::of(slope)) });
    }
}

struct Activate<'a, T>(T, &'a mut [T]);
impl<T: Real> Kernel for Activate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for y in self.1 {
            *y = y.max(self.0 * *y);
        }
    }
}

/// y ← max(y, slope·y).
pub(super) fn activate<T: Real>(slope: Option<f64>, y: &mut [T]) {
    if let Some(slope) = slope {
        dispatch(Activate(T::of(slope), y));
    }
}

/// `y` ← r − y − W u, field by field.
pub(super) struct Defect<'a, T> {
    pub wall: &'a [T],
    pub r: &'a [T],
    pub u: &'a [T],
    pub y: &'a mut [T],
}

impl<T: Real> Defect<'_, T> {
    pub fn subtract(self) {
        dispatch(self);
    }
}

impl<T: Real> Kernel for Defect<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.wall.len();
        let fields = self.y.chunks_exact_mut(n).zip(self.r.chunks_exact(n)).zip(self.u.chunks_exact(n));
        for ((y, r), u) in fields {
            for (((y, r), u), w) in y.iter_mut().zip(r).zip(u).zip(self.wall) {
                *y = (-*w).mul_add(*u, *r - *y);
            }
        }
    }
}
