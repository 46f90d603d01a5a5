//! Geometric multigrid: transfers, coarse operators, coloured Gauss–Seidel, convergence factors that do
//! not depend on the size, claims, and pinned iteration counts.

use odeon::Result;
use odeon::linalg::grid::{Boundary, Grid, Mask, RedBlack, Stencil, StencilOperator};
use odeon::linalg::krylov::Cg;
use odeon::linalg::model::{self, Convection};
use odeon::linalg::multigrid::{
    CoarseOperators, Cycle, Geometric, GridLevel, GridSmoother, Level, Multigrid,
};
use odeon::linalg::{Claims, LinearOperator, LinearSolver, Preconditioner, Relaxation, Settings};

type Operator = StencilOperator<f64>;

fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn close(x: &[f64], y: &[f64], tol: f64) {
    for (i, (x, y)) in x.iter().zip(y).enumerate() {
        assert!((x - y).abs() <= tol, "{i}: {x} against {y}");
    }
}

fn vertices(extents: &[usize]) -> Grid {
    Grid::vertices(extents, &vec![1.0; extents.len()]).unwrap()
}

fn cells(extents: &[usize]) -> Grid {
    Grid::cells(extents, &vec![1.0; extents.len()]).unwrap()
}

fn poisson(extents: &[usize]) -> Operator {
    model::poisson(vertices(extents)).unwrap()
}

/// The residual's reduction in the last of `cycles` cycles on A x = 0 from noise.
fn factor(options: &Geometric, a: Operator, cycles: usize) -> f64 {
    let n = a.grid().len();
    let mut multigrid = options.build(a.clone()).unwrap();
    let (b, mut x, mut r) = (vec![0.0; n], noise(n, 1), vec![0.0; n]);
    let mut norms = Vec::new();
    for _ in 0..=cycles {
        a.residual(&b, &x, &mut r);
        norms.push(dot(&r, &r).sqrt());
        multigrid.cycle_once(&b, &mut x, false);
    }
    norms[cycles] / norms[cycles - 1]
}

#[test]
fn v11_converges_below_0_12_whatever_the_size() {
    for extents in [
        &[31usize, 31][..],
        &[63, 63],
        &[127, 127],
        &[32, 32],
        &[64, 64],
        &[100, 75],
        &[15; 3],
        &[16; 3],
        &[31; 3],
        &[20, 33, 25],
    ] {
        let factor = factor(&Geometric::default(), poisson(extents), 14);
        assert!(factor <= 0.12, "{extents:?}: {factor}");
        assert!(factor > 0.02, "{extents:?}: too good to be true, {factor}");
    }
    // Textbook: ω = 1 gives about 0.11.
    let plain = Geometric { smoother: GridSmoother::RedBlack { omega: Some(1.0) }, ..Geometric::default() };
    let plain = factor(&plain, poisson(&[127, 127]), 14);
    assert!((0.095..0.12).contains(&plain), "{plain}");
    for extents in [&[32usize, 32][..], &[63, 63], &[16; 3], &[32; 3], &[20, 33, 25]] {
        let factor = factor(&Geometric::default(), model::poisson(cells(extents)).unwrap(), 14);
        assert!(factor <= 0.12, "cells {extents:?}: {factor}");
    }
}

#[test]
fn cycles_and_smoothers_converge() {
    let run = |options: Geometric| factor(&options, poisson(&[64, 48]), 12);
    let v = run(Geometric::default());
    for cycle in [Cycle::W, Cycle::F] {
        let other = run(Geometric { cycle, ..Geometric::default() });
        assert!(other < 1.05 * v, "{cycle:?} {other} against {v}");
    }
    assert!(run(Geometric { sweeps: [2, 2], ..Geometric::default() }) < 0.6 * v);
    assert!(run(Geometric { smoother: GridSmoother::Jacobi { omega: None }, ..Geometric::default() }) < 0.45);
    let chebyshev =
        run(Geometric { smoother: GridSmoother::Chebyshev { degree: 2 }, ..Geometric::default() });
    assert!(chebyshev < 0.25, "{chebyshev}");
    assert!(run(Geometric { coarse: CoarseOperators::Galerkin, ..Geometric::default() }) < 0.2);
    assert!(run(Geometric::symmetric()) < 0.4);
}

