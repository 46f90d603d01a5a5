//! Gradients of losses on event times, states at events and saved states.

use super::{Failed, Outcome};
use odeon::adjoint::{EventAdjoint, EventCotangent, Memory};
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::compose::{Frozen, Warp};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem, Reverse, Save};
use odeon::num::Scalar;
use odeon::ode::StepMethod;
use odeon::ode::events::gallery::{BouncingBall, Dosing};
use odeon::ode::events::{Direction, EventOptions, EventSolution, Events, Kind, Then, solve};
use odeon::ode::radau::RadauIia5;
use odeon::ode::sdirk::Esdirk54I8L2SA;
use odeon::ode::switch::AutoTsit5;
use odeon::ode::symplectic::ImplicitMidpoint;
use odeon::ode::tableaux::{Rk4, Tsit5, Vern6};
use odeon::ode::tableaux_rosenbrock::Rodas5P;

/// A forced pendulum between two walls that move with time; hits change the state and the damping.
/// p = (stiffness, damping, wall, restitution, wear).
struct Walls;
impl VectorField for Walls {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        5
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = y[1];
        dy[1] = -p[0] * y[0].sin() - p[1] * y[1] + S::of(0.8) * (S::of(1.7) * t).cos();
    }
}

/// The walls; the third event ends the solve where the phase t + y₀ reaches a limit.
struct Hits {
    last: f64,
}

impl Events for Hits {
    fn count(&self) -> usize {
        3
    }
    fn kind(&self, event: usize) -> Kind {
        match event {
            0 => Kind { name: "right", direction: Direction::Rising, then: Then::Continue },
            1 => Kind { name: "left", direction: Direction::Falling, then: Then::Continue },
            _ => Kind { name: "end", direction: Direction::Rising, then: Then::Terminate },
        }
    }
    fn value<S: Scalar>(&self, event: usize, t: S, y: &[S], p: &[S]) -> S {
        let wall = p[2] * (S::one() + S::of(0.2) * t.sin());
        match event {
            0 => y[0] - wall,
            1 => y[0] + wall * p[0] * S::of(0.5),
            _ => t + S::of(0.3) * y[0] * y[0] - S::of(self.last) * p[3],
        }
    }
    fn act<S: Scalar>(&self, event: usize, t: S, y: &mut [S], p: &mut [S]) {
        y[1] = -p[3] * y[1] - S::of(0.05) * y[0] * t.cos();
        p[1] = p[1] * p[4] + S::of(0.01) * y[1] * y[1];
        if event == 1 {
            p[0] += S::of(0.02) * y[0] * t;
        }
    }
}

const THETA: [f64; 5] = [2.0, 0.15, 0.6, 0.9, 1.1];
const Y0: [f64; 2] = [0.1, 1.4];

fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

/// Σ w z + z²/2 over saved states, times and states at events.
fn loss(s: &EventSolution<f64>, bar: &mut EventCotangent<f64>) -> f64 {
    let mut total = 0.0;
    let mut add = |values: &[f64], bar: &mut [f64], seed: f64| {
        for ((z, w), bar) in values.iter().zip(wave(values.len(), seed)).zip(bar) {
            total += w * z + 0.5 * z * z;
            *bar = w + z;
        }
    };
    let times: Vec<f64> = s.log.iter().map(|r| r.t).collect();
    let flat = |pick: fn(&odeon::ode::events::EventRecord<f64>) -> &Vec<f64>| -> Vec<f64> {
        s.log.iter().flat_map(|r| pick(r).clone()).collect()
    };
    add(&s.y, &mut bar.y, 0.4);
    add(&times, &mut bar.t, 0.9);
    add(&flat(|r| &r.before), &mut bar.before, 1.3);
    add(&flat(|r| &r.after), &mut bar.after, 2.2);
    total
}

struct Case<'a> {
    name: &'a str,
    options: Options<f64>,
    span: [f64; 2],
    events: Hits,
    hits: usize,
    most: f64,
    /// Increment of the differences.
    by: f64,
}

