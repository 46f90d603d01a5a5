//! Operators made of operators: sums and shifts ([`Combination`]), products ([`Product`]), transposes
//! ([`Transposed`]), blocks ([`Block`]), and operators from closures ([`FromFn`]).
//!
//! Parts are taken by value or by reference, of any type that is a [`LinearOperator`]; the memory that
//! an application needs is allocated when the operator is made.
//!
//! ```
//! use odeon::linalg::{Csr, LinearOperator, compose::Combination};
//!
//! let laplacian = Csr::from_triplets([2, 2], &[(0, 0, -2.0), (0, 1, 1.0), (1, 0, 1.0), (1, 1, -2.0)])?;
//! let newton = Combination::new(-0.1, &laplacian)?.shift(1.0)?; // I − 0.1 L
//! let mut y = [0.0; 2];
//! newton.apply(&[1.0, 0.0], &mut y);
//! assert_eq!(y, [1.2, -0.1]);
//! # Ok::<(), odeon::Error>(())
//! ```

use super::op::LinearOperator;
use crate::error::{Error, Result};
use crate::num::Real;
use std::cell::RefCell;
use std::fmt;

/// An operator behind a box, as the composed ones hold their parts.
pub type Part<'a, T> = Box<dyn LinearOperator<T> + 'a>;

/// σI + Σₖ αₖ Aₖ.
pub struct Combination<'a, T> {
    shape: [usize; 2],
    terms: Vec<(T, Part<'a, T>)>,
    shift: T,
    scratch: RefCell<Vec<T>>,
}

impl<'a, T: Real> Combination<'a, T> {
    /// αA.
    ///
    /// # Errors
    /// A factor that is not finite.
    pub fn new(alpha: T, a: impl LinearOperator<T> + 'a) -> Result<Self> {
        let shape = [a.rows(), a.cols()];
        let scratch = RefCell::new(vec![T::zero(); shape[0].max(shape[1])]);
        Self { shape, terms: Vec::new(), shift: T::zero(), scratch }.plus(alpha, a)
    }

    /// With αA added.
    ///
    /// # Errors
    /// A factor that is not finite, a shape that differs from the first one's.
    pub fn plus(mut self, alpha: T, a: impl LinearOperator<T> + 'a) -> Result<Self> {
        Error::check_finite("the factor of an operator", &[alpha])?;
        if [a.rows(), a.cols()] != self.shape {
            let needed = format!("it must be {} × {} as the first one", self.shape[0], self.shape[1]);
            return Err(Error::invalid("an operator of the sum", shape_of(&a), needed));
        }
        self.terms.push((alpha, Box::new(a)));
        Ok(self)
    }

    /// With σI added.
    ///
    /// # Errors
    /// A shift that is not finite, operators that are not square.
    pub fn shift(mut self, sigma: T) -> Result<Self> {
        Error::check_finite("the shift of an operator", &[sigma])?;
        if self.shape[0] != self.shape[1] {
            return Err(Error::invalid("the shifted operator", shape_of(&self), "it must be square"));
        }
        self.shift += sigma;
        Ok(self)
    }

    /// `out` ← σ `x` + Σ αₖ · (what `part` makes of Aₖ and x).
    fn sum(&self, x: &[T], out: &mut [T], part: impl Fn(&dyn LinearOperator<T>, &[T], &mut [T])) {
        let mut scratch = self.scratch.borrow_mut();
        let scratch = &mut scratch[..out.len()];
        match self.shift == T::zero() {
            true => out.fill(T::zero()),
            false => out.iter_mut().zip(x).for_each(|(out, x)| *out = self.shift * *x),
        }
        for (alpha, a) in &self.terms {
            part(&**a, x, scratch);
            for (out, s) in out.iter_mut().zip(&*scratch) {
                *out += *alpha * *s;
            }
        }
    }
}