#[test]
fn full_multigrid_starts_near_the_solution() {
    let a = poisson(&[63, 63]);
    // A smooth right-hand side: one pass gives the discretisation's accuracy.
    let grid = *a.grid();
    let b: Vec<f64> = (0..grid.len())
        .map(|i| grid.position(grid.point(i)))
        .map(|p| (0.1 * p[0]).sin() + 0.01 * p[1])
        .collect();
    let residual = |full| {
        let mut multigrid = Geometric { full, ..Geometric::default() }.build(a.clone()).unwrap();
        let mut x = vec![0.0; b.len()];
        multigrid.solve(&b, &mut x).unwrap().residuals[1]
    };
    assert!(residual(Some(1)) < 0.5 * residual(None));
}

fn levels(options: &Geometric, a: &Operator) -> Multigrid<f64, GridLevel<f64>> {
    options.build(a.clone()).unwrap()
}

/// Means over half as many cells of each axis (rounded up) of the function that is y on each fine cell.
fn means(grid: &Grid, y: &[f64], m: usize) -> Vec<f64> {
    let [n, ny, _] = grid.extents();
    let (mx, my) = (n.div_ceil(2), ny.div_ceil(2));
    assert_eq!(m, mx * my);
    let lists = |n: usize, m: usize| {
        let mut parts = vec![vec![0.0; n]; m];
        // Pieces of length 1/m, of which n make a coarse cell and m a fine one.
        (0..n * m).for_each(|piece| parts[piece / n][piece / m] += 1.0 / n as f64);
        parts
    };
    let (x_parts, y_parts) = (lists(n, mx), lists(ny, my));
    let mean = |c: usize| {
        let (px, py) = (&x_parts[c % mx], &y_parts[c / mx]);
        (0..n * ny).map(|i| px[i % n] * py[i / n] * y[i]).sum()
    };
    (0..m).map(mean).collect()
}

#[test]
fn restriction_is_the_scaled_transpose_and_interpolation_exact_for_lines() {
    for (grid, coarse) in [
        (vertices(&[31, 17]), CoarseOperators::Rediscretised),
        (vertices(&[32, 18, 9]), CoarseOperators::Rediscretised),
        (cells(&[21, 16]), CoarseOperators::Rediscretised),
        (vertices(&[32, 17]).with_boundary(Boundary::Neumann).unwrap(), CoarseOperators::Rediscretised),
        (vertices(&[32, 16]).with_boundary(Boundary::Periodic).unwrap(), CoarseOperators::Rediscretised),
        (cells(&[32, 15]).with_boundary(Boundary::Neumann).unwrap(), CoarseOperators::Rediscretised),
        (vertices(&[30, 17]), CoarseOperators::Galerkin),
        (vertices(&[30, 17]).with_boundary(Boundary::Neumann).unwrap(), CoarseOperators::Galerkin),
    ] {
        let options = Geometric { coarse, semicoarsening: 0.0, ..Geometric::default() };
        // Shifted, so that no side makes it singular.
        let a = model::poisson::<f64>(grid).unwrap().affine(1.0, 0.1).unwrap();
        let mut multigrid = levels(&options, &a);
        let level = &mut multigrid.levels_mut()[0];
        let p = level.interpolation().clone();
        let (n, m) = (p.rows(), p.cols());
        let (x, y) = (noise(m, 2), noise(n, 3));
        let (mut px, mut rty, mut ry) = (vec![0.0; n], vec![0.0; m], vec![0.0; m]);
        p.apply(&x, &mut px);
        p.apply_transpose(&y, &mut rty);
        assert!((dot(&px, &y) - dot(&x, &rty)).abs() < 1e-11);
        level.restrict(&y, &mut ry);
        if p.averages() {
            close(&ry, &means(&grid, &y, m), 1e-13);
            // Symmetric cycles take a multiple of Pᵀ on cells too.
            let mut multigrid = levels(&Geometric { symmetric: true, ..options.clone() }, &a);
            multigrid.levels_mut()[0].restrict(&y, &mut ry);
        }
        let c = ry[0] / rty[0];
        close(&ry, &rty.iter().map(|v| c * v).collect::<Vec<_>>(), 1e-13);
        assert!(c > 0.0 && c < 1.0);
        // Constants: kept by P where no Dirichlet side is near, by R away from sides.
        p.apply(&vec![1.0; m], &mut px);
        let middle = |i: &usize| {
            let q = grid.point(*i);
            (0..grid.dim()).all(|a| q[a] > 3 && q[a] + 4 < grid.extents()[a])
        };
        let all = grid.boundaries()[0][0] != Boundary::Dirichlet;
        assert!((0..n).filter(|i| all || middle(i)).all(|i| (px[i] - 1.0).abs() < 1e-13));
        assert!(px.iter().all(|v| *v >= 0.0 && *v <= 1.0 + 1e-13));
    }
}

