//! [`RosenbrockTableau`]: a Rosenbrock method as data, in the form that is stepped (Hairer & Wanner II,
//! IV.7, eq. 7.25), and what its order conditions need ([`Coefficients`]).
//!
//! Stage i = 0..s, with J = ∂f/∂y and f_t = ∂f/∂t at (t, y):
//!
//! (M/(hγ) − J) u_i = f(t + c_i h, y + Σ_{j<i} a_ij u_j) + (M/h) Σ_{j<i} C_ij u_j + h d_i f_t,
//! y⁺ = y + Σ m_i u_i,  ũ = Σ e_i u_i,  y(t + ϑh) = y + Σ w_i(ϑ) u_i.
//!
//! The textbook's stages are k with u = hΓk, Γ⁻¹ = diag(1/γ) − C. They are derivatives, k_i ≈ y', and
//! α = aΓ, b = Γᵀm: M k_i = f(t + c_i h, y + h Σ α_ij k_j) + hJ Σ_{j≤i} Γ_ij k_j + h d_i f_t,
//! y⁺ = y + h Σ b_i k_i. Heuristics and dense output see k.

use crate::error::{Error, Result};
use crate::ode::tableau::Row;
use crate::ode::trees::RootedTrees;
use std::borrow::Cow;

/// A Rosenbrock method: coefficients, error weights, dense output and facts about it.
#[derive(Clone, Debug, PartialEq)]
pub struct RosenbrockTableau {
    /// The method's usual name.
    pub name: &'static str,
    /// Order of the advancing solution.
    pub order: usize,
    /// Order of the embedded solution y⁺ − ũ.
    pub embedded_order: usize,
    /// γ > 0.
    pub gamma: f64,
    /// c_i, the sums of the rows of α.
    pub c: Row,
    /// d_i, the sums of the rows of Γ.
    pub d: Row,
    /// Rows of a: row i has i entries.
    pub a: Cow<'static, [Row]>,
    /// Rows of C: row i has i entries.
    pub coupling: Cow<'static, [Row]>,
    /// m.
    pub m: Row,
    /// e.
    pub error: Row,
    /// Order of the dense output.
    pub dense_order: usize,
    /// For every stage the coefficients of ϑ¹, ϑ², … in w_i(ϑ).
    pub dense: Cow<'static, [Row]>,
    /// Whether the embedded solution is the argument of the last stage, and its stage the error: a_s = m − e,
    /// e_s = m_s.
    pub stiffly_accurate: bool,
    /// Two stages with equal c and equal d, whose quotient ‖k_j − k_i‖/‖h Σ (β_jl − β_il) k_l‖,
    /// β = α + Γ, estimates ‖J‖ along their difference.
    pub stiffness: Option<(usize, usize)>,
}

/// The coefficients of the stages k.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficients {
    /// α, strictly lower triangular.
    pub alpha: Vec<Vec<f64>>,
    /// Γ, lower triangular with diagonal γ.
    pub gamma: Vec<Vec<f64>>,
    /// Γ⁻¹.
    pub inverse: Vec<Vec<f64>>,
    /// b.
    pub b: Vec<f64>,
    /// b − b̂.
    pub error: Vec<f64>,
    /// For every stage the coefficients of ϑ¹, ϑ², … in b_i(ϑ).
    pub dense: Vec<Vec<f64>>,
}

impl RosenbrockTableau {
    /// Number of stages s.
    pub fn stages(&self) -> usize {
        self.m.len()
    }

    /// The coefficients of the stages k, computed from the stored ones.
    pub fn coefficients(&self) -> Coefficients {
        let s = self.stages();
        let inverse = square(s, |i, j| match j {
            j if j < i => -self.coupling[i][j],
            j if j == i => 1.0 / self.gamma,
            _ => 0.0,
        });
        let mut gamma = square(s, |_, _| 0.0);
        #[allow(clippy::needless_range_loop)] // A triangular inverse: both indices are meant.
        for j in 0..s {
            for i in j..s {
                let below: f64 = (j..i).map(|l| inverse[i][l] * gamma[l][j]).sum();
                gamma[i][j] = (f64::from(u8::from(i == j)) - below) * self.gamma;
            }
        }
        let alpha = square(s, |i, j| (0..i).map(|l| self.a[i][l] * gamma[l][j]).sum());
        let row = |w: &dyn Fn(usize) -> f64| -> Vec<f64> {
            (0..s).map(|j| (j..s).map(|i| w(i) * gamma[i][j]).sum()).collect()
        };
        let degree = self.dense.first().map_or(0, |row| row.len());
        let powers: Vec<Vec<f64>> = (0..degree).map(|p| row(&|i| self.dense[i][p])).collect();
        Coefficients {
            b: row(&|i| self.m[i]),
            error: row(&|i| self.error[i]),
            dense: (0..s).map(|i| powers.iter().map(|p| p[i]).collect()).collect(),
            alpha,
            inverse,
            gamma,
        }
    }