impl<T: Real> LinearOperator<T> for Combination<'_, T> {
    fn rows(&self) -> usize {
        self.shape[0]
    }
    fn cols(&self) -> usize {
        self.shape[1]
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        self.sum(x, y, |a, x, y| a.apply(x, y));
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        self.sum(y, x, |a, y, x| a.apply_transpose(y, x));
    }
    fn diagonal(&self) -> Option<Vec<T>> {
        let mut sum = vec![self.shift; self.shape[0]];
        for (alpha, a) in &self.terms {
            sum.iter_mut().zip(a.diagonal()?).for_each(|(sum, d)| *sum += *alpha * d);
        }
        Some(sum)
    }
}

/// A B.
pub struct Product<'a, T> {
    a: Part<'a, T>,
    b: Part<'a, T>,
    between: RefCell<Vec<T>>,
}

impl<'a, T: Real> Product<'a, T> {
    /// A B: B is applied first.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn new(a: impl LinearOperator<T> + 'a, b: impl LinearOperator<T> + 'a) -> Result<Self> {
        if a.cols() != b.rows() {
            let needed = format!("B must have {} rows, as many as A has columns", a.cols());
            return Err(Error::invalid("B in the product A B", shape_of(&b), needed));
        }
        let between = RefCell::new(vec![T::zero(); b.rows()]);
        Ok(Self { a: Box::new(a), b: Box::new(b), between })
    }
}

impl<T: Real> LinearOperator<T> for Product<'_, T> {
    fn rows(&self) -> usize {
        self.a.rows()
    }
    fn cols(&self) -> usize {
        self.b.cols()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        let mut between = self.between.borrow_mut();
        self.b.apply(x, &mut between);
        self.a.apply(&between, y);
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        let mut between = self.between.borrow_mut();
        self.a.apply_transpose(y, &mut between);
        self.b.apply_transpose(&between, x);
    }
}

/// Aᵀ.
#[derive(Clone, Copy, Debug)]
pub struct Transposed<A>(
    /// A.
    pub A,
);

impl<T: Real, A: LinearOperator<T>> LinearOperator<T> for Transposed<A> {
    fn rows(&self) -> usize {
        self.0.cols()
    }
    fn cols(&self) -> usize {
        self.0.rows()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        self.0.apply_transpose(x, y);
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        self.0.apply(y, x);
    }
    fn diagonal(&self) -> Option<Vec<T>> {
        self.0.diagonal()
    }
}

/// A matrix of operators; an absent one is 0. Vectors are the blocks' vectors, one after the other.
pub struct Block<'a, T> {
    blocks: Vec<Vec<Option<Part<'a, T>>>>,
    /// Where each block's rows and columns start; one more than blocks.
    starts: [Vec<usize>; 2],
    scratch: RefCell<Vec<T>>,
}

impl<'a, T: Real> Block<'a, T> {
    /// The operator of these blocks, row by row.
    ///
    /// # Errors
    /// No blocks, rows of different length, blocks of a row or column that differ in their extent, a
    /// row or column of which every block is absent.
    pub fn new(blocks: Vec<Vec<Option<Part<'a, T>>>>) -> Result<Self> {
        let width = blocks.first().map_or(0, Vec::len);
        if width == 0 {
            return Err(Error::invalid("the list of blocks", "empty", "it must hold at least one block"));
        }
        if let Some(i) = blocks.iter().position(|row| row.len() != width) {
            let given = format!("{} blocks long", blocks[i].len());
            return Err(Error::invalid(format!("block row {i}"), given, format!("row 0 has {width}")));
        }
        let mut extents = [vec![None; blocks.len()], vec![None; width]];
        for (i, row) in blocks.iter().enumerate() {
            for (j, block) in row.iter().enumerate().filter_map(|(j, b)| Some((j, b.as_ref()?))) {
                let [heights, widths] = &mut extents;
                for (known, own) in [(&mut heights[i], block.rows()), (&mut widths[j], block.cols())] {
                    let needed = *known.get_or_insert(own);
                    if needed != own {
                        let needed = format!("its row and column of blocks need an extent of {needed}");
                        return Err(Error::invalid(format!("block ({i}, {j})"), shape_of(&**block), needed));
                    }
                }
            }
        }
        let starts = [starts("block row", &extents[0])?, starts("block column", &extents[1])?];
        let longest = extents.iter().flatten().flatten().copied().max().unwrap_or(0);
        Ok(Self { blocks, starts, scratch: RefCell::new(vec![T::zero(); longest]) })
    }

