//! The gallery against its closed forms, by explicit and implicit methods.

use super::Outcome;
use odeon::dynamics::Dynamics;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save};
use odeon::ode::StepMethod;
use odeon::ode::events::gallery::{BouncingBall, Dosing, Thermostat};
use odeon::ode::events::{EventOptions, Events, solve};
use odeon::ode::radau::RadauIia5;
use odeon::ode::sdirk::Kvaerno5;
use odeon::ode::switch::AutoTsit5;
use odeon::ode::symplectic::Verlet;
use odeon::ode::tableaux::{Tsit5, Vern7};
use odeon::ode::tableaux_rosenbrock::Rodas5P;

/// Largest deviation of the first `wanted` event times.
fn times_off<D, M, E>(
    f: &D,
    method: &M,
    events: &E,
    problem: &Problem<'_, f64>,
    wanted: &[f64],
) -> Result<f64, super::Failed>
where
    D: Dynamics<f64>,
    M: StepMethod<f64, D>,
    E: Events,
{
    let options = Options::tol(1e-11, 1e-12);
    let solution = solve(f, method, events, problem, &options, &EventOptions::default())?;
    assert_eq!(solution.log.len(), wanted.len());
    let off = solution.log.iter().zip(wanted).map(|(r, t)| (r.t - t).abs());
    Ok(off.fold(0.0, f64::max))
}

macro_rules! for_methods {
    ($check:expr) => {
        $check("Tsit5", &Tsit5)?;
        $check("Vern7", &Vern7)?;
        $check("Rodas5P", &Rodas5P)?;
        $check("Kvaerno5", &Kvaerno5)?;
        $check("RadauIia5", &RadauIia5)?;
        $check("AutoTsit5", &AutoTsit5)?;
    };
}

