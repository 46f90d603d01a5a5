//! Counts, answers, bits, files, errors.

use crate::{Tested, allocations, small, wave};
use odeon::nn::conv::Padding;
use odeon::nn::{Activation, Initializer, io};
use odeon::num::parallel;
use odeon::operator::baselines::{DeepONet, DilResNet, Fno, UNet};
use odeon::operator::surrogate::{Normaliser, Scope};
use odeon::operator::{Program, Scratch, Surrogate};

fn params(model: &dyn Surrogate, extents: &[usize]) -> Result<usize, odeon::Error> {
    Ok(model.compile(extents)?.layout().len())
}

/// The published Fourier neural operator for Darcy's law (12 modes, width 32), counted in real numbers; the
/// U-Net of width 64 with one channel in and out; seven convolutions in each of four blocks of 48 channels
/// between two more.
#[test]
fn published_parameter_counts() -> Tested {
    assert_eq!(params(&Fno::darcy(32, 12), &[85, 85])?, 2_368_001);
    assert_eq!(params(&UNet::new(64), &[16, 16])?, 31_030_593);
    let layer = 48 * 48 * 9 + 48;
    assert_eq!(params(&DilResNet::new(48), &[64, 64])?, 28 * layer + (9 * 48 + 48) + (9 * 48 + 1));
    let deep = |n: usize| n * 128 + 128 + 2 * (128 * 128 + 128);
    assert_eq!(params(&DeepONet::new(128), &[32, 32])?, deep(1024) + deep(2) + 128 * 128 + 128 + 1);
    Ok(())
}

/// A U-Net as plain loops: two levels, one channel, on odd extents.
#[test]
fn unet_is_its_formula() -> Tested {
    let [nx, ny] = [5, 6];
    let unet = UNet { depth: 1, activation: Activation::Relu, ..UNet::new(1) };
    let program = unet.compile(&[nx, ny])?;
    let theta: Vec<f64> = program.init(Initializer::TorchLinear, 8)?;
    let x = wave::<f64>(nx * ny, 0.3);
    let get = |name: &str| program.layout().view(name, &theta).map(<[f64]>::to_vec);
    let relu = |v: f64| v.max(0.0);
    // Channels as separate fields.
    let conv = |fields: &[Vec<f64>], [nx, ny]: [usize; 2], name: &str, outputs: usize| {
        let (w, b) = (get(&format!("{name}.weight"))?, get(&format!("{name}.bias"))?);
        let at = |field: &[f64], x: isize, y: isize| {
            let inside = (0..nx as isize).contains(&x) && (0..ny as isize).contains(&y);
            if inside { field[x as usize + nx * y as usize] } else { 0.0 }
        };
        let value = |o: usize, p: usize| {
            let (px, py) = ((p % nx) as isize, (p / nx) as isize);
            let mut sum = b[o];
            for (i, field) in fields.iter().enumerate() {
                for t in 0..9 {
                    let (dx, dy) = ((t % 3) as isize - 1, (t / 3) as isize - 1);
                    sum += w[(o * fields.len() + i) * 9 + t] * at(field, px + dx, py + dy);
                }
            }
            relu(sum)
        };
        let field = |o: usize| (0..nx * ny).map(|p| value(o, p)).collect::<Vec<f64>>();
        Ok::<_, odeon::Error>((0..outputs).map(field).collect::<Vec<_>>())
    };
    let fine = conv(&conv(std::slice::from_ref(&x), [nx, ny], "down.0.0", 1)?, [nx, ny], "down.0.1", 1)?;
    let largest = |p: usize| {
        let (cx, cy) = (p % 2, p / 2);
        let block = [(0, 0), (1, 0), (0, 1), (1, 1)];
        block.iter().map(|(a, b)| fine[0][2 * cx + a + nx * (2 * cy + b)]).fold(f64::MIN, f64::max)
    };
    let pooled: Vec<f64> = (0..6).map(largest).collect();
    let coarse = conv(&conv(&[pooled], [2, 3], "down.1.0", 2)?, [2, 3], "down.1.1", 2)?;
    let (w, b) = (get("up.0.prolong.weight")?, get("up.0.prolong.bias")?);
    let up = |p: usize| {
        let (x, y) = (p % nx, p / nx);
        // The last point of an odd extent gets the bias alone.
        let from = |i: usize| if x < 4 { coarse[i][x / 2 + 2 * (y / 2)] } else { 0.0 };
        b[0] + (0..2).map(|i| w[4 * i + x % 2 + 2 * (y % 2)] * from(i)).sum::<f64>()
    };
    let joined = [fine[0].clone(), (0..nx * ny).map(up).collect()];
    let last = conv(&conv(&joined, [nx, ny], "up.0.0", 1)?, [nx, ny], "up.0.1", 1)?;
    let (w, b) = (get("last.weight")?[0], get("last.bias")?[0]);
    let mut y = vec![0.0; nx * ny];
    program.forward(&theta, &x, &mut y, &mut Scratch::new())?;
    for (y, want) in y.iter().zip(&last[0]) {
        assert!((y - (w * want + b)).abs() < 1e-14, "{y} and {}", w * want + b);
    }
    Ok(())
}

