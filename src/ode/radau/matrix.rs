//! The linear systems of Radau IIA: S = h⁻¹A⁻¹ ⊗ M − I ⊗ J, taken apart by T into one real system of
//! the state's size and one complex, here a real one of twice the size:
//!
//! T⁻¹ S T = diag(γ̂/h M − J,  (α/h M − J, β/h M; −β/h M, α/h M − J)).
//!
//! One block of each for every column of a batch. They are factored densely, or sparse or banded by the
//! pattern of J and M: the complex system then has its two parts side by side, each entry a block of 2 × 2,
//! so that it has the pattern's band (twice) and fill. A complex LU would take half the operations of this
//! real form; the crate's LUs are over the reals.
//!
//! Krylov methods are refused: the complex system would need its own preconditioner.

use super::tableau::{GAMMA, PAIR, T, T_INVERSE};
use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point};
use crate::error::{Error, Result};
use crate::integrate::ImplicitWork;
use crate::linalg::{BandedLu, Budget, DenseLu, Pattern, SparseLu};
use crate::num::Real;
use crate::ode::implicit::{BlockSolver, ImplicitOptions, LinearChoice, add_mass, band, sparse_jacobian};

/// How the systems are factored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Dense,
    Sparse,
    Banded,
}

/// J, M and the factors of both systems.
pub(super) struct RadauMatrix<X: Real> {
    dim: usize,
    form: Form,
    budget: Budget,
    mass: Option<Mass<X>>,
    /// The entries of M (of I without one) in the layout of J's.
    mass_entries: Vec<X>,
    jacobians: Vec<Jacobian<X>>,
    block: Vec<X>,
    real: Vec<BlockSolver<X>>,
    pair: Vec<BlockSolver<X>>,
    work: Vec<X>,
    pub counts: ImplicitWork,
}

/// Memory for J, and how its systems are to be factored.
fn chosen<X: Real, D: Dynamics<X>>(
    dynamics: &D,
    options: &ImplicitOptions<X>,
) -> Result<(Jacobian<X>, Form)> {
    match &options.linear {
        LinearChoice::Auto => {
            let jacobian = Jacobian::of(dynamics)?;
            let form = match jacobian.pattern().map(band) {
                None => Form::Dense,
                Some((_, true)) => Form::Banded,
                Some(_) => Form::Sparse,
            };
            Ok((jacobian, form))
        }
        LinearChoice::DenseLu => Ok((Jacobian::dense(dynamics.dim()), Form::Dense)),
        LinearChoice::SparseLu => Ok((sparse_jacobian(dynamics)?, Form::Sparse)),
        LinearChoice::Banded => Ok((sparse_jacobian(dynamics)?, Form::Banded)),
        LinearChoice::Krylov(_) | LinearChoice::MatrixFree(_) | LinearChoice::Sequence(_) => {
            let needed = "Radau IIA factors its two systems: Auto, DenseLu, SparseLu or Banded. Krylov methods \
                          serve Esdirk54I8L2SA, Kvaerno5 and the other ESDIRK methods, KenCarp4 and Rodas5P";
            Err(Error::invalid("the linear solver of RadauIia5", format!("{:?}", options.linear), needed))
        }
    }
}

/// The pattern in which every entry of `p` is a full block of `size` × `size`.
pub(super) fn blocks(p: &Pattern, size: usize) -> Result<Pattern> {
    let n = p.rows() * size;
    let row = |i: usize| p.row(i / size).iter().flat_map(|&j| (0..size).map(move |s| j as usize * size + s));
    let rows: Vec<Vec<usize>> = (0..n).map(|i| row(i).collect()).collect();
    Pattern::from_rows([n, n], &rows)
}

