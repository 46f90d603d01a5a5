//! The multigrid cycle and algebraic hierarchies: identities, symmetry, pinned iteration counts, bad
//! input, no allocation.

use odeon::Error;
use odeon::linalg::grid::{Boundary, Grid};
use odeon::linalg::krylov::{Cg, Narrow};
use odeon::linalg::model::Convection;
use odeon::linalg::multigrid::{
    Aggregation, Amg, AmgOptions, Coarsest, Cycle, Interpolation, Level, Multigrid, Pieces, RugeStuben,
    SmoothedAggregation, Smoother, Splitting, Strength,
};
use odeon::linalg::relax::{GaussSeidel, Jacobi, Sweep};
use odeon::linalg::{Claims, Csr, LinearOperator, LinearSolver, Preconditioner, Settings, model};
use std::sync::Arc;

#[path = "support/counting.rs"]
mod counting;

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

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn product(a: &dyn LinearOperator<f64>, x: &[f64]) -> Vec<f64> {
    let mut y = vec![0.0; a.rows()];
    a.apply(x, &mut y);
    y
}

fn near(x: &[f64], y: &[f64], tol: f64) {
    let size = y.iter().fold(1e-300, |m: f64, y| m.max(y.abs()));
    for (i, (x, y)) in x.iter().zip(y).enumerate() {
        assert!((x - y).abs() <= tol * size, "entry {i}: {x} instead of {y}");
    }
}

/// Linear interpolation from n to 2n + 1 points of a line.
fn linear(n: usize) -> Csr<f64> {
    let hat = |j: usize| [(2 * j, j, 0.5), (2 * j + 1, j, 1.0), (2 * j + 2, j, 0.5)];
    let entries: Vec<_> = (0..n).flat_map(hat).collect();
    Csr::from_triplets([2 * n + 1, n], &entries).unwrap()
}

/// Levels of a line with 2^k − 1 points, R = `scale` Pᵀ, coarse operators R A P.
fn line(levels: usize, scale: f64) -> (Vec<Pieces<f64, Csr<f64>>>, Coarsest<f64>) {
    let mut n = (4 << levels) - 1;
    let mut a = model::poisson_1d(n).unwrap();
    let mut all = Vec::new();
    for _ in 0..levels {
        n /= 2;
        let p = linear(n);
        let mut r = p.transpose();
        r.values_mut().iter_mut().for_each(|v| *v *= scale);
        let coarse = r.matmul(&a.matmul(&p).unwrap()).unwrap();
        let smoother = GaussSeidel::sor(&a, 1.1, Sweep::Natural).unwrap();
        let level = Pieces::new(a, Box::new(smoother), Box::new(r), Box::new(p)).unwrap();
        all.push(level.claiming(Claims::SPD));
        a = coarse;
    }
    (all, Coarsest::cholesky(&a).unwrap())
}

fn hierarchy(levels: usize, scale: f64) -> Multigrid<f64, Pieces<f64, Csr<f64>>> {
    let (levels, coarsest) = line(levels, scale);
    Multigrid::new(levels, Box::new(coarsest)).unwrap()
}

/// The cycle written out from its definition.
fn reference(
    levels: &mut [Pieces<f64, Csr<f64>>],
    coarsest: &mut Coarsest<f64>,
    [b, x]: [&[f64]; 2],
    sweeps: [usize; 2],
    visits: &dyn Fn(usize) -> Vec<char>,
    kind: usize,
) -> Vec<f64> {
    let Some((level, below)) = levels.split_first_mut() else {
        let mut x = b.to_vec();
        coarsest.apply(b, &mut x);
        return x;
    };
    let mut x = x.to_vec();
    (0..sweeps[0]).for_each(|_| level.sweep_before(b, &mut x));
    let r: Vec<f64> = product(level.operator(), &x).iter().zip(b).map(|(ax, b)| b - ax).collect();
    let mut coarse_b = vec![0.0; level.coarse_len()];
    level.restrict(&r, &mut coarse_b);
    let mut coarse_x = vec![0.0; coarse_b.len()];
    for kind in visits(kind) {
        let kind = kind as usize;
        coarse_x = reference(below, coarsest, [&coarse_b, &coarse_x], sweeps, visits, kind);
    }
    let mut scratch = vec![0.0; x.len()];
    level.prolong_add(&coarse_x, &mut x, &mut scratch);
    (0..sweeps[1]).for_each(|_| level.sweep_after(b, &mut x));
    x
}

