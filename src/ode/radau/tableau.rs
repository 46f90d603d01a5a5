//! Coefficients of Radau IIA of order 5, and the transformation of its linear systems.
//!
//! Hairer & Wanner, *Solving Ordinary Differential Equations II* (2nd ed., 1996), IV.5 (table 5.6) and
//! IV.8. All are closed forms in √6 and in the roots of the characteristic polynomial of A⁻¹, computed
//! to 40 digits and rounded.

/// Abscissae of the collocation stages.
pub(super) const C: [f64; 3] = [0.1550510257216822, 0.6449489742783178, 1.0];

/// A.
#[rustfmt::skip]
pub(super) const A: [[f64; 3]; 3] = [
    [0.1968154772236604, -0.06553542585019839, 0.02377097434822015],
    [0.3944243147390873, 0.2920734116652285, -0.04154875212599793],
    [0.37640306270046725, 0.5124858261884216, 0.1111111111111111],
];

/// A⁻¹.
#[rustfmt::skip]
pub(super) const INVERSE: [[f64; 3]; 3] = [
    [3.224744871391589, 1.1678400846904056, -0.25319726474218085],
    [-3.5678400846904057, 0.775255128608411, 1.0531972647421808],
    [5.531972647421808, -7.531972647421808, 5.0],
];

/// T, with A⁻¹ = T Λ T⁻¹, Λ = diag(γ̂, (α, β; −β, α)).
#[rustfmt::skip]
pub(super) const T: [[f64; 3]; 3] = [
    [0.09443876248897524, -0.1412552950209542, 0.030029194105147424],
    [0.2502131229653333, 0.20412935229379994, -0.3829421127572619],
    [1.0, 1.0, 0.0],
];

/// T⁻¹.
#[rustfmt::skip]
pub(super) const T_INVERSE: [[f64; 3]; 3] = [
    [4.178718591551905, 0.32768282076106237, 0.5233764454994495],
    [-4.178718591551905, -0.32768282076106237, 0.47662355450055044],
    [0.5028726349457868, -2.571926949855605, 0.5960392048282249],
];

/// γ̂, the real eigenvalue of A⁻¹.
pub(super) const GAMMA: f64 = 3.637834252744496;

/// α and β of the complex pair α ± iβ.
pub(super) const PAIR: [f64; 2] = [2.6810828736277523, 3.0504301992474105];

/// eᵀA of the error estimate err = hγ₀ k_e + h Σ (eᵀA)_j k_j, γ₀ = 1/γ̂ (IV.8, eq. 8.19).
pub(super) const ERROR: [f64; 3] = [-0.42829829411536813, 0.24503907438491654, -0.0916296098652258];

