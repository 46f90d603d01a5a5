//! Optimisers against the sequences that `data/nn/make_references.py` prints, resumption, and bad
//! input.

use odeon::Result;
use odeon::nn::{Layout, Optimizer, OptimizerState, Role, Rule, Schedule};
use odeon::num::Real;

const GRADIENTS: [f64; 5] = [0.5, -1.25, 0.75, 0.0, 2.0];
const BETAS: (f64, f64) = (0.9, 0.999);

fn layout() -> Layout {
    let mut layout = Layout::new();
    for (name, n) in [("0.weight", 17), ("0.bias", 2)] {
        layout.push(name, &[n], Role::Shift).expect("fresh name");
    }
    layout
}

/// Rules with the values of one parameter, started at 1, after each of five steps.
fn references() -> Vec<(Rule, [f64; 5])> {
    let (epsilon, weight_decay) = (1e-8, 0.05);
    let sgd = |momentum, nesterov| Rule::Sgd { momentum, nesterov, weight_decay };
    vec![
        (sgd(0.0, false), [0.945, 1.065275, 0.9849486249999999, 0.9800238818749999, 0.7751237624656249]),
        (
            sgd(0.9, false),
            [0.945, 1.0157749999999999, 0.9993936249999998, 0.9796534193749998, 0.7569889672156248],
        ),
        (
            sgd(0.9, true),
            [0.8955, 1.0799427499999998, 0.9847115188749999, 0.9620083938081874, 0.5568677033418158],
        ),
        (
            Rule::Adam { betas: BETAS, epsilon, weight_decay },
            [
                0.9000000018181818,
                0.9398904395161607,
                0.9333586954622503,
                0.9262555448980972,
                0.8790982959994079,
            ],
        ),
        (
            Rule::AdamW { betas: BETAS, epsilon, weight_decay },
            [0.895000002, 0.9347465279038955, 0.9288287040298329, 0.9231654766727153, 0.8747921074697449],
        ),
        (
            Rule::Adamax { betas: BETAS, epsilon, weight_decay },
            [
                0.9000000018181817,
                0.9310111393622106,
                0.9261816844765601,
                0.921633383664009,
                0.8951934763458403,
            ],
        ),
        (
            Rule::adabelief(),
            [
                0.8888888888889164,
                0.9363816471863826,
                0.9350677940748036,
                0.9339915673968732,
                0.8862720948684792,
            ],
        ),
        (
            Rule::RmsProp { alpha: 0.9, epsilon: 1e-3, epsilon_in_root: false, momentum: 0.9, weight_decay },
            [
                0.6855800217524761,
                0.6925031021543319,
                0.5314593158229775,
                0.3805501218498727,
                -0.01886138194432896,
            ],
        ),
        (
            Rule::RmsProp {
                alpha: 0.9,
                epsilon: 1e-3,
                epsilon_in_root: true,
                momentum: 0.0,
                weight_decay: 0.0,
            },
            [
                0.6899131635269788,
                0.98474580505271,
                0.8241594867810532,
                0.8241594867810532,
                0.5608354234344802,
            ],
        ),
    ]
}

fn follow<T: Real>(rule: Rule, expected: &[f64; 5], tolerance: f64) -> Result<()> {
    let mut optimizer = Optimizer::<T>::new(rule, Schedule::Constant(0.1), layout())?;
    let mut theta = vec![T::of(1.0); 19];
    for (k, (&g, &expected)) in GRADIENTS.iter().zip(expected).enumerate() {
        optimizer.step(&mut theta, &[T::of(g); 19])?;
        for value in &theta {
            let error = (value.f64() - expected).abs();
            assert!(error <= tolerance, "{rule:?}, step {k}: {value} against {expected}");
        }
    }
    Ok(())
}

#[test]
fn steps_are_the_published_ones() -> Result<()> {
    for (rule, expected) in references() {
        follow::<f64>(rule, &expected, 4e-15)?;
        follow::<f32>(rule, &expected, 2e-6)?;
    }
    Ok(())
}

