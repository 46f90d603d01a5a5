//! The kernels against 120-digit references (data/kernels, made by make.py), and against
//! themselves: scalar, lane and slice must agree bit for bit.

use odeon::num::kernels::{self, Function, Saved};
use odeon::num::{LANES, Lanes, Real, Scalar};
use std::path::Path;

/// A function of either float type, or of lanes.
type Map<T> = fn(T) -> T;

type Pair = (&'static str, Map<f64>, Map<f32>);

const FUNCTIONS: [Pair; 11] = [
    ("exp", kernels::exp, kernels::exp),
    ("exp2", kernels::exp2, kernels::exp2),
    ("ln", kernels::ln, kernels::ln),
    ("log2", kernels::log2, kernels::log2),
    ("sin", kernels::sin, kernels::sin),
    ("cos", kernels::cos, kernels::cos),
    ("tanh", kernels::tanh, kernels::tanh),
    ("sigmoid", kernels::sigmoid, kernels::sigmoid),
    ("silu", kernels::silu, kernels::silu),
    ("softplus", kernels::softplus, kernels::softplus),
    ("gelu", kernels::gelu, kernels::gelu),
];

/// The bound; the measured maxima are printed by `--nocapture`.
const BOUND: f64 = 2.0;

/// Distance from |y| to the next f64.
fn ulp(y: f64) -> f64 {
    let y = y.abs();
    if y == f64::MAX {
        return y - y.next_down();
    }
    y.next_up() - y
}

/// Distance from the value nearest to |y| in f32 to the next f32, in f64.
fn ulp32(y: f64) -> f64 {
    let exponent = ((y.abs().to_bits() >> 52) as i32 - 1023).max(-126);
    2f64.powi(exponent - 23)
}

fn rows(name: &str) -> Vec<[f64; 3]> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("data/kernels/{name}.csv"));
    let text = std::fs::read_to_string(&path).unwrap();
    let number = |t: &str| t.parse::<f64>().unwrap();
    text.lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<f64> = line.split(',').map(number).collect();
            [fields[0], fields[1], fields[2]]
        })
        .collect()
}

