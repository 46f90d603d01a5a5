//! [`SdirkTableau`]: a diagonally implicit Runge–Kutta method with an explicit first stage, as data.
//!
//! Stage i = 0..s of a step from (t, y), with the same γ on the diagonal of every stage but the first:
//! Y_i = y + h Σ_{j<i} a_ij k_j + hγ k_i,  M k_i = f(t + c_i h, Y_i),  k_0 = the derivative at (t, y).
//! The end of the step is the argument of stage `end` (stiff accuracy), y⁺ = Y_end, so that k_end is
//! the next step's k_0. Local error estimate  ũ = h Σ b̃_i k_i,  b̃ = b − b̂.
//! Dense output  y(t + ϑh) = y + h Σ_i b_i(ϑ) k_i,  b_i(ϑ) = Σ_{d≥1} w_id ϑ^d.
//!
//! **Estimates that stay small on stiff components.** For y' = λy and z = hλ → −∞ the stages tend to
//! v y with v = (1, −Â⁻¹a_0) (Â, a_0: the implicit stages' block and first column of a); weights w with
//! w·v ≠ 0 give a value that grows like z. Embedded and dense weights therefore satisfy w·v = 0. Where a
//! published estimate does not (TR-BDF2), it is filtered, as Hosea & Shampine filter it by a factor
//! (I − hγJ)⁻¹, but by one more implicit stage with the row b̂ − γe_end and c = 1,
//! Y_s = ŷ + hγ(k_s − k_end):  ũ = y⁺ − Y_s  solves  ũ − hγ(f(y⁺) − f(y⁺ − ũ)) = y⁺ − ŷ,  whose first
//! Newton iterate from ũ = 0 is the usual filter. Being a stage, it has an exact derivative without
//! second derivatives of f, and the order conditions cover it.
//!
//! **Additive methods** (`explicit` not empty) integrate y' = f_E + f_I with f_E in explicit stages:
//! Y_i = y + h Σ_{j<i} (a_ij k^I_j + a^E_ij k^E_j) + hγ k^I_i, y⁺ = y + h Σ b_i (k^I_i + k^E_i)
//! (Kennedy & Carpenter, Appl. Numer. Math. 44 (2003) 139–181).

use crate::error::{Error, Result};
use crate::ode::tableau::Row;
use crate::ode::trees::{ElementaryWeights, Residual, SizedWeight, difference, sized};
use std::borrow::Cow;

/// What [`SdirkTableau::check`] lets pass, relative to the rounding scale of a condition.
pub const CHECK_TOLERANCE: f64 = 1e-13;

/// A stiffly accurate ESDIRK method, or an additive pair of one with an explicit method.
#[derive(Clone, Debug, PartialEq)]
pub struct SdirkTableau {
    /// The method's usual name.
    pub name: Cow<'static, str>,
    /// Order of the advancing solution.
    pub order: usize,
    /// Order of the embedded solution b̂.
    pub embedded_order: usize,
    /// γ, the diagonal of every stage but the first.
    pub gamma: f64,
    /// Abscissae; c_0 = 0.
    pub c: Row,
    /// Rows of a below the diagonal: row i has i entries.
    pub a: Cow<'static, [Row]>,
    /// The stage whose argument is y⁺: its row of a, γ included, is b.
    pub end: usize,
    /// Rows of the explicit method of an additive pair, below the diagonal; empty otherwise.
    pub explicit: Cow<'static, [Row]>,
    /// b̃ = b − b̂.
    pub error: Row,
    /// Two stages at the same abscissa whose quotient ‖k_j − k_i‖/‖Y_j − Y_i‖ estimates the dominant
    /// eigenvalue.
    pub stiffness: Option<(usize, usize)>,
    /// Order of the dense output.
    pub dense_order: usize,
    /// For every stage the coefficients of ϑ¹, ϑ², … in b_i(ϑ).
    pub dense: Cow<'static, [Row]>,
}

impl SdirkTableau {
    /// Number of stages s.
    pub fn stages(&self) -> usize {
        self.c.len()
    }

    /// Whether it is an additive pair.
    pub fn is_additive(&self) -> bool {
        !self.explicit.is_empty()
    }

    /// Row i of a with its diagonal.
    pub fn full_row(&self, i: usize) -> Vec<f64> {
        let diagonal = if i == 0 { 0.0 } else { self.gamma };
        self.a[i].iter().copied().chain([diagonal]).collect()
    }