#[test]
fn a_restored_optimiser_continues_with_the_same_bits() -> Result<()> {
    let schedule = Schedule::Exponential { initial: 0.1, factor: 0.5, every: 2, staircase: false };
    for (rule, _) in references() {
        let mut whole = Optimizer::<f64>::new(rule, schedule.clone(), layout())?;
        let mut theta: Vec<f64> = (0..19).map(|i| f64::from(i).sin()).collect();
        let gradient = |theta: &[f64]| theta.iter().map(|t| t.cos()).collect::<Vec<_>>();
        for _ in 0..3 {
            let g = gradient(&theta);
            whole.step(&mut theta, &g)?;
        }
        let text = serde_json::to_string(&whole.state()).expect("finite numbers");
        let state: OptimizerState<f64> = serde_json::from_str(&text).expect("as written");
        let mut resumed = Optimizer::<f64>::new(rule, schedule.clone(), layout())?;
        resumed.restore(state)?;
        assert_eq!(resumed.learning_rate(), 0.1 * 0.5f64.powf(1.5));
        let mut other = theta.clone();
        for _ in 0..3 {
            let g = gradient(&theta);
            whole.step(&mut theta, &g)?;
            let g = gradient(&other);
            resumed.step(&mut other, &g)?;
        }
        assert_eq!(theta, other, "{rule:?}");
        assert_eq!(whole.state(), resumed.state(), "{rule:?}");
    }
    Ok(())
}

#[test]
fn bad_input_is_explained_and_changes_nothing() -> Result<()> {
    let mut adam = Optimizer::<f64>::new(Rule::adam(), Schedule::Constant(0.1), layout())?;
    let mut theta = vec![1.0; 19];
    adam.step(&mut theta, &[1.0; 19])?;
    let (before, state) = (theta.clone(), adam.state());
    let mut gradient = [1.0; 19];
    gradient[18] = f64::NAN;
    let message = adam.step(&mut theta, &gradient).expect_err("NaN").to_string();
    assert!(message.contains("0.bias[1]") && message.contains("NaN"), "{message}");
    assert!(adam.step(&mut theta, &[1.0; 18]).is_err());
    assert!(adam.step(&mut theta[1..], &[1.0; 19]).is_err());
    let belief = Optimizer::<f64>::new(Rule::adabelief(), Schedule::Constant(0.1), layout())?;
    let message = adam.restore(belief.state()).expect_err("another rule's").to_string();
    assert!(message.contains("deviation") && message.contains("square"), "{message}");
    let mut short = state.clone();
    short.buffers[1].1.pop();
    assert!(adam.restore(short).is_err());
    assert_eq!((theta, adam.state()), (before, state));

    let refused = [
        (Rule::momentum(1.0), 0.1),
        (Rule::momentum(f64::NAN), 0.1),
        (Rule::adamw(-1.0), 0.1),
        (Rule::Adam { betas: (0.9, 1.0), epsilon: 1e-8, weight_decay: 0.0 }, 0.1),
        (Rule::Adamax { betas: BETAS, epsilon: 0.0, weight_decay: 0.0 }, 0.1),
        (Rule::Sgd { momentum: 0.0, nesterov: true, weight_decay: 0.0 }, 0.1),
        (Rule::rmsprop(), -0.1),
    ];
    for (rule, rate) in refused {
        assert!(Optimizer::<f64>::new(rule, Schedule::Constant(rate), layout()).is_err(), "{rule:?}");
    }
    Ok(())
}

#[test]
fn one_cycle_goes_up_and_down() {
    let schedule = Schedule::one_cycle(0.1, 100);
    assert!(schedule.check().is_ok() && Schedule::one_cycle(0.1, 1).check().is_ok());
    let close = |k, rate: f64| assert!((schedule.at(k) - rate).abs() < 1e-15, "{k}: {}", schedule.at(k));
    close(0, 0.004);
    close(15, 0.052);
    close(30, 0.1);
    close(65, 0.05005);
    close(100, 1e-4);
}