    /// Checks everything the struct claims, each condition to `tolerance` times its rounding scale: the
    /// sums c and d; the order conditions of b, of b − b̃ and of the dense weights as polynomials in ϑ;
    /// continuity, w_i(1) = m_i; equal c and d of the stiffness pair.
    ///
    /// The conditions are those of Runge–Kutta methods, Σ b_i φ_i(t) = 1/γ(t), where a vertex with one
    /// branch takes β = α + Γ and any other α (Hairer & Wanner II, theorem IV.7.4).
    ///
    /// # Errors
    /// The first claim that does not hold.
    pub fn check_to(&self, tolerance: f64) -> Result<()> {
        let (s, k) = (self.stages(), self.coefficients());
        let rows = [("a", &self.a), ("coupling", &self.coupling), ("dense", &self.dense)];
        for (what, rows) in rows {
            Error::check_len("the rows of a Rosenbrock tableau", rows.len(), s, what)?;
        }
        for i in 0..s {
            self.sums(i, &k, tolerance)?;
        }
        let order = self.order.max(self.embedded_order).max(self.dense_order);
        let weights = Weights::new(&k, order);
        weights.check(self.name, "b", &|i| k.b[i], self.order, tolerance)?;
        weights.check(self.name, "b − error", &|i| k.b[i] - k.error[i], self.embedded_order, tolerance)?;
        let degree = self.dense[0].len();
        for p in 1..=degree {
            weights.check_power(self.name, (p, self.dense_order), &|i| k.dense[i][p - 1], tolerance)?;
        }
        for i in 0..s {
            let end: f64 = self.dense[i].iter().sum();
            let scale: f64 = self.dense[i].iter().map(|w| w.abs()).sum();
            self.near(format!("w_{i}(1)"), end, self.m[i], tolerance * (scale + 1.0))?;
        }
        for j in 0..s {
            let last = self.a[s - 1].get(j).copied().unwrap_or(0.0);
            let argument = self.m[j] - self.error[j];
            if self.stiffly_accurate {
                self.near(format!("a of the last stage, {j},"), last, argument, tolerance)?;
            }
        }
        let Some((i, j)) = self.stiffness else {
            return Ok(());
        };
        self.near("d of the stiffness pair".into(), self.d[j], self.d[i], tolerance)?;
        self.near("c of the stiffness pair".into(), self.c[j], self.c[i], tolerance)
    }

    fn sums(&self, i: usize, k: &Coefficients, tolerance: f64) -> Result<()> {
        for (name, sum, value) in [("c", &k.alpha[i], self.c[i]), ("d", &k.gamma[i], self.d[i])] {
            let scale: f64 = sum.iter().map(|x| x.abs()).sum::<f64>() + 1.0;
            self.near(format!("{name}[{i}]"), value, sum.iter().sum(), tolerance * scale)?;
        }
        Ok(())
    }

    fn near(&self, what: String, given: f64, wanted: f64, tolerance: f64) -> Result<()> {
        if (given - wanted).abs() <= tolerance {
            return Ok(());
        }
        Err(Error::invalid(format!("{what} of {}", self.name), given, format!("it must be {wanted}")))
    }
}

fn square(s: usize, entry: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    (0..s).map(|i| (0..s).map(|j| entry(i, j)).collect()).collect()
}

/// φ_i(t) of every tree and stage, with the same recursion over absolute values.
struct Weights {
    trees: RootedTrees,
    phi: Vec<Vec<[f64; 2]>>,
}

impl Weights {
    fn new(k: &Coefficients, order: usize) -> Self {
        let (trees, s) = (RootedTrees::up_to(order), k.b.len());
        let mut phi: Vec<Vec<[f64; 2]>> = Vec::new();
        for tree in trees.trees() {
            let mut branches = Vec::new();
            let mut at = tree.product;
            while let Some((trunk, branch)) = at {
                branches.push(branch);
                at = trees.trees()[trunk].product;
            }
            let single = branches.len() == 1;
            let entry = |i: usize, j: usize| k.alpha[i][j] + if single { k.gamma[i][j] } else { 0.0 };
            let stage = |i: usize| {
                branches.iter().fold([1.0, 1.0], |[value, scale], &b| {
                    let sum = (0..s).fold([0.0, 0.0], |[v, m], j| {
                        let size = k.alpha[i][j].abs() + if single { k.gamma[i][j].abs() } else { 0.0 };
                        [v + entry(i, j) * phi[b][j][0], m + size * phi[b][j][1]]
                    });
                    [value * sum[0], scale * sum[1]]
                })
            };
            let row = (0..s).map(stage).collect();
            phi.push(row);
        }
        Self { trees, phi }
    }

    fn check(
        &self,
        name: &str,
        what: &str,
        w: &dyn Fn(usize) -> f64,
        order: usize,
        tolerance: f64,
    ) -> Result<()> {
        for (k, tree) in self.trees.trees().iter().enumerate().filter(|(_, t)| t.order <= order) {
            self.condition(name, what, k, w, 1.0 / tree.density, tolerance)?;
        }
        Ok(())
    }

    /// The coefficients of ϑ^p: those of trees with p vertices sum to 1/γ(t), all others to 0.
    fn check_power(
        &self,
        name: &str,
        (p, order): (usize, usize),
        w: &dyn Fn(usize) -> f64,
        tolerance: f64,
    ) -> Result<()> {
        for (k, tree) in self.trees.trees().iter().enumerate().filter(|(_, t)| t.order <= order) {
            let wanted = if tree.order == p { 1.0 / tree.density } else { 0.0 };
            self.condition(name, &format!("the coefficients of ϑ^{p}"), k, w, wanted, tolerance)?;
        }
        Ok(())
    }

    fn condition(
        &self,
        name: &str,
        what: &str,
        k: usize,
        w: &dyn Fn(usize) -> f64,
        wanted: f64,
        tolerance: f64,
    ) -> Result<()> {
        let terms = self.phi[k].iter().enumerate();
        let [sum, scale] =
            terms.fold([0.0, wanted.abs()], |[v, m], (i, p)| [v + w(i) * p[0], m + w(i).abs() * p[1]]);
        if (sum - wanted).abs() <= tolerance * scale {
            return Ok(());
        }
        let tree = self.trees.notation(k);
        Err(Error::invalid(
            format!("Σ w_i φ_i({tree}) for {what} of {name}"),
            sum,
            format!("it must be {wanted}"),
        ))
    }
}