#[test]
fn a_ball_bounces_at_the_known_times_by_every_kind_of_method() -> Outcome {
    let (g, e, h0) = (9.81, 0.8, 2.0f64);
    let first = (2.0 * h0 / g).sqrt();
    let mut wanted = vec![first];
    for k in 1..12 {
        wanted.push(wanted[k - 1] + 2.0 * first * f64::powi(e, k as i32));
    }
    let end = wanted[11] + 1e-3;
    let problem = Problem { y0: &[h0, 0.0], span: [0.0, end], theta: &[g, e] };
    fn check<M: StepMethod<f64, Generic<BouncingBall>>>(
        (problem, wanted): (&Problem<'_, f64>, &[f64]),
        name: &str,
        method: &M,
    ) -> Outcome {
        let off = times_off(&Generic(BouncingBall), method, &BouncingBall, problem, wanted)?;
        // Parabolas are integrated exactly: what is left is rounding, Newton's residual for the implicit.
        let most = if matches!(name, "Tsit5" | "Vern7" | "AutoTsit5" | "Rodas5P") { 2e-12 } else { 1e-10 };
        assert!(off < most, "{name}: {off:e}");
        Ok(())
    }
    let at = (&problem, &wanted[..]);
    for_methods!(|name, method| check(at, name, method));
    Ok(())
}

#[test]
fn a_thermostat_switches_at_the_known_times() -> Outcome {
    let [k, out, q, low, high] = [0.3f64, 5.0, 6.0, 19.0, 21.0];
    let hot = out + q / k;
    let [on, off] = [((hot - low) / (hot - high)).ln() / k, ((high - out) / (low - out)).ln() / k];
    let start = ((hot - 15.0) / (hot - high)).ln() / k;
    let mut wanted = vec![start];
    for i in 0..9 {
        wanted.push(wanted[i] + if i % 2 == 0 { off } else { on });
    }
    let theta = [k, out, q, low, high, 1.0];
    let problem = Problem { y0: &[15.0], span: [0.0, wanted[9] + 0.1], theta: &theta };
    fn check<M: StepMethod<f64, Generic<Thermostat>>>(
        (problem, wanted): (&Problem<'_, f64>, &[f64]),
        name: &str,
        method: &M,
    ) -> Outcome {
        let off = times_off(&Generic(Thermostat), method, &Thermostat, problem, wanted)?;
        assert!(off < 2e-9, "{name}: {off:e}");
        Ok(())
    }
    let at = (&problem, &wanted[..]);
    for_methods!(|name, method| check(at, name, method));
    Ok(())
}

/// B(t) of all doses before t.
fn body([ka, ke, dose, first, period]: [f64; 5], t: f64) -> f64 {
    let mut sum = 0.0;
    let mut s = first;
    while s < t {
        sum += dose * ka / (ka - ke) * ((-ke * (t - s)).exp() - (-ka * (t - s)).exp());
        s += period;
    }
    sum
}

#[test]
fn doses_give_the_known_levels_at_saved_times_on_all_sides_of_events() -> Outcome {
    let theta = [1.3, 0.21, 80.0, 0.0, 8.0];
    // The first dose is at t0 itself; times before, at and after doses.
    let times = vec![0.0, 0.5, 3.0, 8.0, 8.1, 15.9, 16.0, 24.0, 30.0];
    let options = Options::tol(1e-11, 1e-11).save(Save::At(times.clone()));
    let problem = Problem { y0: &[0.0, 0.0], span: [0.0, 30.0], theta: &theta };
    let solution = solve(&Generic(Dosing), &Tsit5, &Dosing, &problem, &options, &EventOptions::default())?;
    assert_eq!(solution.times(0), [0.0, 8.0, 16.0, 24.0]);
    assert_eq!(solution.t, times);
    for (i, &t) in times.iter().enumerate() {
        let off = (solution.state(i)[1] - body(theta, t)).abs();
        assert!(off < 1e-7, "{t}: {off:e}");
    }
    // A saved time with an event has the state before it.
    assert!(solution.state(0)[0] == 0.0 && solution.state(3)[0] < 1.0);
    assert_eq!(solution.params[3], 32.0);
    let dense = Options::tol(1e-11, 1e-11).save(Save::Dense);
    let solution = solve(&Generic(Dosing), &Vern7, &Dosing, &problem, &dense, &EventOptions::default())?;
    for &t in &[0.1, 7.99, 8.0, 8.01, 20.0, 29.9] {
        let off = (solution.at(t)?[1] - body(theta, t)).abs();
        assert!(off < 1e-7, "{t}: {off:e}");
    }
    assert!(solution.at(30.5).is_err());
    Ok(())
}

#[test]
fn single_precision_and_symplectic_steps_bounce_too() -> Outcome {
    let first = (2.0f64 * 2.0 / 9.81).sqrt();
    let wanted = [first, first * 2.6, first * (2.6 + 1.28)];
    let problem = Problem { y0: &[2.0f32, 0.0], span: [0.0, 2.6], theta: &[9.81, 0.8] };
    let options = Options::tol(1e-5, 1e-5);
    let s =
        solve(&Generic(BouncingBall), &Tsit5, &BouncingBall, &problem, &options, &EventOptions::default())?;
    assert_eq!(s.log.len(), 3);
    for (record, wanted) in s.log.iter().zip(wanted) {
        assert!((f64::from(record.t) - wanted).abs() < 2e-6, "{} {wanted}", record.t);
    }
    // Verlet is exact for a constant force, and so is its Hermite interpolant.
    let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 2.6], theta: &[9.81, 0.8] };
    let options = Options::fixed(0.05);
    let s =
        solve(&Generic(BouncingBall), &Verlet, &BouncingBall, &problem, &options, &EventOptions::default())?;
    assert_eq!(s.log.len(), 3);
    for (record, wanted) in s.log.iter().zip(wanted) {
        assert!((record.t - wanted).abs() < 1e-13, "{} {wanted}", record.t);
    }
    Ok(())
}
