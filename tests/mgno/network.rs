//! Counts, inference, bits, files, errors.

use crate::{Tested, allocations, wave};
use odeon::linalg::grid::Stencil;
use odeon::linalg::multigrid::Cycle;
use odeon::nn::conv::Padding;
use odeon::nn::{Initializer, io};
use odeon::num::{Real, parallel};
use odeon::operator::mgno::{Architecture, CoarsePoints, CycleSpec, Mgno, Restriction, Scratch};

fn params(architecture: &Architecture, extents: &[usize]) -> Result<usize, odeon::Error> {
    Ok(Mgno::new(architecture, extents)?.layout().len())
}

/// The published networks, to the parameter: rough (256²), smooth (211², whose odd grids have
/// transposed kernels of 3), Navier–Stokes (64²). The spec's count of the network at 64² has one kernel more
/// in each layer, as an A in the first step (where u = 0) would be.
#[test]
fn published_parameter_counts() -> Tested {
    let darcy = |layers, levels| Architecture::darcy(layers, 24, CycleSpec::backslash(levels));
    assert_eq!(params(&darcy(4, 6), &[256, 256])?, 572_661);
    assert_eq!(params(&darcy(5, 6), &[211, 211])?, 678_093);
    assert_eq!(params(&darcy(4, 5), &[64, 64])?, 483_732 - (9 * 24 + 3 * 9 * 24 * 24));
    // Published with a gain and a shift for each point of the normalised fields.
    let [channels, layers] = [32, 5];
    let navier = params(&Architecture::navier_stokes(layers, channels, 5), &[64, 64])?;
    let points: usize = [64, 32, 16, 8].iter().map(|n| n * n).sum();
    assert_eq!(navier - layers * 4 * 2 * channels + layers * 2 * channels * points, 2_885_194);
    Ok(())
}

/// A W-cycle has the kernels of a V-cycle, restricted residuals one more A for each transfer.
#[test]
fn cycles_share_kernels_over_visits() -> Tested {
    let v = CycleSpec::backslash(4).with_after(1);
    let w = CycleSpec { visits: Cycle::W, ..v.clone() };
    let count = |spec: &CycleSpec| Ok::<_, odeon::Error>(Mgno::cycle(spec, [5, 5], &[16, 9])?.layout().len());
    assert_eq!(count(&v)?, count(&w)?);
    let residual = CycleSpec { restriction: Restriction::Residual, ..v.clone() };
    assert_eq!(count(&residual)?, count(&v)? + 3 * 9 * 25);
    Ok(())
}

fn small() -> Result<Mgno, odeon::Error> {
    let cycle = CycleSpec { visits: Cycle::W, restriction: Restriction::Residual, ..CycleSpec::backslash(3) };
    Mgno::new(&Architecture { inputs: 2, ..Architecture::darcy(2, 5, cycle.with_after(1)) }, &[17, 12])
}

/// Inference in shared memory has the bits of the pass that keeps everything, whatever the scratch held.
fn inference_is_the_kept_pass<T: Real>() -> Tested {
    let mgno = small()?;
    let theta: Vec<T> = mgno.init(Initializer::TorchLinear, 1)?;
    let x = wave::<T>(3 * mgno.input_len(), 0.3);
    let m = mgno.output_len();
    let mut scratch = Scratch::new();
    let mut y = vec![T::NAN; 3 * m];
    mgno.forward(&theta, &x, &mut y, &mut scratch)?;
    assert!(y.iter().all(|y| y.is_finite()) && y[..m] != y[m..2 * m]);
    let want = y.clone();
    let same = |sample: usize, kept: &[T], [bar, _]: [&mut [T]; 2]| {
        bar.fill(T::one());
        f64::from(u8::from(kept != &want[sample * m..][..m]))
    };
    let mut theta_bar = vec![T::zero(); theta.len()];
    assert_eq!(mgno.gradient(&theta, &x, same, &mut theta_bar, &mut scratch)?, 0.0);
    for (x, want) in x.chunks(mgno.input_len()).zip(want.chunks(m)) {
        mgno.forward(&theta, x, &mut y[..m], &mut scratch)?;
        assert_eq!(&y[..m], want, "one sample by itself");
    }
    Ok(())
}

#[test]
fn inference_has_the_bits_of_training_in_both_precisions() -> Tested {
    inference_is_the_kept_pass::<f32>()?;
    inference_is_the_kept_pass::<f64>()
}

#[test]
fn passes_allocate_nothing_and_threads_change_no_bits() -> Tested {
    let mgno = small()?;
    let theta: Vec<f32> = mgno.init(Initializer::TorchLinear, 1)?;
    let x = wave::<f32>(3 * mgno.input_len(), 0.3);
    let run = || -> Result<_, odeon::Error> {
        let (mut y, mut bar) = (vec![0.0; 3 * mgno.output_len()], vec![0.0; theta.len()]);
        let (mut scratch, mut failure) = (Scratch::new(), None);
        let loss = |_: usize, y: &[f32], [y_bar, _]: [&mut [f32]; 2]| {
            y_bar.copy_from_slice(y);
            1.0
        };
        let infer = allocations(|| failure = mgno.forward(&theta, &x, &mut y, &mut scratch).err());
        let train = allocations(|| {
            bar.fill(0.0);
            failure = mgno.gradient(&theta, &x, loss, &mut bar, &mut scratch).err();
        });
        failure.map_or(Ok(([infer, train], y, bar)), Err)
    };
    let (counts, y, bar) = parallel::with_threads(1, run)??;
    assert_eq!(counts, [0, 0]);
    for threads in [2, 3, 5] {
        let (_, other_y, other_bar) = parallel::with_threads(threads, run)??;
        assert_eq!((&other_y, &other_bar), (&y, &bar), "{threads} threads");
    }
    Ok(())
}