#[test]
fn cycles_are_their_definitions() {
    type Visits = fn(usize) -> Vec<char>;
    let f: Visits = |kind| if kind == 'F' as usize { vec!['F', 'V'] } else { vec!['V'] };
    let cases: [(Cycle, char, Visits); 5] = [
        (Cycle::V, 'V', |_| vec!['V']),
        (Cycle::Gamma(1), 'V', |_| vec!['V']),
        (Cycle::W, 'W', |_| vec!['W', 'W']),
        (Cycle::Gamma(3), 'W', |_| vec!['W'; 3]),
        (Cycle::F, 'F', f),
    ];
    for (cycle, kind, visits) in cases {
        for sweeps in [[1, 1], [2, 1], [0, 2], [1, 0], [2, 3]] {
            let [before, after] = sweeps;
            let mut mg = hierarchy(4, 0.5).cycle(cycle).unwrap().sweeps(before, after).unwrap();
            let (mut levels, mut coarsest) = line(4, 0.5);
            let n = mg.levels()[0].operator().rows();
            let (b, start) = (noise(n, 1), noise(n, 2));
            for from_zero in [true, false] {
                let begin = if from_zero { vec![0.0; n] } else { start.clone() };
                let expected =
                    reference(&mut levels, &mut coarsest, [&b, &begin], sweeps, &visits, kind as usize);
                // What x holds does not matter from zero.
                let mut x = start.clone();
                mg.cycle_once(&b, &mut x, from_zero);
                near(&x, &expected, 1e-13);
            }
        }
    }
}

/// With interpolation of the right space and Galerkin operators, two exact levels are a direct solver
/// for right-hand sides in reach: A P c.
#[test]
fn a_coarse_correction_is_a_projection() {
    let mut mg = hierarchy(1, 3.0).sweeps(0, 1).unwrap();
    let c = noise(mg.levels()[0].coarse_len(), 3);
    let x = product(&linear(c.len()), &c);
    let b = product(mg.levels()[0].operator(), &x);
    let mut out = vec![f64::NAN; x.len()];
    mg.cycle_once(&b, &mut out, true);
    near(&out, &x, 1e-12);
}

#[test]
fn full_multigrid_nests() {
    let (b, mut mg) = (noise(31, 4), hierarchy(3, 0.5));
    let mut x = vec![f64::NAN; 31];
    mg.full_multigrid(&b, &mut x, 2);
    // By hand: restrict to the bottom, solve, prolong, two cycles on each level.
    let right = |depth: usize| {
        (0..depth).fold(b.clone(), |b, i| {
            let mut coarse = vec![0.0; b.len() / 2];
            hierarchy(3, 0.5).levels_mut()[i].restrict(&b, &mut coarse);
            coarse
        })
    };
    let (_, mut coarsest) = line(3, 0.5);
    let mut by_hand = vec![0.0; 3];
    coarsest.apply(&right(3), &mut by_hand);
    for depth in [2, 1, 0] {
        let (levels, coarsest) = line(3, 0.5);
        let levels = levels.into_iter().skip(depth).collect();
        let mut part = Multigrid::new(levels, Box::new(coarsest)).unwrap();
        by_hand = product(&linear(by_hand.len()), &by_hand);
        (0..2).for_each(|_| part.cycle_once(&right(depth), &mut by_hand, false));
    }
    near(&x, &by_hand, 1e-13);
    // As the start of a solve it saves cycles, and the solve says the truth.
    let settings = Settings { check_every: 1, ..Settings::tol(1e-9) };
    let mut x = noise(31, 5);
    let mut mg = hierarchy(3, 0.5).full(Some(1)).settings(settings).unwrap();
    let report = mg.solve(&b, &mut x).unwrap();
    assert!(report.converged());
    let r: Vec<f64> = product(mg.levels()[0].operator(), &x).iter().zip(&b).map(|(ax, b)| b - ax).collect();
    assert!((dot(&r, &r).sqrt() / report.residual() - 1.0).abs() < 1e-6);
    assert_eq!(report.true_residuals.len(), report.iterations + 1);
}

