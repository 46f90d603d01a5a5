//! Equations on the torus.

use crate::{Tested, on, relative};
use odeon::num::parallel;
use odeon::operator::pde::{Advection, Burgers, Generator, Heat, NavierStokes, PeriodicField, Snapshots};
use std::f64::consts::TAU;

/// Largest steps and how wrong they are, as the order that two halvings show.
fn orders(errors: [f64; 3]) -> [f64; 2] {
    [(errors[0] / errors[1]).log2(), (errors[1] / errors[2]).log2()]
}

fn fixed(interval: f64, count: usize, step: f64) -> Snapshots {
    Snapshots { courant: 1e3, step, ..Snapshots::new(interval, count) }
}

/// w = cos 2πx + cos 2πy turns nothing (v·∇w = 0) and decays as e^{−4π²νt}; so does any w = f(k·x).
#[test]
fn taylor_green_vortices_decay_exactly_as_fast() -> Tested {
    let flow = NavierStokes { forcing: 0.0, ..NavierStokes::new([16, 12], 2e-2, 0.3, 2) };
    let start = on([16, 12], |x, y| 1.5 * (TAU * x).cos() + 1.5 * (TAU * y).cos());
    let w = flow.output(&start)?;
    for (number, w) in w.chunks_exact(start.len()).enumerate() {
        let factor = (-TAU * TAU * 2e-2 * 0.3 * (number + 1) as f64).exp();
        let exact: Vec<f64> = start.iter().map(|w| factor * w).collect();
        // Crank-Nicolson at steps of 3e-3 at most.
        assert!(relative(w, &exact) < 1e-6, "{}", relative(w, &exact));
    }
    Ok(())
}

/// A Taylor–Green vortex in a wind (a, b) is the vortex carried along. The wind is no vorticity, so it is the frame that
/// moves: instead the forced flow from rest, w = f (1 − e^{−8π²νt})/(8π²ν), as v ⟂ ∇f.
#[test]
fn the_forced_flow_from_rest_is_exact() -> Tested {
    let nu = 1e-2;
    let flow = NavierStokes { forcing: 0.7, ..NavierStokes::new([12, 12], nu, 0.5, 1) };
    let rate = 2.0 * TAU * TAU * nu;
    let grown = (1.0 - (-rate * 0.5).exp()) / rate;
    let exact = on([12, 12], |x, y| {
        let angle = TAU * (x + y);
        0.7 * (angle.sin() + angle.cos()) * grown
    });
    let w = flow.output(&vec![0.0; 144])?;
    assert!(relative(&w, &exact) < 1e-5, "{}", relative(&w, &exact));
    Ok(())
}

/// The order in time, with vortices that do interact.
#[test]
fn navier_stokes_has_order_two_in_time() -> Tested {
    let flow = |step: f64| NavierStokes {
        snapshots: fixed(0.5, 1, step),
        ..NavierStokes::new([16, 16], 1e-3, 0.5, 1)
    };
    let start: Vec<f64> = flow(0.1).input(3, 0)?.iter().map(|w| 4.0 * w).collect();
    let exact = flow(1.0 / 2048.0).output(&start)?;
    let mut errors = [0.0; 3];
    for (error, step) in errors.iter_mut().zip([1.0 / 32.0, 1.0 / 64.0, 1.0 / 128.0]) {
        *error = relative(&flow(step).output(&start)?, &exact);
    }
    for order in orders(errors) {
        assert!((order - 2.0).abs() < 0.1, "{order} {errors:?}");
    }
    Ok(())
}

/// In space it is spectral: what 48 points resolve, 64 do not change.
#[test]
fn navier_stokes_is_spectral_in_space() -> Tested {
    let law = PeriodicField { modes: 3, ..NavierStokes::new([32, 32], 1e-2, 0.4, 1).field };
    let solve = |n: usize| -> odeon::Result<Vec<f64>> {
        let flow = NavierStokes {
            field: law,
            snapshots: fixed(0.4, 1, 0.01),
            ..NavierStokes::new([n, n], 1e-2, 0.4, 1)
        };
        let w = flow.output(&flow.input(1, 0)?)?;
        // At the points of 8 × 8.
        Ok((0..64).map(|at| w[(at / 8 * n + at % 8) * n / 8]).collect())
    };
    let (coarse, middle, fine) = (solve(16)?, solve(32)?, solve(64)?);
    let errors = [relative(&coarse, &fine), relative(&middle, &fine)];
    assert!(errors[0] < 1e-2 && errors[1] < 1e-3 * errors[0], "{errors:?}");
    Ok(())
}