/// A solver of `size` unknowns for each of J's, in this form.
pub(super) fn solver<X: Real>(
    jacobian: &Jacobian<X>,
    (form, size): (Form, usize),
    budget: Budget,
) -> Result<BlockSolver<X>> {
    let n = size * jacobian.dim();
    let Some(pattern) = jacobian.pattern() else {
        return Ok(BlockSolver::Dense(DenseLu::new(n)));
    };
    let pattern = blocks(pattern, size)?;
    if form == Form::Sparse {
        return Ok(BlockSolver::Sparse(Box::new(SparseLu::new(&pattern, budget)?)));
    }
    let [lower, upper] = pattern.bandwidth();
    let lu = BandedLu::new(n, [lower, upper], budget)?;
    Ok(BlockSolver::Banded(Box::new((lu, pattern, (2 * lower + upper + 2) * n))))
}

/// Writes `entry(k)`, k being a place in J's entries, for every (row, column) of a block of `size` ×
/// `size`, into the entries of [`solver`]'s matrix. The block's row is fixed.
#[inline(always)]
pub(super) fn fill<X: Real>(
    jacobian: &Jacobian<X>,
    (size, i): (usize, usize),
    entries: &mut [X],
    entry: impl Fn(usize, usize) -> X,
) {
    let dim = jacobian.dim();
    let Some(pattern) = jacobian.pattern() else {
        let rows = size * dim;
        for s in 0..size {
            for j in 0..dim {
                let column = &mut entries[(s * dim + j) * rows + i * dim..][..dim];
                column.iter_mut().enumerate().for_each(|(row, to)| *to = entry(j * dim + row, s));
            }
        }
        return;
    };
    for row in pattern.row_starts().windows(2) {
        let (start, length) = (row[0], row[1] - row[0]);
        let own = &mut entries[size * size * start + i * size * length..][..size * length];
        for (o, to) in own.chunks_exact_mut(size).enumerate() {
            to.iter_mut().enumerate().for_each(|(s, to)| *to = entry(start + o, s));
        }
    }
}