#[test]
fn a_k_cycle_outdoes_the_v_cycle_and_claims_nothing() {
    let a: Arc<Csr<f64>> = Arc::new(model::poisson_2d([60, 60]).unwrap());
    let count = |cycle: Cycle| {
        let options = AmgOptions { cycle, coarsest: 20, ..AmgOptions::default() };
        let plain = SmoothedAggregation { omega: 0.0, options, ..SmoothedAggregation::default() };
        let mut amg = plain.build(a.clone()).unwrap();
        assert_eq!(amg.claims().spd, matches!(cycle, Cycle::V | Cycle::W));
        let mut x = vec![0.0; a.rows()];
        let mut cg = Cg::flexible(a.rows(), Settings::tol(1e-8), 1).unwrap();
        cg.solve(&*a, &mut amg, &noise(a.rows(), 6), &mut x).unwrap().ok().unwrap().iterations
    };
    let counts = [Cycle::V, Cycle::W, Cycle::K].map(count);
    pinned(counts[0], 30, "plain aggregation, V");
    pinned(counts[1], 22, "plain aggregation, W");
    pinned(counts[2], 18, "plain aggregation, K");
}

/// ⟨B r, s⟩ = ⟨r, B s⟩ and ⟨B r, r⟩ > 0.
fn symmetric(b: &mut impl Preconditioner<f64>) -> bool {
    let n = Preconditioner::len(b);
    let (r, s) = (noise(n, 7), noise(n, 8));
    let (mut br, mut bs) = (vec![0.0; n], vec![0.0; n]);
    b.apply(&r, &mut br);
    b.apply(&s, &mut bs);
    let size = (dot(&br, &br) * dot(&s, &s)).sqrt();
    (dot(&br, &s) - dot(&r, &bs)).abs() < 1e-13 * size && dot(&br, &r) > 0.0 && dot(&bs, &s) > 0.0
}

#[test]
fn spd_claims_hold() {
    for (cycle, sweeps) in [(Cycle::V, 1), (Cycle::V, 2), (Cycle::W, 1), (Cycle::Gamma(3), 1)] {
        let mut mg = hierarchy(4, 0.7).cycle(cycle).unwrap().sweeps(sweeps, sweeps).unwrap();
        assert!(mg.claims().spd && symmetric(&mut mg), "{cycle:?}");
        let options = AmgOptions { cycle, sweeps: [sweeps; 2], coarsest: 5, ..AmgOptions::default() };
        for a in problems(24) {
            let (mut sa, mut rs) = both(&a, &options);
            assert!(sa.claims().spd && symmetric(&mut sa), "{cycle:?}");
            assert!(rs.claims().spd && symmetric(&mut rs), "{cycle:?}");
        }
    }
    // What is not symmetric neither claims to be nor is, so the test above can fail.
    for (cycle, before, after) in [(Cycle::V, 2, 1), (Cycle::F, 1, 1)] {
        let mut mg = hierarchy(4, 0.7).cycle(cycle).unwrap().sweeps(before, after).unwrap();
        assert!(mg.claims() == Claims::LINEAR && !symmetric(&mut mg), "{cycle:?}");
    }
    let (levels, coarsest) = line(3, 1.0);
    let again = |l: Pieces<f64, Csr<f64>>| l.claiming(Claims::LINEAR);
    let mut mg = Multigrid::new(levels.into_iter().map(again).collect(), Box::new(coarsest)).unwrap();
    assert!(!mg.claims().spd && mg.solve_transpose(&[1.0; 31], &mut [0.0; 31]).is_err());
    // A matrix that is not symmetric.
    let entries: Vec<_> = (0..300).flat_map(|i| [(i, i, 3.0), (i, (i + 1) % 300, -2.0)]).collect();
    let one_way = Csr::from_triplets([300, 300], &entries).unwrap();
    let rs = RugeStuben::default().build(one_way).unwrap();
    assert!(rs.claims() == Claims::LINEAR);
}

fn cells(m: usize) -> Grid {
    Grid::cells(&[m, m], &[1.0, 1.0]).unwrap()
}

/// Coefficient 1 or 10⁴ at random in each of 16 × 16 blocks of the square.
fn jumps(m: usize) -> Csr<f64> {
    let blocks = noise(256, 11);
    let width = m as f64 / 16.0;
    let at = |p: [f64; 3]| {
        let [i, j] = [0, 1].map(|axis| ((p[axis] / width) as usize).min(15));
        if blocks[16 * j + i] > 0.0 { 1e4 } else { 1.0 }
    };
    model::diffusion(cells(m), at).unwrap().to_csr()
}

fn anisotropic(m: usize, epsilon: [f64; 3]) -> Csr<f64> {
    model::anisotropic(cells(m), epsilon).unwrap().to_csr()
}

fn problems(m: usize) -> Vec<Arc<Csr<f64>>> {
    let all = [model::poisson_2d([m, m]).unwrap(), anisotropic(m, [1.0, 1e-3, 1.0]), jumps(m)];
    all.into_iter().map(Arc::new).collect()
}