/// v·∇w itself: with X = 2πx, Y = 2πy and w = cos X + cos 2Y, v = (−sin 2Y/4π, sin X/2π), so that w_t = 3/2 sin X sin 2Y.
/// Invariants, shifts and self-convergence see neither its sign nor its size.
#[test]
fn vortices_carry_each_other_the_right_way() -> Tested {
    let extents = [24, 20];
    let start = on(extents, |x, y| (TAU * x).cos() + (2.0 * TAU * y).cos());
    let exact = on(extents, |x, y| 1.5 * (TAU * x).sin() * (2.0 * TAU * y).sin());
    let rate = |h: f64| -> odeon::Result<Vec<f64>> {
        let snapshots = fixed(h, 1, h);
        let flow = NavierStokes { forcing: 0.0, snapshots, ..NavierStokes::new(extents, 0.0, h, 1) };
        Ok(flow.output(&start)?.iter().zip(&start).map(|(after, w)| (after - w) / h).collect())
    };
    // Richardson: the term of order h drops out.
    let (long, short) = (rate(2e-3)?, rate(1e-3)?);
    let limit: Vec<f64> = long.iter().zip(&short).map(|(long, short)| 2.0 * short - long).collect();
    assert!(relative(&limit, &exact) < 1e-9, "{}", relative(&limit, &exact));
    Ok(())
}

/// Without viscosity and forcing mean, energy and enstrophy stay, up to the time steps' error, which falls with its
/// third power (what Heun's method makes of oscillations).
#[test]
fn inviscid_flows_keep_their_invariants() -> Tested {
    let flow = |step: f64| NavierStokes {
        forcing: 0.0,
        snapshots: fixed(1.0, 1, step),
        ..NavierStokes::new([24, 24], 0.0, 1.0, 1)
    };
    let start: Vec<f64> = flow(1.0).input(5, 1)?.iter().map(|w| 0.25 + 3.0 * w).collect();
    let invariants = |w: &[f64]| -> odeon::Result<[f64; 3]> {
        let mean = |f: &dyn Fn(f64) -> f64| w.iter().map(|w| f(*w)).sum::<f64>() / w.len() as f64;
        Ok([mean(&|w| w), flow(1.0).velocity(w)?.1, mean(&|w| w * w)])
    };
    let before = invariants(&start)?;
    let mut lost = [[0.0; 3]; 2];
    for (lost, step) in lost.iter_mut().zip([0.02, 0.01]) {
        let after = invariants(&flow(step).output(&start)?)?;
        *lost = [0, 1, 2].map(|i| (after[i] / before[i] - 1.0).abs());
    }
    assert!(lost[1][0] < 1e-13, "{lost:?}");
    for i in [1, 2] {
        assert!(lost[1][i] < 1e-5 && lost[1][i] < 0.2 * lost[0][i], "{lost:?}");
    }
    Ok(())
}

/// Moved starts move the flow: the forcing aside, nothing depends on the place.
#[test]
fn flows_commute_with_shifts() -> Tested {
    let flow = NavierStokes { forcing: 0.0, ..NavierStokes::new([16, 16], 1e-3, 0.2, 1) };
    let start = flow.input(2, 0)?;
    let shift = |w: &[f64]| {
        on([16, 16], |x, y| {
            let [i, j] = [x, y].map(|x| (x * 16.0).round() as usize);
            w[(j + 5) % 16 * 16 + (i + 3) % 16]
        })
    };
    let error = relative(&flow.output(&shift(&start))?, &shift(&flow.output(&start)?));
    assert!(error < 1e-12, "{error}");
    Ok(())
}

/// Cole–Hopf: u = −2ν φ_x/φ with φ_t = ν φ_xx, φ = 1 + a e^{−4π²νt} cos 2πx.
#[test]
fn burgers_is_the_cole_hopf_solution() -> Tested {
    let nu = 0.05;
    let exact = |t: f64| {
        on([64, 1], |x, _| {
            let decay = 0.8 * (-TAU * TAU * nu * t).exp();
            2.0 * nu * TAU * decay * (TAU * x).sin() / (1.0 + decay * (TAU * x).cos())
        })
    };
    let mut errors = [0.0; 3];
    for (error, step) in errors.iter_mut().zip([0.005, 0.0025, 0.00125]) {
        let burgers = Burgers { snapshots: fixed(0.2, 2, step), ..Burgers::new(64, nu, 0.2, 2) };
        let u = burgers.output(&exact(0.0))?;
        *error = relative(&u[64..], &exact(0.4));
    }
    assert!(errors[2] < 5e-6, "{errors:?}");
    for order in orders(errors) {
        assert!((order - 2.0).abs() < 0.1, "{order} {errors:?}");
    }
    Ok(())
}