#[test]
fn the_galerkin_operator_is_the_product() {
    let hole = |g: &Grid| {
        Mask::from_fn(g, |p| (p[0] - 9.0).abs() < 3.1 && (p[1] - 6.0).abs() < 2.1, Boundary::Dirichlet)
    };
    let jump = |p: [f64; 3]| if p[0] > 8.0 { 100.0 } else { 1.0 };
    let rotated = model::rotated_anisotropic::<f64>(vertices(&[13, 14]), 0.3, 0.5).unwrap();
    let grid = vertices(&[16, 13]);
    let operators = [
        (poisson(&[15, 12]), false),
        (rotated, false),
        (model::diffusion(vertices(&[12, 9, 7]), jump).unwrap(), false),
        (model::poisson::<f64>(vertices(&[14, 9]).with_boundary(ROBIN).unwrap()).unwrap(), false),
        (
            model::poisson::<f64>(vertices(&[12, 8]).with_boundary(Boundary::Periodic).unwrap())
                .unwrap()
                .affine(1.0, 0.2)
                .unwrap(),
            false,
        ),
        (model::poisson::<f64>(grid).unwrap().masked(&hole(&grid).unwrap()).unwrap(), true),
    ];
    for (a, masked) in operators {
        let options = Geometric {
            coarse: CoarseOperators::Galerkin,
            semicoarsening: 0.0,
            coarsest: 10,
            ..Geometric::default()
        };
        let mut multigrid = levels(&options, &a);
        assert!(multigrid.levels().len() > 1);
        let (first, rest) = multigrid.levels_mut().split_at_mut(1);
        let (level, coarse) = (&mut first[0], rest[0].stencils());
        let (n, m) = (level.operator().rows(), coarse.grid().len());
        let diagonal = |i: usize| a.row(a.grid().point(i)).get([0; 3]) == 1.0 && masked;
        let x = noise(m, 4);
        let (mut px, mut apx, mut expected, mut given) =
            (vec![0.0; n], vec![0.0; n], vec![0.0; m], vec![0.0; m]);
        level.interpolation().clone().apply(&x, &mut px);
        (0..n).filter(|i| diagonal(*i)).for_each(|i| px[i] = 0.0);
        a.apply(&px, &mut apx);
        (0..n).filter(|i| diagonal(*i)).for_each(|i| apx[i] = 0.0);
        level.restrict(&apx, &mut expected);
        coarse.apply(&x, &mut given);
        for i in 0..m {
            let empty = expected[i] == 0.0 && given[i] == x[i];
            assert!(empty || (given[i] - expected[i]).abs() < 1e-11, "{i}: {} {}", given[i], expected[i]);
        }
    }
}

const ROBIN: Boundary = Boundary::Robin { alpha: 1.0, beta: 2.0 };

#[test]
fn rediscretised_stencils_are_those_of_the_coarse_grid() {
    let options = Geometric { semicoarsening: 0.0, ..Geometric::default() };
    let fine = Grid::vertices(&[31, 20], &[0.5, 0.25]).unwrap();
    let problems: [fn(Grid) -> Result<Operator>; 4] = [
        |g| model::poisson(g),
        |g| model::convection_diffusion(g, 1.0, [0.3, -0.2, 0.0], Convection::Central),
        |g| model::rotated_anisotropic(g, 0.3, 0.5),
        |g| model::helmholtz(g, 0.01),
    ];
    for problem in problems {
        let multigrid = levels(&options, &problem(fine).unwrap());
        let coarse = multigrid.levels()[1].stencils();
        assert_eq!(coarse.grid().extents(), [15, 10, 1]);
        let h = coarse.grid().spacing();
        assert!((h[0] - 1.0).abs() < 1e-15 && (h[1] - 0.25 * 21.0 / 11.0).abs() < 1e-15);
        let expected = problem(*coarse.grid()).unwrap();
        let (x, mut y, mut z) = (noise(150, 5), vec![0.0; 150], vec![0.0; 150]);
        coarse.apply(&x, &mut y);
        expected.apply(&x, &mut z);
        close(&y, &z, 1e-12);
    }
    // Nine points keep their shape.
    let nine = levels(&options, &model::poisson_9(vertices(&[31, 31])).unwrap());
    let row = nine.levels()[1].stencils().row([5, 5, 0]);
    assert!((row.get([1, 1, 0]) / row.get([0, 0, 0]) + 1.0 / 20.0).abs() < 1e-14);
}

