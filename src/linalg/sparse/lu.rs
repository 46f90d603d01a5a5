//! [`SparseLu`]: multifrontal LU with a fixed order, refactored for new values.

use super::front::{SmallPivot, eliminate, extend_add};
use super::general::GeneralLu;
use super::symbolic::{Supernode, Symbolic, analyse};
use crate::error::{Error, Result};
use crate::linalg::dense::{axpy, dot};
use crate::linalg::{Budget, Csr, Factors, Pattern};
use crate::num::{Kernel, Real, dispatch};

/// P A Pᵀ = L U of a sparse matrix.
///
/// [`new`](Self::new) analyses the pattern of A + Aᵀ once: an approximate minimum degree order, the
/// elimination tree, groups of columns of equal structure. [`factor`](Self::factor) eliminates each
/// group in a dense front (multifrontal), exchanging rows inside the group only, and allocates
/// nothing. That suits matrices whose diagonal is worth something, as I − γhJ of an implicit step and
/// discretised PDEs; where a pivot falls below 10⁻³ of its column, faer's LU with exchanges anywhere
/// takes over, for good ([`is_general`](Self::is_general) tells).
///
/// Sources: Duff & Reid, *ACM TOMS* 9 (1983) 302–325; Davis, *Direct Methods for Sparse Linear
/// Systems* (2006).
///
/// ```
/// use odeon::linalg::{Budget, Csr, SparseLu};
///
/// let a = Csr::from_triplets([2, 2], &[(0, 0, 2.0), (0, 1, 1.0), (1, 1, 4.0)])?;
/// let mut lu = SparseLu::of(&a, Budget::default())?;
/// let mut x = [4.0, 8.0];
/// lu.solve(&mut x);
/// assert_eq!(x, [1.0, 2.0]);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SparseLu<T: Real> {
    pattern: Pattern,
    symbolic: Symbolic,
    numeric: Numeric<T>,
    general: Option<Box<GeneralLu<T>>>,
    budget: Budget,
}

#[derive(Clone, Debug)]
struct Numeric<T> {
    /// Of each supernode: its f × k columns of L (and U₁₁), then its U₁₂ by rows, each of length f − k.
    factors: Vec<T>,
    inverse: Vec<T>,
    swaps: Vec<u32>,
    front: Vec<T>,
    stack: Vec<T>,
    /// The vector of a solve, in the new order, and a front's part of it.
    x: Vec<T>,
    part: Vec<T>,
}

impl<T: Real> SparseLu<T> {
    /// Analyses `pattern` and allocates, if that keeps the budget.
    ///
    /// # Errors
    /// A pattern that is empty or not square; factors that exceed the budget (symbolic count of their
    /// entries; nothing is allocated for them then).
    pub fn new(pattern: &Pattern, budget: Budget) -> Result<Self> {
        let n = pattern.rows();
        if n != pattern.cols() || n == 0 {
            let given = format!("{} × {}", n, pattern.cols());
            return Err(Error::invalid("the pattern", given, "it must be square and not empty"));
        }
        if u32::try_from(pattern.nnz()).is_err() {
            return Err(Error::invalid("the entries", pattern.nnz(), "at most 2³² − 1 are supported"));
        }
        let symbolic = analyse(pattern)?;
        let [factors, front, stack] = [symbolic.len_factors(), symbolic.len_front(), symbolic.len_stack()];
        let bytes = (factors + front + stack + 3 * n) as u128 * size_of::<T>() as u128;
        budget.check(&format!("a sparse LU of {n} unknowns"), bytes)?;
        let zeros = |n| vec![T::zero(); n];
        let numeric = Numeric {
            factors: zeros(factors),
            inverse: zeros(n),
            swaps: vec![0; n],
            front: zeros(front),
            stack: zeros(stack),
            x: zeros(n),
            part: zeros(symbolic.nodes.iter().map(Supernode::size).max().unwrap_or(0)),
        };
        Ok(Self { pattern: pattern.clone(), symbolic, numeric, general: None, budget })
    }

    /// The factors of `a`.
    ///
    /// # Errors
    /// As [`new`](Self::new) and [`factor`](Self::factor).
    pub fn of(a: &Csr<T>, budget: Budget) -> Result<Self> {
        let mut lu = Self::new(&Pattern::of(a), budget)?;
        lu.factor(a.values())?;
        Ok(lu)
    }

    /// n.
    pub fn len(&self) -> usize {
        self.symbolic.order.len()
    }

    /// Whether n = 0 (it never is).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The analysed pattern, in whose order values are given.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Entries of L and U, the zeros that grouping brings in included.
    pub fn nnz_factors(&self) -> usize {
        self.symbolic.len_factors()
    }

