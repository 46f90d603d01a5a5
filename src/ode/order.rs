//! Checks of a [`Tableau`]: shapes, consistency, order conditions of the advancing, embedded and
//! dense weights, the FSAL claim and the stiffness pair.

use super::tableau::{Row, Tableau};
use super::trees::{ElementaryWeights, MAX_ORDER, Residual, SizedWeight, difference, sized};
use crate::error::{Error, Result};
use std::ops::Range;

/// What [`Tableau::check`] lets pass: residuals relative to the rounding scale of a condition
/// (coefficients given to 12 digits or more).
pub const CHECK_TOLERANCE: f64 = 1e-12;

impl Tableau {
    /// Number of main and extra stages.
    pub fn total_stages(&self) -> usize {
        self.stages() + self.dense.extra_c.len()
    }

    /// Rows of a of all stages, the extra ones after the main ones.
    pub fn all_rows(&self) -> Vec<&[f64]> {
        let rows = self.a.iter().chain(self.dense.extra_a.iter());
        rows.map(|row| &row[..]).collect()
    }

    /// Degree of the dense weights b_i(ϑ).
    pub fn dense_degree(&self) -> usize {
        self.dense.weights.first().map_or(0, |row| row.len())
    }

    /// Weights of the embedded solution, b̂ = b − b̃.
    pub fn embedded(&self) -> Vec<f64> {
        self.b.iter().zip(&self.error[..]).map(|(b, e)| b - e).collect()
    }

    /// Checks everything the struct claims to [`CHECK_TOLERANCE`]; see [`Tableau::check_to`].
    ///
    /// # Errors
    /// As [`Tableau::check_to`].
    pub fn check(&self) -> Result<()> {
        self.check_to(CHECK_TOLERANCE)
    }

    /// Checks everything the struct claims, each condition to `tolerance` times its rounding scale
    /// Σ |w_i| |φ|_i: lengths; finite entries; c_0 = 0 and c_i = Σ_j a_ij; Σ b = 1 and every order
    /// condition up to `order`; Σ b̃ = 0 and those of b − b̃ up to `embedded_order` (with
    /// `error_low` of orders q and q_low, E²/E_low has order 2q − q_low, which `embedded_order` must
    /// be); the FSAL claim; equal abscissae and stability size of the stiffness pair; the order
    /// conditions of b_i(ϑ) as polynomials and continuity, b_i(1) = b_i.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::NonFiniteInput`] or [`Error::Invalid`] for the first claim that
    /// does not hold.
    pub fn check_to(&self, tolerance: f64) -> Result<()> {
        self.check_shapes()?;
        self.check_finite()?;
        self.check_abscissae(0..self.stages(), tolerance)?;
        self.check_fsal()?;
        let order = self.order.max(self.embedded_order).max(self.dense.order);
        let weights = ElementaryWeights::new(&self.all_rows(), order);
        self.check_weights(&weights, "b", &sized(&self.b), self.order, tolerance)?;
        self.check_error(&weights, tolerance)?;
        self.check_stiffness()?;
        self.check_dense(&weights, tolerance)
    }

