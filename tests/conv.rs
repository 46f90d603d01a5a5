//! Convolutions against the formula, written as plain loops; bits, adjoints, errors.

use odeon::nn::conv::{Conv, ConvSpec, ConvTranspose, Padding, Resample, Scratch};
use odeon::num::{Real, Scalar, parallel};

type Tested = Result<(), Box<dyn std::error::Error>>;

fn wave<T: Real>(n: usize, seed: f64) -> Vec<T> {
    (0..n).map(|i| T::of((1.7 * i as f64 + seed + (i as f64).sqrt()).sin())).collect()
}

/// The coordinate that stands at `at` of n points with padding, if any.
fn padded(at: isize, n: isize, modes: [Padding; 2]) -> Option<isize> {
    if (0..n).contains(&at) {
        return Some(at);
    }
    match modes[usize::from(at >= n)] {
        Padding::Zero => None,
        Padding::Reflect => Some(if at < 0 { -at } else { 2 * (n - 1) - at }),
        Padding::Circular => Some(at.rem_euclid(n)),
    }
}

/// What the tests build a convolution from.
#[derive(Clone, Debug)]
struct Case {
    channels: [usize; 2],
    kernel: Vec<usize>,
    stride: Vec<usize>,
    /// 1 along axes that it does not have.
    dilation: Vec<usize>,
    padding: Vec<[usize; 2]>,
    modes: Vec<[Padding; 2]>,
    extents: [usize; 3],
}

impl Case {
    fn spec(&self) -> Result<ConvSpec, odeon::Error> {
        let [inputs, outputs] = self.channels;
        let spec = ConvSpec::new(inputs, outputs, &self.kernel)?.with_stride(&self.stride)?;
        let dilation: Vec<usize> = (0..self.kernel.len()).map(|a| self.dilation(a)).collect();
        let spec = spec.with_dilation(&dilation)?;
        let mut sides = self.padding.iter().zip(&self.modes).enumerate();
        sides.try_fold(spec, |spec, (axis, (p, m))| spec.with_padding(axis, *p, *m))
    }

    fn dilation(&self, axis: usize) -> usize {
        self.dilation.get(axis).copied().unwrap_or(1)
    }

    /// Calls `f(output, input, tap)` for every product of the formula, outputs of one sample in order.
    fn products(&self, mut f: impl FnMut(usize, Option<usize>, usize)) {
        let get = |v: &Vec<usize>, a: usize| v.get(a).copied().unwrap_or(1);
        let n = self.extents;
        let pad = |a: usize| self.padding.get(a).copied().unwrap_or([0; 2]);
        let out: [usize; 3] = std::array::from_fn(|a| {
            let reach = (get(&self.kernel, a) - 1) * self.dilation(a);
            (n[a] + pad(a)[0] + pad(a)[1] - reach - 1) / get(&self.stride, a) + 1
        });
        let points: usize = out.iter().product();
        let k: [usize; 3] = std::array::from_fn(|a| get(&self.kernel, a));
        let taps: usize = k.iter().product();
        for j in 0..self.channels[1] {
            for p in 0..points {
                let at = [p % out[0], p / out[0] % out[1], p / (out[0] * out[1])];
                for i in 0..self.channels[0] {
                    for t in 0..taps {
                        let tap = [t % k[0], t / k[0] % k[1], t / (k[0] * k[1])];
                        let mut from = Some([0; 3]);
                        for a in 0..3 {
                            let x = at[a] * get(&self.stride, a) + tap[a] * self.dilation(a);
                            let x = x as isize - pad(a)[0] as isize;
                            let modes = self.modes.get(a).copied().unwrap_or_default();
                            let x = padded(x, n[a] as isize, modes);
                            from = from.zip(x).map(|(mut from, x): ([isize; 3], isize)| {
                                from[a] = x;
                                from
                            });
                        }
                        let source = from.map(|f| {
                            let f = f.map(|f| f as usize);
                            f[0] + n[0] * (f[1] + n[1] * (f[2] + n[2] * i))
                        });
                        f(j * points + p, source, (j * self.channels[0] + i) * taps + t);
                    }
                }
            }
        }
    }
}