    /// Multiply–adds of a factorisation.
    pub fn flops(&self) -> f64 {
        self.symbolic.flops()
    }

    /// Whether a small pivot was met, so that faer's LU with exchanges anywhere is used.
    pub fn is_general(&self) -> bool {
        self.general.is_some()
    }

    /// Factors the matrix with these values in the analysed pattern.
    ///
    /// # Errors
    /// A wrong number of values, one that is not finite, a singular matrix. The factors are then
    /// useless until the next success.
    pub fn factor(&mut self, values: &[T]) -> Result<()> {
        Error::check_len(
            "the values",
            values.len(),
            self.pattern.nnz(),
            "one for each entry of the pattern",
        )?;
        Error::check_finite("the matrix's values", values)?;
        if self.general.is_none() {
            let (symbolic, numeric) = (&self.symbolic, &mut self.numeric);
            if dispatch(Factor { symbolic, numeric, values }).is_ok() {
                return Ok(());
            }
            // Exchanges fill in: faer does not bound it, so twice the entries are counted.
            let bytes = 2 * self.nnz_factors() as u128 * size_of::<T>() as u128;
            self.budget.check("a sparse LU with exchanges anywhere", bytes)?;
            self.general = Some(Box::new(GeneralLu::new(&self.pattern)?));
        }
        match &mut self.general {
            Some(general) => general.factor(values),
            None => Ok(()),
        }
    }

    /// `x` ← A⁻¹ `x`.
    pub fn solve(&mut self, x: &mut [T]) {
        match &mut self.general {
            Some(general) => general.solve(x),
            None => {
                dispatch(Solve { symbolic: &self.symbolic, numeric: &mut self.numeric, x, turned: false })
            }
        }
    }

    /// `x` ← A⁻ᵀ `x`.
    pub fn solve_transpose(&mut self, x: &mut [T]) {
        match &mut self.general {
            Some(general) => general.solve_transpose(x),
            None => dispatch(Solve { symbolic: &self.symbolic, numeric: &mut self.numeric, x, turned: true }),
        }
    }
}

impl<T: Real> Factors<T> for SparseLu<T> {
    fn len(&self) -> usize {
        Self::len(self)
    }
    fn solve(&mut self, x: &mut [T]) {
        Self::solve(self, x);
    }
    fn solve_transpose(&mut self, x: &mut [T]) {
        Self::solve_transpose(self, x);
    }
}

struct Factor<'a, T> {
    symbolic: &'a Symbolic,
    numeric: &'a mut Numeric<T>,
    values: &'a [T],
}

impl<T: Real> Kernel for Factor<'_, T> {
    type Output = std::result::Result<(), SmallPivot>;
    #[inline(always)]
    fn run(self) -> Self::Output {
        let Self { symbolic, numeric, values } = self;
        let Numeric { factors, inverse, swaps, front, stack, .. } = numeric;
        let (mut height, mut rest) = (0, &mut factors[..]);
        for s in &symbolic.nodes {
            let (f, k) = (s.size(), s.pivots);
            let front = &mut front[..f * f];
            front.fill(T::zero());
            for &[entry, place] in &s.entries {
                front[place as usize] = values[entry as usize];
            }
            for &c in s.children.iter().rev() {
                let child = &symbolic.nodes[c as usize];
                let m = child.rows.len();
                height -= m * m;
                extend_add(child, &stack[height..height + m * m], f, front);
            }
            let pivots = s.first..s.first + k;
            eliminate(f, k, front, &mut inverse[pivots.clone()], &mut swaps[pivots])?;
            let (lower, after) = rest.split_at_mut(f * k);
            let (upper, after) = after.split_at_mut(k * (f - k));
            rest = after;
            lower.copy_from_slice(&front[..f * k]);
            for (c, column) in front[f * k..].chunks_exact(f).enumerate() {
                for (r, &u) in column[..k].iter().enumerate() {
                    upper[r * (f - k) + c] = u;
                }
                stack[height..height + f - k].copy_from_slice(&column[k..]);
                height += f - k;
            }
        }
        Ok(())
    }
}

struct Solve<'a, T> {
    symbolic: &'a Symbolic,
    numeric: &'a mut Numeric<T>,
    x: &'a mut [T],
    turned: bool,
}

