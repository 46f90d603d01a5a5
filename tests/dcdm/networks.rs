//! The networks: what was published, gradients, homogeneity, masks, files.

use super::{Tested, dot, normal};
use odeon::linalg::grid::{Boundary, Grid, Mask};
use odeon::linalg::krylov::{Cg, Narrow};
use odeon::linalg::{LinearOperator, Preconditioner, Settings, model};
use odeon::operator::directions::{
    DirectionNet, Equilibrated, LearnedPreconditioner, NetRun, Proposer, Published,
};

#[test]
fn parameter_counts_are_the_published_ones() -> Tested {
    let count = |dim, which| DirectionNet::published(dim, which, 0).map(|n| n.layout().len());
    assert_eq!(count(3, Published::N64)?, 97_457);
    assert_eq!(count(3, Published::N128)?, 152_881);
    assert_eq!(count(2, Published::N64)?, 32_657);
    // One more channel of geometry: 16 · 9 more weights in the first convolution.
    assert_eq!(DirectionNet::published(2, Published::N64, 1)?.layout().len(), 32_657 + 144);
    // Five stencils, and twice 1 → w → w → 1.
    assert_eq!(DirectionNet::self_similar(2, 8, 0.2)?.layout().len(), 45 + 2 * (18 * 8 + 9 * 64));
    Ok(())
}

/// A direction in parameter space and the slope along it: by the reverse pass, and by differences.
fn check_gradient(net: &DirectionNet, extents: [usize; 3], mask: Option<&Mask>) -> Tested {
    let theta = net.init::<f64>(3)?;
    let mut run = NetRun::new(net, extents)?;
    if let Some(mask) = mask {
        run.set_mask(mask)?;
    }
    let n = run.points();
    if net.geometry() > 0 {
        run.set_geometry(&normal(n * net.geometry(), 9))?;
    }
    let (r, z_bar) = (normal(2 * n, 1), normal(2 * n, 2));
    let mut z = vec![0.0; 2 * n];
    let mut theta_bar = vec![0.0; theta.len()];
    run.forward(&theta, &r, &mut z)?;
    run.backward(&theta, &z_bar, &mut theta_bar)?;
    for stream in 10..13 {
        let along = normal(theta.len(), stream);
        let slope = dot(&along, &theta_bar);
        let mut at = |h: f64| -> Result<f64, odeon::Error> {
            let moved: Vec<f64> = theta.iter().zip(&along).map(|(t, d)| t + h * d).collect();
            run.forward(&moved, &r, &mut z)?;
            Ok(dot(&z, &z_bar))
        };
        // Small enough that hardly any unit changes sign.
        let h = 1e-8;
        let difference = (at(h)? - at(-h)?) / (2.0 * h);
        let scale = dot(&theta_bar, &theta_bar).sqrt() * dot(&along, &along).sqrt();
        assert!((slope - difference).abs() < 1e-6 * scale, "{slope} {difference} {scale}");
    }
    Ok(())
}

#[test]
fn reverse_passes_agree_with_differences() -> Tested {
    check_gradient(&DirectionNet::published(2, Published::N64, 1)?, [6, 4, 1], None)?;
    check_gradient(&DirectionNet::published(3, Published::N64, 0)?, [4, 2, 4], None)?;
    let grid = Grid::vertices(&[7, 6], &[1.0; 2])?;
    let mask = Mask::from_fn(&grid, |[x, y, _]| x < 3.5 && y < 2.5, Boundary::Dirichlet)?;
    check_gradient(&DirectionNet::self_similar(2, 3, 0.3)?, grid.extents(), Some(&mask))?;
    check_gradient(&DirectionNet::self_similar(3, 2, 0.0)?, [4, 5, 3], None)?;
    check_gradient(&DirectionNet::symmetric(2, 2, 5)?, [6, 5, 1], None)?;
    check_gradient(&DirectionNet::symmetric(3, 1, 3)?, [4, 3, 5], None)
}

/// Without its nonlinear part the untrained self-similar network is a multigrid cycle: it contracts the
/// error by itself, on every size.
#[test]
fn it_starts_as_a_multigrid_cycle() -> Tested {
    let net = DirectionNet::self_similar(2, 1, 0.2)?;
    let mut theta = net.init::<f64>(0)?;
    for part in ["before", "after"] {
        net.layout().view_mut(&format!("{part}.2.weight"), &mut theta)?.fill(0.0);
    }
    for n in [8, 16, 64] {
        let grid = Grid::vertices(&[n; 2], &[1.0; 2])?;
        let a = model::poisson::<f64>(grid)?;
        let mut run = NetRun::new(&net, grid.extents())?;
        let (mut e, mut r, mut z) = (normal(n * n, 1), vec![0.0; n * n], vec![0.0; n * n]);
        let mut factor = 1.0;
        for _ in 0..12 {
            let before = dot(&e, &e).sqrt();
            a.apply(&e, &mut r);
            run.forward(&theta, &r, &mut z)?;
            e.iter_mut().zip(&z).for_each(|(e, z)| *e -= z);
            factor = dot(&e, &e).sqrt() / before;
        }
        assert!(factor < 0.35, "{n}: {factor}");
    }
    Ok(())
}