/// Coloured Gauss–Seidel written out with the assembled matrix.
fn reference(a: &Operator, omega: f64, b: &[f64], x: &mut [f64], reverse: bool) {
    let (grid, matrix) = (*a.grid(), a.to_csr());
    let colour = |i: usize| {
        let [i, j, k] = grid.point(i);
        if a.is_star() { (i + j + k) % 2 } else { i % 2 + 2 * (j % 2) + 4 * (k % 2) }
    };
    for step in 0..8 {
        let now = if reverse { 7 - step } else { step };
        for i in (0..grid.len()).filter(|i| colour(*i) == now) {
            let (columns, values) = matrix.row(i);
            let ax: f64 = columns.iter().zip(values).map(|(j, v)| v * x[*j as usize]).sum();
            x[i] += omega * (b[i] - ax) / matrix.get(i, i);
        }
    }
}

#[test]
fn red_black_is_coloured_gauss_seidel() {
    let c = noise(27, 6);
    let full = |dim: usize| {
        let terms: Vec<_> =
            (0..27usize).map(|s| ([s % 3, s / 3 % 3, s / 9].map(|d| d as isize - 1), c[s])).collect();
        let kept: Vec<_> = terms.into_iter().filter(|(o, _)| o[dim..].iter().all(|d| *d == 0)).collect();
        Stencil::new(&kept).unwrap().affine(0.1, 2.0)
    };
    let shapes: [&[usize]; 7] = [&[40], &[37, 6], &[1, 7], &[20, 5, 3], &[2, 2, 2], &[3, 1, 4], &[18, 4, 6]];
    for extents in shapes {
        for grid in [vertices(extents), cells(extents)] {
            for boundary in [Boundary::Dirichlet, Boundary::Neumann, Boundary::Periodic] {
                let Ok(grid) = grid.with_boundary(boundary) else { continue };
                let operators = [
                    model::poisson::<f64>(grid).unwrap().affine(1.0, 0.5).unwrap(),
                    model::diffusion(grid, |p| 1.0 + p[0] + 0.5 * p[1]).unwrap().affine(1.0, 0.5).unwrap(),
                    StencilOperator::constant(grid, full(grid.dim())).unwrap(),
                    StencilOperator::per_point(grid, |p| {
                        full(grid.dim()).affine(1.0 + 0.1 * p[0] as f64, 1.0)
                    })
                    .unwrap(),
                ];
                let odd = boundary == Boundary::Periodic && extents.iter().any(|n| n % 2 == 1);
                for a in operators {
                    let smoother = RedBlack::new(&a, 1.2);
                    assert_eq!(smoother.is_err(), odd);
                    let Ok(mut smoother) = smoother else { continue };
                    let (b, start) = (noise(grid.len(), 7), noise(grid.len(), 8));
                    for reverse in [false, true] {
                        let (mut x, mut y) = (start.clone(), start.clone());
                        match reverse {
                            false => smoother.sweep(&a, &b, &mut x),
                            true => smoother.sweep_adjoint(&a, &b, &mut x),
                        }
                        reference(&a, 1.2, &b, &mut y, reverse);
                        close(&x, &y, 1e-12);
                    }
                    let (mut x, mut y) = (vec![f64::NAN; grid.len()], vec![0.0; grid.len()]);
                    smoother.sweep_from_zero(&a, &b, &mut x);
                    smoother.sweep(&a, &b, &mut y);
                    close(&x, &y, 1e-13);
                }
            }
        }
    }
}

/// ⟨B x, y⟩ = ⟨x, B y⟩ and ⟨B x, x⟩ > 0, which the claims must say.
fn symmetric(multigrid: &mut Multigrid<f64, GridLevel<f64>>) -> bool {
    let n = multigrid.len();
    let (x, y) = (noise(n, 9), noise(n, 10));
    let (mut bx, mut by) = (vec![0.0; n], vec![0.0; n]);
    multigrid.apply(&x, &mut bx);
    multigrid.apply(&y, &mut by);
    assert!(dot(&bx, &x) > 0.0 && dot(&by, &y) > 0.0);
    (dot(&bx, &y) - dot(&x, &by)).abs() < 1e-12 * dot(&bx, &bx).sqrt() * dot(&y, &y).sqrt()
}