impl<X: Real> RadauMatrix<X> {
    pub fn new<D: Dynamics<X>>(dynamics: &D, batch: usize, options: &ImplicitOptions<X>) -> Result<Self> {
        dynamics.validate()?;
        let (dim, budget) = (dynamics.dim(), options.budget);
        let (jacobian, form) = chosen(dynamics, options)?;
        if form == Form::Dense {
            let numbers = (dim as u128).pow(2).saturating_mul(6 * batch as u128 + 5);
            let bytes = numbers.saturating_mul(size_of::<X>() as u128);
            budget.check(&format!("the dense systems of {batch} × {dim} unknowns"), bytes)?;
        }
        let mut mass_entries = vec![X::zero(); jacobian.values().len()];
        jacobian.shifted(X::one(), dynamics.mass(), X::zero(), &mut mass_entries);
        let solvers = |size| (0..batch).map(move |_| size);
        let make = |size| solver(&jacobian, (form, size), budget);
        let real = solvers(1).map(make).collect::<Result<_>>()?;
        let pair = solvers(2).map(make).collect::<Result<_>>()?;
        Ok(Self {
            dim,
            form,
            budget,
            mass: dynamics.mass().cloned(),
            block: vec![X::zero(); 4 * mass_entries.len()],
            mass_entries,
            jacobians: vec![jacobian; batch],
            real,
            pair,
            work: vec![X::zero(); 3 * dim],
            counts: ImplicitWork::default(),
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let factors: usize = self.real.iter().chain(&self.pair).map(BlockSolver::numbers).sum();
        let jacobians = self.mass_entries.len() * self.jacobians.len();
        let own = self.mass_entries.len() + jacobians + self.block.len() + self.work.len();
        (own + factors) * size_of::<X>()
    }

    /// How it factors, and within which memory.
    pub fn form(&self) -> (Form, Budget) {
        (self.form, self.budget)
    }

    /// J's memory, for whoever needs another one.
    pub fn jacobian(&self) -> Option<&Jacobian<X>> {
        self.jacobians.first()
    }

    /// M's entries (I's without one) in the layout of J's.
    pub fn mass_entries(&self) -> &[X] {
        &self.mass_entries
    }

    /// Evaluates J at `at`; false when it is not finite.
    pub fn evaluate<D: Dynamics<X>>(
        &mut self,
        dynamics: &D,
        at: Point<'_, X>,
        scratch: &mut D::Scratch,
    ) -> bool {
        self.counts.jacobians += 1;
        let mut finite = true;
        for (y, jacobian) in at.y.chunks_exact(self.dim).zip(&mut self.jacobians) {
            dynamics.jacobian(Point { y, ..at }, jacobian, scratch);
            finite &= jacobian.values().iter().all(|v| v.is_finite());
        }
        finite
    }

    /// Factors both systems for step size h; false when one is singular.
    pub fn factor(&mut self, h: X) -> bool {
        self.counts.factorisations += 1;
        let [gamma, alpha, beta] = [GAMMA, PAIR[0], PAIR[1]].map(|x| X::of(x) / h);
        let Self { jacobians, real, pair, block, mass_entries: mass, .. } = self;
        for ((jacobian, real), pair) in jacobians.iter().zip(real).zip(pair) {
            let j = jacobian.values();
            fill(jacobian, (1, 0), block, |k, _| gamma * mass[k] - j[k]);
            if !real.factor(jacobian, &block[..j.len()]) {
                return false;
            }
            let diagonal = |k: usize| alpha * mass[k] - j[k];
            fill(jacobian, (2, 0), block, |k, s| if s == 0 { diagonal(k) } else { beta * mass[k] });
            fill(jacobian, (2, 1), block, |k, s| if s == 1 { diagonal(k) } else { -beta * mass[k] });
            if !pair.factor(jacobian, block) {
                return false;
            }
        }
        true
    }

    /// `x` ← (γ̂/h M − J)⁻¹ `x`, or by its transpose.
    pub fn solve_real(&mut self, x: &mut [X], transposed: bool) {
        self.counts.linear_solves += 1;
        for (x, lu) in x.chunks_exact_mut(self.dim).zip(&mut self.real) {
            lu.solve(x, transposed);
        }
    }

    /// `x` ← S⁻¹ `x` for three states, one after the other; or S⁻ᵀ `x`.
    #[inline(always)]
    pub fn solve(&mut self, x: &mut [X], transposed: bool) {
        self.counts.linear_solves += 1;
        let (dim, n) = (self.dim, x.len() / 3);
        let [into, back] = if transposed { [&T, &T_INVERSE] } else { [&T_INVERSE, &T] };
        let place = place(self.form, dim);
        for (column, (real, pair)) in self.real.iter_mut().zip(&mut self.pair).enumerate() {
            let work = &mut self.work[..3 * dim];
            for i in 0..dim {
                let at = column * dim + i;
                let three = [x[at], x[n + at], x[2 * n + at]];
                for (s, value) in mix(into, transposed, three).into_iter().enumerate() {
                    work[place(s, i)] = value;
                }
            }
            let (one, two) = work.split_at_mut(dim);
            real.solve(one, transposed);
            pair.solve(two, transposed);
            for i in 0..dim {
                let at = column * dim + i;
                let three = [work[i], work[place(1, i)], work[place(2, i)]];
                for (s, value) in mix(back, transposed, three).into_iter().enumerate() {
                    x[s * n + at] = value;
                }
            }
        }
    }

    /// `y` += `scale` · M `x`, or Mᵀ `x`, for any number of states.
    #[inline(always)]
    pub fn add_mass(&self, scale: X, x: &[X], y: &mut [X], transposed: bool) {
        add_mass(self.mass.as_ref(), scale, x, y, transposed);
    }
}

/// Where entry i of the system's real part (s = 0) and of the pair (1 and 2) lie in the work space.
#[inline(always)]
fn place(form: Form, dim: usize) -> impl Fn(usize, usize) -> usize {
    move |s, i| if s > 0 && form != Form::Dense { dim + 2 * i + s - 1 } else { s * dim + i }
}

/// M x, or Mᵀ x.
#[inline(always)]
pub(super) fn mix<X: Real>(m: &[[f64; 3]; 3], transposed: bool, x: [X; 3]) -> [X; 3] {
    std::array::from_fn(|i| {
        let entry = |j: usize| X::of(if transposed { m[j][i] } else { m[i][j] });
        entry(2).mul_add(x[2], entry(1).mul_add(x[1], entry(0) * x[0]))
    })
}
