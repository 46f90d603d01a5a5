//! [`Tape`] and [`Var`]: a recording of elementary operations, for vector–Jacobian products (reverse
//! mode).
//!
//! Each operation appends one node with at most two parents and the two local partials; the sweep
//! [`Tape::reverse`] walks the nodes backwards once, so its cost is linear in their number. The inner
//! scalar is any [`Scalar`]: `Var<Lanes<T>>` sweeps sixteen columns at once and `Var<Dual<T>>` gives
//! Hessian–vector products (forward over reverse). Memory is kept between recordings. Source:
//! Griewank & Walther, *Evaluating Derivatives* (2nd ed., 2008), ch. 4.

use super::dual::powi_slope;
use crate::num::Scalar;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// Slot 0 collects what flows to constants: writing there is cheaper than asking.
const CONSTANT: u32 = 0;

#[derive(Clone, Copy, Debug)]
struct Node<S> {
    parents: [u32; 2],
    partials: [S; 2],
}

/// A recording of operations on [`Var`]s.
///
/// ```
/// use odeon::dynamics::tape::Tape;
/// use odeon::num::Scalar;
///
/// let tape = Tape::new();
/// let (x, y) = (tape.var(2.0), tape.var(3.0));
/// let z = x * y + x.powi(2);
/// tape.reverse([(z, 1.0)]);
/// assert_eq!(tape.cotangent(x), 3.0 + 2.0 * 2.0);
/// assert_eq!(tape.cotangent(y), 2.0);
/// ```
#[derive(Debug, Default)]
pub struct Tape<S> {
    /// Leaves made before the first operation take slots 1..=leaves and need no node.
    leaves: Cell<usize>,
    nodes: RefCell<Vec<Node<S>>>,
    cotangents: RefCell<Vec<S>>,
}

impl<S: Scalar> Tape<S> {
    /// An empty tape.
    pub fn new() -> Self {
        Self { leaves: Cell::new(0), nodes: RefCell::new(Vec::new()), cotangents: RefCell::new(Vec::new()) }
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.borrow().capacity() * size_of::<Node<S>>()
            + self.cotangents.borrow().capacity() * size_of::<S>()
    }

    /// Forgets everything recorded, keeping the memory.
    pub fn clear(&mut self) {
        self.begin(0);
    }

    /// Number of operations recorded.
    pub fn len(&self) -> usize {
        self.nodes.borrow().len()
    }

    /// Whether no operation is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A new independent variable.
    pub fn var(&self, value: S) -> Var<'_, S> {
        let index = if self.is_empty() {
            self.leaves.set(self.leaves.get() + 1);
            self.leaves.get() as u32
        } else {
            self.push([CONSTANT; 2], [S::zero(); 2])
        };
        Var { value, index, tape: Some(self) }
    }

    /// Sets every cotangent to ∂(Σ seedᵢ·outputᵢ)/∂·; seeds of the same variable add up.
    #[inline(always)]
    pub fn reverse<'t>(&'t self, seeds: impl IntoIterator<Item = (Var<'t, S>, S)>) {
        let nodes = self.nodes.borrow();
        let mut bars = self.cotangents.borrow_mut();
        let first = self.leaves.get() + 1;
        bars.clear();
        bars.resize(first + nodes.len(), S::zero());
        for (output, seed) in seeds {
            bars[output.index as usize] += seed;
        }
        for (i, node) in nodes.iter().enumerate().rev() {
            let bar = bars[first + i];
            let [p, q] = node.parents.map(|p| p as usize);
            bars[p] = node.partials[0].mul_add(bar, bars[p]);
            bars[q] = node.partials[1].mul_add(bar, bars[q]);
        }
    }

    /// The cotangent of `var` from the last [`reverse`](Tape::reverse); 0 for a constant.
    pub fn cotangent(&self, var: Var<'_, S>) -> S {
        if var.index == CONSTANT {
            return S::zero();
        }
        let bars = self.cotangents.borrow();
        bars.get(var.index as usize).copied().unwrap_or(S::zero())
    }

    /// Starts a recording whose leaves 0..`leaves` are taken by [`leaf`](Tape::leaf).
    pub(super) fn begin(&self, leaves: usize) {
        self.leaves.set(leaves);
        self.rewind();
    }

    /// Forgets the operations, keeping the leaves. Variables other than leaves must not be used
    /// after this.
    #[inline(always)]
    pub(super) fn rewind(&self) {
        self.nodes.borrow_mut().clear();
    }

    /// Leaf number `k` with a value.
    #[inline(always)]
    pub(super) fn leaf(&self, k: usize, value: S) -> Var<'_, S> {
        Var { value, index: k as u32 + 1, tape: Some(self) }
    }

    /// Calls `f` with the cotangents of the leaves after a [`reverse`](Tape::reverse).
    #[inline(always)]
    pub(super) fn with_leaf_cotangents<R>(&self, f: impl FnOnce(&[S]) -> R) -> R {
        f(&self.cotangents.borrow()[1..=self.leaves.get()])
    }

    #[inline(always)]
    fn push(&self, parents: [u32; 2], partials: [S; 2]) -> u32 {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node { parents, partials });
        (self.leaves.get() + nodes.len()) as u32
    }
}