fn cases() -> Vec<Case> {
    use Padding::{Circular, Reflect, Zero};
    let case = |channels,
                kernel: &[usize],
                stride: &[usize],
                padding: &[[usize; 2]],
                modes: &[[Padding; 2]],
                extents| Case {
        channels,
        kernel: kernel.to_vec(),
        stride: stride.to_vec(),
        dilation: Vec::new(),
        padding: padding.to_vec(),
        modes: modes.to_vec(),
        extents,
    };
    let zero = [Zero; 2];
    let apart = |dilation: &[usize], case| Case { dilation: dilation.to_vec(), ..case };
    vec![
        case([1, 1], &[3], &[1], &[[1, 1]], &[zero], [9, 1, 1]),
        case([3, 7], &[3], &[1], &[[1, 1]], &[zero], [70, 1, 1]),
        case([2, 3], &[4], &[3], &[[2, 1]], &[[Reflect, Circular]], [11, 1, 1]),
        case([2, 2], &[1], &[2], &[[0, 0]], &[zero], [7, 1, 1]),
        case([3, 8], &[3, 3], &[1, 1], &[[1, 1]; 2], &[zero; 2], [13, 6, 1]),
        case([2, 5], &[3, 2], &[1, 1], &[[2, 0], [1, 1]], &[zero; 2], [5, 9, 1]),
        case([2, 3], &[2, 3], &[1, 1], &[[4, 3], [0, 1]], &[zero; 2], [4, 4, 1]),
        case([2, 6], &[3, 5], &[2, 1], &[[1, 1], [2, 2]], &[zero; 2], [12, 7, 1]),
        case([2, 3], &[3, 3], &[1, 1], &[[1, 1]; 2], &[[Circular; 2], [Reflect; 2]], [8, 5, 1]),
        case([1, 2], &[2, 2], &[2, 2], &[[0, 0]; 2], &[zero; 2], [7, 6, 1]),
        case([2, 4], &[3, 3, 3], &[1, 1, 1], &[[1, 1]; 3], &[zero; 3], [6, 5, 4]),
        case(
            [2, 3],
            &[3, 3, 3],
            &[2, 2, 2],
            &[[1, 1]; 3],
            &[zero, [Reflect, Zero], [Circular; 2]],
            [6, 5, 4],
        ),
        case([1, 13], &[1, 1, 1], &[1, 1, 1], &[[0, 0]; 3], &[zero; 3], [4, 3, 5]),
        apart(&[4], case([2, 3], &[3], &[1], &[[4, 4]], &[zero], [10, 1, 1])),
        apart(&[8, 8], case([2, 7], &[3, 3], &[1, 1], &[[8, 8]; 2], &[zero; 2], [9, 6, 1])),
        apart(
            &[2, 3],
            case([2, 3], &[3, 2], &[1, 1], &[[2, 2], [1, 2]], &[[Circular; 2], [Reflect; 2]], [7, 5, 1]),
        ),
        apart(&[3, 2], case([2, 3], &[2, 3], &[2, 3], &[[1, 0], [2, 1]], &[zero; 2], [8, 9, 1])),
        apart(
            &[1, 2, 3],
            case([1, 2], &[2, 2, 2], &[1, 2, 1], &[[0, 0], [1, 1], [2, 1]], &[zero; 3], [4, 5, 3]),
        ),
    ]
}

/// The forward pass has the bits of the plain chain of sums, in both precisions.
fn forward_is_the_formula<T: Real>() -> Tested {
    let mut scratch = Scratch::<T>::new();
    for case in cases() {
        let conv = Conv::new(case.spec()?, case.extents)?;
        let (batch, m) = (3, conv.output_len());
        let theta = wave::<T>(conv.spec().len(), 0.3);
        let x = wave::<T>(batch * conv.input_len(), 0.8);
        let mut y = vec![T::NAN; batch * m];
        conv.forward(&theta, &x, &mut y, &mut scratch)?;
        let (weights, bias) = theta.split_at(conv.spec().weight_len());
        let points = m / case.channels[1];
        for (x, y) in x.chunks(conv.input_len()).zip(y.chunks(m)) {
            let mut want: Vec<T> = (0..m).map(|o| bias[o / points]).collect();
            case.products(|o, i, w| {
                want[o] = Scalar::mul_add(i.map_or(T::zero(), |i| x[i]), weights[w], want[o]);
            });
            assert_eq!(y, want, "{} {case:?}", T::NAME);
        }
    }
    Ok(())
}

