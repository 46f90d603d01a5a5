//! [`Diffusion`]: the coefficient g of the noise, with its products, and the classes of noise.
//!
//! G(t, y; θ) is a `dim × m` matrix for each path. Diagonal noise stores its diagonal only (`dim` numbers
//! a path, m = dim), every other class the whole matrix, column-major, path after path.
//!
//! | class | what it means | type |
//! |---|---|---|
//! | additive | G does not depend on y | [`Additive`] |
//! | scalar | one Brownian motion, m = 1 | [`Scalar`] |
//! | diagonal | component i has its own motion and g_i depends on y_i only | [`Diagonal`] |
//! | commutative | (∂g_k/∂y) g_l = (∂g_l/∂y) g_k for all columns k, l | [`Commutative`] |
//! | general | anything | [`General`] |
//!
//! The class is a promise of whoever writes g: it decides which methods keep their order (Kloeden &
//! Platen, section 10.3). [`check_class`](super::check_class) tests it at a point. A diagonal G whose
//! g_i depends on other components is not commutative in general: give it as [`Crossed`], and methods
//! treat it as general noise.

mod additive;

pub use additive::{Additive, Constant};

use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::{Error, Result};
use crate::num::Real;

/// The classes of noise, from the most special to the most general.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoiseClass {
    /// G does not depend on the state.
    Additive,
    /// One Brownian motion drives all components.
    Scalar,
    /// Component i is driven by its own motion, with g_i(t, y_i).
    Diagonal,
    /// The columns of G commute.
    Commutative,
    /// No structure.
    General,
}

impl NoiseClass {
    /// Every class.
    pub const ALL: [Self; 5] =
        [Self::Additive, Self::Scalar, Self::Diagonal, Self::Commutative, Self::General];

    /// The class in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Additive => "additive",
            Self::Scalar => "scalar",
            Self::Diagonal => "diagonal",
            Self::Commutative => "commutative",
            Self::General => "general",
        }
    }

    /// Whether the columns of G commute, so that no Lévy area is needed for strong order 1.
    pub fn commutes(self) -> bool {
        self != Self::General
    }
}

impl std::fmt::Display for NoiseClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// How G is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The diagonal: `dim` numbers a path.
    Diagonal,
    /// `dim × m`, column-major: `dim · m` numbers a path.
    Matrix,
}

/// The diffusion coefficient G(t, y; θ) and its products.
pub trait Diffusion<T: Real>: Sync {
    /// Memory that evaluations reuse.
    type Scratch: Send;

    /// The promised class.
    fn class(&self) -> NoiseClass;

    /// How G is stored.
    fn shape(&self) -> Shape;

    /// Rows of the state.
    fn dim(&self) -> usize;

    /// Brownian motions of a path, m.
    fn components(&self) -> usize;

    /// Length of θ.
    fn num_params(&self) -> usize;

    /// Numbers of G of one path.
    fn entries(&self) -> usize {
        match self.shape() {
            Shape::Diagonal => self.dim(),
            Shape::Matrix => self.dim() * self.components(),
        }
    }

    /// Scratch for `batch` paths.
    fn scratch(&self, batch: usize) -> Self::Scratch;

    /// Bytes of [`scratch`](Self::scratch), for memory budgets.
    fn scratch_bytes(&self, batch: usize) -> usize {
        let _ = batch;
        0
    }

