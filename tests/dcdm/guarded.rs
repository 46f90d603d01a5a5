//! Flexible CG with classical proposers is PCG; with untrusted ones it still converges.

use super::{Tested, dot, normal};
use odeon::linalg::grid::Grid;
use odeon::linalg::krylov::{Cg, GuardedCg, Guidance};
use odeon::linalg::multigrid::Geometric;
use odeon::linalg::precondition::{IncompleteCholesky, Ssor};
use odeon::linalg::relax::Jacobi;
use odeon::linalg::{Claims, Csr, Identity, LinearOperator, Outcome, Preconditioner, Settings, model};
use odeon::operator::directions::{DirectionNet, Proposer};

const N: usize = 16;

/// −∇·(a∇u) with a smooth a, so that no preconditioner is trivial.
fn problem() -> Result<odeon::linalg::grid::StencilOperator<f64>, odeon::Error> {
    let grid = Grid::vertices(&[N; 2], &[1.0; 2])?;
    model::diffusion(grid, |[x, y, _]| 1.5 + (0.3 * x).sin() * (0.2 * y).cos())
}

/// Runs `solve` with 1, 2, …, 8 iterations and compares the iterates with PCG's.
fn same_as_pcg(mut pcg: Box<dyn Preconditioner<f64>>, mut proposer: Box<dyn Preconditioner<f64>>) -> Tested {
    let a = problem()?;
    let b = normal(N * N, 1);
    let size = dot(&b, &b).sqrt();
    for k in 1..=8 {
        let settings = Settings::tol(1e-14).max_iterations(k);
        let (mut want, mut x, mut y) = (vec![0.0; N * N], vec![0.0; N * N], vec![0.0; N * N]);
        Cg::new(N * N, settings)?.solve(&a, &mut pcg, &b, &mut want)?;
        Cg::flexible(N * N, settings, 2)?.solve(&a, &mut proposer, &b, &mut x)?;
        let mut guarded = GuardedCg::new(N * N, settings, 2)?;
        let (report, guidance) = guarded.solve(&a, (&mut proposer, &mut Identity(N * N)), &b, &mut y)?;
        assert_eq!((report.iterations, guidance.warning()), (k, None));
        for (x, want) in x.iter().chain(&y).zip(want.iter().cycle()) {
            assert!((x - want).abs() < 1e-11 * size, "iteration {k}: {x} {want}");
        }
    }
    Ok(())
}

#[test]
fn with_a_classical_proposer_it_is_pcg() -> Tested {
    let a = problem()?;
    let csr = a.to_csr();
    let jacobi = || Ok::<_, odeon::Error>(Box::new(Diagonal(csr.diagonal().unwrap_or_default())));
    same_as_pcg(jacobi()?, jacobi()?)?;
    let ssor = || Ok::<_, odeon::Error>(Box::new(Ssor::new(&csr, 1.4)?));
    same_as_pcg(ssor()?, ssor()?)?;
    let ic = || Ok::<_, odeon::Error>(Box::new(IncompleteCholesky::new(&csr)?));
    same_as_pcg(ic()?, ic()?)?;
    let mg = || Ok::<_, odeon::Error>(Box::new(Geometric::symmetric().build(problem()?)?));
    same_as_pcg(mg()?, mg()?)
}

/// D⁻¹.
struct Diagonal(Vec<f64>);

impl Preconditioner<f64> for Diagonal {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn claims(&self) -> Claims {
        Claims::SPD
    }
    fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        for ((z, r), d) in z.iter_mut().zip(r).zip(&self.0) {
            *z = r / d;
        }
    }
}

/// Proposes whatever `f(call, r, z)` writes.
struct Adversary<F>(usize, F);

impl<F: FnMut(usize, &[f64], &mut [f64])> Preconditioner<f64> for Adversary<F> {
    fn len(&self) -> usize {
        N * N
    }
    fn claims(&self) -> Claims {
        Claims::NONE
    }
    fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        self.0 += 1;
        (self.1)(self.0, r, z);
    }
}

/// A-norm of the error after one step from `x` along what `proposer` gives, squared; solution `exact`.
fn error_after(
    a: &impl LinearOperator<f64>,
    exact: &[f64],
    x: &[f64],
    step: impl FnOnce(&[f64], &mut [f64]) -> Result<(), odeon::Error>,
) -> Result<f64, odeon::Error> {
    let n = exact.len();
    let (mut b, mut x) = (vec![0.0; n], x.to_vec());
    a.apply(exact, &mut b);
    step(&b, &mut x)?;
    let e: Vec<f64> = exact.iter().zip(&x).map(|(e, x)| e - x).collect();
    let mut ae = vec![0.0; n];
    a.apply(&e, &mut ae);
    Ok(dot(&e, &ae))
}

