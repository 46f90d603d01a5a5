//! User-supplied methods: a [`Tableau`] built from a, b and optionally b̂, checked, with cubic
//! Hermite dense output.

use super::tableau::{Dense, Row, Tableau};
use crate::error::{Error, Result};
use std::borrow::Cow;

impl Tableau {
    /// A method from its strictly lower triangular rows `a` (row i has i entries, row 0 none) and
    /// weights `b`, which must satisfy the conditions of `order`.
    ///
    /// Abscissae are the row sums. FSAL is recognised (last row equal to b, last weight 0). The
    /// latest two stages with the same abscissa become the stiffness pair, where there are such.
    /// Dense output is cubic Hermite, of order min(order, 3); without FSAL it takes one extra stage
    /// f(t + h, y⁺), which the next step reuses.
    ///
    /// ```
    /// use odeon::ode::tableau::Tableau;
    /// // Kutta's 3/8 rule.
    /// let a = [vec![], vec![1.0 / 3.0], vec![-1.0 / 3.0, 1.0], vec![1.0, -1.0, 1.0]];
    /// let method = Tableau::new("3/8 rule", 4, &a, &[0.125, 0.375, 0.375, 0.125])?;
    /// assert_eq!(method.stages(), 4);
    /// # Ok::<(), odeon::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Tableau::check`], naming what does not hold.
    pub fn new(name: impl Into<String>, order: usize, a: &[Vec<f64>], b: &[f64]) -> Result<Self> {
        let s = b.len();
        Error::check_len("a", a.len(), s, "one row per weight b")?;
        let fsal = s > 1 && b[s - 1] == 0.0 && a[s - 1][..] == b[..s - 1];
        let mut method = Self {
            name: Cow::Owned(name.into()),
            order,
            embedded_order: 0,
            c: a.iter().map(|row| row.iter().sum()).collect(),
            a: a.iter().map(|row| Cow::Owned(row.clone())).collect(),
            b: Cow::Owned(b.to_vec()),
            error: Cow::Borrowed(&[]),
            error_low: Cow::Borrowed(&[]),
            fsal,
            stiffness: None,
            dense: hermite(b, fsal, order),
        };
        method.check()?;
        method.stiffness = method.find_stiffness_pair();
        Ok(method)
    }

    /// Adds the embedded solution with weights `b_hat` of order `embedded_order`, which makes the
    /// method adaptive: b̃ = b − b̂.
    ///
    /// # Errors
    /// A wrong length, or order conditions that `b_hat` does not satisfy.
    pub fn with_embedded(mut self, b_hat: &[f64], embedded_order: usize) -> Result<Self> {
        Error::check_len("b_hat", b_hat.len(), self.stages(), "one weight per stage")?;
        if embedded_order == 0 {
            let needed = "the embedded solution must have order 1 at least";
            return Err(Error::invalid("embedded_order", 0, needed));
        }
        self.error = self.b.iter().zip(b_hat).map(|(b, h)| b - h).collect();
        self.error_low = Cow::Borrowed(&[]);
        self.embedded_order = embedded_order;
        self.check()?;
        Ok(self)
    }

    /// Replaces the dense output.
    ///
    /// # Errors
    /// Wrong shapes, or order conditions that the weights do not satisfy.
    pub fn with_dense(mut self, dense: Dense) -> Result<Self> {
        self.dense = dense;
        self.check()?;
        Ok(self)
    }
}