#[test]
fn claims_hold() {
    let jump = |p: [f64; 3]| if p[0] + p[1] > 20.0 { 1000.0 } else { 1.0 };
    for coarse in [CoarseOperators::Automatic, CoarseOperators::Galerkin] {
        for a in
            [poisson(&[32, 21]), poisson(&[10, 11, 12]), model::diffusion(cells(&[24, 17]), jump).unwrap()]
        {
            let mut multigrid = levels(&Geometric { coarse, ..Geometric::symmetric() }, &a);
            assert_eq!(multigrid.claims(), Claims::SPD);
            assert!(symmetric(&mut multigrid));
        }
    }
    // Colours in the same order: linear, not symmetric, and it shows.
    let mut plain = levels(&Geometric::default(), &poisson(&[32, 21]));
    assert_eq!(plain.claims(), Claims::LINEAR);
    assert!(!symmetric(&mut plain));
    let jacobi = Geometric { smoother: GridSmoother::Jacobi { omega: None }, ..Geometric::default() };
    let mut jacobi = levels(&jacobi, &poisson(&[32, 21]));
    assert!(jacobi.claims().spd && symmetric(&mut jacobi));
    let flow =
        model::convection_diffusion(vertices(&[20, 20]), 1.0, [0.1, 0.0, 0.0], Convection::Upwind).unwrap();
    assert!(!levels(&Geometric::symmetric(), &flow).claims().spd);
}

/// Iterations of CG with a symmetric cycle to 1e-8.
fn cg_iterations(options: &Geometric, a: &Operator) -> usize {
    let mut multigrid = levels(options, a);
    let b = noise(a.grid().len(), 11);
    let mut x = vec![0.0; b.len()];
    let mut cg = Cg::new(b.len(), Settings::tol(1e-8)).unwrap();
    cg.solve(a, &mut multigrid, &b, &mut x).unwrap().ok().unwrap().iterations
}

#[test]
fn preconditioned_iterations_are_pinned() {
    let jump = |p: [f64; 3]| if (p[0] - 30.0).abs() < 14.3 && p[1] > 25.0 { 1e4 } else { 1.0 };
    let grid = vertices(&[63, 63]);
    let obstacle = |surface| {
        let disc = |p: [f64; 3]| (p[0] - 32.0).powi(2) + (p[1] - 25.0).powi(2) < 130.0;
        poisson(&[63, 63]).masked(&Mask::from_fn(&grid, disc, surface).unwrap()).unwrap()
    };
    let problems = [
        (8, poisson(&[63, 63])),
        (9, poisson(&[64, 64])),
        (11, poisson(&[20, 20, 20])),
        (10, model::diffusion(grid, jump).unwrap()),
        (17, model::diffusion(cells(&[64, 64]), jump).unwrap()),
        (9, model::anisotropic(grid, [1.0, 1e-3, 1.0]).unwrap()),
        (8, obstacle(Boundary::Dirichlet)),
        (9, obstacle(Boundary::Neumann)),
    ];
    let given: Vec<usize> = problems.iter().map(|(_, a)| cg_iterations(&Geometric::symmetric(), a)).collect();
    let pinned: Vec<usize> = problems.iter().map(|(k, _)| *k).collect();
    assert!(given.iter().zip(&pinned).all(|(g, p)| g.abs_diff(*p) <= 1), "{given:?}, pinned {pinned:?}");
}

#[test]
fn semicoarsening_tames_anisotropy() {
    for epsilon in [[1.0, 1e-2, 1.0], [1e-3, 1.0, 1.0]] {
        let a = model::anisotropic(vertices(&[63, 63]), epsilon).unwrap();
        let semi = factor(&Geometric::default(), a.clone(), 10);
        let full = factor(&Geometric { semicoarsening: 0.0, ..Geometric::default() }, a, 10);
        assert!(semi < 0.2 && full > 0.6, "{epsilon:?}: {semi} {full}");
    }
}

fn solves(mut multigrid: Multigrid<f64, GridLevel<f64>>, a: &Operator, most: usize, zero_mean: bool) {
    let mut exact = noise(a.grid().len(), 12);
    if zero_mean {
        let mean = exact.iter().sum::<f64>() / exact.len() as f64;
        exact.iter_mut().for_each(|x| *x -= mean);
    }
    let (mut b, mut x) = (vec![0.0; exact.len()], vec![0.0; exact.len()]);
    a.apply(&exact, &mut b);
    let report = multigrid.solve(&b, &mut x).unwrap().ok().unwrap();
    assert!(report.iterations <= most, "{}", report.iterations);
    let mut r = vec![0.0; b.len()];
    a.residual(&b, &x, &mut r);
    assert!((dot(&r, &r).sqrt() - report.residual()).abs() <= 1e-12 * report.scale);
    if zero_mean {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        x.iter_mut().for_each(|x| *x -= mean);
    }
    close(&x, &exact, 1e-4);
}