/// A smooth activation (slope 1: a linear network) has differences to rounding.
#[test]
fn a_linear_network_has_exact_differences() -> Tested {
    let net = DirectionNet::self_similar(2, 3, 1.0)?;
    let theta = net.init::<f64>(3)?;
    let mut run = NetRun::new(&net, [6, 5, 1])?;
    let (r, z_bar) = (normal(30, 1), normal(30, 2));
    let (mut z, mut theta_bar) = (vec![0.0; 30], vec![0.0; theta.len()]);
    run.forward(&theta, &r, &mut z)?;
    run.backward(&theta, &z_bar, &mut theta_bar)?;
    for i in (0..theta.len()).step_by(11) {
        let mut at = |h: f64| -> Result<f64, odeon::Error> {
            let mut moved = theta.clone();
            moved[i] += h;
            run.forward(&moved, &r, &mut z)?;
            Ok(dot(&z, &z_bar))
        };
        let h = 1e-3;
        // Fourth order: the map is a polynomial in one weight.
        let difference = (8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h);
        assert!(
            (difference - theta_bar[i]).abs() < 1e-8 * (1.0 + difference.abs()),
            "{difference} {}",
            theta_bar[i]
        );
    }
    Ok(())
}

#[test]
fn self_similar_networks_are_positively_homogeneous() -> Tested {
    let net = DirectionNet::self_similar(2, 4, 0.2)?;
    let theta = net.init::<f64>(1)?;
    let mut run = NetRun::new(&net, [8, 8, 1])?;
    let r = normal(64, 1);
    let (mut z, mut scaled) = (vec![0.0; 64], vec![0.0; 64]);
    run.forward(&theta, &r, &mut z)?;
    let large: Vec<f64> = r.iter().map(|r| 1e3 * r).collect();
    run.forward(&theta, &large, &mut scaled)?;
    let size = dot(&z, &z).sqrt();
    assert!(z.iter().zip(&scaled).all(|(z, s)| (1e3 * z - s).abs() < 1e-11 * 1e3 * size));
    // The proposer is so for any network.
    let published = DirectionNet::published(2, Published::N64, 0)?;
    let mut proposer = Proposer::new(&published, [8, 8, 1], published.init::<f64>(1)?)?;
    proposer.apply(&r, &mut z);
    proposer.apply(&large, &mut scaled);
    let size = dot(&z, &z).sqrt();
    assert!(z.iter().zip(&scaled).all(|(z, s)| (1e3 * z - s).abs() < 1e-11 * 1e3 * size));
    proposer.apply(&[0.0; 64], &mut z);
    assert!(z.iter().all(|z| *z == 0.0));
    Ok(())
}

/// Nothing comes out at solid points, and nothing in the fluid depends on what r holds there.
#[test]
fn solid_points_take_no_part() -> Tested {
    let grid = Grid::vertices(&[8, 8], &[1.0; 2])?;
    let mask = Mask::from_fn(
        &grid,
        |[x, y, _]| (x - 4.0).abs() < 1.5 && (y - 4.0).abs() < 1.5,
        Boundary::Dirichlet,
    )?;
    let net = DirectionNet::self_similar(2, 4, 0.2)?;
    let theta = net.init::<f32>(1)?;
    let mut proposer = Narrow::new(Proposer::new(&net, grid.extents(), theta)?.with_mask(&mask)?);
    let mut r = normal(64, 1);
    mask.clear(&mut r);
    let mut z = vec![f64::NAN; 64];
    proposer.apply(&r, &mut z);
    for (z, solid) in z.iter().zip(mask.solid()) {
        assert_eq!(*z == 0.0, *solid);
    }
    Ok(())
}