#[test]
fn advection_shifts_and_heat_fades() -> Tested {
    let field = PeriodicField { scale: 1.0, alpha: 2.0, tau: 3.0, modes: 4 };
    let (extents, velocity) = ([12, 10], [0.7, -0.4]);
    let snapshots = Snapshots::new(0.5, 2);
    let advection = Advection { extents, velocity, field, snapshots };
    let wave = |x: f64, y: f64| (TAU * (2.0 * x - y)).sin() + 0.5 * (TAU * 3.0 * y).cos() + 0.2;
    let u = advection.output(&on(extents, wave))?;
    for (number, u) in u.chunks_exact(120).enumerate() {
        let t = 0.5 * (number + 1) as f64;
        assert!(relative(u, &on(extents, |x, y| wave(x - 0.7 * t, y + 0.4 * t))) < 1e-13);
    }
    let heat = Heat { extents, diffusivity: 0.03, field, snapshots };
    let u = heat.output(&on(extents, wave))?;
    for (number, u) in u.chunks_exact(120).enumerate() {
        let decay = |square: f64| (-TAU * TAU * square * 0.03 * 0.5 * (number + 1) as f64).exp();
        let exact = on(extents, |x, y| {
            decay(5.0) * (TAU * (2.0 * x - y)).sin() + decay(9.0) * 0.5 * (TAU * 3.0 * y).cos() + 0.2
        });
        assert!(relative(u, &exact) < 1e-13);
    }
    // One axis.
    let line = Heat { extents: [16, 1], ..heat };
    assert_eq!(line.shapes(), [vec![1, 16], vec![2, 1, 16]]);
    assert_eq!(line.output(&line.input(0, 0)?)?.len(), 32);
    Ok(())
}

#[test]
fn samples_do_not_depend_on_threads() -> Tested {
    let flow = NavierStokes::new([16, 16], 1e-3, 0.1, 1);
    let run = || flow.input(7, 3).and_then(|w| flow.output(&w));
    let one = parallel::with_threads(1, run)??;
    assert_eq!(one, parallel::with_threads(2, run)??);
    assert!(one.iter().all(|w| w.is_finite()));
    Ok(())
}

#[test]
fn bad_requests_are_explained() -> Tested {
    let flow = NavierStokes::new([16, 16], 1e-3, 0.1, 1);
    let cases: [(Box<dyn Generator>, &str); 10] = [
        (Box::new(NavierStokes { extents: [3, 16], ..flow }), "an extent of the flow is 3"),
        (Box::new(NavierStokes { viscosity: -1.0, ..flow }), "the viscosity"),
        (Box::new(NavierStokes { forcing: f64::NAN, ..flow }), "the forcing"),
        (Box::new(NavierStokes { snapshots: Snapshots::new(0.0, 1), ..flow }), "the interval"),
        (Box::new(NavierStokes { snapshots: Snapshots::new(1.0, 0), ..flow }), "the number of snapshots"),
        (
            Box::new(NavierStokes { snapshots: Snapshots { courant: -1.0, ..flow.snapshots }, ..flow }),
            "the Courant number",
        ),
        (Box::new(Burgers { points: 2, ..Burgers::new(16, 0.1, 0.1, 1) }), "the points of the line"),
        (Box::new(Burgers { viscosity: f64::INFINITY, ..Burgers::new(16, 0.1, 0.1, 1) }), "the viscosity"),
        (
            Box::new(Advection {
                extents: [8, 8],
                velocity: [f64::NAN, 0.0],
                field: flow.field,
                snapshots: flow.snapshots,
            }),
            "the velocity[0]",
        ),
        (
            Box::new(Heat {
                extents: [8, 0],
                diffusivity: 1.0,
                field: flow.field,
                snapshots: flow.snapshots,
            }),
            "the extents of the torus",
        ),
    ];
    for (generator, text) in cases {
        let error = generator.input(0, 0).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        assert!(generator.check().is_err());
    }
    assert!(flow.output(&[0.0; 3]).is_err());
    let error = flow.output(&[f64::NAN; 256]).unwrap_err().to_string();
    assert!(error.contains("the initial state[0]"), "{error}");
    // Steps far beyond what is stable.
    let wild = NavierStokes { snapshots: fixed(400.0, 1, 1.0), viscosity: 0.0, ..flow };
    let start: Vec<f64> = wild.input(0, 0)?.iter().map(|w| 1e3 * w).collect();
    let error = wild.output(&start).unwrap_err().to_string();
    assert!(error.contains("steps to the next snapshot at t = "), "{error}");
    // The same without a Courant number to shorten them.
    let wild = NavierStokes { snapshots: Snapshots { courant: f64::MAX, ..wild.snapshots }, ..wild };
    let error = wild.output(&start).unwrap_err().to_string();
    assert!(error.contains("not finite at t = "), "{error}");
    // A start so fast, or a step so small, that the next snapshot would never come.
    let fast: Vec<f64> = flow.input(0, 0)?.iter().map(|w| 1e25 * w).collect();
    let slow = NavierStokes { snapshots: Snapshots { step: 1e-300, ..flow.snapshots }, ..flow };
    for outcome in [flow.output(&fast), slow.output(&flow.input(0, 0)?)] {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("steps to the next snapshot at t = 0"), "{error}");
    }
    Ok(())
}
