//! Linear stability of explicit methods: the stability polynomial and its real interval.

use super::tableau::{StiffnessPair, Tableau};

impl Tableau {
    /// Coefficients r_0, r_1, …, r_s of the stability polynomial R(z) = Σ_k r_k z^k: one step on
    /// y' = λy multiplies y by R(hλ). r_0 = 1, r_k = bᵀ A^{k−1} 1.
    pub fn stability_polynomial(&self) -> Vec<f64> {
        let s = self.stages();
        let mut power = vec![1.0; s];
        let mut r = vec![1.0];
        for _ in 0..s {
            r.push(self.b.iter().zip(&power).map(|(b, p)| b * p).sum());
            power = self.a.iter().map(|row| row.iter().zip(&power).map(|(a, p)| a * p).sum()).collect();
        }
        r
    }

    /// Extent of the stability region on the negative real axis: the largest x such that
    /// |R(z)| ≤ 1 on [−x, 0] (2 for Euler, 2.785 for RK4). 0 when the method leaves the region at
    /// once or its polynomial never grows.
    pub fn real_stability(&self) -> f64 {
        // No consistent polynomial of degree s is bounded by one beyond 2 s² (Chebyshev).
        let s = self.stages() as f64;
        let limit = 2.0 * s * s + 1.0;
        let r = self.stability_polynomial();
        let excess = |x: f64| r.iter().rev().fold(0.0, |acc, c| acc * -x + c).abs() - 1.0;
        const STEP: f64 = 1.0 / 256.0;
        let mut inside = 0.0;
        while inside < limit {
            let mut outside = inside + STEP;
            if excess(outside) <= 0.0 {
                inside = outside;
                continue;
            }
            while outside - inside > 1e-12 * outside {
                let middle = 0.5 * (inside + outside);
                if middle <= inside || middle >= outside {
                    break;
                }
                if excess(middle) <= 0.0 {
                    inside = middle;
                } else {
                    outside = middle;
                }
            }
            return if inside < STEP { 0.0 } else { inside };
        }
        0.0
    }

    /// The latest two stages that share an abscissa c > 0, with the real stability interval;
    /// `None` when there are none.
    pub fn find_stiffness_pair(&self) -> Option<StiffnessPair> {
        let stability_size = self.real_stability();
        if stability_size == 0.0 {
            return None;
        }
        for second in (1..self.stages()).rev() {
            let c = self.c[second];
            let same = |&first: &usize| c > 0.0 && (self.c[first] - c).abs() <= 1e-14;
            if let Some(first) = (0..second).rev().find(same) {
                return Some(StiffnessPair { first, second, stability_size });
            }
        }
        None
    }
}