fn both(a: &Arc<Csr<f64>>, options: &AmgOptions) -> (Amg<f64>, Amg<f64>) {
    let sa = SmoothedAggregation { options: options.clone(), ..SmoothedAggregation::default() };
    let rs = RugeStuben { options: options.clone(), ..RugeStuben::default() };
    (sa.build(a.clone()).unwrap(), rs.build(a.clone()).unwrap())
}

#[test]
fn coarse_operators_are_galerkin() {
    let options = AmgOptions { coarsest: 10, ..AmgOptions::default() };
    for a in problems(30) {
        let (sa, rs) = both(&a, &options);
        for amg in [sa, rs] {
            assert!(amg.levels().len() > 1);
            for pair in amg.levels().windows(2) {
                let c = noise(pair[0].coarse_len(), 9);
                let fine = product(pair[0].matrix(), &product(pair[0].prolongation(), &c));
                let mut expected = vec![0.0; c.len()];
                pair[0].prolongation().apply_transpose(&fine, &mut expected);
                near(&product(pair[1].matrix(), &c), &expected, 1e-12);
                near(&product(pair[0].restriction(), &fine), &expected, 1e-12);
            }
            let report = amg.report();
            assert_eq!(report.unknowns.len(), amg.levels().len() + 1);
            assert_eq!((report.unknowns[0], report.nnz[0]), (a.rows(), a.nnz()));
            let operator = report.nnz.iter().sum::<usize>() as f64 / a.nnz() as f64;
            assert_eq!(report.operator_complexity(), operator);
            assert!(report.grid_complexity() < 2.0 && report.to_string().contains("operator complexity"));
        }
    }
}

/// Where A's rows sum to zero, constants are in the range of P.
#[test]
fn interpolation_preserves_constants() {
    let walls = cells(21).with_boundary(Boundary::Neumann).unwrap();
    let a: Arc<Csr<f64>> = Arc::new(model::poisson(walls).unwrap().to_csr());
    let options = AmgOptions { semidefinite: true, coarsest: 20, ..AmgOptions::default() };
    let one = |n| vec![1.0; n];
    for splitting in [Splitting::FirstPass, Splitting::TwoPasses, Splitting::IndependentSet] {
        for interpolation in [Interpolation::Direct, Interpolation::Classical] {
            for truncation in [0.0, 0.3] {
                let options = options.clone();
                let strength = Strength::Classical(0.25);
                let rs = RugeStuben { strength, splitting, interpolation, truncation, options };
                let rs = rs.build(a.clone()).unwrap();
                let p = rs.levels()[0].prolongation();
                // An F unknown without a C neighbour (the independent set leaves some) has no row.
                let sums = product(p, &one(p.cols()));
                let whole = sums.iter().filter(|s| (*s - 1.0).abs() < 1e-13).count();
                let empty = sums.iter().filter(|s| **s == 0.0).count();
                assert!(whole + empty == sums.len());
                assert!(empty == 0 || splitting == Splitting::IndependentSet, "{empty} empty rows");
            }
        }
    }
    for aggregation in [Aggregation::Standard, Aggregation::Greedy] {
        let sa = SmoothedAggregation { aggregation, options: options.clone(), ..Default::default() };
        let plain = SmoothedAggregation { omega: 0.0, ..sa.clone() }.build(a.clone()).unwrap();
        let (t, smooth) = (plain.levels()[0].prolongation(), sa.build(a.clone()).unwrap());
        let coarse_one = product(&t.transpose(), &one(a.rows()));
        near(&product(t, &coarse_one), &one(a.rows()), 1e-14);
        near(&product(smooth.levels()[0].prolongation(), &coarse_one), &one(a.rows()), 1e-13);
        // T has orthonormal columns.
        near(&product(&t.transpose(), &product(t, &coarse_one)), &coarse_one, 1e-14);
    }
}

/// ±1: a change that costs iterations is seen.
fn pinned(count: usize, expected: usize, what: &str) {
    assert!(count.abs_diff(expected) <= 1, "{what}: {count} iterations, {expected} were needed before");
}

fn iterations(a: &Arc<Csr<f64>>, amg: &mut Amg<f64>) -> usize {
    let (b, mut x) = (noise(a.rows(), 10), vec![0.0; a.rows()]);
    let mut cg = Cg::new(a.rows(), Settings::tol(1e-6)).unwrap();
    let report = cg.solve(&**a, amg, &b, &mut x).unwrap().ok().unwrap();
    let r: Vec<f64> = product(&**a, &x).iter().zip(&b).map(|(ax, b)| b - ax).collect();
    assert!(dot(&r, &r) <= 1.001e-12 * dot(&b, &b), "the report tells the truth");
    report.iterations
}