#[test]
fn f64_stays_within_two_ulp_of_the_reference() {
    let mut failures = Vec::new();
    for (name, f, _) in FUNCTIONS {
        let rows = rows(name);
        assert!(rows.len() > 700, "{name}: {} rows", rows.len());
        let (mut worst, mut at) = (0.0, 0.0);
        for [x, nearest, rest] in rows {
            let got = f(x);
            let error = if got.to_bits() == nearest.to_bits() {
                rest.abs()
            } else if nearest.is_infinite() {
                // The largest number is one ulp from overflow.
                if got == f64::MAX.copysign(nearest) { 1.0 } else { f64::INFINITY }
            } else {
                ((got - nearest) / ulp(nearest) - rest).abs()
            };
            if error > worst || error.is_nan() {
                (worst, at) = (error, x);
            }
        }
        println!("f64 {name:9} max {worst:.3} ulp at {at:e}");
        if worst > BOUND || worst.is_nan() {
            failures.push((name, worst, at));
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

#[test]
fn f32_stays_within_two_ulp_over_every_binade() {
    let mut failures = Vec::new();
    for (name, exact, f) in FUNCTIONS {
        let (mut worst, mut at) = (0.0, 0.0);
        // A stride that is odd, so that low bits vary too.
        for bits in (0..=u32::MAX).step_by(4093) {
            let x = f32::from_bits(bits);
            let (got, want) = (f(x), exact(f64::from(x)));
            if want.is_nan() {
                assert!(got.is_nan(), "{name}({x:e}) = {got:e}");
                continue;
            }
            let error = if want as f32 == got {
                // The overflow threshold included.
                if got.is_infinite() {
                    continue;
                }
                (f64::from(got) - want).abs() / ulp32(want)
            } else if got.is_infinite() || want.abs() > f64::from(f32::MAX) {
                assert!(got.abs() >= f32::MAX, "{name}({x:e}) = {got:e}");
                1.0
            } else {
                (f64::from(got) - want).abs() / ulp32(want)
            };
            if error > worst || error.is_nan() {
                (worst, at) = (error, x);
            }
        }
        println!("f32 {name:9} max {worst:.3} ulp at {at:e}");
        if worst > BOUND || worst.is_nan() {
            failures.push((name, worst, at));
        }
    }
    assert!(failures.is_empty(), "{failures:?}");
}

/// Equal bits, or both NaN.
fn same<T: Real>(a: T, b: T) -> bool {
    let (x, y) = (a.f64(), b.f64());
    x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan())
}

type Row<T> = (&'static str, Map<T>, [T; 4]);

fn special_values<T: Real>() {
    let (inf, nan) = (T::INFINITY, T::NAN);
    let (zero, one) = (T::of(0.0), T::of(1.0));
    let (none, half) = (T::of(-0.0), T::of(0.5));
    let ln2 = T::of(std::f64::consts::LN_2);
    // At −∞, −0, +0, +∞.
    let table: [Row<T>; 11] = [
        ("exp", kernels::exp, [zero, one, one, inf]),
        ("exp2", kernels::exp2, [zero, one, one, inf]),
        ("ln", kernels::ln, [nan, -inf, -inf, inf]),
        ("log2", kernels::log2, [nan, -inf, -inf, inf]),
        ("sin", kernels::sin, [nan, none, zero, nan]),
        ("cos", kernels::cos, [nan, one, one, nan]),
        ("tanh", kernels::tanh, [-one, none, zero, one]),
        ("sigmoid", kernels::sigmoid, [zero, half, half, one]),
        ("silu", kernels::silu, [none, none, zero, inf]),
        ("softplus", kernels::softplus, [zero, ln2, ln2, inf]),
        ("gelu", kernels::gelu, [none, none, zero, inf]),
    ];
    for (name, f, want) in table {
        for (x, want) in [-inf, none, zero, inf].into_iter().zip(want) {
            let got = f(x);
            assert!(same(got, want), "{} {name}({x}) = {got:e}, not {want:e}", T::NAME);
        }
        assert!(f(nan).f64().is_nan(), "{} {name}(NaN)", T::NAME);
        assert!(f(-nan).f64().is_nan(), "{} {name}(-NaN)", T::NAME);
    }
    assert!(kernels::ln(-one).f64().is_nan() && kernels::log2(-T::MIN_POSITIVE).f64().is_nan());
    for function in Function::ALL {
        assert!(function.value(nan).f64().is_nan(), "{function:?}(NaN)");
        assert!(function.slope(nan).f64().is_nan(), "{function:?}'(NaN)");
    }
    for k in -60..60 {
        let power = kernels::exp2(T::of(f64::from(k)));
        assert!(same(power, T::of(2f64.powi(k))), "2^{k} = {power:e}");
        assert!(same(kernels::log2(power), T::of(f64::from(k))), "log2 2^{k}");
    }
}

#[test]
fn special_values_f64() {
    special_values::<f64>();
}

#[test]
fn special_values_f32() {
    special_values::<f32>();
}

/// Arguments of every size and sign, with NaN, infinities and values beyond the reduction by π/2.
fn arguments<T: Real>(count: usize) -> Vec<T> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..count)
        .map(|i| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let unit = (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
            match i % 97 {
                13 => T::INFINITY,
                31 => T::NAN,
                47 => T::of(unit * 1e30),
                61 => T::of(unit * 1e-300),
                n if n % 3 == 0 => T::of(unit * 40.0),
                n if n % 3 == 1 => T::of(unit * 4.0),
                _ => T::of(unit * 200.0),
            }
        })
        .collect()
}

fn slices_equal_scalars<T: Real>() {
    let x = arguments::<T>(400);
    let ranges = (0..70).flat_map(|n| [(0, n), (1, n), (3, n), (40, n)]);
    for function in Function::ALL {
        for (start, n) in ranges.clone().chain([(0, 400), (5, 333)]) {
            let x = &x[start..start + n];
            let want: Vec<T> = x.iter().map(|&x| function.value(x)).collect();
            let mut in_place = x.to_vec();
            kernels::apply(function, &mut in_place);
            let mut mapped = vec![T::of(7.0); n];
            kernels::map(function, x, &mut mapped).unwrap();
            let saved = match function.saved() {
                Saved::Input => x,
                Saved::Output => &want[..],
            };
            let y_bar: Vec<T> = (0..n).map(|i| T::of(i as f64 * 0.3 - 2.0)).collect();
            let mut x_bar = vec![T::of(7.0); n];
            kernels::pullback(function, saved, &y_bar, &mut x_bar).unwrap();
            let mut bar = y_bar.clone();
            kernels::pullback_in_place(function, saved, &mut bar).unwrap();
            for i in 0..n {
                let slope = y_bar[i] * function.slope(saved[i]);
                assert!(same(in_place[i], want[i]), "{function:?}({:e})", x[i]);
                assert!(same(mapped[i], want[i]), "{function:?}({:e})", x[i]);
                assert!(same(x_bar[i], slope), "{function:?}'({:e})", x[i]);
                assert!(same(bar[i], slope), "{function:?}'({:e})", x[i]);
            }
        }
    }
}

#[test]
fn slices_equal_scalars_f64() {
    slices_equal_scalars::<f64>();
}

#[test]
fn slices_equal_scalars_f32() {
    slices_equal_scalars::<f32>();
}

fn lanes_equal_scalars<T: Real>() {
    let table: [(Map<T>, Map<Lanes<T>>); 9] = [
        (Scalar::exp, Scalar::exp),
        (Scalar::ln, Scalar::ln),
        (Scalar::sin, Scalar::sin),
        (Scalar::cos, Scalar::cos),
        (Scalar::tanh, Scalar::tanh),
        (Scalar::sigmoid, Scalar::sigmoid),
        (Scalar::softplus, Scalar::softplus),
        (Scalar::silu, Scalar::silu),
        (Scalar::gelu, Scalar::gelu),
    ];
    let mut x = arguments::<T>(400);
    // Runs without outliers too, so that both branches of sin and cos are taken.
    x.extend((0..80).map(|i| T::of(f64::from(i) * 0.37 - 11.0)));
    for (scalar, lanes) in table {
        for x in x.chunks_exact(LANES) {
            let mut packed = Lanes::splat(T::of(0.0));
            packed.0.copy_from_slice(x);
            let got = lanes(packed);
            for i in 0..LANES {
                assert!(same(got[i], scalar(x[i])), "lane {i} of {:e}", x[i]);
            }
        }
    }
}

#[test]
fn lanes_equal_scalars_f64() {
    lanes_equal_scalars::<f64>();
}

#[test]
fn lanes_equal_scalars_f32() {
    lanes_equal_scalars::<f32>();
}

#[test]
fn slopes_match_differences() {
    for function in Function::ALL {
        for i in 0..400 {
            let x = f64::from(i) * 0.04 - 8.0 + 0.013;
            if function == Function::Ln && x < 1.0 || function == Function::Relu && x.abs() < 0.1 {
                continue;
            }
            let f = |x| function.value::<f64>(x);
            // Richardson's fourth-order difference.
            let h = 1e-3;
            let difference = (8.0 * (f(x + h) - f(x - h)) - (f(x + 2.0 * h) - f(x - 2.0 * h))) / (12.0 * h);
            let saved = match function.saved() {
                Saved::Input => x,
                Saved::Output => f(x),
            };
            let slope = function.slope(saved);
            let scale = slope.abs().max(f(x).abs()).max(1.0);
            let error = (slope - difference).abs() / scale;
            assert!(error < 2e-10, "{function:?}'({x}) = {slope}, {difference}");
        }
    }
}

#[test]
fn slopes_end_at_their_limits() {
    // Slopes at −∞ and +∞, from the saved value.
    let limits = [
        (Function::Tanh, 0.0, 0.0),
        (Function::Relu, 0.0, 1.0),
        (Function::Gelu, 0.0, 1.0),
        (Function::Silu, 0.0, 1.0),
        (Function::Softplus, 0.0, 1.0),
        (Function::Sigmoid, 0.0, 0.0),
    ];
    for (function, low, high) in limits {
        for (x, want) in [(f64::NEG_INFINITY, low), (-1e4, low), (1e4, high), (f64::INFINITY, high)] {
            let saved = match function.saved() {
                Saved::Input => x,
                Saved::Output => function.value(x),
            };
            assert!(function.slope(saved) == want, "{function:?}'({x})");
            let narrow = function.slope(saved as f32);
            assert!(f64::from(narrow) == want, "{function:?}'({x}) in f32");
        }
    }
}

#[test]
fn the_ends_are_monotone_and_cross_zero_where_they_should() {
    // Overflow, underflow and saturation, through every representable neighbour of the ends.
    let ends: [(Map<f64>, f64); 7] = [
        (kernels::exp, 709.782712893384),
        (kernels::exp, -745.1332191019411),
        (kernels::exp2, 1024.0),
        (kernels::exp2, -1075.0),
        (kernels::tanh, 19.06),
        (kernels::sigmoid, -745.1332191019411),
        (kernels::softplus, -745.1332191019411),
    ];
    for (f, end) in ends {
        let mut x = end - 1e-10;
        let mut last = f(x);
        for _ in 0..2000 {
            x = x.next_up();
            let value = f(x);
            assert!(value >= last, "f({x:e}) = {value:e} after {last:e}");
            last = value;
        }
    }
    assert_eq!(kernels::exp(709.79), f64::INFINITY);
    assert_eq!(kernels::exp(-745.14), 0.0);
    assert_eq!(kernels::exp(-745.13), 5e-324);
    assert_eq!(kernels::exp2(-1074.0), 5e-324);
    assert_eq!(kernels::log2(5e-324), -1074.0);
    assert_eq!(kernels::exp2(1023.5f32), f32::INFINITY);
    assert_eq!(kernels::tanh(1e300), 1.0);
}

#[test]
fn lengths_that_differ_are_errors_and_write_nothing() {
    let (x, mut y) = ([1.0, 2.0], [7.0; 3]);
    assert!(kernels::map(Function::Tanh, &x, &mut y).is_err());
    assert!(kernels::pullback(Function::Tanh, &x, &x, &mut y).is_err());
    let y_bar = y;
    assert!(kernels::pullback(Function::Tanh, &x, &y_bar, &mut [0.0; 2]).is_err());
    let error = kernels::pullback_in_place(Function::Tanh, &x, &mut y).unwrap_err();
    assert!(error.to_string().contains('3') && error.to_string().contains('2'));
    assert_eq!(y, [7.0; 3]);
}
