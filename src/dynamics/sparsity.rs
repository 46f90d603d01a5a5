//! Which components of f depend on which components of y: a scalar that carries index sets.
//!
//! Every operation makes the union of its operands' sets; both sides of `max`, `min` and
//! `where_greater` count (the condition does not: it has no derivative). What comes out contains the
//! pattern of ∂f/∂y at every point. Source: Griewank & Walther, *Evaluating Derivatives* (2nd ed.,
//! 2008), §7.1 (index domains).

use super::generic::VectorField;
use crate::linalg::Pattern;
use crate::num::Scalar;
use std::cell::RefCell;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// The empty set.
const EMPTY: u32 = 0;

/// The sets as a graph: set 0 is empty, sets 1..=n are {0}, …, {n − 1}, each later one is the union of
/// two before it.
#[derive(Debug)]
struct Sets {
    n: u32,
    unions: RefCell<Vec<[u32; 2]>>,
}

impl Sets {
    fn union(&self, a: u32, b: u32) -> u32 {
        if a == b || b == EMPTY {
            return a;
        }
        if a == EMPTY {
            return b;
        }
        let mut unions = self.unions.borrow_mut();
        unions.push([a, b]);
        self.n + unions.len() as u32
    }

    /// The members of `set`; `seen` holds the last visit of each set.
    fn members(&self, set: u32, visit: u32, seen: &mut [u32], stack: &mut Vec<u32>) -> Vec<usize> {
        let (unions, mut members) = (self.unions.borrow(), Vec::new());
        stack.push(set);
        while let Some(set) = stack.pop() {
            if set == EMPTY || std::mem::replace(&mut seen[set as usize], visit) == visit {
                continue;
            }
            if set <= self.n {
                members.push(set as usize - 1);
            } else {
                stack.extend(unions[(set - self.n) as usize - 1]);
            }
        }
        members
    }
}

/// A number that is only known by what it depends on.
#[derive(Clone, Copy, Debug)]
struct Dependence<'a> {
    set: u32,
    sets: Option<&'a Sets>,
}

impl<'a> Dependence<'a> {
    const CONSTANT: Self = Self { set: EMPTY, sets: None };

    fn with(self, other: Self) -> Self {
        match (self.sets, other.sets) {
            (Some(sets), Some(_)) => Self { set: sets.union(self.set, other.set), sets: Some(sets) },
            (Some(_), None) => self,
            _ => other,
        }
    }
}

macro_rules! binary {
    ($($trait:ident $fn:ident $assign:ident $assign_fn:ident),*) => {$(
        impl $trait for Dependence<'_> {
            type Output = Self;
            fn $fn(self, other: Self) -> Self {
                self.with(other)
            }
        }
        impl $assign for Dependence<'_> {
            fn $assign_fn(&mut self, other: Self) {
                *self = self.with(other);
            }
        }
    )*};
}
binary!(Add add AddAssign add_assign, Sub sub SubAssign sub_assign, Mul mul MulAssign mul_assign, Div div DivAssign div_assign);

impl Neg for Dependence<'_> {
    type Output = Self;
    fn neg(self) -> Self {
        self
    }
}

macro_rules! same {
    ($($fn:ident),*) => {$(
        fn $fn(self) -> Self {
            self
        }
    )*};
}

impl Scalar for Dependence<'_> {
    fn of(_: f64) -> Self {
        Self::CONSTANT
    }
    fn mul_add(self, a: Self, b: Self) -> Self {
        self.with(a).with(b)
    }
    same!(sqrt, exp, ln, sin, cos, tanh, abs, sigmoid, softplus, silu, gelu);
    fn max(self, other: Self) -> Self {
        self.with(other)
    }
    fn min(self, other: Self) -> Self {
        self.with(other)
    }
    fn where_greater(self, _: Self, yes: Self, no: Self) -> Self {
        yes.with(no)
    }
    fn powi(self, _: i32) -> Self {
        self
    }
}

/// A pattern (`dim × dim`) that contains that of ∂f/∂y for every t, y and θ.
///
/// ```
/// use odeon::dynamics::{gallery::Lorenz, sparsity::detect};
///
/// let p = detect(&Lorenz);
/// assert_eq!((p.row(0), p.row(1), p.row(2)), (&[0, 1][..], &[0, 1, 2][..], &[0, 1, 2][..]));
/// ```
pub fn detect<F: VectorField>(field: &F) -> Pattern {
    let n = field.dim();
    let sets = Sets { n: n as u32, unions: RefCell::default() };
    let y: Vec<_> = (1..=n as u32).map(|set| Dependence { set, sets: Some(&sets) }).collect();
    let p = vec![Dependence::CONSTANT; field.num_params()];
    let mut dy = vec![Dependence::CONSTANT; n];
    field.eval(Dependence::CONSTANT, &y, &p, &mut dy);
    let count = 1 + n + sets.unions.borrow().len();
    let (mut seen, mut stack) = (vec![u32::MAX; count], Vec::new());
    let (mut row_starts, mut columns) = (vec![0], Vec::new());
    for (i, dy) in dy.iter().enumerate() {
        let mut row = sets.members(dy.set, i as u32, &mut seen, &mut stack);
        row.sort_unstable();
        columns.extend(row.into_iter().map(|j| j as u32));
        row_starts.push(columns.len());
    }
    Pattern::from_parts([n, n], row_starts, columns)
}