/// Coefficients of ϑ¹, ϑ², ϑ³ in b_i(ϑ) = ∫₀^ϑ ℓ_i, the collocation polynomial.
#[rustfmt::skip]
pub(super) const DENSE: [[f64; 3]; 3] = [
    [1.5580782047249224, -1.986947221348443, 0.8052720793239878],
    [-0.8914115380582557, 3.3202805546817764, -1.916383190435099],
    [0.3333333333333333, -1.3333333333333333, 1.1111111111111112],
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ode::trees::{ElementaryWeights, sized};

    const ROUNDING: f64 = 2e-15;

    #[derive(Clone)]
    struct Tables {
        c: [f64; 3],
        a: [[f64; 3]; 3],
        inverse: [[f64; 3]; 3],
        t: [[f64; 3]; 3],
        t_inverse: [[f64; 3]; 3],
        gamma: f64,
        pair: [f64; 2],
        error: [f64; 3],
        dense: [[f64; 3]; 3],
    }

    impl Tables {
        fn all() -> Self {
            Self {
                c: C,
                a: A,
                inverse: INVERSE,
                t: T,
                t_inverse: T_INVERSE,
                gamma: GAMMA,
                pair: PAIR,
                error: ERROR,
                dense: DENSE,
            }
        }

        /// Every coefficient.
        fn entries(&mut self) -> Vec<&mut f64> {
            let Self { c, a, inverse, t, t_inverse, gamma, pair, error, dense } = self;
            let nested = [a, inverse, t, t_inverse, dense].into_iter().flatten().flatten();
            let flat = c.iter_mut().chain(pair).chain(error);
            nested.chain(flat).chain([gamma]).collect()
        }
    }

    fn product(a: &[[f64; 3]; 3], b: &[[f64; 3]; 3]) -> [[f64; 3]; 3] {
        std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
    }

    fn worst(a: &[[f64; 3]; 3], b: &[[f64; 3]; 3]) -> f64 {
        let pairs = a.iter().flatten().zip(b.iter().flatten());
        pairs.fold(0.0, |w, (a, b)| f64::max(w, (a - b).abs()))
    }

    /// What must hold of a set of coefficients; the name of the first that does not.
    fn broken(all: &Tables, tolerance: f64) -> Option<&'static str> {
        let identity = std::array::from_fn(|i| std::array::from_fn(|j| f64::from(u8::from(i == j))));
        let [alpha, beta] = all.pair;
        let lambda = [[all.gamma, 0.0, 0.0], [0.0, alpha, beta], [0.0, -beta, alpha]];
        let rows: Vec<&[f64]> = all.a.iter().map(|row| &row[..]).collect();
        let weights = ElementaryWeights::additive(&[&rows], 6);
        let b = sized(&all.a[2]);
        // The estimate's row over (k_0, k_1, k_2, k_3): b plus it has order 3.
        let padded: Vec<Vec<f64>> = std::iter::once(vec![0.0; 4])
            .chain(all.a.iter().map(|row| [&[0.0], &row[..]].concat()))
            .collect();
        let rows4: Vec<&[f64]> = padded.iter().map(Vec::as_slice).collect();
        let estimated = ElementaryWeights::additive(&[&rows4], 4);
        let embedded: Vec<f64> = std::iter::once(1.0 / all.gamma)
            .chain(all.a[2].iter().zip(all.error).map(|(b, e)| b + e))
            .collect();
        // C(3): Σ_j a_ij c_j^{k−1} = c_i^k / k.
        let collocation = (0..3).all(|i| {
            (1..=3).all(|k| {
                let sum: f64 = (0..3).map(|j| all.a[i][j] * all.c[j].powi(k - 1)).sum();
                (sum - all.c[i].powi(k) / k as f64).abs() < tolerance
            })
        });
        let spectral = product(&product(&all.t, &lambda), &all.t_inverse);
        let dense = (1..=3).all(|q| weights.dense_violation(&all.dense, 3, q, tolerance).is_none());
        let checks = [
            ("collocation", collocation),
            ("order 5", weights.order_of(&b, tolerance) == 5),
            ("inverse", worst(&product(&all.a, &all.inverse), &identity) < 4.0 * tolerance),
            ("T T⁻¹", worst(&product(&all.t, &all.t_inverse), &identity) < 4.0 * tolerance),
            ("Λ", worst(&spectral, &all.inverse) < 20.0 * tolerance),
            ("error", estimated.order_of(&sized(&embedded), 4.0 * tolerance) == 3),
            ("dense", dense),
        ];
        checks.into_iter().find(|(_, holds)| !holds).map(|(name, _)| name)
    }

    #[test]
    fn every_coefficient_satisfies_its_equations_and_a_change_of_1e_6_is_seen() {
        let tables = Tables::all();
        assert_eq!(broken(&tables, ROUNDING), None);
        let count = tables.clone().entries().len();
        assert_eq!(count, 54);
        for i in 0..count {
            for by in [1e-6, -1e-6] {
                let mut changed = tables.clone();
                *changed.entries()[i] += by;
                assert!(broken(&changed, 1e-9).is_some(), "entry {i} by {by}");
            }
        }
    }

    #[test]
    fn dense_weights_end_at_b() {
        for (row, b) in DENSE.iter().zip(A[2]) {
            assert!((row.iter().sum::<f64>() - b).abs() < ROUNDING);
        }
    }
}
