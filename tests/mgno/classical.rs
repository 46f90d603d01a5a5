//! The linear layer with classical numbers is the library's geometric multigrid.

use crate::{Tested, wave};
use odeon::linalg::grid::{Boundary, Grid, Stencil};
use odeon::linalg::model::poisson;
use odeon::linalg::multigrid::{Cycle, Geometric, GridSmoother};
use odeon::linalg::relax::Jacobi;
use odeon::linalg::{Claims, Preconditioner, Relaxation};
use odeon::nn::conv::Padding;
use odeon::operator::mgno::{CoarsePoints, CycleSpec, Mgno, Restriction, Scratch};

const OMEGA: f64 = 0.8;

/// Some sweeps of Jacobi from zero, as the coarsest grid's steps are.
struct Sweeps<A> {
    a: A,
    jacobi: Jacobi<f64>,
    count: usize,
    len: usize,
}

impl<A> Preconditioner<f64> for Sweeps<A>
where
    Jacobi<f64>: Relaxation<f64, A>,
{
    fn len(&self) -> usize {
        self.len
    }
    fn claims(&self) -> Claims {
        Claims::LINEAR
    }
    fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        z.fill(0.0);
        for _ in 0..self.count {
            self.jacobi.sweep(&self.a, r, z);
        }
    }
}

struct Case {
    extents: [usize; 2],
    boundary: Boundary,
    visits: Cycle,
    sweeps: [usize; 2],
    levels: usize,
}

fn compare(case: &Case) -> Tested {
    let periodic = case.boundary == Boundary::Periodic;
    let grid = Grid::vertices(&case.extents, &[0.1; 2])?.with_boundary(case.boundary)?;
    // The grids of both hierarchies, the coarsest last.
    let halved = |n: usize, l: usize| if periodic { n >> l } else { ((n + 1) >> l) - 1 };
    let coarsest = case.extents.map(|n| halved(n, case.levels - 1));
    let options = Geometric {
        smoother: GridSmoother::Jacobi { omega: Some(OMEGA) },
        cycle: case.visits,
        sweeps: case.sweeps,
        coarsest: coarsest[0] * coarsest[1],
        semidefinite: periodic,
        ..Geometric::default()
    };
    let mut multigrid = options.build(poisson::<f64>(grid)?)?;
    assert_eq!(multigrid.levels().len(), case.levels - 1);
    let h = 0.1 * f64::from(1 << (case.levels - 1));
    let a = poisson::<f64>(Grid::vertices(&coarsest, &[h; 2])?.with_boundary(case.boundary)?)?;
    let (jacobi, len) = (Jacobi::new(&a, OMEGA)?, a.grid().len());
    multigrid.set_coarsest(Box::new(Sweeps { a, jacobi, count: 2, len }))?;

    let [before, after] = case.sweeps;
    let mut spec = CycleSpec::backslash(case.levels);
    spec.steps.iter_mut().rev().skip(1).for_each(|s| *s = [before, after]);
    spec.visits = case.visits;
    spec.restriction = Restriction::Residual;
    if periodic {
        spec = spec.with_padding(Padding::Circular);
    } else {
        spec.coarse_points = CoarsePoints::Odd;
    }
    let layer = Mgno::cycle(&spec, [1, 1], &case.extents)?;
    assert_eq!(layer.grids().last().map(|g| [g[0], g[1]]), Some(coarsest));
    let stencil = |l: i32| {
        let c = 1.0 / (0.1 * 2f64.powi(l)).powi(2);
        let sides = [[-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0]];
        let terms: Vec<_> = sides.into_iter().map(|o| (o, -c)).chain([([0; 3], 4.0 * c)]).collect();
        Stencil::new(&terms)
    };
    let stencils: Vec<_> = (0..case.levels as i32).map(stencil).collect::<Result<_, _>>()?;
    let theta: Vec<f64> = layer.init_stencils(&stencils, OMEGA, 0.0, 0)?;

    let b = wave::<f64>(case.extents[0] * case.extents[1], 0.7);
    let (mut want, mut u) = (vec![0.0; b.len()], vec![f64::NAN; b.len()]);
    multigrid.cycle_once(&b, &mut want, true);
    layer.forward(&theta, &b, &mut u, &mut Scratch::new())?;
    let size = want.iter().fold(0.0f64, |m, u| m.max(u.abs()));
    for (u, want) in u.iter().zip(&want) {
        assert!((u - want).abs() <= 1e-13 * size, "{u} {want}");
    }

    // Two channels of f that do not mix, and three of u for them.
    let wide = Mgno::cycle(&spec, [2, 3], &case.extents)?;
    let theta: Vec<f64> = wide.init_stencils(&stencils, OMEGA, 0.0, 0)?;
    let both = [&b[..], &wave::<f64>(b.len(), 5.1)].concat();
    let mut three = vec![f64::NAN; 3 * b.len()];
    wide.forward(&theta, &both, &mut three, &mut Scratch::new())?;
    for field in [0, 2] {
        let field = &three[field * b.len()..][..b.len()];
        assert!(field.iter().zip(&want).all(|(u, want)| (u - want).abs() <= 1e-12 * size));
    }
    Ok(())
}

#[test]
fn the_layer_with_classical_numbers_is_geometric_multigrid() -> Tested {
    let dirichlet = |extents, visits, sweeps, levels| Case {
        extents,
        boundary: Boundary::Dirichlet,
        visits,
        sweeps,
        levels,
    };
    compare(&dirichlet([31, 31], Cycle::V, [1, 1], 5))?;
    compare(&dirichlet([23, 15], Cycle::V, [2, 1], 3))?;
    compare(&dirichlet([23, 23], Cycle::V, [1, 0], 3))?;
    compare(&dirichlet([31, 31], Cycle::W, [1, 2], 4))?;
    compare(&dirichlet([31, 31], Cycle::F, [1, 1], 4))?;
    let periodic = Boundary::Periodic;
    compare(&Case { extents: [16, 32], boundary: periodic, visits: Cycle::V, sweeps: [2, 2], levels: 3 })
}