    /// `g` ← G(t, y; θ), `entries × batch`.
    fn eval(&self, at: Point<'_, T>, g: &mut [T], scratch: &mut Self::Scratch);

    /// ACCUMULATES the vector–Jacobian products of G with the cotangent `g_bar`; returns that of t.
    fn vjp(
        &self,
        at: Point<'_, T>,
        g_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T;

    /// Numbers that [`eval_taped`](Self::eval_taped) keeps for `batch` paths.
    fn tape_len(&self, batch: usize) -> usize {
        let _ = batch;
        0
    }

    /// [`eval`](Self::eval), the same bits, that also writes `tape` (of [`tape_len`](Self::tape_len) numbers).
    fn eval_taped(&self, at: Point<'_, T>, g: &mut [T], tape: &mut [T], scratch: &mut Self::Scratch) {
        let _ = tape;
        self.eval(at, g, scratch);
    }

    /// [`vjp`](Self::vjp), the same bits, where `(g, tape)` is what [`eval_taped`](Self::eval_taped) gave here.
    fn vjp_taped(
        &self,
        at: Point<'_, T>,
        (g, tape): (&[T], &[T]),
        g_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        let _ = (g, tape);
        self.vjp(at, g_bar, y_bar, theta_bar, scratch)
    }

    /// `g_dot` ← the derivative of G along `dot`.
    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, g_dot: &mut [T], scratch: &mut Self::Scratch);

    /// `out` ← Σ_k (∂g_k/∂y) u_k, the sum of the derivatives of the columns of G, each along a direction of its
    /// own: what Milstein's method and the conversion of calculus need. `u` is laid out as G (where G is
    /// diagonal, u_k is that multiple of the k-th unit vector), `out` as the state; `work` has the length
    /// of a state and a G.
    fn contraction(
        &self,
        at: Point<'_, T>,
        u: &[T],
        out: &mut [T],
        work: &mut [T],
        scratch: &mut Self::Scratch,
    ) {
        let (n, d, m) = (at.y.len(), self.dim(), self.components());
        if self.class() == NoiseClass::Additive {
            return out.fill(T::zero());
        }
        // One column, or row i is g_i alone, of y_i alone: one product serves all.
        if m == 1 || self.class() == NoiseClass::Diagonal {
            return self.jvp(at, Tangent { t: T::zero(), y: u, theta: &[] }, out, scratch);
        }
        let (direction, rest) = work.split_at_mut(n);
        let g_dot = &mut rest[..u.len()];
        out.fill(T::zero());
        for k in 0..m {
            match self.shape() {
                Shape::Matrix => take(u, direction, [d, k, m]),
                Shape::Diagonal => only(u, direction, [d, k]),
            }
            self.jvp(at, Tangent { t: T::zero(), y: direction, theta: &[] }, g_dot, scratch);
            for (out, g) in out.chunks_mut(d).zip(g_dot.chunks(self.entries())) {
                match self.shape() {
                    Shape::Matrix => {
                        out.iter_mut().zip(&g[k * d..(k + 1) * d]).for_each(|(out, g)| *out += *g);
                    }
                    Shape::Diagonal => out[k] += g[k],
                }
            }
        }
    }

    /// Checks what it was built from.
    ///
    /// # Errors
    /// What does not fit.
    fn validate(&self) -> Result<()> {
        Ok(())
    }

    /// Names what first goes non-finite at `at`.
    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let _ = at;
        None
    }
}

/// A right-hand side's values as a diffusion: the products pass through.
macro_rules! from_dynamics {
    ($(#[$doc:meta])* $name:ident, $class:expr, $shape:expr, $components:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $name<D>(pub D);

        impl<T: Real, D: Dynamics<T>> Diffusion<T> for $name<D> {
            type Scratch = D::Scratch;
            fn class(&self) -> NoiseClass {
                $class
            }
            fn shape(&self) -> Shape {
                $shape
            }
            fn dim(&self) -> usize {
                self.0.dim()
            }
            fn components(&self) -> usize {
                let of: fn(usize) -> usize = $components;
                of(self.0.dim())
            }
            fn num_params(&self) -> usize {
                self.0.num_params()
            }
            fn scratch(&self, batch: usize) -> D::Scratch {
                self.0.scratch(batch)
            }
            fn scratch_bytes(&self, batch: usize) -> usize {
                self.0.scratch_bytes(batch)
            }
            #[inline(always)]
            fn eval(&self, at: Point<'_, T>, g: &mut [T], scratch: &mut D::Scratch) {
                self.0.eval(at, g, scratch);
            }
            fn vjp(
                &self,
                at: Point<'_, T>,
                g_bar: &[T],
                y_bar: &mut [T],
                theta_bar: &mut [T],
                scratch: &mut D::Scratch,
            ) -> T {
                self.0.vjp(at, g_bar, y_bar, theta_bar, scratch)
            }
            fn tape_len(&self, batch: usize) -> usize {
                self.0.tape_len(batch)
            }
            #[inline(always)]
            fn eval_taped(&self, at: Point<'_, T>, g: &mut [T], tape: &mut [T], scratch: &mut D::Scratch) {
                self.0.eval_taped(at, g, tape, scratch);
            }
            fn vjp_taped(
                &self,
                at: Point<'_, T>,
                taped: (&[T], &[T]),
                g_bar: &[T],
                y_bar: &mut [T],
                theta_bar: &mut [T],
                scratch: &mut D::Scratch,
            ) -> T {
                self.0.vjp_taped(at, taped, g_bar, y_bar, theta_bar, scratch)
            }
            fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, g_dot: &mut [T], scratch: &mut D::Scratch) {
                self.0.jvp(at, dot, g_dot, scratch);
            }
            fn validate(&self) -> Result<()> {
                self.0.validate()
            }
            fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
                self.0.locate_non_finite(at)
            }
        }
    };
}