#[test]
fn iteration_counts_are_pinned() {
    let named = [
        ("Poisson 2-D", model::poisson_2d([64, 64]).unwrap(), [7, 5]),
        ("Poisson 3-D", model::poisson_3d([20, 20, 20]).unwrap(), [7, 5]),
        ("anisotropic along x", anisotropic(64, [1.0, 1e-3, 1.0]), [9, 6]),
        ("anisotropic along y", anisotropic(64, [1e-3, 1.0, 1.0]), [8, 6]),
        ("jumping", jumps(64), [9, 8]),
    ];
    for (name, a, [of_sa, of_rs]) in named {
        let a = Arc::new(a);
        let (mut sa, mut rs) = both(&a, &AmgOptions::default());
        pinned(iterations(&a, &mut sa), of_sa, &format!("{name}, smoothed aggregation"));
        pinned(iterations(&a, &mut rs), of_rs, &format!("{name}, Ruge–Stüben"));
    }
}

/// The part of 128² … 1024² that is small enough for every run.
#[test]
fn counts_grow_slowly_on_hard_problems() {
    let hard: [fn(usize) -> Csr<f64>; 3] =
        [|m| anisotropic(m, [1.0, 1e-3, 1.0]), |m| anisotropic(m, [1e-3, 1.0, 1.0]), jumps];
    for make in hard {
        let counts = [32, 64, 128, 256].map(|m| {
            let a = Arc::new(make(m));
            iterations(&a, &mut SmoothedAggregation::default().build(a.clone()).unwrap())
        });
        assert!(2 * counts[3] <= 3 * counts[1], "{counts:?}");
        assert!(counts[3] <= 13, "{counts:?}");
    }
}

#[test]
fn every_smoother_keeps_its_claim() {
    let smoothers = [
        (Smoother::GaussSeidel, 7),
        (Smoother::SymmetricGaussSeidel, 6),
        (Smoother::Jacobi(2.0 / 3.0), 10),
        (Smoother::Chebyshev(2), 10),
    ];
    let a = Arc::new(model::poisson_2d([64, 64]).unwrap());
    for (smoother, count) in smoothers {
        let options = AmgOptions { smoother, ..AmgOptions::default() };
        let (mut sa, mut rs) = both(&a, &options);
        assert!(sa.claims().spd && symmetric(&mut sa) && symmetric(&mut rs), "{smoother:?}");
        pinned(iterations(&a, &mut sa), count, &format!("{smoother:?}"));
    }
}

#[test]
fn hierarchies_solve_alone() {
    for a in problems(40) {
        let options = AmgOptions { settings: Settings::tol(1e-10), ..AmgOptions::default() };
        let (sa, rs) = both(&a, &options);
        for mut amg in [sa, rs] {
            let (b, mut x) = (noise(a.rows(), 12), noise(a.rows(), 13));
            let report = amg.solve(&b, &mut x).unwrap().ok().unwrap();
            assert!(report.relative_residual() <= 1e-10 && report.iterations < 60);
            let mut y = vec![0.0; b.len()];
            amg.solve_transpose(&b, &mut y).unwrap().ok().unwrap();
            near(&x, &y, 1e-6);
        }
    }
}

#[test]
fn single_precision_and_mixed() {
    let a = Arc::new(model::poisson_2d::<f64>([48, 48]).unwrap());
    let single = Arc::new(model::poisson_2d::<f32>([48, 48]).unwrap());
    let b = noise(a.rows(), 14);
    for rs in [false, true] {
        let build = || match rs {
            true => RugeStuben::default().build(single.clone()).unwrap(),
            false => SmoothedAggregation::default().build(single.clone()).unwrap(),
        };
        let narrow: Vec<f32> = b.iter().map(|b| *b as f32).collect();
        let mut x = vec![0.0; b.len()];
        let mut amg = build();
        amg.multigrid();
        let mut cg = Cg::new(b.len(), Settings::tol(1e-5)).unwrap();
        cg.solve(&*single, &mut amg, &narrow, &mut x).unwrap().ok().unwrap();
        let (mut x, mut cg) = (vec![0.0; b.len()], Cg::new(b.len(), Settings::tol(1e-11)).unwrap());
        let report = cg.solve(&*a, &mut Narrow::new(build()), &b, &mut x).unwrap().ok().unwrap();
        assert!(report.iterations <= 20, "{}", report.iterations);
    }
}