/// One step along both directions is never worse in the A-norm than along either, whatever is proposed.
#[test]
fn both_directions_are_never_worse_than_either() -> Tested {
    let a = problem()?;
    let csr = a.to_csr();
    let exact = normal(N * N, 2);
    let one = Settings::tol(1e-15).max_iterations(1);
    type Proposal = fn(usize, &[f64], &mut [f64]);
    let proposals: [Proposal; 6] = [
        |_, _, z| z.copy_from_slice(&normal(N * N, 40)),
        |_, r, z| z.copy_from_slice(r),
        |_, r, z| z.iter_mut().zip(r).for_each(|(z, r)| *z = -r.abs()),
        |_, _, z| z.fill(f64::NAN),
        |_, _, z| z.fill(0.0),
        |_, _, z| z.fill(1e-200),
    ];
    let mut strictly = 0;
    for (i, propose) in proposals.into_iter().enumerate() {
        for start in 3..6 {
            let x = normal(N * N, start);
            let both = error_after(&a, &exact, &x, |b, x| {
                let mut ic = IncompleteCholesky::new(&csr)?;
                let mut net = Adversary(0, propose);
                GuardedCg::new(N * N, one, 2)?.both().solve(&a, (&mut net, &mut ic), b, x).map(|_| ())
            })?;
            let classical = error_after(&a, &exact, &x, |b, x| {
                let mut ic = IncompleteCholesky::new(&csr)?;
                Cg::flexible(N * N, one, 2)?.solve(&a, &mut ic, b, x).map(|_| ())
            })?;
            let network = error_after(&a, &exact, &x, |b, x| {
                let mut net = Adversary(0, propose);
                Cg::flexible(N * N, one, 2)?.solve(&a, &mut net, b, x).map(|_| ())
            })?;
            let best = if network.is_finite() { classical.min(network) } else { classical };
            assert!(both <= best * (1.0 + 1e-12), "proposal {i}: {both} against {classical}, {network}");
            strictly += usize::from(both < 0.999 * best);
        }
    }
    assert!(strictly >= 6, "the span of two directions holds better points than either: {strictly}");
    Ok(())
}

/// Every adversary, with and without both directions: the solve converges, and says what was wrong.
#[test]
fn any_network_converges_with_a_warning() -> Tested {
    let a = problem()?;
    let csr = a.to_csr();
    let b = normal(N * N, 1);
    let net = DirectionNet::self_similar(2, 2, 0.2)?;
    // Not its initial ones, which are multigrid.
    let random = normal(net.layout().len(), 5);
    let thetas = [vec![f64::NAN; random.len()], vec![0.0; random.len()], random];
    for (i, theta) in thetas.into_iter().enumerate() {
        for both in [false, true] {
            let mut proposer = Proposer::new(&net, [N, N, 1], theta.clone())?;
            let mut ic = IncompleteCholesky::new(&csr)?;
            let mut cg = GuardedCg::new(N * N, Settings::tol(1e-10), 2)?.patience(5)?;
            if both {
                cg = cg.both();
            }
            let mut x = vec![0.0; N * N];
            let (report, guidance) = cg.solve(&a, (&mut proposer, &mut ic), &b, &mut x)?;
            assert!(report.converged() && report.relative_residual() < 1e-10, "{i} {both}: {report:?}");
            // A random network beside IC(0) may go unnoticed: it does no harm.
            if i < 2 {
                assert_eq!(guidance.not_finite, guidance.proposed);
                assert!(guidance.warning().is_some_and(|w| w.contains("refused")));
            } else if !both {
                assert!(guidance.abandoned.is_some());
                assert!(guidance.warning().is_some_and(|w| w.contains("abandoned")));
            }
        }
    }
    Ok(())
}

#[test]
fn refusals_are_counted_by_kind() -> Tested {
    let a = problem()?;
    let b = normal(N * N, 1);
    let solve = |f: fn(usize, &[f64], &mut [f64])| -> Result<Guidance, odeon::Error> {
        let mut x = vec![0.0; N * N];
        let mut cg = GuardedCg::new(N * N, Settings::tol(1e-6), 2)?;
        let (report, guidance) = cg.solve(&a, (&mut Adversary(0, f), &mut Identity(N * N)), &b, &mut x)?;
        assert!(report.converged());
        Ok(guidance)
    };
    let nan = solve(|call, r, z| {
        z.iter_mut().zip(r).for_each(|(z, r)| *z = if call == 2 { f64::NAN } else { *r })
    })?;
    assert_eq!((nan.not_finite, nan.refused()), (1, 1));
    // Orthogonal to the residual.
    let sideways = solve(|call, r, z| {
        z.copy_from_slice(r);
        if call == 1 {
            z.fill(0.0);
            (z[0], z[1]) = (r[1], -r[0]);
        }
    })?;
    assert_eq!((sideways.descent, sideways.refused()), (1, 1));
    Ok(())
}

#[test]
fn matrices_that_are_not_positive_definite_are_named() -> Tested {
    let a = Csr::from_triplets([2, 2], &[(0, 0, 1.0), (1, 1, -1.0)])?;
    let mut x = [0.0; 2];
    let mut cg = GuardedCg::new(2, Settings::tol(1e-8), 2)?;
    let (report, guidance) = cg.solve(&a, (&mut Identity(2), &mut Identity(2)), &[0.0, 1.0], &mut x)?;
    assert_eq!(report.outcome, Outcome::Indefinite { curvature: -1.0 });
    assert_eq!(guidance.curvature, 1);
    let spd = Csr::from_triplets([2, 2], &[(0, 0, 1.0), (1, 1, 2.0)])?;
    let mut liar = Adversary(0, |_: usize, _: &[f64], _: &mut [f64]| ());
    let refused = cg.solve(&spd, (&mut Identity(2), &mut liar), &[0.0, 1.0], &mut x);
    assert!(refused.is_err(), "{refused:?}");
    assert!(GuardedCg::<f64>::new(0, Settings::tol(1e-8), 2).is_err());
    assert!(GuardedCg::<f64>::new(2, Settings::tol(1e-8), 2)?.patience(0).is_err());
    assert!(Jacobi::new(&spd, 1.0).is_ok());
    Ok(())
}