impl Case<'_> {
    /// The gradient (y0, θ) against central differences of whole solves.
    fn check<'d, M>(
        &self,
        field: &'d Warp<'d, Generic<Walls>>,
        method: &M,
        memory: Memory,
    ) -> Result<Vec<f64>, Failed>
    where
        M: StepMethod<f64, Generic<Walls>> + StepMethod<f64, Warp<'d, Generic<Walls>>>,
        <M as StepMethod<f64, Warp<'d, Generic<Walls>>>>::Stepper<'d>: Reverse<f64>,
    {
        let rules = EventOptions::default();
        let value = |y0: &[f64], theta: &[f64]| -> Result<f64, Failed> {
            let problem = Problem { y0, span: self.span, theta };
            let s = solve(&Generic(Walls), method, &self.events, &problem, &self.options, &rules)?;
            assert_eq!(s.log.len(), self.hits, "{}", self.name);
            Ok(loss(&s, &mut EventCotangent::zeros(&s)))
        };
        let mut adjoint = EventAdjoint::new(field, method, memory, rules);
        let problem = Problem { y0: &Y0, span: self.span, theta: &THETA };
        let got =
            adjoint.value_and_gradient(&self.events, &problem, &self.options, |s, bar| Ok(loss(s, bar)))?;
        assert_eq!(got, value(&Y0, &THETA)?, "{}: the adjoint's forward pass has other bits", self.name);
        let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        for (e, g) in gradient.iter().enumerate() {
            let moved = |d: f64| {
                let (mut y0, mut theta) = (Y0, THETA);
                if e < 2 {
                    y0[e] += d
                } else {
                    theta[e - 2] += d
                }
                value(&y0, &theta)
            };
            let d = self.by;
            let near = moved(d)? - moved(-d)?;
            let far = moved(2.0 * d)? - moved(-2.0 * d)?;
            let want = (8.0 * near - far) / (12.0 * d);
            let off = (g - want).abs() / size;
            assert!(off < self.most, "{} entry {e}: {g} {want} ({off:e})", self.name);
        }
        Ok(gradient)
    }
}

/// Steps of fixed size in segments that all end with events: solves have the frozen steps of the adjoint,
/// which is then exact however coarse they are.
fn coarse(name: &str, h: f64, save: Save<f64>) -> Case<'_> {
    let options = Options::fixed(h).save(save);
    Case { name, options, span: [0.2, 30.0], events: Hits { last: 5.0 }, hits: 4, most: 2e-8, by: 1e-4 }
}

#[test]
fn gradients_of_coarse_fixed_steps_are_exact_for_explicit_methods() -> Outcome {
    let f = Generic(Walls);
    let field = Warp::new(&f);
    for save in [Save::End, Save::At(vec![0.2, 0.5, 1.11, 1.9, 2.8, 3.7, 4.0])] {
        coarse("Tsit5", 0.11, save.clone()).check(&field, &Tsit5, Memory::Unlimited)?;
        coarse("RK4", 0.07, save.clone()).check(&field, &Rk4, Memory::Unlimited)?;
        coarse("Vern6", 0.13, save).check(&field, &Vern6, Memory::Unlimited)?;
    }
    Ok(())
}

#[test]
fn gradients_of_coarse_fixed_steps_are_exact_for_implicit_methods() -> Outcome {
    let f = Generic(Walls);
    let field = Warp::new(&f);
    let save = Save::At(vec![0.5, 1.9, 3.7]);
    coarse("Rodas5P", 0.11, save.clone()).check(&field, &Rodas5P, Memory::Unlimited)?;
    let tight =
        odeon::ode::ImplicitOptions { newton: odeon::ode::NewtonOptions::tight(), ..Default::default() };
    let fine = |name, save| {
        let mut case = coarse(name, 0.09, save);
        case.options.norm = odeon::num::ErrorNorm::new(1e-8, 1e-8);
        case
    };
    fine("ESDIRK", save.clone()).check(&field, &Esdirk54I8L2SA.with(tight.clone()), Memory::Unlimited)?;
    coarse("implicit midpoint", 0.05, save.clone()).check(&field, &ImplicitMidpoint, Memory::Unlimited)?;
    fine("Radau", save).check(&field, &RadauIia5.with(tight), Memory::Unlimited)?;
    Ok(())
}

#[test]
fn gradients_of_adaptive_solves_match_differences_of_tight_ones() -> Outcome {
    let f = Generic(Walls);
    let field = Warp::new(&f);
    // The span's end and stops are fixed times: steps before them are stretched, those beyond stay.
    for (stops, save) in
        [(vec![], Save::End), (vec![1.5, 3.9], Save::End), (vec![1.5], Save::At(vec![0.5, 1.9, 2.8, 4.2]))]
    {
        let options = Options { tstops: stops, ..Options::tol(1e-12, 1e-12) }.save(save);
        let events = Hits { last: 50.0 };
        let case = Case { name: "tight", options, span: [0.2, 4.2], events, hits: 3, most: 1e-6, by: 2e-4 };
        case.check(&field, &Vern6, Memory::Unlimited)?;
        case.check(&field, &AutoTsit5, Memory::Unlimited)?;
    }
    Ok(())
}