    /// Weights b, one for each stage.
    pub fn weights(&self) -> Vec<f64> {
        let mut b = self.full_row(self.end);
        b.resize(self.stages(), 0.0);
        b
    }

    /// The limit v of Y_i / y for y' = λy, hλ → −∞.
    pub fn stiff_limit(&self) -> Vec<f64> {
        let mut v = vec![1.0];
        for row in self.a.iter().skip(1) {
            let sum: f64 = row.iter().zip(&v).map(|(a, v)| a * v).sum();
            v.push(-sum / self.gamma);
        }
        v
    }

    /// The limit of the stage derivatives k_i for y' = λ(y − φ) + φ', φ = t^q, hλ → −∞, h = 1: those whose
    /// stages are exact, Y_i = c_i^q. A dense output is of order p on stiff components when
    /// Σ b_i(ϑ) k_i = ϑ^q for q ≤ p; with stages of order 2, as here, that is a condition from q = 3 on.
    pub fn stiff_slopes(&self, q: i32) -> Vec<f64> {
        let mut k = vec![f64::from(u8::from(q == 1))];
        for (row, c) in self.a.iter().zip(self.c.iter()).skip(1) {
            let sum: f64 = row.iter().zip(&k).map(|(a, k)| a * k).sum();
            k.push((c.powi(q) - sum) / self.gamma);
        }
        k
    }

    /// Elementary weights of the method for trees up to `order` (of two colours when additive).
    pub fn elementary_weights(&self, order: usize) -> ElementaryWeights {
        let implicit: Vec<Vec<f64>> = (0..self.stages()).map(|i| self.full_row(i)).collect();
        let implicit: Vec<&[f64]> = implicit.iter().map(Vec::as_slice).collect();
        let explicit: Vec<&[f64]> = self.explicit.iter().map(|row| &row[..]).collect();
        match self.is_additive() {
            false => ElementaryWeights::additive(&[&implicit], order),
            true => ElementaryWeights::additive(&[&implicit, &explicit], order),
        }
    }

    /// Checks what the struct claims to [`CHECK_TOLERANCE`]; see [`check_to`](Self::check_to).
    ///
    /// # Errors
    /// As [`check_to`](Self::check_to).
    pub fn check(&self) -> Result<()> {
        self.check_to(CHECK_TOLERANCE)
    }

    /// Checks everything the struct claims, each condition to `tolerance` times its rounding scale:
    /// lengths; finite entries; γ > 0; c_i the row sums (of both parts); the order conditions of b,
    /// b − b̃ and b_i(ϑ), coupling conditions included; b_i(1) = b_i; and w·v = 0 for b, b − b̃ and the
    /// dense weights, so that L-stability and bounded estimates follow.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NonFiniteInput`] or [`Error::Invalid`] for the first claim that does
    /// not hold.
    pub fn check_to(&self, tolerance: f64) -> Result<()> {
        self.check_shapes()?;
        self.check_abscissae(tolerance)?;
        let b = self.weights();
        let top = self.order.max(self.embedded_order).max(self.dense_order);
        let weights = self.elementary_weights(top);
        self.check_weights(&weights, "b", &sized(&b), self.order, tolerance)?;
        let embedded = difference(&b, &self.error);
        self.check_weights(&weights, "b − error", &embedded, self.embedded_order, tolerance)?;
        self.check_bounded("b", &sized(&b), tolerance)?;
        self.check_bounded("error", &sized(&self.error), tolerance)?;
        self.check_dense(&weights, &b, tolerance)
    }

    fn check_shapes(&self) -> Result<()> {
        let s = self.stages();
        let lengths = [("a", self.a.len()), ("error", self.error.len()), ("dense", self.dense.len())];
        for (what, given) in lengths {
            Error::check_len(what, given, s, "one for each stage")?;
        }
        if self.is_additive() {
            Error::check_len("explicit", self.explicit.len(), s, "one row for each stage")?;
        }
        if s < 2 || self.end >= s || self.end == 0 {
            let given = format!("{s} stages, end {}", self.end);
            let needed = "it needs an explicit stage, then implicit ones, one of which is the end";
            return Err(Error::invalid(format!("the shape of {}", self.name), given, needed));
        }
        for rows in [&self.a, &self.explicit] {
            for (i, row) in rows.iter().enumerate() {
                Error::check_len("a row of a", row.len(), i, "row i has i entries below the diagonal")?;
                Error::check_finite("a row of a", row)?;
            }
        }
        let degree = self.dense.first().map_or(0, |row| row.len());
        for row in self.dense.iter() {
            Error::check_len("a row of dense", row.len(), degree, "all rows have the same degree")?;
            Error::check_finite("a row of dense", row)?;
        }
        Error::check_finite("c", &self.c)?;
        Error::check_finite("error", &self.error)?;
        if self.gamma.is_finite() && self.gamma > 0.0 {
            return Ok(());
        }
        Err(Error::invalid(format!("γ of {}", self.name), self.gamma, "it must be positive"))
    }