/// A DeepONet by its formula at one point, and a branch without hidden layers is linear in the input.
#[test]
fn deeponet_is_its_formula() -> Tested {
    let deep = DeepONet { branch: vec![], trunk: vec![], activation: Activation::Tanh, ..DeepONet::new(3) };
    let program = deep.compile(&[4, 3])?;
    let theta: Vec<f64> = program.init(Initializer::TorchLinear, 8)?;
    let get = |name: &str| program.layout().view(name, &theta);
    let x = wave::<f64>(12, 0.3);
    let mut y = vec![0.0; 12];
    program.forward(&theta, &x, &mut y, &mut Scratch::new())?;
    for (p, y) in y.iter().enumerate() {
        let place = [(p % 4) as f64 / 3.0, (p / 4) as f64 / 2.0];
        let mut want = get("last.bias")?[0];
        for k in 0..3 {
            let dense = |name: &str, x: &[f64]| {
                let (w, b) = (get(&format!("{name}.weight"))?, get(&format!("{name}.bias"))?);
                let row = &w[k * x.len()..][..x.len()];
                Ok::<f64, odeon::Error>(b[k] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>())
            };
            want += dense("branch.0", &x)? * dense("trunk.0", &place)?.tanh();
        }
        assert!((y - want).abs() < 1e-13, "{y} and {want}");
    }
    Ok(())
}

/// With weights that do nothing but pass on, a block of the dilated network sees as far as its dilations say.
#[test]
fn dilations_reach_as_far_as_they_say() -> Tested {
    let net = DilResNet { blocks: 1, activation: Activation::Relu, ..DilResNet::new(1) };
    let program = net.compile(&[61])?;
    let mut theta = vec![0.0f64; program.layout().len()];
    for entry in program.layout().entries().iter().filter(|e| e.name.ends_with("weight")) {
        theta[entry.range()].fill(1.0);
    }
    let mut x = vec![0.0; 61];
    x[30] = 1.0;
    let mut y = vec![0.0; 61];
    program.forward(&theta, &x, &mut y, &mut Scratch::new())?;
    // 1 + 2 + 4 + 8 + 4 + 2 + 1 and one point for each of the outer convolutions.
    let seen: Vec<usize> = (0..61).filter(|i| y[*i] > 0.0).collect();
    assert_eq!(seen, (6..=54).collect::<Vec<_>>());
    Ok(())
}

type Outcome = ([usize; 2], Vec<f32>, Vec<f32>);

fn passes(program: &Program) -> Result<Outcome, odeon::Error> {
    let theta: Vec<f32> = program.init(Initializer::TorchLinear, 1)?;
    let x = wave::<f32>(3 * program.input_len(), 0.3);
    let (mut y, mut bar) = (vec![0.0; 3 * program.output_len()], vec![0.0; theta.len()]);
    let (mut scratch, mut failure) = (Scratch::new(), None);
    let loss = |_: usize, y: &[f32], [y_bar, _]: [&mut [f32]; 2]| {
        y_bar.copy_from_slice(y);
        1.0
    };
    let infer = allocations(|| failure = program.forward(&theta, &x, &mut y, &mut scratch).err());
    let train = allocations(|| {
        bar.fill(0.0);
        failure = program.gradient(&theta, &x, loss, &mut bar, &mut scratch).err();
    });
    failure.map_or(Ok(([infer, train], y, bar)), Err)
}

