//! The linear systems of Radau IIA: S = h⁻¹A⁻¹ ⊗ M − I ⊗ J, taken apart by T into one real system of
//! the state's size and one complex, here a real one of twice the size:
//!
//! T⁻¹ S T = diag(γ̂/h M − J,  (α/h M − J, β/h M; −β/h M, α/h M − J)).
//!
//! Dense, one block for each column of a batch.

use super::tableau::{GAMMA, PAIR, T, T_INVERSE};
use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Point};
use crate::error::Result;
use crate::integrate::ImplicitWork;
use crate::linalg::DenseLu;
use crate::num::Real;
use crate::ode::implicit::ImplicitOptions;

/// J, M and the factors of both systems.
pub(super) struct RadauMatrix<X> {
    dim: usize,
    /// M of one column, column-major; empty for the identity.
    mass: Vec<X>,
    jacobians: Vec<Jacobian<X>>,
    block: Vec<X>,
    real: Vec<DenseLu<X>>,
    pair: Vec<DenseLu<X>>,
    work: Vec<X>,
    pub counts: ImplicitWork,
}

impl<X: Real> RadauMatrix<X> {
    pub fn new<D: Dynamics<X>>(dynamics: &D, batch: usize, options: &ImplicitOptions<X>) -> Result<Self> {
        let dim = dynamics.dim();
        let numbers = (dim as u128).pow(2).saturating_mul(6 * batch as u128 + 5);
        let bytes = numbers.saturating_mul(size_of::<X>() as u128);
        options.budget.check(&format!("the dense systems of {batch} × {dim} unknowns"), bytes)?;
        dynamics.validate()?;
        let zeros = |n| vec![X::zero(); n];
        Ok(Self {
            dim,
            mass: dynamics.mass().map(dense).unwrap_or_default(),
            jacobians: vec![Jacobian::dense(dim); batch],
            block: zeros(4 * dim * dim),
            real: vec![DenseLu::new(dim); batch],
            pair: vec![DenseLu::new(2 * dim); batch],
            work: zeros(3 * dim),
            counts: ImplicitWork::default(),
        })
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let factors = 5 * self.dim * self.dim * self.real.len();
        let jacobians = self.dim * self.dim * self.real.len();
        let own = self.mass.len() + jacobians + self.block.len() + self.work.len();
        (own + factors) * size_of::<X>()
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

    /// M's entry at (i, j).
    pub fn mass_entry(&self, i: usize, j: usize) -> X {
        match self.mass.is_empty() {
            true => X::of(f64::from(u8::from(i == j))),
            false => self.mass[j * self.dim + i],
        }
    }

    /// Factors both systems for step size h; false when one is singular.
    pub fn factor(&mut self, h: X) -> bool {
        let dim = self.dim;
        self.counts.factorisations += 1;
        let [gamma, alpha, beta] = [GAMMA, PAIR[0], PAIR[1]].map(|x| X::of(x) / h);
        for column in 0..self.real.len() {
            let mut block = std::mem::take(&mut self.block);
            let jacobian = self.jacobians[column].values();
            for j in 0..dim {
                for i in 0..dim {
                    block[j * dim + i] = gamma * self.mass_entry(i, j) - jacobian[j * dim + i];
                }
            }
            let real = self.real[column].factor(&block[..dim * dim]).is_ok();
            for j in 0..dim {
                for i in 0..dim {
                    let mass = self.mass_entry(i, j);
                    let diagonal = alpha * mass - jacobian[j * dim + i];
                    block[j * 2 * dim + i] = diagonal;
                    block[(j + dim) * 2 * dim + i + dim] = diagonal;
                    block[(j + dim) * 2 * dim + i] = beta * mass;
                    block[j * 2 * dim + i + dim] = -beta * mass;
                }
            }
            let pair = self.pair[column].factor(&block).is_ok();
            self.block = block;
            if !(real && pair) {
                return false;
            }
        }
        true
    }

    /// `x` ← (γ̂/h M − J)⁻¹ `x`, or by its transpose.
    pub fn solve_real(&mut self, x: &mut [X], transposed: bool) {
        self.counts.linear_solves += 1;
        for (x, lu) in x.chunks_exact_mut(self.dim).zip(&self.real) {
            if transposed { lu.solve_transpose(x) } else { lu.solve(x) }
        }
    }

    /// `x` ← S⁻¹ `x` for three states, one after the other; or S⁻ᵀ `x`.
    #[inline(always)]
    pub fn solve(&mut self, x: &mut [X], transposed: bool) {
        self.counts.linear_solves += 1;
        let (dim, n) = (self.dim, x.len() / 3);
        let [into, back] = if transposed { [&T, &T_INVERSE] } else { [&T_INVERSE, &T] };
        for (column, (real, pair)) in self.real.iter().zip(&self.pair).enumerate() {
            let work = &mut self.work[..3 * dim];
            for i in 0..dim {
                let at = column * dim + i;
                let three = [x[at], x[n + at], x[2 * n + at]];
                for (s, value) in mix(into, transposed, three).into_iter().enumerate() {
                    work[s * dim + i] = value;
                }
            }
            let (one, two) = work.split_at_mut(dim);
            if transposed {
                real.solve_transpose(one);
                pair.solve_transpose(two);
            } else {
                real.solve(one);
                pair.solve(two);
            }
            for i in 0..dim {
                let at = column * dim + i;
                let three = [work[i], work[dim + i], work[2 * dim + i]];
                for (s, value) in mix(back, transposed, three).into_iter().enumerate() {
                    x[s * n + at] = value;
                }
            }
        }
    }

    /// `y` += `scale` · M `x`, or Mᵀ `x`, for any number of states.
    #[inline(always)]
    pub fn add_mass(&self, scale: X, x: &[X], y: &mut [X], transposed: bool) {
        if self.mass.is_empty() {
            for (y, x) in y.iter_mut().zip(x) {
                *y = scale.mul_add(*x, *y);
            }
            return;
        }
        let dim = self.dim;
        for (x, y) in x.chunks_exact(dim).zip(y.chunks_exact_mut(dim)) {
            for j in 0..dim {
                for i in 0..dim {
                    let entry = scale * self.mass[j * dim + i];
                    let (to, from) = if transposed { (j, i) } else { (i, j) };
                    y[to] = entry.mul_add(x[from], y[to]);
                }
            }
        }
    }
}

/// M x, or Mᵀ x.
#[inline(always)]
pub(super) fn mix<X: Real>(m: &[[f64; 3]; 3], transposed: bool, x: [X; 3]) -> [X; 3] {
    std::array::from_fn(|i| {
        let entry = |j: usize| X::of(if transposed { m[j][i] } else { m[i][j] });
        entry(2).mul_add(x[2], entry(1).mul_add(x[1], entry(0) * x[0]))
    })
}

/// M, column-major.
fn dense<X: Real>(mass: &Mass<X>) -> Vec<X> {
    let n = mass.len();
    let (mut unit, mut m) = (vec![X::zero(); n], vec![X::zero(); n * n]);
    for j in 0..n {
        unit[j] = X::one();
        mass.apply(&unit, &mut m[j * n..(j + 1) * n]);
        unit[j] = X::zero();
    }
    m
}
