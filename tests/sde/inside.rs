//! States inside steps.

use super::problems::{Drift, Own, start};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save};
use odeon::sde::noise::{IntervalTree, Levy};
use odeon::sde::{Diagonal, Sde, solve, tableaux};

/// Saved inside a step, a path is as close to the exact one as at the step's end, far closer than the chord.
#[test]
fn states_inside_steps_follow_the_noise() {
    let sde = Sde::ito(Generic(Drift), Diagonal(Generic(Own)));
    let made = || IntervalTree::new(23, [0.0, 1.0], 2, 50).unwrap().levy(Levy::SpaceTime);
    let y0 = start(50);
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &[1.1, 0.8, 0.7, 0.6] };
    let times: Vec<f64> = (1..64).map(|i| f64::from(i) / 64.0).collect();
    let run = |k: i32| {
        let options = Options::fixed(0.5_f64.powi(k)).save(Save::At(times.clone()));
        solve(&sde, &tableaux::Sosri, made(), &problem, &options).unwrap().y
    };
    let exact = run(10);
    let error = |k: i32| {
        let y = run(k);
        let squares = y.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        (squares / y.len() as f64).sqrt()
    };
    let errors = [2, 3, 4].map(error);
    let slope = (errors[0] / errors[2]).log2() / 2.0;
    // The grid of times gets coarser against the step: the asymptotic slope is 1.
    assert!(slope > 0.85, "{errors:?}");
    // The chord's error is the bridge's size, about 0.7 √(h/6).
    assert!(errors[1] < 0.05, "{errors:?}");
}