#[test]
fn neumann_problems_need_to_be_asked_for() {
    let walls = cells(30).with_boundary(Boundary::Neumann).unwrap();
    let a: Arc<Csr<f64>> = Arc::new(model::poisson(walls).unwrap().to_csr());
    let message = |e: Result<Amg<f64>, Error>| e.err().unwrap().to_string();
    let sa = message(SmoothedAggregation::default().build(a.clone()));
    let rs = message(RugeStuben::default().build(a.clone()));
    assert!(sa.contains("pivot") && sa.contains("semi-definite") && rs.contains("pivot"), "{sa} {rs}");
    let options = AmgOptions { semidefinite: true, ..AmgOptions::default() };
    let mut b = noise(a.rows(), 15);
    let mean = b.iter().sum::<f64>() / b.len() as f64;
    b.iter_mut().for_each(|b| *b -= mean);
    let (sa, rs) = both(&a, &options);
    for mut amg in [sa, rs] {
        let mut x = vec![0.0; b.len()];
        let mut cg = Cg::new(b.len(), Settings::tol(1e-9)).unwrap();
        let report = cg.solve(&*a, &mut amg, &b, &mut x).unwrap().ok().unwrap();
        assert!(report.iterations < 20);
    }
}

#[test]
fn refresh_is_a_new_set_up_on_the_same_aggregates() {
    let a = model::poisson_2d::<f64>([40, 40]).unwrap();
    let mut other = a.clone();
    for (k, v) in other.values_mut().iter_mut().enumerate() {
        *v *= 2.0 + 1e-6 * (k % 7) as f64;
    }
    let other = other.add_scaled_transpose();
    let cycle = |amg: &mut Amg<f64>| {
        let (b, mut x) = (noise(1600, 16), vec![0.0; 1600]);
        amg.apply(&b, &mut x);
        x
    };
    let builders: [fn(Csr<f64>) -> Amg<f64>; 2] =
        [|a| SmoothedAggregation::default().build(a).unwrap(), |a| RugeStuben::default().build(a).unwrap()];
    for build in builders {
        let mut amg = build(a.clone());
        let (before, fresh) = (cycle(&mut amg), cycle(&mut build(other.clone())));
        amg.refresh(other.clone()).unwrap();
        near(&cycle(&mut amg), &fresh, 1e-12);
        amg.refresh(a.clone()).unwrap();
        assert_eq!(cycle(&mut amg), before, "the same numbers give the same bits");
        let wrong = model::poisson_2d::<f64>([20, 80]).unwrap();
        assert!(amg.refresh(wrong).unwrap_err().to_string().contains("places of entries"));
        assert_eq!(cycle(&mut amg), before, "a refused refresh changes nothing");
    }
}

/// (A + Aᵀ)/2, for the test above.
trait Symmetrised {
    fn add_scaled_transpose(&self) -> Self;
}

impl Symmetrised for Csr<f64> {
    fn add_scaled_transpose(&self) -> Self {
        let (mut out, t) = (self.clone(), self.transpose());
        out.values_mut().iter_mut().zip(t.values()).for_each(|(v, t)| *v = 0.5 * (*v + t));
        out
    }
}

/// Two displacements a node that each see the Laplacian, coupled within the node.
fn vector_laplacian(m: usize) -> Csr<f64> {
    let scalar = model::poisson_2d::<f64>([m, m]).unwrap();
    let mut entries = Vec::new();
    for i in 0..scalar.rows() {
        let (columns, values) = scalar.row(i);
        for (&j, &v) in columns.iter().zip(values) {
            let j = j as usize;
            entries.extend([(2 * i, 2 * j, v), (2 * i + 1, 2 * j + 1, v)]);
            entries.extend([(2 * i, 2 * j + 1, 0.1 * v), (2 * i + 1, 2 * j, 0.1 * v)]);
        }
    }
    Csr::from_triplets([2 * scalar.rows(); 2], &entries).unwrap()
}