/// A value whose history is on a [`Tape`], or a constant, which needs none.
#[derive(Clone, Copy)]
pub struct Var<'t, S> {
    value: S,
    index: u32,
    tape: Option<&'t Tape<S>>,
}

impl<S: fmt::Debug> fmt::Debug for Var<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Var({:?} at {})", self.value, self.index)
    }
}

impl<'t, S: Scalar> Var<'t, S> {
    /// A constant.
    #[inline(always)]
    pub fn constant(value: S) -> Self {
        Self { value, index: CONSTANT, tape: None }
    }

    /// The value.
    #[inline(always)]
    pub fn value(self) -> S {
        self.value
    }

    #[inline(always)]
    fn unary(self, value: S, partial: S) -> Self {
        match self.tape {
            None => Self::constant(value),
            Some(tape) => Self {
                value,
                index: tape.push([self.index, CONSTANT], [partial, S::zero()]),
                tape: Some(tape),
            },
        }
    }

    #[inline(always)]
    fn binary(self, other: Self, value: S, partials: [S; 2]) -> Self {
        match self.tape.or(other.tape) {
            None => Self::constant(value),
            Some(tape) => {
                Self { value, index: tape.push([self.index, other.index], partials), tape: Some(tape) }
            }
        }
    }
}

impl<S: Scalar> Add for Var<'_, S> {
    type Output = Self;
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        self.binary(b, self.value + b.value, [S::one(), S::one()])
    }
}

impl<S: Scalar> Sub for Var<'_, S> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        self.binary(b, self.value - b.value, [S::one(), -S::one()])
    }
}

impl<S: Scalar> Mul for Var<'_, S> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        self.binary(b, self.value * b.value, [b.value, self.value])
    }
}

impl<S: Scalar> Div for Var<'_, S> {
    type Output = Self;
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        let (q, inverse) = (self.value / b.value, S::one() / b.value);
        self.binary(b, q, [inverse, -q * inverse])
    }
}

impl<S: Scalar> Neg for Var<'_, S> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.unary(-self.value, -S::one())
    }
}

macro_rules! assign {
    ($($trait:ident $fn:ident $op:tt),*) => {$(
        impl<S: Scalar> $trait for Var<'_, S> {
            #[inline(always)]
            fn $fn(&mut self, b: Self) {
                *self = *self $op b;
            }
        }
    )*};
}
assign!(AddAssign add_assign +, SubAssign sub_assign -, MulAssign mul_assign *, DivAssign div_assign /);

impl<S: Scalar> Scalar for Var<'_, S> {
    #[inline(always)]
    fn of(c: f64) -> Self {
        Self::constant(S::of(c))
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        let value = self.value.mul_add(a.value, b.value);
        // Only three variables need two nodes; a constant factor leaves two parents.
        if a.tape.is_none() {
            return self.binary(b, value, [a.value, S::one()]);
        }
        if self.tape.is_none() {
            return a.binary(b, value, [self.value, S::one()]);
        }
        let product = self.binary(a, value, [a.value, self.value]);
        if b.tape.is_none() {
            return product;
        }
        product.binary(b, value, [S::one(), S::one()])
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.unary(root, S::of(0.5) / root)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.unary(e, e)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.unary(self.value.ln(), S::one() / self.value)
    }
    #[inline(always)]
    fn sin(self) -> Self {
        self.unary(self.value.sin(), self.value.cos())
    }
    #[inline(always)]
    fn cos(self) -> Self {
        self.unary(self.value.cos(), -self.value.sin())
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        let y = self.value.tanh();
        self.unary(y, y.mul_add(-y, S::one()))
    }
    #[inline(always)]
    fn abs(self) -> Self {
        let (zero, one) = (S::zero(), S::one());
        let negative = zero.where_greater(self.value, -one, zero);
        self.unary(self.value.abs(), self.value.where_greater(zero, one, negative))
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        other.where_greater(self, other, self)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.where_greater(other, other, self)
    }
    #[inline(always)]
    fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
        let pick = |yes, no| self.value.where_greater(other.value, yes, no);
        let (zero, one) = (S::zero(), S::one());
        yes.binary(no, pick(yes.value, no.value), [pick(one, zero), pick(zero, one)])
    }
    #[inline(always)]
    fn powi(self, n: i32) -> Self {
        self.unary(self.value.powi(n), powi_slope(self.value, n))
    }
}

