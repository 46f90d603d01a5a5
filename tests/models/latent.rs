//! Latent ODEs: readers, bound and gradients; the GRU-ODE.

use crate::differences::difference;
use crate::{relative, wave};
use odeon::Result;
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::integrate::{ErrorEstimate, Options};
use odeon::model::{GruOde, LatentOde, NeuralOde, Reader, Series, StepPenalty};
use odeon::nn::{Activation, Gru, Network};
use odeon::ode::tableaux::Tsit5;
use odeon::regularise::{Global, Local, Sampling};

const ROWS: usize = 2;
const SERIES: usize = 3;
const TIMES: [f64; 5] = [0.0, 0.4, 0.7, 1.1, 1.9];
const NAN: f64 = f64::NAN;

fn model(ode_rnn: bool) -> Result<LatentOde> {
    let net = |i: usize, o: usize| Network::builder(i).dense(6).activation(Activation::Tanh).dense(o).build();
    let gru = Gru::new(2 * ROWS + 1, 4)?;
    let reader = match ode_rnn {
        false => Reader::Recurrent(gru),
        true => Reader::OdeRnn { gru, between: NeuralOde::new(net(4, 4)?)?, steps: 2 },
    };
    LatentOde::new(net(3, 3)?, net(3, ROWS)?, (reader, net(4, 6)?), 0.3)
}

/// Gaps of single rows, of whole observations, and of a whole first time.
fn values() -> Vec<f64> {
    let mut x = wave(ROWS * TIMES.len() * SERIES, 0.3);
    for missing in [0, 1, 3, 6, 7, 12, 20, 21, 28, 29] {
        x[missing] = NAN;
    }
    x
}

/// The series at the first `n` times.
fn first(values: &[f64], n: usize) -> Vec<f64> {
    values.chunks_exact(ROWS * TIMES.len()).flat_map(|s| &s[..ROWS * n]).copied().collect()
}

#[test]
fn the_bound_has_the_gradient_of_its_fixed_steps() -> Result<()> {
    let (values, kl_weight) = (values(), 0.6);
    let early = first(&values, 3);
    let seen = Series { times: &TIMES[..3], values: &early };
    let target = Series { times: &TIMES[1..], values: &values };
    let shorter: Vec<f64> = values.chunks_exact(10).flat_map(|s| &s[2..]).copied().collect();
    let target = Series { values: &shorter, ..target };
    for ode_rnn in [false, true] {
        let model = model(ode_rnn)?;
        let theta: Vec<f64> = model.init(Default::default(), 5)?;
        let options = Options::fixed(0.2);
        let mut global = Global::<f64, _>::error();
        let lambda = 30.0;
        let mut at = |theta: &[f64], gradient: &mut [f64]| {
            let penalty = StepPenalty::Global(lambda, &mut global);
            let both = [&seen, &target];
            let (b, _) = model.value_and_gradient(
                &Tsit5,
                (theta, gradient),
                both,
                &options,
                penalty,
                (9, kl_weight),
            )?;
            assert!(b.penalty > 0.0 && b.kl > 0.0);
            Ok::<f64, odeon::Error>(-b.log_likelihood + kl_weight * b.kl + lambda * b.penalty)
        };
        let mut gradient = vec![7.0; theta.len()];
        at(&theta, &mut gradient)?;
        let scale = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        for k in (0..theta.len()).step_by(17) {
            let want = difference(|d| {
                let mut theta = theta.clone();
                theta[k] += d;
                at(&theta, &mut vec![0.0; theta.len()]).unwrap()
            });
            let name = model.layout().name_of(k);
            assert!((gradient[k] - want).abs() < 1e-8 * scale, "{name}: {} {want}", gradient[k]);
        }
    }
    Ok(())
}

#[test]
fn local_penalties_add_their_gradient() -> Result<()> {
    let (model, values) = (model(false)?, values());
    let series = Series { times: &TIMES, values: &values };
    let theta: Vec<f64> = model.init(Default::default(), 5)?;
    let options = Options::tol(1e-3, 1e-3);
    let run = |lambda: f64| {
        let local = Local::new(ErrorEstimate::default(), Sampling::UniformStep, 3);
        let mut local = local.draws(40)?.stratified().through_state();
        let mut gradient = vec![0.0; theta.len()];
        let penalty = StepPenalty::Local(lambda, &mut local);
        let both = [&series, &series];
        let (b, _) =
            model.value_and_gradient(&Tsit5, (&theta, &mut gradient), both, &options, penalty, (9, 1.0))?;
        Ok::<_, odeon::Error>((b.penalty, gradient))
    };
    let mut global = Global::<f64, _>::error();
    let mut want = vec![0.0; theta.len()];
    let mut plain = want.clone();
    let both = [&series, &series];
    let penalty = StepPenalty::Global(50.0, &mut global);
    let (b, _) = model.value_and_gradient(&Tsit5, (&theta, &mut want), both, &options, penalty, (9, 1.0))?;
    model.value_and_gradient(&Tsit5, (&theta, &mut plain), both, &options, StepPenalty::None, (9, 1.0))?;
    let (r, got) = run(50.0)?;
    // Forty stratified draws visit every one of the few steps: the estimate is close to the sum.
    assert!((r - b.penalty).abs() < 0.2 * b.penalty, "{r} {}", b.penalty);
    assert!(relative(&want, &plain) > 1e-3, "the penalty changes nothing");
    let minus = |a: &[f64]| -> Vec<f64> { a.iter().zip(&plain).map(|(a, b)| a - b).collect() };
    let (got, want) = (minus(&got), minus(&want));
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let cosine = dot(&got, &want) / (dot(&got, &got) * dot(&want, &want)).sqrt();
    assert!(cosine > 0.95, "{cosine}");
    assert_eq!(run(0.0)?.1, plain);
    Ok(())
}