/// Symmetric and positive definite whatever the weights, so that plain CG takes it; as it starts, BPX.
#[test]
fn the_learned_preconditioner_is_spd() -> Tested {
    let grid = Grid::vertices(&[9, 8], &[1.0; 2])?;
    let n = grid.len();
    let a = model::diffusion::<f64>(grid, |[x, y, _]| if x > 3.0 && y < 5.0 { 100.0 } else { 1.0 })?;
    let net = DirectionNet::symmetric(2, 3, 3)?;
    for (seed, factor) in [(0, 1.0), (1, 50.0)] {
        let noise = normal(net.layout().len(), seed);
        let theta: Vec<f64> =
            net.init::<f64>(seed)?.iter().zip(noise).map(|(t, e)| t + 0.01 * factor * e).collect();
        let mut m = LearnedPreconditioner::new(&net, grid.extents(), theta, &a)?;
        assert!(m.claims().spd);
        let (x, y) = (normal(n, 5), normal(n, 6));
        let (mut mx, mut my) = (vec![0.0; n], vec![0.0; n]);
        m.apply(&x, &mut mx);
        m.apply(&y, &mut my);
        let (left, right) = (dot(&mx, &y), dot(&x, &my));
        assert!((left - right).abs() < 1e-12 * dot(&mx, &mx).sqrt() * dot(&y, &y).sqrt(), "{left} {right}");
        // N ≥ I: rᵀM⁻¹r ≥ rᵀD⁻¹r.
        let diagonal = a.diagonal().unwrap_or_default();
        let least: f64 = x.iter().zip(&diagonal).map(|(x, d)| x * x / d).sum();
        assert!(dot(&x, &mx) >= least);
        let mut solution = vec![0.0; n];
        let report = Cg::new(n, Settings::tol(1e-9))?.solve(&a, &mut m, &x, &mut solution)?;
        assert!(report.converged());
    }
    let similar = DirectionNet::self_similar(2, 3, 0.2)?;
    let theta = similar.init::<f64>(0)?;
    assert!(LearnedPreconditioner::new(&similar, grid.extents(), theta, &a).is_err());
    let mut nan = net.init::<f64>(0)?;
    nan[3] = f64::NAN;
    assert!(LearnedPreconditioner::new(&net, grid.extents(), nan, &a).is_err());
    // D^(−½) A D^(−½) has the diagonal 1.
    let scaled = Equilibrated::new(&a)?;
    let (mut e, mut column) = (vec![0.0; n], vec![0.0; n]);
    e[17] = 1.0;
    scaled.apply(&e, &mut column);
    assert!((column[17] - 1.0).abs() < 1e-15);
    Ok(())
}

/// With B = 0 the count of iterations hardly grows with the grid, as BPX's.
#[test]
fn the_symmetric_network_starts_as_bpx() -> Tested {
    let net = DirectionNet::symmetric(2, 1, 3)?;
    let mut theta = net.init::<f64>(0)?;
    net.layout().view_mut("smooth.weight", &mut theta)?.fill(0.0);
    let mut counts = Vec::new();
    for n in [16, 64] {
        let grid = Grid::vertices(&[n; 2], &[1.0; 2])?;
        let a = model::poisson::<f64>(grid)?;
        let mut m = LearnedPreconditioner::new(&net, grid.extents(), theta.clone(), &a)?;
        let mut x = vec![0.0; n * n];
        let b = normal(n * n, 1);
        counts.push(Cg::new(n * n, Settings::tol(1e-8))?.solve(&a, &mut m, &b, &mut x)?.ok()?.iterations);
    }
    assert!(counts[0] <= 25 && counts[1] <= counts[0] + 12, "{counts:?}");
    Ok(())
}

#[test]
fn what_does_not_fit_is_named() -> Tested {
    let says = |e: odeon::Error, words: &str| assert!(e.to_string().contains(words), "{e}");
    says(DirectionNet::published(1, Published::N64, 0).unwrap_err(), "2 and 3");
    says(DirectionNet::self_similar(2, 0, 0.2).unwrap_err(), "at least 1");
    says(DirectionNet::self_similar(2, 4, 1.5).unwrap_err(), "[0, 1]");
    let published = DirectionNet::published(2, Published::N64, 0)?;
    says(NetRun::<f64>::new(&published, [7, 8, 1]).unwrap_err(), "even extents");
    let net = DirectionNet::self_similar(2, 4, 0.2)?;
    says(Proposer::new(&net, [8, 8, 1], vec![0.0; 3]).unwrap_err(), "parameters");
    says(NetRun::<f64>::new(&net, [8, 8, 8]).unwrap_err(), "axes");
    // Weights of another architecture.
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("net.safetensors");
    net.save(&path, &net.init::<f32>(0)?)?;
    assert_eq!(net.load::<f32>(&path)?, net.init::<f32>(0)?);
    says(published.load::<f32>(&path).unwrap_err(), "no tensor named");
    says(DirectionNet::self_similar(2, 5, 0.2)?.load::<f32>(&path).unwrap_err(), "shape");
    says(DirectionNet::self_similar(3, 4, 0.2)?.load::<f32>(&path).unwrap_err(), "shape");
    Ok(())
}