#[cfg(test)]
mod tests {
    use super::super::dual::Dual;
    use super::*;
    use crate::num::{LANES, Lanes};

    /// Two variables through every operation.
    fn f<S: Scalar>(x: S, y: S) -> S {
        let mut a = x * y - x.sin() / y.exp() + (x + S::of(2.0)).ln();
        a += y.sqrt() * x.cos().tanh();
        a -= x.powi(3);
        a *= S::of(0.5) - y.powi(-2);
        a /= S::of(3.0) + x.abs();
        let b = x.mul_add(y, a).mul_add(S::of(0.3), x);
        let c = S::of(0.2).mul_add(b, y) + x.mul_add(y, S::of(1.0));
        b.max(c) + b.min(c * c) - y.where_greater(x, c, b)
            + (-x).powf(y).abs()
            + x.mul_add(S::of(2.0), S::of(1.0))
    }

    #[test]
    fn cotangents_agree_with_duals() {
        for (x, y) in [(-0.7f64, 1.3), (-1.9, 0.4), (-0.2, 2.2)] {
            let tape = Tape::new();
            let (vx, vy) = (tape.var(x), tape.var(y));
            let z = f(vx, vy);
            tape.reverse([(z, 1.0)]);
            let dx = f(Dual::variable(x), Dual::constant(y));
            let dy = f(Dual::constant(x), Dual::variable(y));
            assert_eq!(z.value().to_bits(), f(x, y).to_bits());
            for (bar, dot) in [(tape.cotangent(vx), dx.dot), (tape.cotangent(vy), dy.dot)] {
                assert!((bar - dot).abs() < 1e-13 * (1.0 + dot.abs()), "{bar} {dot}");
            }
        }
    }

    #[test]
    fn forward_over_reverse_is_the_hessian_of_nested_duals() {
        let (x, y) = (-0.7, 1.3);
        let tape = Tape::new();
        let (vx, vy) = (tape.var(Dual::variable(x)), tape.var(Dual::constant(y)));
        tape.reverse([(f(vx, vy), Dual::one())]);
        let xx = f(Dual::variable(Dual::variable(x)), Dual::constant(Dual::constant(y)));
        let xy = f(
            Dual::new(Dual::constant(x), Dual::constant(1.0)),
            Dual::new(Dual::variable(y), Dual::constant(0.0)),
        );
        for (bar, dot) in [(tape.cotangent(vx).dot, xx.dot.dot), (tape.cotangent(vy).dot, xy.dot.dot)] {
            assert!(dot != 0.0);
            assert!((bar - dot).abs() < 1e-12 * (1.0 + dot.abs()), "{bar} {dot}");
        }
    }

    #[test]
    fn lanes_have_the_bits_of_scalars() {
        let xs: [f64; LANES] = std::array::from_fn(|i| -0.3 - 0.2 * i as f64);
        let ys: [f64; LANES] = std::array::from_fn(|i| 0.5 + 0.25 * i as f64);
        let wide = Tape::new();
        let (wx, wy) = (wide.var(Lanes(xs)), wide.var(Lanes(ys)));
        wide.reverse([(f(wx, wy), Lanes::splat(1.5))]);
        for lane in 0..LANES {
            let tape = Tape::new();
            let (x, y) = (tape.var(xs[lane]), tape.var(ys[lane]));
            tape.reverse([(f(x, y), 1.5)]);
            for (a, b) in [(wx, x), (wy, y)] {
                assert_eq!(wide.cotangent(a)[lane].to_bits(), tape.cotangent(b).to_bits());
            }
        }
    }

    #[test]
    fn late_leaves_constants_repeated_seeds_and_clearing() {
        let mut tape = Tape::new();
        let x = tape.var(2.0);
        let square = x * x;
        let late = tape.var(5.0);
        let out = square * late;
        let constant = Var::of(4.0) * Var::of(2.0);
        assert_eq!(tape.len(), 3);
        tape.reverse([(out, 1.0), (out, 1.0), (x, 0.5), (constant, 9.0)]);
        assert_eq!(tape.cotangent(x), 2.0 * 20.0 + 0.5);
        assert_eq!(tape.cotangent(late), 8.0);
        assert_eq!(tape.cotangent(constant), 0.0);
        tape.clear();
        assert!(tape.is_empty());
        let y = tape.var(3.0);
        tape.reverse([(y.sqrt(), 1.0)]);
        assert!((tape.cotangent(y) - 0.5 / 3f64.sqrt()).abs() < 1e-16);
    }
}
