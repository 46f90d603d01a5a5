//! Grids, stencils, masks and model problems: against ghost values written out, the assembled matrix,
//! polynomials and eigenfunctions.

use odeon::linalg::grid::{Boundary, Grid, Mask, Stencil, StencilOperator};
use odeon::linalg::model::{self, Convection};
use odeon::linalg::{Csr, LinearOperator};
use std::f64::consts::PI;

const ROBIN: Boundary = Boundary::Robin { alpha: 0.7, beta: 1.3 };

/// Numbers in (−1, 1) without pattern.
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

/// The value of u at a point that may lie beyond a side, the conditions written out.
fn ghost(grid: &Grid, u: &[f64], p: [isize; 3], cells: bool) -> f64 {
    for axis in 0..grid.dim() {
        let (n, h) = (grid.extents()[axis] as isize, grid.spacing()[axis]);
        if (0..n).contains(&p[axis]) {
            continue;
        }
        let side = usize::from(p[axis] >= n);
        let at = |steps: isize| {
            let mut q = p;
            q[axis] = if side == 0 { steps } else { n - 1 - steps };
            q
        };
        let value = |steps| ghost(grid, u, at(steps), cells);
        return match (grid.boundaries()[axis][side], cells) {
            (Boundary::Periodic, _) => ghost(grid, u, at(n - 1), cells),
            (Boundary::Dirichlet, false) => 0.0,
            (Boundary::Dirichlet, true) => -value(0),
            (Boundary::Neumann, false) => value(1),
            (Boundary::Neumann, true) => value(0),
            // α u₀ + β (u₋₁ − u₁)/2h = 0
            (Boundary::Robin { alpha, beta }, false) => value(1) - 2.0 * h * alpha / beta * value(0),
            // α (u₋₁ + u₀)/2 + β (u₋₁ − u₀)/h = 0
            (Boundary::Robin { alpha, beta }, true) => {
                value(0) * (2.0 * beta - alpha * h) / (2.0 * beta + alpha * h)
            }
        };
    }
    u[grid.index(p.map(|i| i as usize))]
}

fn grids() -> Vec<(Grid, bool)> {
    let mut all = Vec::new();
    let shapes: [&[usize]; 7] = [&[9], &[7, 5], &[2, 6], &[1, 3], &[5, 4, 3], &[2, 2, 4], &[18, 1, 2]];
    for extents in shapes {
        for cells in [false, true] {
            let spacing = &[0.5, 0.8, 1.1][..extents.len()];
            let make = if cells { Grid::cells } else { Grid::vertices };
            let grid = make(extents, spacing).unwrap();
            for b in [Boundary::Dirichlet, Boundary::Neumann, ROBIN, Boundary::Periodic] {
                all.extend(grid.with_boundary(b).map(|g| (g, cells)));
            }
            let sides = [Boundary::Neumann, ROBIN];
            let mixed = grid.with_sides(extents.len() - 1, sides);
            all.extend(mixed.and_then(|g| g.with_sides(0, [Boundary::Periodic; 2])).map(|g| (g, cells)));
            all.extend(grid.with_sides(0, [Boundary::Dirichlet, ROBIN]).map(|g| (g, cells)));
        }
    }
    all
}