/// Cubic Hermite interpolation of y, y⁺ and their derivatives as weights:
/// b_i(ϑ) = b_i (3ϑ² − 2ϑ³) + [i = 0] ϑ(1 − ϑ)² + [i = last] ϑ²(ϑ − 1).
fn hermite(b: &[f64], fsal: bool, order: usize) -> Dense {
    let mut weights: Vec<[f64; 3]> = b.iter().map(|b| [0.0, 3.0 * b, -2.0 * b]).collect();
    if !fsal {
        weights.push([0.0; 3]);
    }
    let mut add = |i: usize, w: [f64; 3]| (0..3).for_each(|d| weights[i][d] += w[d]);
    add(0, [1.0, -2.0, 1.0]);
    add(if fsal { b.len() - 1 } else { b.len() }, [0.0, -1.0, 1.0]);
    let rows = |rows: Vec<Row>| Cow::Owned(rows);
    Dense {
        order: order.min(3),
        extra_c: if fsal { Cow::Borrowed(&[]) } else { Cow::Owned(vec![1.0]) },
        extra_a: rows(if fsal { vec![] } else { vec![Cow::Owned(b.to_vec())] }),
        weights: rows(weights.iter().map(|w| Cow::Owned(w.to_vec())).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ode::tableaux;

    fn owned(t: &Tableau) -> Vec<Vec<f64>> {
        t.a.iter().map(|row| row.to_vec()).collect()
    }

    #[test]
    fn built_in_low_order_methods_are_rebuilt_exactly() {
        for name in ["Euler", "Midpoint", "Heun", "Ralston", "Rk4", "Bs3"] {
            let t = tableaux::by_name(name).unwrap();
            let mut made = Tableau::new(name, t.order, &owned(t), &t.b).unwrap();
            if t.embedded_order > 0 {
                made = made.with_embedded(&t.embedded(), t.embedded_order).unwrap();
            }
            assert_eq!((made.fsal, made.dense.order), (t.fsal, t.dense.order), "{name}");
            assert_eq!(made.c, t.c, "{name}");
            assert_eq!(made.dense.extra_a, t.dense.extra_a, "{name}");
            for (ours, theirs) in made.dense.weights.iter().zip(t.dense.weights.iter()) {
                approx::assert_abs_diff_eq!(ours[..], theirs[..], epsilon = 1e-15);
            }
            let pair = |t: &Tableau| t.stiffness.map(|p| (p.first, p.second));
            assert_eq!(pair(&made), pair(t), "{name}");
        }
    }

    #[test]
    fn wrong_methods_are_named_errors() {
        let t = tableaux::by_name("Rk4").unwrap();
        let a = owned(t);
        let message = |r: Result<Tableau>| r.unwrap_err().to_string();
        let order5 = message(Tableau::new("mine", 5, &a, &t.b));
        assert!(order5.contains("order 5 needs") && order5.contains("mine"), "{order5}");
        let sum = message(Tableau::new("mine", 4, &a, &[0.2, 0.3, 0.3, 0.3]));
        assert!(sum.contains("Σ w_i for b of mine is 1.1"), "{sum}");
        let rows = message(Tableau::new("mine", 4, &a[..3], &t.b));
        assert!(rows.contains("a has length 3"), "{rows}");
        let full = message(Tableau::new("mine", 1, &[vec![0.0]], &[1.0]));
        assert!(full.contains("row i of an explicit method has i entries"), "{full}");
        let none = message(Tableau::new("mine", 1, &[], &[]));
        assert!(none.contains("at least one stage"), "{none}");
        let high = message(Tableau::new("mine", 99, &a, &t.b));
        assert!(high.contains("must lie in 1..=12"), "{high}");
        let mut nan = a.clone();
        nan[2][1] = f64::NAN;
        let nan = message(Tableau::new("mine", 4, &nan, &t.b));
        assert!(nan.contains("finite"), "{nan}");
        let made = || Tableau::new("mine", 4, &a, &t.b).unwrap();
        let hat = message(made().with_embedded(&[0.0, 1.0, 0.0, 0.0], 3));
        assert!(hat.contains("b − error") && hat.contains("order 3 needs"), "{hat}");
        let zero = message(made().with_embedded(&t.b, 4));
        assert!(zero.contains("all zeros"), "{zero}");
        let short = message(made().with_embedded(&[1.0], 1));
        assert!(short.contains("b_hat has length 1"), "{short}");
        let dense = Dense { order: 4, ..made().dense };
        let dense = message(made().with_dense(dense));
        assert!(dense.contains("dense.weights"), "{dense}");
    }
}