#[test]
fn passes_allocate_nothing_and_threads_change_no_bits() -> Tested {
    for (model, extents) in small() {
        let program = model.compile(&extents)?;
        let (counts, y, bar) = parallel::with_threads(1, || passes(&program))??;
        assert_eq!(counts, [0, 0], "{} {extents:?}", model.name());
        assert!(y.iter().chain(&bar).all(|v| v.is_finite()));
        for threads in [2, 3] {
            let (_, other_y, other_bar) = parallel::with_threads(threads, || passes(&program))??;
            assert_eq!((&other_y, &other_bar), (&y, &bar), "{} on {threads} threads", model.name());
        }
    }
    Ok(())
}

/// One scratch serves networks one after the other; inference has the bits of the pass that keeps everything.
#[test]
fn scratch_is_shared_and_inference_has_the_bits_of_training() -> Tested {
    let mut scratch = Scratch::<f64>::new();
    for (model, extents) in small().into_iter().chain(small()) {
        let program = model.compile(&extents)?;
        let theta: Vec<f64> = program.init(Initializer::TorchLinear, 1)?;
        let (x, m) = (wave::<f64>(2 * program.input_len(), 0.3), program.output_len());
        let mut y = vec![f64::NAN; 2 * m];
        program.forward(&theta, &x, &mut y, &mut scratch)?;
        let same = |sample: usize, kept: &[f64], [bar, _]: [&mut [f64]; 2]| {
            bar.fill(1.0);
            f64::from(u8::from(kept != &y[sample * m..][..m]))
        };
        let (mut bar, mut fresh) = (vec![0.0; theta.len()], vec![0.0; theta.len()]);
        assert_eq!(program.gradient(&theta, &x, same, &mut bar, &mut scratch)?, 0.0);
        assert_eq!(program.gradient(&theta, &x, same, &mut fresh, &mut Scratch::new())?, 0.0);
        assert_eq!(bar, fresh, "{} {extents:?}", model.name());
    }
    Ok(())
}

#[test]
fn parameters_travel_in_files_that_know_the_architecture() -> Tested {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("fno.safetensors");
    let program = Fno::darcy(4, 3).compile(&[8, 9])?;
    let theta: Vec<f32> = program.init(Initializer::TorchLinear, 1)?;
    io::save(&path, program.layout(), &theta, &io::Names::exact())?;
    assert_eq!(io::load::<f32>(&path, program.layout(), &io::Names::exact())?, theta);
    // Another grid has the same parameters, another number of modes has not.
    let finer = Fno::darcy(4, 3).compile(&[16, 18])?;
    assert_eq!(io::load::<f32>(&path, finer.layout(), &io::Names::exact())?, theta);
    let other = Fno::darcy(4, 2).compile(&[8, 9])?;
    let reason = io::load::<f32>(&path, other.layout(), &io::Names::exact());
    assert!(reason.is_err_and(|e| e.to_string().contains("layers.0.spectral.weight")));
    Ok(())
}

/// What a fit found can be kept in a file and taken back.
#[test]
fn normalisers_are_their_numbers() -> Tested {
    let samples = wave::<f64>(5 * 12, 0.4);
    for scope in [Scope::Channel, Scope::Point] {
        let fitted = Normaliser::fit(&samples, 12, 2, scope)?;
        let run = 12 / fitted.mean().len();
        let again = Normaliser::new(fitted.mean().to_vec(), fitted.deviation().to_vec(), run)?;
        assert_eq!(again, fitted);
    }
    let reason = |mean: &[f64], deviation: &[f64], run| {
        Normaliser::new(mean.to_vec(), deviation.to_vec(), run)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    };
    assert!(reason(&[0.0], &[1.0, 1.0], 3).contains("one for each mean"));
    assert!(reason(&[], &[], 3).contains("normaliser"));
    assert!(reason(&[0.0], &[1.0], 0).contains("normaliser"));
    assert!(reason(&[f64::NAN], &[1.0], 1).contains("means"));
    for deviation in [0.0, -1.0, f64::INFINITY] {
        assert!(reason(&[0.0], &[deviation], 1).contains("positive and finite"));
    }
    Ok(())
}