    fn check_abscissae(&self, tolerance: f64) -> Result<()> {
        for i in 0..self.stages() {
            let explicit = self.explicit.get(i).map(|row| row.to_vec());
            for row in [Some(self.full_row(i)), explicit].into_iter().flatten() {
                let sum: f64 = row.iter().sum();
                let scale = self.c[i].abs() + row.iter().map(|a| a.abs()).sum::<f64>();
                if (sum - self.c[i]).abs() > tolerance * scale {
                    let needed = format!("it must be the sum of row {i}, {sum}");
                    return Err(Error::invalid(format!("c[{i}] of {}", self.name), self.c[i], needed));
                }
            }
        }
        if let Some((first, second)) = self.stiffness
            && !(first < second && second < self.stages() && self.c[first] == self.c[second])
        {
            let given = format!("({first}, {second})");
            let needed = "it must name two stages of the same abscissa, the earlier first";
            return Err(Error::invalid(format!("the stiffness pair of {}", self.name), given, needed));
        }
        Ok(())
    }

    fn check_weights(
        &self,
        weights: &ElementaryWeights,
        what: &str,
        w: &[SizedWeight],
        order: usize,
        tolerance: f64,
    ) -> Result<()> {
        match (1..=order).find_map(|q| weights.violation(w, q, tolerance)) {
            None => Ok(()),
            Some(r) => Err(self.unmet(weights, what, 1.0, &r)),
        }
    }

    fn unmet(&self, weights: &ElementaryWeights, what: &str, required: f64, r: &Residual) -> Error {
        let trees = weights.trees();
        let tree = trees.trees()[r.tree];
        let target = required / tree.density;
        Error::invalid(
            format!("Σ w_i φ_i({}) for {what} of {}", trees.notation(r.tree), self.name),
            target + r.value,
            format!("order {} needs {target}", tree.order),
        )
    }

    /// w·v = 0.
    fn check_bounded(&self, what: &str, w: &[SizedWeight], tolerance: f64) -> Result<()> {
        let v = self.stiff_limit();
        let sum: f64 = w.iter().zip(&v).map(|(w, v)| w.0 * v).sum();
        let scale: f64 = w.iter().zip(&v).map(|(w, v)| w.1 * v.abs().max(1.0)).sum();
        if sum.abs() <= tolerance * scale.max(1.0) {
            return Ok(());
        }
        let needed = "it must be 0, or the weights' sum grows without bound on stiff components";
        Err(Error::invalid(format!("w·v for {what} of {}", self.name), sum, needed))
    }

    fn check_dense(&self, weights: &ElementaryWeights, b: &[f64], tolerance: f64) -> Result<()> {
        let degree = self.dense.first().map_or(0, |row| row.len());
        for order in 1..=self.dense_order {
            if degree < self.dense_order {
                let needed = format!("order {order} needs at least that degree");
                return Err(Error::invalid(format!("degree of dense of {}", self.name), degree, needed));
            }
            if let Some((d, r)) = weights.dense_violation(&self.dense, degree, order, tolerance) {
                let required = if d == order { 1.0 } else { 0.0 };
                return Err(self.unmet(weights, &format!("the coefficients of ϑ^{d}"), required, &r));
            }
        }
        for d in 0..degree {
            let column: Vec<f64> = self.dense.iter().map(|row| row[d]).collect();
            self.check_bounded(&format!("the coefficients of ϑ^{}", d + 1), &sized(&column), tolerance)?;
        }
        for (i, (row, b)) in self.dense.iter().zip(b).enumerate() {
            let sum: f64 = row.iter().sum();
            let scale = b.abs() + row.iter().map(|w| w.abs()).sum::<f64>();
            if (sum - b).abs() > tolerance * scale {
                let needed = format!("it must be b[{i}] = {b}");
                return Err(Error::invalid(format!("b_{i}(1) of {}", self.name), sum, needed));
            }
        }
        Ok(())
    }
}