#[test]
fn blocks_and_given_vectors() {
    let a = Arc::new(vector_laplacian(32));
    let n = a.rows();
    let blocks = SmoothedAggregation { block: 2, ..SmoothedAggregation::default() };
    let mut amg = blocks.build(a.clone()).unwrap();
    let by_block = iterations(&a, &mut amg);
    let scalar = Arc::new(model::poisson_2d([32, 32]).unwrap());
    let alone = iterations(&scalar, &mut SmoothedAggregation::default().build(scalar.clone()).unwrap());
    assert!(by_block.abs_diff(alone) <= 2, "{by_block} against {alone}");
    // A third vector that depends on the two is left out, and nothing becomes singular.
    let near_null: Vec<f64> = (0..n).flat_map(|i| [(i % 2) as f64, ((i + 1) % 2) as f64, 1.0]).collect();
    let mut given = blocks.build_with(a.clone(), &near_null, 3).unwrap();
    assert_eq!(given.report().unknowns, amg.report().unknowns);
    assert_eq!(iterations(&a, &mut given), by_block);
}

#[test]
fn bad_input_is_named() {
    fn message<R>(result: Result<R, Error>) -> String {
        result.err().unwrap().to_string()
    }
    let sa = |a: &Csr<f64>| message(SmoothedAggregation::default().build(a.clone()));
    let rs = |a: &Csr<f64>| message(RugeStuben::default().build(a.clone()));
    let triplets = |shape, t: &[(usize, usize, f64)]| Csr::from_triplets(shape, t).unwrap();
    let wide = triplets([2, 3], &[(0, 0, 1.0), (1, 1, 1.0)]);
    let empty = triplets([0, 0], &[]);
    let zero = triplets([2, 2], &[(0, 0, 1.0), (0, 1, 1.0), (1, 0, 1.0)]);
    for (a, says) in [(wide, "2 × 3"), (empty, "0 × 0"), (zero.clone(), "row 1")] {
        assert!(sa(&a).contains(says) && rs(&a).contains(says), "{} {}", sa(&a), rs(&a));
    }
    let indefinite = triplets([2, 2], &[(0, 0, 1.0), (0, 1, 2.0), (1, 0, 2.0), (1, 1, 1.0)]);
    assert!(sa(&indefinite).contains("pivot 1") && rs(&indefinite).contains("pivot 1"));
    let singular = triplets([2, 2], &[(0, 0, 1.0), (0, 1, 2.0), (1, 0, 1.0), (1, 1, 2.0)]);
    assert!(rs(&singular).contains("singular"), "{}", rs(&singular));
    let mut negative = model::poisson_2d::<f64>([20, 20]).unwrap();
    let at = negative.row_starts()[33] + negative.row(33).0.iter().position(|&j| j == 33).unwrap();
    negative.values_mut()[at] = -4.0;
    assert!(sa(&negative).contains("row 33"), "{}", sa(&negative));
    let mut nan = model::poisson_2d::<f64>([20, 20]).unwrap();
    nan.values_mut()[77] = f64::NAN;
    assert!(sa(&nan).contains("NaN") && rs(&nan).contains("NaN"), "{} {}", sa(&nan), rs(&nan));
    let a = model::poisson_2d::<f64>([20, 20]).unwrap();
    let with = |s: SmoothedAggregation| message(s.build(a.clone()));
    assert!(with(SmoothedAggregation { strength: 1.5, ..Default::default() }).contains("θ is 1.5"));
    assert!(with(SmoothedAggregation { omega: f64::NAN, ..Default::default() }).contains("ω is NaN"));
    assert!(with(SmoothedAggregation { block: 3, ..Default::default() }).contains("divide"));
    let given = |b: &[f64], k| message(SmoothedAggregation::default().build_with(a.clone(), b, k));
    assert!(given(&[1.0; 7], 1).contains("length 7") && given(&[], 0).contains("at least one"));
    assert!(given(&[f64::INFINITY; 400], 1).contains("finite"));
    let options = AmgOptions { max_levels: 1, ..AmgOptions::default() };
    assert!(message(RugeStuben { options, ..Default::default() }.build(a.clone())).contains("2 levels"));
    let truncated = RugeStuben { truncation: -0.1, ..RugeStuben::default() };
    assert!(message(truncated.build(a.clone())).contains("truncation"));
    assert!(message(hierarchy(2, 1.0).cycle(Cycle::Gamma(0))).contains("γ"));
    assert!(message(hierarchy(2, 1.0).sweeps(0, 0)).contains("one must be positive"));
    assert!(message(hierarchy(2, 1.0).settings(Settings::tol(-1.0))).contains("rtol"));
    let (mut levels, coarsest) = line(3, 1.0);
    levels.remove(1);
    assert!(message(Multigrid::new(levels, Box::new(coarsest))).contains("restriction"));
    let none = Vec::<Pieces<f64, Csr<f64>>>::new();
    assert!(message(Multigrid::new(none, Box::new(line(1, 1.0).1))).contains("number of levels"));
    let jacobi = || Box::new(Jacobi::new(&a, 0.8).unwrap());
    let p = || Box::new(linear(9));
    assert!(message(Pieces::new(a.clone(), jacobi(), p(), p())).contains("the restriction"));
    let mut mg = hierarchy(3, 1.0);
    assert!(message(mg.solve(&[1.0; 30], &mut [0.0; 31])).contains("length 30"));
    assert!(message(mg.solve(&[f64::NAN; 31], &mut [0.0; 31])).contains("finite"));
}