#[test]
fn bad_requests_are_explained() -> Tested {
    let reason = |model: &dyn Surrogate, extents: &[usize]| {
        model.compile(extents).err().map(|e| e.to_string()).unwrap_or_default()
    };
    let says = |model: &dyn Surrogate, extents: &[usize], words: &[&str]| {
        let reason = reason(model, extents);
        words.iter().for_each(|word| assert!(reason.contains(word), "{reason:?} does not say {word:?}"));
    };
    let fno = Fno { padding: 0, ..Fno::darcy(4, 6) };
    // 11 points have 6 wavenumbers k ≥ 0 and 5 pairs ±l; 12 have both.
    assert_eq!(reason(&fno, &[11, 12]), "");
    says(&fno, &[9, 12], &["modes", "axis 0", "is 6", "1 to 5", "9 points"]);
    says(&fno, &[12, 11], &["modes", "axis 1", "is 6", "1 to 5", "11 points"]);
    says(&Fno { modes: [0, 1], ..fno.clone() }, &[8, 8], &["modes", "axis 0", "is 0"]);
    says(&fno, &[16], &["2 axes", "[16]"]);
    says(&fno, &[1, 16], &["axis 0", "is 1", "at least 2"]);
    says(&Fno { width: 0, ..fno.clone() }, &[16, 16], &["width", "at least 1"]);
    says(&Fno { layers: 0, ..fno }, &[16, 16], &["layers"]);
    says(&UNet::new(2), &[16, 15], &["axis 1", "is 15", "at least 16", "halved 4 times"]);
    says(&UNet { padding: Padding::Reflect, ..UNet::new(2) }, &[31, 40], &["axis 0", "at least 32"]);
    says(&UNet::new(0), &[16, 16], &["width"]);
    says(&UNet { depth: 60, ..UNet::new(2) }, &[16, 16], &["depth", "60"]);
    says(&UNet::new(2), &[16; 4], &["1 to 3 axes"]);
    let dil = DilResNet { padding: Padding::Circular, ..DilResNet::new(2) };
    says(&dil, &[8, 7], &["Circular padding of axis 1", "is 8", "7 are the most"]);
    says(&DilResNet { dilations: vec![], ..dil.clone() }, &[8, 8], &["dilations"]);
    says(&DilResNet { dilations: vec![1, 0], ..dil.clone() }, &[8, 8], &["dilation"]);
    says(&DilResNet { blocks: 0, ..dil }, &[8, 8], &["blocks"]);
    says(&DeepONet::new(2), &[], &["1 to 3 axes"]);
    says(&DeepONet::new(2), &[3, 0], &["axis 1", "is 0"]);
    says(&DeepONet { branch: vec![4, 0], ..DeepONet::new(2) }, &[3, 3], &["branch"]);
    says(&DeepONet { trunk: vec![0], ..DeepONet::new(2) }, &[3, 3], &["trunk"]);
    says(&DeepONet { terms: 0, ..DeepONet::new(2) }, &[3, 3], &["terms"]);
    let program = DeepONet::new(2).compile(&[3, 3])?;
    let theta = vec![0.0; program.layout().len()];
    let mut scratch = Scratch::<f64>::new();
    assert!(program.forward(&theta[1..], &[0.0; 9], &mut [0.0; 9], &mut scratch).is_err());
    assert!(program.forward(&theta, &[0.0; 8], &mut [0.0; 9], &mut scratch).is_err());
    assert!(program.forward(&theta, &[0.0; 9], &mut [0.0; 8], &mut scratch).is_err());
    assert!(program.forward(&theta, &[], &mut [], &mut scratch).is_err());
    Ok(())
}