#[test]
fn what_is_missing_leaves_no_trace() -> Result<()> {
    for ode_rnn in [false, true] {
        let model = model(ode_rnn)?;
        let theta: Vec<f64> = model.init(Default::default(), 5)?;
        let options = Options::tol(1e-9, 1e-9);
        // A time at which nobody saw anything changes nothing but the steps of g.
        let values = wave(ROWS * 3 * SERIES, 0.8);
        let times = [0.0, 0.6, 1.0];
        let more: Vec<f64> =
            values.chunks_exact(2 * 3).flat_map(|s| [&s[..2], &[NAN; 2], &s[2..]].concat()).collect();
        let ask = [0.5, 1.5];
        let few = Series { times: &times, values: &values };
        let many = Series { times: &[0.0, 0.3, 0.6, 1.0], values: &more };
        let [(a, _), (b, _)] =
            [few, many].map(|s| model.predict(&Tsit5, &theta, (&s, &ask), &options).unwrap());
        // The recurrent unit of constant states sees another gap, so that only the ODE-RNN's input differs too.
        let change = relative(&a, &b);
        assert!(change < 0.05, "{ode_rnn}: {change}");
        // A series alone is that series of the batch.
        let one = Series { times: &times, values: &values[6..12] };
        let (alone, _) = model.predict(&Tsit5, &theta, (&one, &ask), &options)?;
        for k in 0..2 {
            let of_batch = &a[k * ROWS * SERIES + ROWS..][..ROWS];
            assert!(relative(&alone[k * ROWS..(k + 1) * ROWS], of_batch) < 1e-6);
        }
    }
    Ok(())
}

#[test]
fn unseen_series_keep_the_state_of_nothing() -> Result<()> {
    let model = model(false)?;
    let theta: Vec<f64> = model.init(Default::default(), 5)?;
    let mut values = wave(ROWS * 3 * 2, 0.8);
    values[6..].fill(NAN);
    let times = [0.0, 0.6, 1.0];
    let options = Options::tol(1e-6, 1e-6);
    let series = Series { times: &times, values: &values };
    let (out, _) = model.predict(&Tsit5, &theta, (&series, &[1.0]), &options)?;
    let other = values.iter().map(|x| x + 1.0).collect::<Vec<_>>();
    let series = Series { times: &times, values: &other };
    let (moved, _) = model.predict(&Tsit5, &theta, (&series, &[1.0]), &options)?;
    // Both share the steps, which the first one's change moves by their errors.
    assert!(relative(&out[2..], &moved[2..]) < 1e-4);
    assert!(relative(&out[..2], &moved[..2]) > 1e-3);
    Ok(())
}

#[test]
fn a_gru_ode_passes_the_gradient_check_and_is_the_units_step_less_the_state() -> Result<()> {
    let model = GruOde::new(Gru::new(1, 5)?)?;
    let theta = wave(model.gru().layout().len(), 0.4);
    let h = wave(10, 0.8);
    let report = check_gradient(&model, 0.7, &h, &theta, &CheckOptions::default())?;
    assert!(report.passed(), "{report}");
    let mut tape = vec![0.0; model.gru().tape_rows() * 2];
    let (mut next, mut rate) = (vec![0.0; 10], vec![0.0; 10]);
    let mut scratch = model.gru().scratch(2);
    model.gru().step(&theta, (&[0.7; 2], &h), &mut next, &mut tape, &mut scratch);
    use odeon::dynamics::{Dynamics, Point};
    model.eval(Point { t: 0.7, y: &h, theta: &theta }, &mut rate, &mut Dynamics::<f64>::scratch(&model, 2));
    let want: Vec<f64> = next.iter().zip(&h).map(|(n, h)| n - h).collect();
    assert!(relative(&rate, &want) < 1e-14);
    assert!(GruOde::new(Gru::new(2, 5)?).is_err());
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let (model, values) = (model(false)?, values());
    let theta: Vec<f64> = model.init(Default::default(), 5)?;
    let series = Series { times: &TIMES, values: &values };
    let options = Options::default();
    let fails = |seen: Series<'_, f64>, times: &[f64], part: &str| {
        let message = model.predict(&Tsit5, &theta, (&seen, times), &options).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    fails(Series { times: &[], ..series }, &[1.0], "at least one");
    fails(Series { times: &[0.0, 0.0, 0.1, 0.2, 0.3], ..series }, &[1.0], "later than the one before");
    fails(Series { values: &values[1..], ..series }, &[1.0], "multiple of 10");
    fails(series, &[-1.0, 1.0], "before the first time read");
    fails(series, &[0.0], "after it");
    fails(series, &[], "none");
    let infinite = vec![f64::INFINITY; values.len()];
    fails(Series { values: &infinite, ..series }, &[1.0], "NaN where it is missing");
    let nothing = vec![NAN; values.len()];
    let nothing = Series { values: &nothing, ..series };
    let mut gradient = vec![0.0; theta.len()];
    let mut run = |target: &Series<'_, f64>, kl: f64| {
        let both = [&series, target];
        let all = (&theta[..], &mut gradient[..]);
        let run = model.value_and_gradient(&Tsit5, all, both, &options, StepPenalty::None, (1, kl));
        run.unwrap_err().to_string()
    };
    assert!(run(&nothing, 1.0).contains("all values are NaN"));
    assert!(run(&series, -1.0).contains("not negative"));
    let fewer = Series { values: &values[..20], ..series };
    assert!(run(&fewer, 1.0).contains("were read"));
    Ok(())
}
