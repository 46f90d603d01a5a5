//! Mass matrices that are not diagonal. The stages of M y' = f satisfy M k = f, so that a step is, to
//! rounding, that of y' = M⁻¹f.

use crate::common::{Failed, Twist, implicit};
use crate::gradients::Setup;
use odeon::adjoint::Memory;
use odeon::dynamics::Mass;
use odeon::dynamics::compose::WithMass;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Save};
use odeon::linalg::{Csr, Pattern};
use odeon::num::Scalar;

/// Not symmetric.
const M: [[f64; 2]; 2] = [[2.0, 0.5], [-0.3, 1.5]];

/// M⁻¹ of [`Twist`].
#[derive(Clone, Copy)]
struct Solved;

impl VectorField for Solved {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        let mut f = [S::zero(); 2];
        Twist.eval(t, y, p, &mut f);
        let determinant = M[0][0] * M[1][1] - M[0][1] * M[1][0];
        dy[0] = (S::of(M[1][1]) * f[0] - S::of(M[0][1]) * f[1]) * S::of(1.0 / determinant);
        dy[1] = (S::of(M[0][0]) * f[1] - S::of(M[1][0]) * f[0]) * S::of(1.0 / determinant);
    }
}

fn mass() -> Mass<f64> {
    let mut m: Csr<f64> = Pattern::full(2).zeros();
    m.values_mut().copy_from_slice(&M.concat());
    Mass::Sparse(m)
}

#[test]
fn a_full_mass_matrix_is_the_system_solved_for_the_derivatives() -> Result<(), Failed> {
    let massive = WithMass { inner: Generic(Twist), mass: mass() };
    for method in implicit() {
        for (options, batch) in
            [(Options::fixed(0.2), 1), (Options::fixed(0.1), 2), (Options::tol(1e-6, 1e-6), 1)]
        {
            let y0: Vec<f64> = [0.4, -0.2, 0.3, 0.5][..2 * batch].to_vec();
            let (span, theta) = ([0.0, 1.0], vec![1.1, 0.7, 1.3]);
            let options = options.save(Save::At(vec![0.33, 0.8, 1.0]));
            let [y0, other] = [y0.clone(), y0];
            let penalised = batch == 1;
            let with = Setup {
                dynamics: &massive,
                method,
                y0,
                theta: theta.clone(),
                span,
                options: options.clone(),
                penalised,
            };
            let without =
                Setup { dynamics: &Generic(Solved), method, y0: other, theta, span, options, penalised };
            let (gradient, solution) = with.adjoint(Memory::Unlimited)?;
            let (expected, solved) = without.adjoint(Memory::Unlimited)?;
            assert_eq!(solution.steps.len(), solved.steps.len(), "{}", method.name());
            for (a, b) in solution.y.iter().zip(&solved.y) {
                assert!((a - b).abs() < 1e-10, "{}: {a} {b}", method.name());
            }
            let size = expected.iter().fold(0.0f64, |m, g| m.max(g.abs()));
            for (a, b) in gradient.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-8 * size, "{} batch {batch}: gradient {a} {b}", method.name());
            }
            // The gradients of the heuristics are, through `Solved`, those that `gradients` checks by differences:
            // here the differences of the stiffness quotient themselves err by up to 3e-7 (Radau IIA).
            Setup { penalised: false, ..with }.check(false, 1e-7)?;
        }
    }
    Ok(())
}