    /// Calls `work` for every block that is there, with its range of rows and of columns.
    fn each(&self, mut work: impl FnMut(&dyn LinearOperator<T>, [std::ops::Range<usize>; 2])) {
        let range = |starts: &[usize], k: usize| starts[k]..starts[k + 1];
        for (i, row) in self.blocks.iter().enumerate() {
            for (j, block) in row.iter().enumerate().filter_map(|(j, b)| Some((j, b.as_ref()?))) {
                work(&**block, [range(&self.starts[0], i), range(&self.starts[1], j)]);
            }
        }
    }
}

/// The sums of the extents so far.
fn starts(what: &str, extents: &[Option<usize>]) -> Result<Vec<usize>> {
    let mut starts = vec![0];
    for (k, extent) in extents.iter().enumerate() {
        let Some(extent) = extent else {
            let needed = "one operator (a Combination with factor 0) must give its extent";
            return Err(Error::invalid(format!("{what} {k}"), "without operators", needed));
        };
        starts.push(starts[k] + extent);
    }
    Ok(starts)
}

impl<T: Real> LinearOperator<T> for Block<'_, T> {
    fn rows(&self) -> usize {
        self.starts[0].last().copied().unwrap_or(0)
    }
    fn cols(&self) -> usize {
        self.starts[1].last().copied().unwrap_or(0)
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        let mut scratch = self.scratch.borrow_mut();
        y.fill(T::zero());
        self.each(|block, [rows, cols]| {
            let scratch = &mut scratch[..rows.len()];
            block.apply_add(&x[cols], &mut y[rows], scratch);
        });
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        let mut scratch = self.scratch.borrow_mut();
        x.fill(T::zero());
        self.each(|block, [rows, cols]| {
            let scratch = &mut scratch[..cols.len()];
            block.apply_transpose(&y[rows], scratch);
            x[cols].iter_mut().zip(scratch).for_each(|(x, s)| *x += *s);
        });
    }
    fn diagonal(&self) -> Option<Vec<T>> {
        if self.starts[0] != self.starts[1] {
            return None;
        }
        let mut diagonal = vec![T::zero(); self.rows()];
        for (k, block) in self.blocks.iter().enumerate() {
            if let Some(block) = &block[k] {
                diagonal[self.starts[0][k]..self.starts[0][k + 1]].copy_from_slice(&block.diagonal()?);
            }
        }
        Some(diagonal)
    }
}

/// An operator from two closures, `(x, y)` ↦ `y` ← A `x` and `(y, x)` ↦ `x` ← Aᵀ `y`.
#[derive(Clone, Copy)]
pub struct FromFn<F, G> {
    shape: [usize; 2],
    apply: F,
    apply_transpose: G,
}

impl<F, G> FromFn<F, G> {
    /// A `rows × cols` operator. Each closure overwrites all of its second argument.
    pub fn new([rows, cols]: [usize; 2], apply: F, apply_transpose: G) -> Self {
        Self { shape: [rows, cols], apply, apply_transpose }
    }
}

impl<F: Clone> FromFn<F, F> {
    /// An `n × n` operator that is its own transpose.
    pub fn symmetric(n: usize, apply: F) -> Self {
        Self { shape: [n, n], apply: apply.clone(), apply_transpose: apply }
    }
}

impl<T: Real, F, G> LinearOperator<T> for FromFn<F, G>
where
    F: Fn(&[T], &mut [T]),
    G: Fn(&[T], &mut [T]),
{
    fn rows(&self) -> usize {
        self.shape[0]
    }
    fn cols(&self) -> usize {
        self.shape[1]
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        (self.apply)(x, y);
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        (self.apply_transpose)(y, x);
    }
}

fn shape_of<T: Real>(a: &(impl LinearOperator<T> + ?Sized)) -> String {
    format!("{} × {}", a.rows(), a.cols())
}

macro_rules! debug_shape {
    ($($name:ident),*) => {$(
        impl<T: Real> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), shape_of(self))
            }
        }
    )*};
}

debug_shape!(Combination, Product, Block);