fn stencils(dim: usize) -> Vec<Stencil<f64>> {
    let c = noise(27, 5);
    let offsets = |keep: &dyn Fn(usize) -> bool| -> Vec<([isize; 3], f64)> {
        let all = (0..27usize).map(|s| ([s % 3, s / 3 % 3, s / 9].map(|d| d as isize - 1), c[s]));
        all.filter(|(o, _)| o[dim..].iter().all(|d| *d == 0))
            .filter(|(o, _)| keep(o.iter().filter(|d| **d != 0).count()))
            .collect()
    };
    let one_sided = Stencil::new(&[([0; 3], 2.0), ([-1, 0, 0], 0.3)]).unwrap();
    [offsets(&|n| n <= 1), offsets(&|_| true), offsets(&|n| n <= 2)]
        .iter()
        .map(|terms| Stencil::new(terms).unwrap())
        .chain([one_sided])
        .collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn close(x: &[f64], y: &[f64], tol: f64) {
    assert_eq!(x.len(), y.len());
    for (i, (x, y)) in x.iter().zip(y).enumerate() {
        assert!((x - y).abs() <= tol, "{i}: {x} against {y}");
    }
}

/// Whether a periodic axis has fewer than three points.
fn tiny_periodic(grid: &Grid) -> bool {
    (0..grid.dim()).any(|a| grid.boundaries()[a][0] == Boundary::Periodic && grid.extents()[a] < 3)
}

/// Matrix-free against assembled: application, transpose, residual, accumulation, diagonal.
fn same_as_assembled(op: &StencilOperator<f64>) {
    let (a, n) = (op.to_csr(), op.grid().len());
    // What an assembled matrix must be is checked by its constructor.
    let a = Csr::new([n, n], a.row_starts().to_vec(), a.columns().to_vec(), a.values().to_vec()).unwrap();
    let (x, b) = (noise(n, 1), noise(n, 2));
    let (mut y, mut z, mut s) = (vec![f64::NAN; n], vec![f64::NAN; n], vec![0.0; n]);
    op.apply(&x, &mut y);
    a.apply(&x, &mut z);
    close(&y, &z, 1e-13);
    let ax = y.clone();
    op.residual(&b, &x, &mut y);
    close(&y, &b.iter().zip(&ax).map(|(b, ax)| b - ax).collect::<Vec<_>>(), 1e-13);
    y.copy_from_slice(&b);
    op.apply_add(&x, &mut y, &mut s);
    close(&y, &b.iter().zip(&ax).map(|(b, ax)| b + ax).collect::<Vec<_>>(), 1e-13);
    op.apply_transpose(&b, &mut y);
    a.apply_transpose(&b, &mut z);
    close(&y, &z, 1e-13);
    assert!((dot(&ax, &b) - dot(&x, &y)).abs() < 1e-12);
    close(&op.diagonal().unwrap(), &a.diagonal().unwrap(), 1e-14);
    let symmetric = (0..n).all(|i| (0..n).all(|j| a.get(i, j) == a.get(j, i)));
    // On periodic axes of one or two points different offsets meet, and may be symmetric together.
    assert!(op.is_symmetric() == symmetric || tiny_periodic(op.grid()) && symmetric);
}

#[test]
fn constant_stencils_are_the_ghosts_written_out() {
    for (grid, cells) in grids() {
        let x = noise(grid.len(), 3);
        for stencil in stencils(grid.dim()) {
            let op = StencilOperator::constant(grid, stencil).unwrap();
            let mut y = vec![f64::NAN; grid.len()];
            op.apply(&x, &mut y);
            for (index, y) in y.iter().enumerate() {
                let p = grid.point(index).map(|i| i as isize);
                let mut sum = 0.0;
                for s in 0..27 {
                    let o = [s % 3, s / 3 % 3, s / 9].map(|d: isize| d - 1);
                    if stencil.get(o) != 0.0 {
                        sum +=
                            stencil.get(o) * ghost(&grid, &x, [p[0] + o[0], p[1] + o[1], p[2] + o[2]], cells);
                    }
                }
                assert!((y - sum).abs() < 1e-12, "{grid:?} {stencil:?} at {p:?}: {y} {sum}");
            }
        }
    }
}

#[test]
fn matrix_free_equals_assembled() {
    for (grid, _) in grids() {
        for stencil in stencils(grid.dim()) {
            same_as_assembled(&StencilOperator::constant(grid, stencil).unwrap());
            let weights = noise(grid.len(), 9);
            let own = |p| stencil.affine(1.5 + weights[grid.index(p)], 0.25);
            same_as_assembled(&StencilOperator::per_point(grid, own).unwrap());
        }
    }
}

#[test]
fn one_stencil_given_per_point_is_the_constant_one() {
    for (grid, _) in grids() {
        for stencil in stencils(grid.dim()) {
            let one = StencilOperator::constant(grid, stencil).unwrap().affine(0.5, 2.0).unwrap();
            let own = StencilOperator::per_point(grid, |_| stencil).unwrap().affine(0.5, 2.0).unwrap();
            assert_eq!(one.to_csr(), own.to_csr());
        }
    }
}

#[test]
fn long_lines_and_many_planes() {
    // Blocks of lines, vector loops with remainders.
    for extents in [[131, 3, 2], [1030, 70, 3], [35, 21, 1]] {
        let grid = Grid::vertices(&extents, &[1.0; 3]).unwrap();
        for op in [model::poisson::<f64>(grid).unwrap(), model::poisson_27(grid).unwrap()] {
            let x = noise(grid.len(), 4);
            let (mut y, mut z) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            op.apply(&x, &mut y);
            op.to_csr().apply(&x, &mut z);
            close(&y, &z, 1e-13);
        }
    }
}

#[test]
fn single_precision_agrees() {
    let grid = Grid::cells(&[33, 6], &[1.0, 1.0]).unwrap();
    let (single, double) = (model::poisson::<f32>(grid).unwrap(), model::poisson::<f64>(grid).unwrap());
    let x = noise(grid.len(), 6);
    let (mut y, mut z) = (vec![0.0f32; x.len()], vec![0.0; x.len()]);
    single.apply(&x.iter().map(|x| *x as f32).collect::<Vec<_>>(), &mut y);
    double.apply(&x, &mut z);
    close(&y.iter().map(|y| f64::from(*y)).collect::<Vec<_>>(), &z, 2e-6);
}

/// −Δu = f holds exactly at every point for a polynomial of this degree, data on every side.
fn exact_for(grid: Grid, degree: i32) {
    let c = [0.7, -0.4, 1.2];
    let shift = [0.3, 1.0, -0.6];
    let term = |axis: usize, x: f64| c[axis] * (x + shift[axis]).powi(degree);
    let slope = |axis: usize, x: f64| c[axis] * f64::from(degree) * (x + shift[axis]).powi(degree - 1);
    let dim = grid.dim();
    let op = model::poisson::<f64>(grid).unwrap();
    let position = |i: usize| grid.position(grid.point(i));
    let u: Vec<f64> = (0..grid.len()).map(|i| (0..dim).map(|a| term(a, position(i)[a])).sum()).collect();
    let bend = if degree == 2 { -2.0 * c[..dim].iter().sum::<f64>() } else { 0.0 };
    let mut b = vec![bend; grid.len()];
    let g = |axis: usize, side: usize, p: [usize; 3]| {
        let mut at = grid.position(p);
        let cells = grid.position([0; 3])[axis] == 0.5 * grid.spacing()[axis];
        let n = grid.extents()[axis] as f64;
        let ends = grid.boundaries()[axis].map(|b| b == Boundary::Dirichlet);
        let length =
            if cells { n } else { n - 1.0 + ends.map(|e| f64::from(u8::from(e))).iter().sum::<f64>() };
        at[axis] = if side == 0 { 0.0 } else { length * grid.spacing()[axis] };
        let value: f64 = (0..dim).map(|a| term(a, at[a])).sum();
        let normal = slope(axis, at[axis]) * if side == 0 { -1.0 } else { 1.0 };
        match grid.boundaries()[axis][side] {
            Boundary::Dirichlet => value,
            Boundary::Neumann => normal,
            Boundary::Robin { alpha, beta } => alpha * value + beta * normal,
            _ => unreachable!(),
        }
    };
    op.add_boundary_data(g, &mut b).unwrap();
    let mut r = vec![0.0; b.len()];
    op.residual(&b, &u, &mut r);
    close(&r, &vec![0.0; r.len()], 1e-10);
}

#[test]
fn polynomials_with_boundary_data_are_exact() {
    let sides = [Boundary::Dirichlet, Boundary::Neumann, ROBIN];
    for extents in [&[6usize][..], &[5, 4], &[3, 4, 5]] {
        let spacing = &[0.5, 0.8, 1.1][..extents.len()];
        let (vertices, cells) =
            (Grid::vertices(extents, spacing).unwrap(), Grid::cells(extents, spacing).unwrap());
        for low in sides {
            for high in sides {
                for axis in 0..extents.len() {
                    let vertices = vertices.with_sides(axis, [low, high]).unwrap();
                    let cells = cells.with_sides(axis, [low, high]).unwrap();
                    for degree in [1, 2] {
                        exact_for(vertices, degree);
                    }
                    exact_for(cells, 1);
                }
            }
        }
        // The ghost of a Neumann cell face is exact for quadratics too.
        exact_for(cells.with_boundary(Boundary::Neumann).unwrap(), 2);
    }
}

#[test]
fn poisson_matrices_are_the_textbook_ones() {
    let a = model::poisson_1d::<f64>(4).unwrap();
    let tridiagonal =
        |i: usize, j: usize| if i == j { 2.0 } else { -f64::from(u8::from(i.abs_diff(j) == 1)) };
    assert!((0..4).all(|i| (0..4).all(|j| a.get(i, j) == tridiagonal(i, j))));
    let a = model::poisson_2d::<f64>([3, 2]).unwrap();
    assert_eq!(a.row(4), (&[1u32, 3, 4, 5][..], &[-1.0, -1.0, 4.0, -1.0][..]));
    assert_eq!(a.nnz(), 5 * 6 - 2 * 3 - 2 * 2);
    let a = model::poisson_3d::<f64>([3, 3, 3]).unwrap();
    assert_eq!(
        a.row(13),
        (&[4u32, 10, 12, 13, 14, 16, 22][..], &[-1.0, -1.0, -1.0, 6.0, -1.0, -1.0, -1.0][..])
    );
}

/// A applied to the sines that vanish on the box's sides, as a multiple of them.
fn symbol(op: &StencilOperator<f64>, modes: [f64; 3]) -> f64 {
    let grid = *op.grid();
    let length = |a: usize| (grid.extents()[a] + 1) as f64 * grid.spacing()[a];
    let sine = |i: usize| -> f64 {
        let x = grid.position(grid.point(i));
        (0..grid.dim()).map(|a| (modes[a] * PI * x[a] / length(a)).sin()).product()
    };
    let u: Vec<f64> = (0..grid.len()).map(sine).collect();
    let mut y = vec![0.0; u.len()];
    op.apply(&u, &mut y);
    let factor = dot(&u, &y) / dot(&u, &u);
    close(&y, &u.iter().map(|u| factor * u).collect::<Vec<_>>(), 1e-9 * factor.abs());
    factor
}

#[test]
fn large_stencils_err_alike_in_all_directions() {
    // −Δ on modes k: λ(k) = |k|² − (h²/12)|k|⁴ + O(h⁴|k|⁶), a function of |k| only up to there; the
    // star's second term is (h²/12) Σ k⁴ instead.
    for dim in [2usize, 3] {
        let n = 31;
        let grid = Grid::vertices(&vec![n; dim], &vec![PI / (n + 1) as f64; dim]).unwrap();
        let op = if dim == 2 { model::poisson_9(grid) } else { model::poisson_27(grid) }.unwrap();
        let h2 = (PI / (n + 1) as f64).powi(2);
        for modes in [[1.0, 1.0, 1.0], [2.0, 1.0, 1.0], [2.0, 2.0, 1.0]] {
            let k2: f64 = modes[..dim].iter().map(|k| k * k).sum();
            let tol = (h2 * k2).powi(2) / 200.0;
            let relative = (symbol(&op, modes) / (k2 - h2 / 12.0 * k2 * k2) - 1.0).abs();
            assert!(relative < tol, "{dim} {modes:?} {relative:e}");
            let star = symbol(&model::poisson(grid).unwrap(), modes);
            assert!((star / (k2 - h2 / 12.0 * k2 * k2) - 1.0).abs() > 10.0 * tol, "{dim} {modes:?}");
        }
    }
}

#[test]
fn stars_have_their_known_eigenvalues() {
    let grid = Grid::vertices(&[6, 9, 4], &[0.5, 0.25, 1.5]).unwrap();
    let exact = |a: usize, k: f64| {
        let (n, h) = ((grid.extents()[a] + 1) as f64, grid.spacing()[a]);
        4.0 / (h * h) * (0.5 * PI * k / n).sin().powi(2)
    };
    let [ex, ey, ez] = [exact(0, 2.0), exact(1, 3.0), exact(2, 1.0)];
    let modes = [2.0, 3.0, 1.0];
    let check =
        |op: StencilOperator<f64>, value: f64| assert!((symbol(&op, modes) / value - 1.0).abs() < 1e-12);
    check(model::poisson(grid).unwrap(), ex + ey + ez);
    check(model::anisotropic(grid, [1.0, 0.01, 5.0]).unwrap(), ex + 0.01 * ey + 5.0 * ez);
    check(model::helmholtz(grid, 7.0).unwrap(), ex + ey + ez - 7.0);
    check(model::shifted(grid, 0.03).unwrap(), 1.0 + 0.03 * (ex + ey + ez));
}

#[test]
fn rotation_leaves_quadratics_their_diffusion() {
    // −∇·(K∇u) of u = x², xy, y² is −2K₁₁, −2K₁₂, −2K₂₂.
    let (epsilon, theta) = (0.1, 0.7f64);
    let grid = Grid::vertices(&[5, 5], &[0.5, 0.25]).unwrap();
    let op = model::rotated_anisotropic::<f64>(grid, epsilon, theta).unwrap();
    let (s, c) = theta.sin_cos();
    let k = [c * c + epsilon * s * s, (1.0 - epsilon) * s * c, s * s + epsilon * c * c];
    let monomials: [fn(f64, f64) -> f64; 3] = [|x, _| x * x, |x, y| x * y, |_, y| y * y];
    for (u, k) in monomials.iter().zip(k) {
        let values: Vec<f64> = (0..25).map(|i| grid.position(grid.point(i))).map(|p| u(p[0], p[1])).collect();
        let mut y = vec![0.0; 25];
        op.apply(&values, &mut y);
        assert!((y[12] + 2.0 * k).abs() < 1e-12);
    }
    assert!(op.is_symmetric() && !op.is_star());
}

#[test]
fn convection_differentiates() {
    let grid = Grid::vertices(&[7, 5], &[0.5, 0.25]).unwrap();
    let u = |p: [f64; 3]| 3.0 * p[0] - 2.0 * p[1] + 1.0;
    let values: Vec<f64> = (0..grid.len()).map(|i| u(grid.position(grid.point(i)))).collect();
    let mut y = vec![0.0; grid.len()];
    for scheme in [Convection::Upwind, Convection::Central] {
        let op = model::convection_diffusion::<f64>(grid, 0.2, [1.5, -0.5, 0.0], scheme).unwrap();
        op.apply(&values, &mut y);
        assert!((y[grid.index([3, 2, 0])] - (1.5 * 3.0 + 0.5 * 2.0)).abs() < 1e-12);
        let field =
            model::convection_diffusion_field::<f64>(grid, 0.2, |_| [1.5, -0.5, 0.0], scheme).unwrap();
        assert_eq!(field.to_csr(), op.to_csr());
    }
    // Upwind: an M-matrix at any speed; central: not beyond |v|h = 2ε.
    let positive = |scheme| {
        let op = model::convection_diffusion::<f64>(grid, 1e-3, [1.0, -1.0, 0.0], scheme).unwrap();
        let a = op.to_csr();
        (0..a.rows()).any(|i| a.row(i).0.iter().zip(a.row(i).1).any(|(j, v)| *j as usize != i && *v > 0.0))
    };
    assert!(!positive(Convection::Upwind) && positive(Convection::Central));
}

#[test]
fn harmonic_averages_pass_a_jump_exactly() {
    // −(a u')' = 0 in cells, a jumping between two of them: the flux is constant, and u is piecewise
    // linear, exact at cell centres.
    let grid = Grid::cells(&[8], &[0.25]).unwrap();
    let a = |x: f64| if x < 1.25 { 1.0 } else { 1000.0 };
    let op = model::diffusion::<f64>(grid, |p| a(p[0])).unwrap();
    let u = |x: f64| if x < 1.25 { 2.0 * x } else { 2.5 + 0.002 * (x - 1.25) };
    let values: Vec<f64> = (0..8).map(|i| u(grid.position([i, 0, 0])[0])).collect();
    let mut b = vec![0.0; 8];
    op.add_boundary_data(|_, side, _| u([0.0, 2.0][side]), &mut b).unwrap();
    let mut r = vec![0.0; 8];
    op.residual(&b, &values, &mut r);
    close(&r, &[0.0; 8], 1e-9);
    assert!(op.is_symmetric());
    // a = 1 is Poisson, whatever the sides.
    for (grid, _) in grids() {
        let (one, own) = (model::poisson::<f64>(grid).unwrap(), model::diffusion(grid, |_| 1.0).unwrap());
        let (x, mut y, mut z) = (noise(grid.len(), 8), vec![0.0; grid.len()], vec![0.0; grid.len()]);
        one.apply(&x, &mut y);
        own.apply(&x, &mut z);
        close(&y, &z, 1e-12);
    }
}

#[test]
fn masks_eliminate_solids() {
    for (grid, cells) in grids() {
        let solid: Vec<bool> =
            noise(grid.len(), 11).iter().enumerate().map(|(i, v)| i > 0 && *v > 0.3).collect();
        for surface in [Boundary::Dirichlet, Boundary::Neumann] {
            let mask = Mask::new(&grid, solid.clone(), surface).unwrap();
            for stencil in stencils(grid.dim()) {
                let whole = StencilOperator::constant(grid, stencil).unwrap();
                let op = whole.masked(&mask).unwrap();
                same_as_assembled(&op);
                let (a, full) = (op.to_csr(), whole.to_csr());
                let factor = match surface {
                    Boundary::Neumann => 1.0,
                    _ if cells => -1.0,
                    _ => 0.0,
                };
                for i in 0..grid.len() {
                    let mut diagonal = if solid[i] { 1.0 } else { full.get(i, i) };
                    for j in (0..grid.len()).filter(|j| *j != i) {
                        let kept = if solid[i] || solid[j] { 0.0 } else { full.get(i, j) };
                        assert_eq!(a.get(i, j), kept);
                        if solid[j] && !solid[i] {
                            diagonal += factor * full.get(i, j);
                        }
                    }
                    assert!((a.get(i, i) - diagonal).abs() < 1e-13);
                }
            }
        }
    }
}

#[test]
fn a_masked_box_is_the_smaller_grid() {
    // Solid all around: what is left is the Poisson problem on the box inside.
    for (surface, cells) in
        [(Boundary::Dirichlet, false), (Boundary::Dirichlet, true), (Boundary::Neumann, true)]
    {
        let make = |extents: &[usize]| {
            if cells { Grid::cells(extents, &[0.5; 2]) } else { Grid::vertices(extents, &[0.5; 2]) }
        };
        let (outer, inner) = (make(&[8, 7]).unwrap(), make(&[4, 3]).unwrap().with_boundary(surface).unwrap());
        let inside = |p: [usize; 3]| (2..6).contains(&p[0]) && (2..5).contains(&p[1]);
        let solid = (0..outer.len()).map(|i| !inside(outer.point(i))).collect();
        let mask = Mask::new(&outer, solid, surface).unwrap();
        assert_eq!(mask.fluid_count(), 12);
        let op = model::poisson::<f64>(outer).unwrap().masked(&mask).unwrap();
        let mut x = noise(outer.len(), 12);
        mask.clear(&mut x);
        let (mut y, mut small) = (vec![0.0; outer.len()], vec![0.0; 12]);
        op.apply(&x, &mut y);
        let cut = |v: &[f64]| {
            (0..outer.len()).filter(|i| inside(outer.point(*i))).map(|i| v[i]).collect::<Vec<_>>()
        };
        model::poisson::<f64>(inner).unwrap().apply(&cut(&x), &mut small);
        close(&cut(&y), &small, 1e-12);
        assert!(op.is_symmetric());
    }
}

#[test]
fn bad_input_is_refused_with_its_reason() {
    let says = |result: odeon::Result<()>, words: &str| {
        let text = result.expect_err("accepted").to_string();
        assert!(text.contains(words), "{text:?} lacks {words:?}");
    };
    let grid = Grid::vertices(&[3, 4], &[1.0, 1.0]).unwrap();
    says(Grid::vertices(&[], &[]).map(drop), "axes");
    says(Grid::vertices(&[3, 0], &[1.0, 1.0]).map(drop), "at least 1 unknown");
    says(Grid::vertices(&[1 << 20, 1 << 20], &[1.0, 1.0]).map(drop), "2³² − 1");
    says(Grid::cells(&[usize::MAX, 3], &[1.0, 1.0]).map(drop), "2³² − 1");
    says(Grid::cells(&[3], &[0.0]).map(drop), "positive");
    says(Grid::cells(&[3], &[f64::NAN]).map(drop), "positive");
    says(Grid::cells(&[3], &[1.0, 1.0]).map(drop), "one for each axis");
    says(grid.with_sides(2, [Boundary::Neumann; 2]).map(drop), "2 axes");
    says(grid.with_sides(0, [Boundary::Periodic, Boundary::Neumann]).map(drop), "periodic");
    let robin = |alpha, beta| grid.with_boundary(Boundary::Robin { alpha, beta }).map(drop);
    says(robin(-1.0, 1.0), "Robin");
    says(robin(1.0, 0.0), "beta = 0 is Dirichlet");
    says(robin(f64::NAN, 1.0), "Robin");
    let single = Grid::vertices(&[1], &[1.0]).unwrap();
    says(single.with_boundary(Boundary::Neumann).map(drop), "at least 2");
    says(Stencil::new(&[([2, 0, 0], 1.0)]).map(drop), "offset");
    says(Stencil::new(&[([0, 0, 0], f64::NAN)]).map(drop), "finite");
    let upwards = Stencil::new(&[([0, 0, 1], 1.0)]).unwrap();
    says(StencilOperator::constant(grid, upwards).map(drop), "2 axes");
    says(StencilOperator::per_point(grid, |_| upwards).map(drop), "2 axes");
    says(model::poisson::<f64>(grid).unwrap().affine(f64::NAN, 0.0).map(drop), "scale");
    says(model::poisson::<f64>(grid).unwrap().add_boundary_data(|_, _, _| 0.0, &mut [0.0]), "12");
    says(model::poisson_27::<f64>(grid).map(drop), "3 axes");
    says(model::poisson_9::<f64>(Grid::cells(&[2, 2], &[1.0, 2.0]).unwrap()).map(drop), "equal spacing");
    says(model::diffusion::<f64>(grid, |p| p[0] - 2.0).map(drop), "[0, 0, 0]");
    says(model::rotated_anisotropic::<f64>(grid, -1.0, 0.0).map(drop), "epsilon");
    says(model::poisson_2d::<f64>([0, 3]).map(drop), "at least 1");
    says(model::helmholtz::<f64>(grid, f64::INFINITY).map(drop), "finite");
    says(Mask::new(&grid, vec![true; 12], Boundary::Neumann).map(drop), "fluid");
    says(Mask::new(&grid, vec![true; 11], Boundary::Neumann).map(drop), "12");
    says(Mask::new(&grid, vec![false; 12], Boundary::Periodic).map(drop), "Dirichlet and Neumann");
    let other = Mask::new(&Grid::cells(&[5], &[1.0]).unwrap(), vec![false; 5], Boundary::Neumann).unwrap();
    says(model::poisson::<f64>(grid).unwrap().masked(&other).map(drop), "12");
}