    fn check_shapes(&self) -> Result<()> {
        let s = self.stages();
        if s == 0 {
            return Err(Error::invalid(
                format!("number of stages of {}", self.name),
                0,
                "a method has at least one stage",
            ));
        }
        let ranges = [
            ("order", self.order, 1),
            ("embedded order", self.embedded_order, 0),
            ("dense order", self.dense.order, 1),
        ];
        for (what, given, least) in ranges {
            if !(least..=MAX_ORDER).contains(&given) {
                return Err(Error::invalid(
                    format!("{what} of {}", self.name),
                    given,
                    format!("it must lie in {least}..={MAX_ORDER}"),
                ));
            }
        }
        Error::check_len("c", self.c.len(), s, "one abscissa per weight b")?;
        Error::check_len("a", self.a.len(), s, "one row per weight b")?;
        let why = "row i of an explicit method has i entries";
        for (i, row) in self.a.iter().enumerate() {
            Error::check_len("a row of a", row.len(), i, why)?;
        }
        if !self.error.is_empty() || self.embedded_order > 0 {
            Error::check_len("error", self.error.len(), s, "one weight per stage")?;
        }
        if !self.error_low.is_empty() {
            Error::check_len("error_low", self.error_low.len(), s, "one weight per stage")?;
            let why = "error_low needs error";
            Error::check_len("error", self.error.len(), s, why)?;
        }
        let extra = self.dense.extra_c.len();
        let why = "one row per extra stage";
        Error::check_len("dense.extra_a", self.dense.extra_a.len(), extra, why)?;
        let why = "extra row e has stages + e entries";
        for (e, row) in self.dense.extra_a.iter().enumerate() {
            Error::check_len("a row of dense.extra_a", row.len(), s + e, why)?;
        }
        let why = "one row per main and extra stage";
        Error::check_len("dense.weights", self.dense.weights.len(), s + extra, why)?;
        let why = "all rows hold the coefficients of ϑ¹…ϑ^degree";
        for row in self.dense.weights.iter() {
            Error::check_len("a row of dense.weights", row.len(), self.dense_degree(), why)?;
        }
        Ok(())
    }