/// Upwind convection–diffusion: an M-matrix that is not symmetric, on which R = Pᵀ still serves.
#[test]
fn ruge_stuben_solves_what_is_not_symmetric() {
    let flow = model::convection_diffusion(cells(48), 0.05, [1.0, 0.4, 0.0], Convection::Upwind);
    let a: Arc<Csr<f64>> = Arc::new(flow.unwrap().to_csr());
    assert!(!a.is_symmetric(1e-8));
    let settings = Settings { check_every: 1, ..Settings::tol(1e-8) };
    let options = AmgOptions { settings, coarsest: 50, ..AmgOptions::default() };
    let mut rs = RugeStuben { options, ..RugeStuben::default() }.build(a.clone()).unwrap();
    let (b, mut x) = (noise(a.rows(), 18), vec![0.0; a.rows()]);
    let report = rs.solve(&b, &mut x).unwrap().ok().unwrap();
    assert!(report.iterations <= 40, "{}", report.iterations);
    let refused = rs.solve_transpose(&b, &mut x).unwrap_err().to_string();
    assert!(refused.contains("SPD"), "{refused}");
    // A cycle on a matrix that is its own coarsest problem is an exact solve.
    let entries = [(0, 0, 2.0), (0, 1, -1.0), (1, 1, 3.0), (2, 0, -1.5), (2, 2, 2.0)];
    let small = Csr::from_triplets([3, 3], &entries).unwrap();
    let mut exact = RugeStuben::default().build(small.clone()).unwrap();
    let mut x = vec![0.0; 3];
    exact.apply(&product(&small, &[1.0, -2.0, 3.0]), &mut x);
    near(&x, &[1.0, -2.0, 3.0], 1e-14);
}

/// Small, diagonal and stubborn matrices have hierarchies too.
#[test]
fn nothing_to_coarsen() {
    let diagonal: Vec<_> = (0..500).map(|i| (i, i, 1.0 + i as f64)).collect();
    let matrices = [
        model::poisson_1d(1).unwrap(),
        model::poisson_1d(7).unwrap(),
        Csr::from_triplets([500, 500], &diagonal).unwrap(),
    ];
    for a in matrices {
        let a = Arc::new(a);
        let (sa, rs) = both(&a, &AmgOptions::default());
        for mut amg in [sa, rs] {
            assert!(iterations(&a, &mut amg) <= 2);
        }
    }
    let large: Vec<_> = (0..9000).map(|i| (i, i, 1.0 + i as f64)).collect();
    let a = Arc::new(Csr::from_triplets([9000, 9000], &large).unwrap());
    assert!(iterations(&a, &mut SmoothedAggregation::default().build(a.clone()).unwrap()) <= 2);
    // θ = 0.25 calls every coupling of seven points weak.
    let a = Arc::new(model::poisson_3d([15, 15, 15]).unwrap());
    let strict = SmoothedAggregation { strength: 0.25, ..SmoothedAggregation::default() };
    assert!(iterations(&a, &mut strict.build(a.clone()).unwrap()) <= 12);
}

#[test]
fn cycles_allocate_nothing() {
    for cycle in [Cycle::V, Cycle::W, Cycle::F, Cycle::K] {
        let options = AmgOptions { cycle, coarsest: 20, ..AmgOptions::default() };
        let a = Arc::new(model::poisson_2d([40, 40]).unwrap());
        let (sa, rs) = both(&a, &options);
        for mut amg in [sa, rs] {
            let (b, mut x) = (noise(1600, 17), vec![0.0; 1600]);
            let counted = counting::allocations(|| {
                amg.apply(&b, &mut x);
                amg.multigrid().full_multigrid(&b, &mut x, 1);
            });
            assert_eq!(counted, 0, "{cycle:?}");
        }
    }
    let counted = counting::allocations(|| drop(std::hint::black_box(vec![1.0; 9])));
    assert_eq!(counted, 1, "the counter counts");
}