from_dynamics!(
    /// Diagonal noise: row i of the dynamics is g_i(t, y_i), the coefficient of dW_i.
    Diagonal, NoiseClass::Diagonal, Shape::Diagonal, |dim| dim
);
from_dynamics!(
    /// Diagonal G whose g_i may depend on all of y: the noise is general.
    Crossed, NoiseClass::General, Shape::Diagonal, |dim| dim
);
from_dynamics!(
    /// Scalar noise: the dynamics' value is the one column of G.
    Scalar, NoiseClass::Scalar, Shape::Matrix, |_| 1
);

/// The columns of G as one right-hand side each, with their parameters one after the other.
macro_rules! columns {
    ($(#[$doc:meta])* $name:ident, $class:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name<D>(pub Vec<D>);

        impl<T: Real, D: Dynamics<T>> Diffusion<T> for $name<D> {
            type Scratch = Columns<T, D::Scratch>;
            fn class(&self) -> NoiseClass {
                $class
            }
            fn shape(&self) -> Shape {
                Shape::Matrix
            }
            fn dim(&self) -> usize {
                self.0.first().map_or(0, Dynamics::dim)
            }
            fn components(&self) -> usize {
                self.0.len()
            }
            fn num_params(&self) -> usize {
                self.0.iter().map(Dynamics::num_params).sum()
            }
            fn scratch(&self, batch: usize) -> Self::Scratch {
                let dim = Diffusion::<T>::dim(self);
                Columns {
                    each: self.0.iter().map(|d| d.scratch(batch)).collect(),
                    column: vec![T::zero(); dim * batch],
                }
            }
            fn scratch_bytes(&self, batch: usize) -> usize {
                let own = Diffusion::<T>::dim(self) * batch * size_of::<T>();
                own + self.0.iter().map(|d| d.scratch_bytes(batch)).sum::<usize>()
            }
            fn eval(&self, at: Point<'_, T>, g: &mut [T], scratch: &mut Self::Scratch) {
                let dim = Diffusion::<T>::dim(self);
                let column = &mut scratch.column[..at.y.len()];
                for (k, (d, theta)) in each(&self.0, at.theta).enumerate() {
                    d.eval(Point { theta, ..at }, column, &mut scratch.each[k]);
                    place(column, g, [dim, k, self.0.len()]);
                }
            }
            fn vjp(
                &self,
                at: Point<'_, T>,
                g_bar: &[T],
                y_bar: &mut [T],
                theta_bar: &mut [T],
                scratch: &mut Self::Scratch,
            ) -> T {
                let (dim, mut t_bar, mut first) = (Diffusion::<T>::dim(self), T::zero(), 0);
                let column = &mut scratch.column[..at.y.len()];
                for (k, (d, theta)) in each(&self.0, at.theta).enumerate() {
                    take(g_bar, column, [dim, k, self.0.len()]);
                    let bar = &mut theta_bar[first..first + theta.len()];
                    first += theta.len();
                    t_bar += d.vjp(Point { theta, ..at }, column, y_bar, bar, &mut scratch.each[k]);
                }
                t_bar
            }
            fn jvp(
                &self,
                at: Point<'_, T>,
                dot: Tangent<'_, T>,
                g_dot: &mut [T],
                scratch: &mut Self::Scratch,
            ) {
                let (dim, mut first) = (Diffusion::<T>::dim(self), 0);
                let column = &mut scratch.column[..at.y.len()];
                for (k, (d, theta)) in each(&self.0, at.theta).enumerate() {
                    let along = if dot.theta.is_empty() { &[] } else { &dot.theta[first..first + theta.len()] };
                    first += theta.len();
                    d.jvp(
                        Point { theta, ..at },
                        Tangent { theta: along, ..dot },
                        column,
                        &mut scratch.each[k],
                    );
                    place(column, g_dot, [dim, k, self.0.len()]);
                }
            }
            fn contraction(
                &self,
                at: Point<'_, T>,
                u: &[T],
                out: &mut [T],
                work: &mut [T],
                scratch: &mut Self::Scratch,
            ) {
                let (n, dim) = (at.y.len(), Diffusion::<T>::dim(self));
                let (column, product) = (&mut scratch.column[..n], &mut work[..n]);
                out.fill(T::zero());
                for (k, (d, theta)) in each(&self.0, at.theta).enumerate() {
                    take(u, column, [dim, k, self.0.len()]);
                    let along = Tangent { t: T::zero(), y: column, theta: &[] };
                    d.jvp(Point { theta, ..at }, along, product, &mut scratch.each[k]);
                    out.iter_mut().zip(&*product).for_each(|(out, p)| *out += *p);
                }
            }
            fn validate(&self) -> Result<()> {
                let dim = Diffusion::<T>::dim(self);
                if self.0.is_empty() {
                    return Err(Error::invalid("the columns of the diffusion", 0, "at least one is needed"));
                }
                for (k, d) in self.0.iter().enumerate() {
                    d.validate()?;
                    if d.dim() != dim {
                        let needed = format!("column 0 has {dim}: all need the same");
                        return Err(Error::invalid(format!("the rows of column {k}"), d.dim(), needed));
                    }
                }
                Ok(())
            }
            fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
                each(&self.0, at.theta).enumerate().find_map(|(k, (d, theta))| {
                    let part = d.locate_non_finite(Point { theta, ..at })?;
                    Some(format!("column {k} of the diffusion, {part}"))
                })
            }
        }
    };
}