#[test]
fn forward_has_the_bits_of_plain_sums() -> Tested {
    forward_is_the_formula::<f32>()?;
    forward_is_the_formula::<f64>()
}

/// Gradients by the formula's products, and by differences (the map is bilinear: they are exact).
#[test]
fn gradients_are_those_of_the_formula() -> Tested {
    let mut scratch = Scratch::<f64>::new();
    for case in cases() {
        let conv = Conv::new(case.spec()?, case.extents)?;
        let (batch, n, m) = (2, conv.input_len(), conv.output_len());
        let theta = wave::<f64>(conv.spec().len(), 0.3);
        let (x, y_bar) = (wave::<f64>(batch * n, 0.8), wave::<f64>(batch * m, 0.1));
        let before = wave::<f64>(theta.len(), 2.0);
        let (mut x_bar, mut theta_bar) = (vec![f64::NAN; batch * n], before.clone());
        conv.backward(&theta, [&x, &y_bar], Some(&mut x_bar), Some(&mut theta_bar), &mut scratch)?;
        let (mut x_want, mut theta_want) = (vec![0.0; batch * n], before);
        let weights = conv.spec().weight_len();
        let points = m / case.channels[1];
        for s in 0..batch {
            case.products(|o, i, w| {
                if let Some(i) = i {
                    x_want[s * n + i] += theta[w] * y_bar[s * m + o];
                    theta_want[w] += x[s * n + i] * y_bar[s * m + o];
                }
            });
            for o in 0..m {
                theta_want[weights + o / points] += y_bar[s * m + o];
            }
        }
        let near =
            |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-12 * (1.0 + b.abs()));
        assert!(near(&x_bar, &x_want), "{case:?}");
        assert!(near(&theta_bar, &theta_want), "{case:?}");
    }
    Ok(())
}

/// A transposed convolution is the adjoint, and its own gradients are those of its forward pass.
#[test]
fn the_transposed_convolution_is_the_adjoint() -> Tested {
    let mut scratch = Scratch::<f64>::new();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for case in cases() {
        let up = ConvTranspose::new(case.spec()?, case.extents)?;
        let down = Conv::new(case.spec()?.without_bias(), case.extents)?;
        let weights = up.spec().weight_len();
        let theta = wave::<f64>(up.params_len(), 0.3);
        let (x, z) = (wave::<f64>(up.input_len(), 0.8), wave::<f64>(up.output_len(), 0.1));
        let mut y = vec![f64::NAN; up.output_len()];
        up.forward(&theta, &x, &mut y, &mut scratch)?;
        let mut down_z = vec![f64::NAN; up.input_len()];
        down.forward(&theta[..weights], &z, &mut down_z, &mut scratch)?;
        let points = up.output_len() / case.channels[0];
        let biases: f64 =
            z.chunks(points).zip(&theta[weights..]).map(|(z, b)| b * z.iter().sum::<f64>()).sum();
        let (left, right) = (dot(&y, &z), dot(&x, &down_z) + biases);
        assert!((left - right).abs() < 1e-11 * (1.0 + left.abs()), "{case:?}: {left} {right}");
        // Bilinear but for the biases: central differences are exact to rounding.
        let (mut x_bar, mut theta_bar) = (vec![f64::NAN; x.len()], vec![0.0; theta.len()]);
        up.backward(&theta, [&x, &z], Some(&mut x_bar), Some(&mut theta_bar), &mut scratch)?;
        let mut value = |theta: &[f64], x: &[f64]| {
            up.forward(theta, x, &mut y, &mut scratch)?;
            Ok::<f64, odeon::Error>(dot(&y, &z))
        };
        for at in (0..theta.len()).step_by(1 + theta.len() / 7) {
            let (mut plus, mut minus) = (theta.clone(), theta.clone());
            plus[at] += 0.5;
            minus[at] -= 0.5;
            let difference = value(&plus, &x)? - value(&minus, &x)?;
            assert!((difference - theta_bar[at]).abs() < 1e-10 * (1.0 + difference.abs()), "{case:?}");
        }
        for at in (0..x.len()).step_by(1 + x.len() / 7) {
            let (mut plus, mut minus) = (x.clone(), x.clone());
            plus[at] += 0.5;
            minus[at] -= 0.5;
            let difference = value(&theta, &plus)? - value(&theta, &minus)?;
            assert!((difference - x_bar[at]).abs() < 1e-10 * (1.0 + difference.abs()), "{case:?}");
        }
    }
    Ok(())
}