#[test]
fn parameters_travel_in_files_that_know_the_architecture() -> Tested {
    let (mgno, directory) = (small()?, tempfile::tempdir()?);
    let theta: Vec<f32> = mgno.init(Initializer::TorchLinear, 1)?;
    let path = directory.path().join("mgno.safetensors");
    io::save(&path, mgno.layout(), &theta, &io::Names::exact())?;
    assert_eq!(io::load::<f32>(&path, mgno.layout(), &io::Names::exact())?, theta);
    assert_eq!(
        mgno.layout().get("layers.1.level0.before0.s.weight").map(|e| e.shape.clone()),
        Some(vec![5, 5, 3, 3])
    );
    let other = Mgno::new(&Architecture::darcy(2, 5, CycleSpec::backslash(3)), &[17, 12])?;
    let reason = io::load::<f32>(&path, other.layout(), &io::Names::exact());
    assert!(reason.is_err_and(|e| e.to_string().contains("layers.0.level0")));
    Ok(())
}

/// A network that starts from stencils: perturbed by 0 its layers are the classical cycles.
#[test]
fn networks_start_from_stencils() -> Tested {
    let cycle = CycleSpec { restriction: Restriction::Residual, ..CycleSpec::backslash(2).with_after(1) };
    let mgno = Mgno::new(&Architecture::darcy(2, 3, cycle.clone()), &[8, 9])?;
    let line = |c: f64| Stencil::new(&[([-1, 0, 0], -c), ([0; 3], 2.0 * c), ([1, 0, 0], -c)]);
    let stencils = [line(1.0)?, line(0.25)?];
    let theta: Vec<f64> = mgno.init_stencils(&stencils, 0.7, 0.0, 4)?;
    let layer = Mgno::cycle(&cycle, [3, 3], &[8, 9])?;
    let classical: Vec<f64> = layer.init_stencils(&stencils, 0.7, 0.0, 0)?;
    for entry in layer.layout().entries() {
        let ours = mgno.layout().view(&format!("layers.1.{}", entry.name), &theta)?;
        assert_eq!(ours, &classical[entry.range()], "{}", entry.name);
    }
    let drawn: Vec<f64> = mgno.init(Initializer::TorchLinear, 4)?;
    assert_eq!(mgno.layout().view("last.weight", &theta)?, mgno.layout().view("last.weight", &drawn)?);
    assert!(mgno.init_stencils::<f64>(&stencils[..1], 0.7, 0.0, 4).is_err());
    assert!(mgno.init_stencils::<f64>(&stencils, f64::NAN, 0.0, 4).is_err());
    assert!(mgno.init_stencils::<f64>(&stencils, 0.7, -1.0, 4).is_err());
    assert!(mgno.init_stencils::<f64>(&[line(0.0)?, line(1.0)?], 0.7, 0.0, 4).is_err());
    Ok(())
}

#[test]
fn bad_requests_are_explained() -> Tested {
    let reason = |spec: &CycleSpec, extents: &[usize]| {
        Mgno::cycle(spec, [1, 2], extents).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let seven = CycleSpec::backslash(7);
    // 20 × 9: 5 levels are 20, 10, 5, 3, 2 and 9, 5, 3, 2, 1; a sixth would halve a single point.
    assert!(reason(&seven, &[20, 9]).contains("at most 5 (axis 1"), "{}", reason(&seven, &[20, 9]));
    assert_eq!(reason(&CycleSpec::backslash(5), &[20, 9]), "");
    let odd = CycleSpec { coarse_points: CoarsePoints::Odd, ..seven.clone() };
    assert!(reason(&odd, &[15, 40]).contains("at most 4 (axis 0"));
    let mirrored = seven.clone().with_padding(Padding::Reflect);
    assert!(reason(&mirrored, &[16, 16]).contains("at most 4"));
    assert!(reason(&CycleSpec::backslash(1).with_padding(Padding::Reflect), &[1, 4]).contains("axis 0"));
    let steps = |steps: &[[usize; 2]]| CycleSpec { steps: steps.to_vec(), ..seven.clone() };
    assert!(reason(&steps(&[]), &[8]).contains("levels"));
    assert!(reason(&steps(&[[0, 1], [1, 0]]), &[8]).contains("before"));
    assert!(reason(&steps(&[[1, 1], [1, 1]]), &[8]).contains("coarsest"));
    assert!(reason(&CycleSpec { visits: Cycle::K, ..CycleSpec::backslash(2) }, &[8]).contains("linear"));
    assert!(reason(&CycleSpec { widths: vec![1], ..CycleSpec::backslash(2) }, &[8]).contains("width"));
    assert!(reason(&seven, &[]).contains("1 to 3 axes"));
    assert!(reason(&seven, &[8, 0]).contains("at least one point"));
    let channels = Architecture { outputs: 2, ..Architecture::navier_stokes(1, 2, 2) };
    assert!(Mgno::new(&channels, &[8, 8]).is_err());
    assert!(Mgno::new(&Architecture::darcy(0, 2, CycleSpec::backslash(2)), &[8, 8]).is_err());
    let mgno = small()?;
    let (theta, mut scratch) = (vec![0.0; mgno.layout().len()], Scratch::<f64>::new());
    let x = vec![0.0; mgno.input_len()];
    assert!(mgno.forward(&theta[1..], &x, &mut [], &mut scratch).is_err());
    assert!(mgno.forward(&theta, &x[1..], &mut [], &mut scratch).is_err());
    assert!(mgno.forward(&theta, &[], &mut [], &mut scratch).is_err());
    assert!(mgno.forward(&theta, &x, &mut [0.0], &mut scratch).is_err());
    Ok(())
}