impl<T: Real> Kernel for Solve<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { symbolic, numeric, x, turned } = self;
        let Numeric { factors, inverse, swaps, x: w, part, .. } = numeric;
        for (w, &i) in w.iter_mut().zip(&symbolic.order) {
            *w = x[i as usize];
        }
        let mut from = 0;
        for s in &symbolic.nodes {
            let (lower, upper) = blocks(s, factors, from);
            let front = Front { s, lower, upper, inverse, swaps };
            if turned {
                front.forward_turned(w, part)
            } else {
                front.forward(w, part)
            }
            from += lower.len() + upper.len();
        }
        for s in symbolic.nodes.iter().rev() {
            from -= s.pivots * (s.size() + s.rows.len());
            let (lower, upper) = blocks(s, factors, from);
            let front = Front { s, lower, upper, inverse, swaps };
            if turned { front.backward_turned(w, part) } else { front.backward(w, part) }
        }
        for (w, &i) in w.iter().zip(&symbolic.order) {
            x[i as usize] = *w;
        }
    }
}

#[inline(always)]
fn blocks<'a, T>(s: &Supernode, factors: &'a [T], from: usize) -> (&'a [T], &'a [T]) {
    let (f, k) = (s.size(), s.pivots);
    factors[from..from + k * (2 * f - k)].split_at(f * k)
}

/// The factors of one supernode.
struct Front<'a, T> {
    s: &'a Supernode,
    lower: &'a [T],
    upper: &'a [T],
    inverse: &'a [T],
    swaps: &'a [u32],
}

impl<T: Real> Front<'_, T> {
    /// x₁ ← L₁₁⁻¹ P x₁, x₂ ← x₂ − L₂₁ x₁.
    #[inline(always)]
    fn forward(&self, x: &mut [T], part: &mut [T]) {
        let (f, k, first) = (self.s.size(), self.s.pivots, self.s.first);
        let part = &mut part[..f];
        let (top, bottom) = x.split_at_mut(first + k);
        let own = &mut top[first..];
        for (j, &p) in self.swaps[first..first + k].iter().enumerate() {
            own.swap(j, p as usize);
        }
        part[..k].copy_from_slice(own);
        part[k..].fill(T::zero());
        for (j, column) in self.lower.chunks_exact(f).enumerate() {
            axpy(-part[j], &column[j + 1..], &mut part[j + 1..]);
        }
        own.copy_from_slice(&part[..k]);
        for (&v, &i) in part[k..].iter().zip(&self.s.rows) {
            bottom[i as usize - first - k] += v;
        }
    }

    /// x₁ ← U₁₁⁻¹ (x₁ − U₁₂ x₂).
    #[inline(always)]
    fn backward(&self, x: &mut [T], part: &mut [T]) {
        let (f, k, first) = (self.s.size(), self.s.pivots, self.s.first);
        let part = self.gather(x, part);
        let own = &mut x[first..first + k];
        for (own, row) in own.iter_mut().zip(self.upper.chunks_exact((f - k).max(1))) {
            *own -= dot(row, part);
        }
        for j in (0..k).rev() {
            own[j] *= self.inverse[first + j];
            let (above, at) = own.split_at_mut(j);
            axpy(-at[0], &self.lower[j * f..j * f + j], above);
        }
    }

    /// x₁ ← U₁₁⁻ᵀ x₁, x₂ ← x₂ − U₁₂ᵀ x₁.
    #[inline(always)]
    fn forward_turned(&self, x: &mut [T], part: &mut [T]) {
        let (f, k, first) = (self.s.size(), self.s.pivots, self.s.first);
        let part = &mut part[..f - k];
        part.fill(T::zero());
        let own = &mut x[first..first + k];
        for j in 0..k {
            own[j] = (own[j] - dot(&self.lower[j * f..j * f + j], &own[..j])) * self.inverse[first + j];
            axpy(-own[j], &self.upper[j * (f - k)..(j + 1) * (f - k)], part);
        }
        for (&v, &i) in part.iter().zip(&self.s.rows) {
            x[i as usize] += v;
        }
    }

    /// x₁ ← Pᵀ L₁₁⁻ᵀ (x₁ − L₂₁ᵀ x₂).
    #[inline(always)]
    fn backward_turned(&self, x: &mut [T], part: &mut [T]) {
        let (f, k, first) = (self.s.size(), self.s.pivots, self.s.first);
        let part = self.gather(x, part);
        let own = &mut x[first..first + k];
        for j in (0..k).rev() {
            let column = &self.lower[j * f..(j + 1) * f];
            own[j] -= dot(&column[k..], part) + dot(&column[j + 1..k], &own[j + 1..]);
        }
        for (j, &p) in self.swaps[first..first + k].iter().enumerate().rev() {
            own.swap(j, p as usize);
        }
    }

    /// x₂.
    #[inline(always)]
    fn gather<'b>(&self, x: &[T], part: &'b mut [T]) -> &'b [T] {
        let part = &mut part[..self.s.rows.len()];
        for (v, &i) in part.iter_mut().zip(&self.s.rows) {
            *v = x[i as usize];
        }
        part
    }
}