/// Results do not depend on the number of threads: more threads than samples, and fewer.
#[test]
fn threads_change_no_bits() -> Tested {
    for case in [&cases()[4], &cases()[7], &cases()[11]] {
        let conv = Conv::new(case.spec()?, case.extents)?;
        let batch = 3;
        let theta = wave::<f32>(conv.spec().len(), 0.3);
        let x = wave::<f32>(batch * conv.input_len(), 0.8);
        let y_bar = wave::<f32>(batch * conv.output_len(), 0.1);
        let run = || -> Result<[Vec<f32>; 3], odeon::Error> {
            let mut scratch = Scratch::new();
            let mut y = vec![0.0; y_bar.len()];
            conv.forward(&theta, &x, &mut y, &mut scratch)?;
            let (mut x_bar, mut theta_bar) = (vec![0.0; x.len()], vec![0.0; theta.len()]);
            conv.backward(&theta, [&x, &y_bar], Some(&mut x_bar), Some(&mut theta_bar), &mut scratch)?;
            Ok([y, x_bar, theta_bar])
        };
        let one = parallel::with_threads(1, run)??;
        for threads in [2, 5] {
            assert_eq!(parallel::with_threads(threads, run)??, one, "{threads} threads");
        }
    }
    Ok(())
}

#[test]
fn pooling_is_the_mean_and_upsampling_its_adjoint() -> Tested {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let two = Resample::new(2, [4, 2, 1])?;
    let mut coarse = [f64::NAN; 2];
    two.sums(0.25, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &mut coarse);
    assert_eq!(coarse, [3.5, 5.5]);
    for (dim, fine) in [(1, [7, 1, 1]), (2, [5, 4, 1]), (3, [3, 4, 5])] {
        let resample = Resample::new(dim, fine)?;
        let (n, m) = (fine.iter().product::<usize>(), resample.coarse().iter().product::<usize>());
        let (x, z) = (wave::<f64>(2 * n, 0.2), wave::<f64>(2 * m, 0.9));
        let (mut y, mut up) = (vec![f64::NAN; 2 * m], vec![0.0; 2 * n]);
        resample.sums(0.5, &x, &mut y);
        resample.spread_add(0.5, &z, &mut up);
        assert!((dot(&y, &z) - dot(&x, &up)).abs() < 1e-12, "{dim} axes");
    }
    assert!(Resample::new(2, [4, 4, 2]).is_err());
    Ok(())
}

#[test]
fn what_does_not_fit_is_named() -> Tested {
    let says = |e: odeon::Error, words: &str| assert!(e.to_string().contains(words), "{e}");
    says(ConvSpec::new(0, 1, &[3]).unwrap_err(), "at least 1");
    says(ConvSpec::new(1, 1, &[3; 4]).unwrap_err(), "1, 2 or 3");
    let spec = ConvSpec::same(2, 1, 2, 3)?;
    says(spec.clone().with_stride(&[0, 1]).unwrap_err(), "at least 1");
    says(Conv::new(spec.clone(), [4, 4, 4]).unwrap_err(), "2 axes");
    let reflect = spec.clone().with_modes(Padding::Reflect);
    says(Conv::new(reflect, [1, 4, 1]).unwrap_err(), "Reflect padding of axis 0");
    says(Conv::new(ConvSpec::new(1, 1, &[5])?, [4, 1, 1]).unwrap_err(), "the kernel is 5");
    let conv = Conv::new(spec, [4, 4, 1])?;
    let mut scratch = Scratch::new();
    let theta = vec![0.0; conv.spec().len()];
    let mut y = [0.0; 32];
    says(conv.forward(&theta[1..], &[0.0; 16], &mut y, &mut scratch).unwrap_err(), "parameters");
    says(conv.forward(&theta, &[0.0; 17], &mut y, &mut scratch).unwrap_err(), "a sample has 16");
    says(conv.forward(&theta, &[0.0; 32], &mut y, &mut scratch).unwrap_err(), "a sample has 16");
    Ok(())
}
