//! The weights in data/dcdm: what they are for, at sizes and obstacles they were not trained on.

use super::{Tested, normal};
use odeon::linalg::grid::{Boundary, Grid, Mask};
use odeon::linalg::krylov::{Cg, GuardedCg, Narrow};
use odeon::linalg::{Identity, Settings, model};
use odeon::operator::directions::{DirectionNet, LearnedPreconditioner, Proposer};
use std::path::Path;

/// Iterations to 1e-4 and 1e-8 with the window as published; none refused.
fn iterations(grid: Grid, mask: Option<&Mask>) -> Result<[usize; 2], Box<dyn std::error::Error>> {
    let dim = grid.dim();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dcdm");
    let net = DirectionNet::self_similar(dim, if dim == 2 { 8 } else { 6 }, 0.2)?;
    let theta = net.load::<f32>(data.join(format!("poisson_{dim}d.safetensors")))?;
    let mut proposer = Proposer::new(&net, grid.extents(), theta)?;
    let (mut a, mut b) = (model::poisson::<f64>(grid)?, normal(grid.len(), 3));
    if let Some(mask) = mask {
        (proposer, a) = (proposer.with_mask(mask)?, a.masked(mask)?);
        mask.clear(&mut b);
    }
    let (mut proposer, n) = (Narrow::new(proposer), grid.len());
    let mut counts = [0; 2];
    for (count, tol) in counts.iter_mut().zip([1e-4, 1e-8]) {
        let mut x = vec![0.0; n];
        let mut cg = GuardedCg::new(n, Settings::tol(tol), 2)?;
        let (report, guidance) = cg.solve(&a, (&mut proposer, &mut Identity(n)), &b, &mut x)?;
        assert_eq!(guidance.warning(), None);
        assert!(report.relative_residual() <= tol);
        *count = report.iterations;
    }
    Ok(counts)
}

fn check(extents: &[usize], most: [usize; 2]) -> Tested {
    let grid = Grid::vertices(extents, &vec![1.0; extents.len()])?;
    let counts = iterations(grid, None)?;
    assert!(counts[0] <= most[0] && counts[1] <= most[1], "{extents:?}: {counts:?} above {most:?}");
    Ok(())
}

/// Trained on 64²: the same few iterations on other extents, odd and unequal ones too.
#[test]
fn squares_of_any_size() -> Tested {
    check(&[64, 64], [3, 5])?;
    check(&[96, 96], [3, 6])?;
    check(&[31, 50], [5, 10])
}

#[test]
fn cubes() -> Tested {
    check(&[16, 16, 16], [3, 6])
}

#[test]
fn around_a_disc_that_was_not_there() -> Tested {
    let grid = Grid::vertices(&[64, 64], &[1.0; 2])?;
    let disc = |[x, y, _]: [f64; 3]| (x - 32.5).powi(2) + (y - 32.5).powi(2) < 169.0;
    let counts = iterations(grid, Some(&Mask::from_fn(&grid, disc, Boundary::Dirichlet)?))?;
    assert!(counts[0] <= 4 && counts[1] <= 9, "{counts:?}");
    Ok(())
}

/// The linear preconditioner for rotated anisotropy, in plain CG.
#[test]
fn anisotropic_diffusion() -> Tested {
    let net = DirectionNet::symmetric(2, 4, 5)?;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/dcdm/anisotropic.safetensors");
    let grid = Grid::vertices(&[64, 64], &[1.0; 2])?;
    let angle = std::f64::consts::PI / 6.0;
    let (a, narrow) = (
        model::rotated_anisotropic::<f64>(grid, 0.01, angle)?,
        model::rotated_anisotropic::<f32>(grid, 0.01, angle)?,
    );
    let theta = net.load::<f32>(data)?;
    let mut m = Narrow::new(LearnedPreconditioner::new(&net, grid.extents(), theta, &narrow)?);
    let (b, mut x, n) = (normal(grid.len(), 3), vec![0.0; grid.len()], grid.len());
    let learned = Cg::new(n, Settings::tol(1e-8))?.solve(&a, &mut m, &b, &mut x)?.ok()?.iterations;
    assert!(learned <= 27, "{learned}");
    Ok(())
}