    fn check_finite(&self) -> Result<()> {
        let single: [(&'static str, &[f64]); 5] = [
            ("c", &self.c),
            ("b", &self.b),
            ("error", &self.error),
            ("error_low", &self.error_low),
            ("dense.extra_c", &self.dense.extra_c),
        ];
        for (what, values) in single {
            Error::check_finite(what, values)?;
        }
        let nested: [(&'static str, &[Row]); 3] = [
            ("a row of a", &self.a),
            ("a row of dense.extra_a", &self.dense.extra_a),
            ("a row of dense.weights", &self.dense.weights),
        ];
        for (what, rows) in nested {
            for row in rows {
                Error::check_finite(what, row)?;
            }
        }
        Ok(())
    }

    /// c_i = Σ_j a_ij for the stages i of `range`, extra stages counted after the main ones.
    fn check_abscissae(&self, range: Range<usize>, tolerance: f64) -> Result<()> {
        let rows = self.all_rows();
        for i in range {
            let s = self.stages();
            let c = if i < s { self.c[i] } else { self.dense.extra_c[i - s] };
            let (sum, scale) = sum_and_scale(rows[i], c);
            if (sum - c).abs() > tolerance * scale {
                return Err(Error::invalid(
                    format!("c[{i}] of {}", self.name),
                    c,
                    format!("it must be the sum of row {i} of a, {sum}"),
                ));
            }
        }
        Ok(())
    }

    fn check_fsal(&self) -> Result<()> {
        let s = self.stages();
        if self.fsal && (self.b[s - 1] != 0.0 || self.a[s - 1][..] != self.b[..s - 1]) {
            return Err(Error::invalid(
                format!("fsal of {}", self.name),
                true,
                "the last row of a must be b exactly, with last weight 0",
            ));
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
        for q in 1..=order {
            if let Some(r) = weights.violation(w, q, tolerance) {
                return Err(self.unmet(weights, what, q, 1.0, &r));
            }
        }
        Ok(())
    }

    fn unmet(
        &self,
        weights: &ElementaryWeights,
        what: &str,
        order: usize,
        required: f64,
        r: &Residual,
    ) -> Error {
        let trees = weights.trees();
        let target = required / trees.trees()[r.tree].density;
        let sum =
            if order == 1 { "Σ w_i".into() } else { format!("Σ w_i φ_i({})", trees.notation(r.tree)) };
        Error::invalid(
            format!("{sum} for {what} of {}", self.name),
            target + r.value,
            format!("order {order} needs {target}"),
        )
    }

    fn check_error(&self, weights: &ElementaryWeights, tolerance: f64) -> Result<()> {
        for (what, error) in [("error", &self.error), ("error_low", &self.error_low)] {
            let scale: f64 = error.iter().map(|e| e.abs()).sum();
            let sum: f64 = error.iter().sum();
            if sum.abs() > tolerance * scale {
                return Err(Error::invalid(
                    format!("Σ {what} of {}", self.name),
                    sum,
                    "it must be 0 (b and b̂ both sum to 1)",
                ));
            }
            if !error.is_empty() && scale == 0.0 {
                return Err(Error::invalid(
                    format!("{what} of {}", self.name),
                    "all zeros",
                    "it must differ from zero somewhere, or be empty",
                ));
            }
        }
        if self.embedded_order == 0 {
            return Ok(());
        }
        let embedded = difference(&self.b, &self.error);
        if self.error_low.is_empty() {
            let order = self.embedded_order;
            return self.check_weights(weights, "b − error", &embedded, order, tolerance);
        }
        let low = difference(&self.b, &self.error_low);
        let q = weights.order_of(&embedded, tolerance);
        let q_low = weights.order_of(&low, tolerance);
        if 2 * q != self.embedded_order + q_low || q_low >= q {
            return Err(Error::invalid(
                format!("embedded order of {}", self.name),
                self.embedded_order,
                format!("error has order {q} and error_low {q_low}: it must be 2·{q} − {q_low}"),
            ));
        }
        Ok(())
    }

    fn check_stiffness(&self) -> Result<()> {
        let Some(pair) = self.stiffness else {
            return Ok(());
        };
        let what = format!("stiffness pair of {}", self.name);
        let given = format!("({}, {})", pair.first, pair.second);
        if pair.first >= pair.second || pair.second >= self.stages() {
            let needed = "it must name two main stages, the earlier first";
            return Err(Error::invalid(what, given, needed));
        }
        let (first, second) = (self.c[pair.first], self.c[pair.second]);
        if (first - second).abs() > 1e-14 {
            let needed = format!("their abscissae {first} and {second} must be equal");
            return Err(Error::invalid(what, given, needed));
        }
        let size = self.real_stability();
        let off = (pair.stability_size - size).abs();
        if size == 0.0 || off.is_nan() || off > 1e-3 * size {
            return Err(Error::invalid(
                format!("stability size of {}", self.name),
                pair.stability_size,
                format!("its real stability interval is [−{size:.6}, 0]"),
            ));
        }
        Ok(())
    }

    fn check_dense(&self, weights: &ElementaryWeights, tolerance: f64) -> Result<()> {
        self.check_abscissae(self.stages()..self.total_stages(), tolerance)?;
        let (rows, degree) = (&self.dense.weights, self.dense_degree());
        for order in 1..=self.dense.order {
            if let Some((d, r)) = weights.dense_violation(rows, degree, order, tolerance) {
                let required = if d == order { 1.0 } else { 0.0 };
                let what = format!("the coefficients of ϑ^{d} in dense.weights");
                return Err(self.unmet(weights, &what, order, required, &r));
            }
        }
        // ϑ^{|t|} needs a degree of at least the order: a shorter row has no such coefficient.
        if degree < self.dense.order {
            return Err(Error::invalid(
                format!("degree of dense.weights of {}", self.name),
                degree,
                format!("order {} needs at least that degree", self.dense.order),
            ));
        }
        for (i, row) in rows.iter().enumerate() {
            let b = self.b.get(i).copied().unwrap_or(0.0);
            let (sum, scale) = sum_and_scale(row, b);
            if (sum - b).abs() > tolerance * scale {
                return Err(Error::invalid(
                    format!("b_{i}(1) of the dense output of {}", self.name),
                    sum,
                    format!("it must be b[{i}] = {b} (0 for extra stages)"),
                ));
            }
        }
        Ok(())
    }
}

/// Σ values, and the rounding scale |target| + Σ |values| of its comparison with `target`.
fn sum_and_scale(values: &[f64], target: f64) -> (f64, f64) {
    let add = |(sum, scale): (f64, f64), v: &f64| (sum + v, scale + v.abs());
    values.iter().fold((0.0, target.abs()), add)
}