#[test]
fn other_problems_are_solved() {
    let default = Geometric::default();
    // Singular, consistent.
    for boundary in [Boundary::Neumann, Boundary::Periodic] {
        let a = model::poisson::<f64>(cells(&[32, 32]).with_boundary(boundary).unwrap()).unwrap();
        solves(levels(&Geometric { semidefinite: true, ..default.clone() }, &a), &a, 14, true);
        assert!(default.build(a).err().unwrap().to_string().contains("semi-definite"));
    }
    // Mixed sides, vertices on Neumann and Robin ones.
    let sides = vertices(&[33, 30]).with_sides(0, [Boundary::Neumann, ROBIN]).unwrap();
    let a = model::poisson::<f64>(sides).unwrap();
    solves(levels(&default, &a), &a, 14, false);
    // Not symmetric, indefinite, shifted.
    let a =
        model::convection_diffusion(vertices(&[40, 40]), 1.0, [0.2, 0.1, 0.0], Convection::Central).unwrap();
    solves(levels(&default, &a), &a, 14, false);
    let a = model::shifted::<f64>(vertices(&[40, 40]), 10.0).unwrap();
    solves(levels(&default, &a), &a, 12, false);
    // The eigenvalues start at 2(π/32)² = 0.019.
    let a = model::helmholtz::<f64>(vertices(&[31, 31]), 0.03).unwrap();
    solves(levels(&default, &a), &a, 20, false);
    let a = model::poisson_9::<f64>(vertices(&[50, 50])).unwrap();
    solves(levels(&default, &a), &a, 12, false);
    let a = model::poisson_27::<f64>(vertices(&[14, 13, 12])).unwrap();
    solves(levels(&default, &a), &a, 14, false);
    let a = model::poisson::<f64>(vertices(&[500])).unwrap();
    solves(levels(&default, &a), &a, 10, false);
    // Rediscretised by the user.
    let field = |g: Grid| model::diffusion::<f64>(g, |p| 1.5 + (0.2 * p[0]).sin());
    let multigrid = default.build_from(cells(&[48, 40]), field).unwrap();
    solves(multigrid, &field(cells(&[48, 40])).unwrap(), 14, false);
}

#[test]
fn single_precision_preconditions() {
    let grid = vertices(&[64, 64]);
    let mut multigrid = Geometric::default().build(model::poisson::<f32>(grid).unwrap()).unwrap();
    let b: Vec<f32> = noise(grid.len(), 13).iter().map(|v| *v as f32).collect();
    let mut x = vec![0.0f32; b.len()];
    let settings = Settings { rtol: 1e-4, ..Geometric::default().settings };
    let mut multigrid = {
        multigrid = multigrid.settings(settings).unwrap();
        multigrid
    };
    assert!(multigrid.solve(&b, &mut x).unwrap().converged());
}

#[test]
fn bad_input_is_refused() {
    let says = |result: Result<Multigrid<f64, GridLevel<f64>>>, words: &str| {
        let text = result.err().expect("accepted").to_string();
        assert!(text.contains(words), "{text:?} lacks {words:?}");
    };
    let default = Geometric::default();
    says(default.build(poisson(&[1, 1])), "coarsened");
    let odd = vertices(&[15, 16]).with_sides(0, [Boundary::Periodic; 2]).unwrap();
    says(default.build(model::poisson(odd).unwrap()), "even extent");
    let own = model::diffusion(vertices(&[15, 16]), |_| 1.0).unwrap();
    says(Geometric { coarse: CoarseOperators::Rediscretised, ..default.clone() }.build(own), "build_from");
    says(Geometric { coarsest: 10_000, ..default.clone() }.build(poisson(&[200, 200])), "4000");
    says(Geometric { sweeps: [0, 0], ..default.clone() }.build(poisson(&[20, 20])), "smoothing sweeps");
    says(
        Geometric { smoother: GridSmoother::RedBlack { omega: Some(2.0) }, ..default.clone() }
            .build(poisson(&[20, 20])),
        "ω",
    );
    says(default.build(model::helmholtz(vertices(&[20, 20]), 4.0).unwrap()), "diagonal");
    let elsewhere = |_: Grid| model::poisson(vertices(&[20, 20]));
    says(default.build_from(vertices(&[20, 20]), elsewhere), "asked for");
}