#[test]
fn a_memory_budget_changes_no_gradient() -> Outcome {
    let f = Generic(Walls);
    let field = Warp::new(&f);
    let case = coarse("Tsit5", 0.05, Save::At(vec![0.5, 1.9]));
    let free = case.check(&field, &Tsit5, Memory::Unlimited)?;
    let mut adjoint = EventAdjoint::new(&field, &Tsit5, Memory::Unlimited, EventOptions::default());
    let problem = Problem { y0: &Y0, span: case.span, theta: &THETA };
    adjoint.value_and_gradient(&case.events, &problem, &case.options, |s, bar| Ok(loss(s, bar)))?;
    let bytes = adjoint.statistics().work_bytes + 5 * 16;
    let tight = case.check(&field, &Tsit5, Memory::Bytes(bytes))?;
    let size = free.iter().fold(0.0f64, |a, g| a.max(g.abs()));
    assert!(free.iter().zip(&tight).all(|(a, b)| (a - b).abs() < 1e-12 * size));
    Ok(())
}

#[test]
fn the_bouncing_balls_derivatives_are_the_known_ones() -> Outcome {
    let (g, e, h) = (9.81f64, 0.7f64, 1.3f64);
    let f = Generic(BouncingBall);
    let field = Warp::new(&f);
    let mut adjoint = EventAdjoint::new(&field, &Tsit5, Memory::Unlimited, EventOptions::default());
    let fall = (2.0 * h / g).sqrt();
    // Of bounce k + 1: t = √(2h/g)(1 + 2 Σ e^j), v after = e^{k+1} √(2gh).
    for k in 0..4 {
        let sum = |f: &dyn Fn(i32) -> f64| (1..=k).map(f).sum::<f64>();
        let share = 1.0 + 2.0 * sum(&|j| e.powi(j));
        let problem = Problem { y0: &[h, 0.0], span: [0.0, 5.0 * fall], theta: &[g, e] };
        let at = k as usize;
        for speed in [false, true] {
            adjoint.value_and_gradient(&BouncingBall, &problem, &Options::tol(1e-8, 1e-8), |s, bar| {
                if speed {
                    bar.after[2 * at + 1] = 1.0;
                    Ok(s.log[at].after[1])
                } else {
                    bar.t[at] = 1.0;
                    Ok(s.log[at].t)
                }
            })?;
            let v = e.powi(k + 1) * (2.0 * g * h).sqrt();
            let wanted = match speed {
                false => [
                    0.5 * fall * share / h,
                    -0.5 * fall * share / g,
                    2.0 * fall * sum(&|j| f64::from(j) * e.powi(j - 1)),
                ],
                true => [0.5 * v / h, 0.5 * v / g, f64::from(k + 1) * v / e],
            };
            let got = [adjoint.y0_gradient()[0], adjoint.theta_gradient()[0], adjoint.theta_gradient()[1]];
            for (got, wanted) in got.iter().zip(wanted) {
                assert!((got - wanted).abs() < 1e-11 * (1.0 + wanted.abs()), "bounce {k}: {got} {wanted}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_gradient_of_a_dose_is_the_known_one() -> Outcome {
    let [ka, ke, dose, first, period] = [1.1, 0.2, 60.0, 0.5, 6.0];
    let f = Generic(Dosing);
    let field = Warp::new(&f);
    let mut adjoint = EventAdjoint::new(&field, &Tsit5, Memory::Unlimited, EventOptions::default());
    let t = 20.0;
    let problem = Problem { y0: &[0.0, 0.0], span: [0.0, t], theta: &[ka, ke, dose, first, period] };
    let level = adjoint.value_and_gradient(&Dosing, &problem, &Options::tol(1e-12, 1e-12), |s, bar| {
        bar.y[1] = 1.0;
        Ok(s.last()[1])
    })?;
    // Of the level at t: a dose at s = first + i·period contributes dose·b(t − s).
    let c = ka / (ka - ke);
    let b = |x: f64| c * ((-ke * x).exp() - (-ka * x).exp());
    let b_rate = |x: f64| c * (ka * (-ka * x).exp() - ke * (-ke * x).exp());
    let since = |i: i32| t - first - period * f64::from(i);
    let sum = |f: &dyn Fn(i32) -> f64| (0..4).map(f).sum::<f64>();
    assert!((level - dose * sum(&|i| b(since(i)))).abs() < 1e-9);
    let wanted = [
        sum(&|i| b(since(i))),
        -dose * sum(&|i| b_rate(since(i))),
        -dose * sum(&|i| f64::from(i) * b_rate(since(i))),
    ];
    for (k, wanted) in wanted.iter().enumerate() {
        let got = adjoint.theta_gradient()[2 + k];
        assert!((got - wanted).abs() < 1e-9 * (1.0 + wanted.abs()), "{k}: {got} {wanted}");
    }
    Ok(())
}

/// y = (t³, t): flat where its first row crosses 0.
struct Flat;
impl VectorField for Flat {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, _y: &[S], _p: &[S], dy: &mut [S]) {
        dy[0] = S::of(3.0) * t * t;
        dy[1] = S::one();
    }
}

/// As many events as it says, all at y₀ = 0.
struct Touch(usize);
impl Events for Touch {
    fn count(&self) -> usize {
        self.0
    }
    fn kind(&self, _: usize) -> Kind {
        Kind { name: "touch", direction: Direction::Both, then: Then::Continue }
    }
    fn value<S: Scalar>(&self, _: usize, _t: S, y: &[S], _p: &[S]) -> S {
        y[0]
    }
}

#[test]
fn what_has_no_derivative_is_refused_by_name() -> Outcome {
    let f = Generic(Walls);
    let field = Warp::new(&f);
    let mut adjoint = EventAdjoint::new(&field, &Tsit5, Memory::Unlimited, EventOptions::default());
    let problem = Problem { y0: &Y0, span: [0.2, 2.0], theta: &THETA };
    let across = Problem { y0: &[-0.1, 1.4], ..problem };
    let options = Options::tol(1e-9, 1e-9);
    let ones = |s: &EventSolution<f64>, bar: &mut EventCotangent<f64>| {
        bar.t.fill(1.0);
        Ok(s.log.iter().map(|r| r.t).sum())
    };
    let refused = adjoint.value_and_gradient(&Touch(2), &across, &options, ones);
    let message = refused.err().ok_or("two at once")?.to_string();
    assert!(message.contains("touch") && message.contains("which of the events"), "{message}");
    let (flat, from) = (Generic(Flat), Problem { y0: &[-1.0, -1.0], span: [-1.0, 1.0], theta: &[] });
    let flat = Warp::new(&flat);
    let mut graze = EventAdjoint::new(&flat, &Tsit5, Memory::Unlimited, EventOptions::default());
    let message =
        graze.value_and_gradient(&Touch(1), &from, &options, ones).err().ok_or("grazed")?.to_string();
    assert!(message.contains("event 0 (touch)") && message.contains("grazed"), "{message}");
    for save in [Save::EveryStep, Save::Dense] {
        let refused = adjoint.forward(&Hits { last: 5.0 }, &problem, &options.clone().save(save)).err();
        let message = refused.ok_or("moving times")?.to_string();
        assert!(message.contains("Save::"), "{message}");
    }
    let missing =
        adjoint.reverse(&Hits { last: 5.0 }, &EventCotangent::default()).err().ok_or("no forward")?;
    assert!(missing.to_string().contains("call forward first"), "{missing}");
    let short = Problem { theta: &THETA[..4], ..problem };
    assert!(adjoint.forward(&Hits { last: 5.0 }, &short, &options).is_err());
    Ok(())
}

#[test]
fn a_warped_right_hand_side_has_the_derivatives_it_claims() -> Outcome {
    let f = Generic(Walls);
    // Inside the window, shifted and stretched; and beyond it.
    for (t, window) in
        [(1.0, [0.3, 2.0, 0.1, -0.2]), (0.4, [0.3, 2.0, 0.0, 0.4]), (2.5, [0.3, 2.0, 0.1, 0.2])]
    {
        // The window's ends have no derivative by design: they are bound.
        let bound = Frozen::new(Warp::new(&f), &[(5, window[0]), (6, window[1])]);
        let theta: Vec<f64> = THETA.iter().chain(&window[2..]).copied().collect();
        let report =
            check_gradient(&bound, t, &[Y0, [0.7, -0.4]].concat(), &theta, &CheckOptions::default())?;
        assert!(report.passed(), "{report}");
    }
    Ok(())
}