columns!(
    /// Commutative noise from the columns of G.
    Commutative, NoiseClass::Commutative
);
columns!(
    /// General noise from the columns of G.
    General, NoiseClass::General
);

/// Scratch of a diffusion made of columns.
#[derive(Debug)]
pub struct Columns<T, S> {
    pub(super) each: Vec<S>,
    pub(super) column: Vec<T>,
}

/// The columns with their own parameters.
pub(super) fn each<'a, T: Real, D: Dynamics<T>>(
    columns: &'a [D],
    theta: &'a [T],
) -> impl Iterator<Item = (&'a D, &'a [T])> {
    let mut rest = theta;
    columns.iter().map(move |d| {
        let (own, after) = rest.split_at(d.num_params());
        rest = after;
        (d, own)
    })
}

/// Column k of m into G, path by path.
pub(super) fn place<T: Copy>(column: &[T], g: &mut [T], [dim, k, m]: [usize; 3]) {
    for (path, g) in column.chunks(dim).zip(g.chunks_mut(dim * m)) {
        g[k * dim..(k + 1) * dim].copy_from_slice(path);
    }
}

/// Row k of a state, the others zero.
pub(super) fn only<T: Real>(u: &[T], out: &mut [T], [dim, k]: [usize; 2]) {
    out.fill(T::zero());
    out.iter_mut().zip(u).skip(k).step_by(dim).for_each(|(out, u)| *out = *u);
}

/// Column k of m out of G.
pub(super) fn take<T: Copy>(g: &[T], column: &mut [T], [dim, k, m]: [usize; 3]) {
    for (path, g) in column.chunks_mut(dim).zip(g.chunks(dim * m)) {
        path.copy_from_slice(&g[k * dim..(k + 1) * dim]);
    }
}
