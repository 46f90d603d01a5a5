//! Gradients through switches, with penalties and without, against dual numbers and differences.

use super::{Fading, SPAN, THETA};
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dynamics::dual::Dual;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{ErrorEstimate, Member, Options, Problem, Save, Solution, StepInfo, Stiffness};
use odeon::num::Scalar;
use odeon::ode::StepMethod;
use odeon::ode::rosenbrock::{RosenbrockMethod, RosenbrockTableau};
use odeon::ode::switch::{AutoSwitch, Thresholds};
use odeon::ode::tableau::{ExplicitRk, Tableau};
use odeon::ode::tableaux::{Tsit5, Vern7};
use odeon::ode::tableaux_rosenbrock::Rodas5P;
use odeon::regularise::Global;

/// Quick to switch, so that short solves have both kinds of step and both switches.
const QUICK: Thresholds = Thresholds { stiff_steps: 3, window: 5, calm_steps: 2, ..Thresholds::DEFAULT };

fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

/// One recorded step written again from the tableaux' definitions: the derivatives k (a Rosenbrock method's
/// u), and the end.
fn step<S: Scalar>(
    (explicit, implicit): (&Tableau, &RosenbrockTableau),
    info: &StepInfo<f64>,
    y: &[S],
    theta: &[S],
) -> (Vec<Vec<S>>, Vec<S>) {
    let (t, h) = (S::of(info.t), S::of(info.h));
    let plus = |k: &[Vec<S>], w: &dyn Fn(usize) -> f64, scale: S| -> Vec<S> {
        let sum = |r: usize| k.iter().enumerate().fold(S::zero(), |acc, (j, k)| acc + S::of(w(j)) * k[r]);
        (0..2).map(|r| y[r] + scale * sum(r)).collect()
    };
    let mut k: Vec<Vec<S>> = Vec::new();
    if info.member == Member::First {
        let rows = explicit.a.iter().chain(explicit.dense.extra_a.iter());
        let abscissae = explicit.c.iter().chain(explicit.dense.extra_c.iter());
        for (row, &c) in rows.zip(abscissae) {
            let g = plus(&k, &|j| row[j], h);
            let mut f = g.clone();
            Fading.eval(t + S::of(c) * h, &g, theta, &mut f);
            k.push(f);
        }
        let end = plus(&k[..explicit.b.len()], &|j| explicit.b[j], h);
        return (k, end);
    }
    let constants = |x: &[S]| x.iter().map(|&x| Dual::constant(x)).collect::<Vec<_>>();
    let column = |j: usize| -> Vec<S> {
        let (mut y2, mut t2, mut out) = (constants(y), Dual::constant(t), constants(y));
        match y2.get_mut(j) {
            Some(y) => y.dot = S::one(),
            None => t2.dot = S::one(),
        }
        Fading.eval(t2, &y2, &constants(theta), &mut out);
        out.iter().map(|d| d.dot).collect()
    };
    let [first, second, time] = [column(0), column(1), column(2)];
    let shift = S::one() / (h * S::of(implicit.gamma));
    let (a, b, c, d) = (shift - first[0], -second[0], -first[1], shift - second[1]);
    for i in 0..implicit.stages() {
        let g = plus(&k, &|j| implicit.a[i][j], S::one());
        let mut r = g.clone();
        Fading.eval(t + S::of(implicit.c[i]) * h, &g, theta, &mut r);
        for n in 0..2 {
            let sum =
                k.iter().enumerate().fold(S::zero(), |s, (j, u)| s + S::of(implicit.coupling[i][j]) * u[n]);
            r[n] += sum / h + h * S::of(implicit.d[i]) * time[n];
        }
        let det = a * d - b * c;
        k.push(vec![(d * r[0] - b * r[1]) / det, (a * r[1] - c * r[0]) / det]);
    }
    let end = plus(&k, &|j| implicit.m[j], S::one());
    (k, end)
}

/// What the heuristics see of a step, from the same definitions: ũ, Δk and Δg.
fn estimates<S: Scalar>(
    (explicit, implicit): (&Tableau, &RosenbrockTableau),
    info: &StepInfo<f64>,
    k: &[Vec<S>],
) -> [[S; 2]; 3] {
    let sum = |r: usize, w: &dyn Fn(usize) -> f64| {
        k.iter().enumerate().fold(S::zero(), |acc, (j, k)| acc + S::of(w(j)) * k[r])
    };
    let entry = |row: &[f64], j: usize| row.get(j).copied().unwrap_or(0.0);
    let h = S::of(info.h);
    if let (Member::First, Some(pair)) = (info.member, explicit.stiffness) {
        let [first, second] = [pair.first, pair.second].map(|i| &explicit.a[i][..]);
        return [
            [0, 1].map(|r| h * sum(r, &|j| entry(&explicit.error, j))),
            [0, 1].map(|r| k[pair.second][r] - k[pair.first][r]),
            [0, 1].map(|r| h * sum(r, &|j| entry(second, j) - entry(first, j))),
        ];
    }
    // With u for k: h k_i = u_i/γ − Σ C_ij u_j and h Σ β_il k_l = Σ a_il u_l + u_i.
    let (i, j) = implicit.stiffness.unwrap_or_default();
    let unit = |i: usize, l: usize| f64::from(u8::from(i == l));
    let slope = |i: usize, l: usize| unit(i, l) / implicit.gamma - entry(&implicit.coupling[i], l);
    let argument = |i: usize, l: usize| entry(&implicit.a[i], l) + unit(i, l);
    [
        [0, 1].map(|r| sum(r, &|l| implicit.error[l])),
        [0, 1].map(|r| sum(r, &|l| slope(j, l) - slope(i, l)) / h),
        [0, 1].map(|r| sum(r, &|l| argument(j, l) - argument(i, l))),
    ]
}

/// Weights of the two penalties, and their smoothing.
const WEIGHTS: [f64; 2] = [0.5, 1e-4];
const EPSILON: [f64; 2] = [1e-6, 1e-3];

/// The penalties of one step, weighted, from its sums of squares over all columns, n numbers in all: of ũ
/// scaled, Δk and Δg.
fn penalties<S: Scalar>([error, dk, dg]: [S; 3], n: usize) -> S {
    let root = |x: S, e: f64| (x + S::of(e * e)).sqrt() - S::of(e);
    let n = S::of(n as f64);
    let stiffness = dk / n / (dg / n + S::of(EPSILON[1] * EPSILON[1]));
    S::of(WEIGHTS[0]) * root(error / n, EPSILON[0]) + S::of(WEIGHTS[1]) * root(stiffness, EPSILON[1])
}

struct Setup<M> {
    method: AutoSwitch<M, Rodas5P>,
    y0: Vec<f64>,
    options: Options<f64>,
}

const TOL: f64 = 1e-4;

fn cotangents(solution: &Solution<f64>) -> Vec<f64> {
    let w = wave(solution.y.len(), 0.4);
    w.iter().zip(&solution.y).map(|(w, y)| w + y).collect()
}

impl<M: ExplicitRk> Setup<M> {
    fn problem(&self) -> Problem<'_, f64> {
        Problem { y0: &self.y0, span: SPAN, theta: &THETA }
    }

    /// dL along direction `e` of (y0, θ) by dual numbers through the recorded steps, and that of the
    /// penalties.
    fn tangent(&self, recorded: &Solution<f64>, e: usize) -> [f64; 2] {
        let tableaux = (self.method.explicit.tableau(), self.method.implicit.tableau());
        let (explicit, implicit) = tableaux;
        let (n, bar) = (self.y0.len(), cotangents(recorded));
        let seed = |x: f64, i: usize| Dual::new(x, f64::from(u8::from(i == e)));
        let theta: Vec<Dual<f64>> = THETA.iter().enumerate().map(|(i, &p)| seed(p, n + i)).collect();
        let mut squares = vec![[Dual::constant(0.0); 3]; recorded.steps.len()];
        let mut total = 0.0;
        for first in (0..n).step_by(2) {
            let mut y: Vec<Dual<f64>> = (first..first + 2).map(|i| seed(self.y0[i], i)).collect();
            let mut saved = 0;
            for (index, info) in recorded.steps.iter().enumerate() {
                let (k, end) = step(tableaux, info, &y, &theta);
                let [mut u, dk, dg] = estimates(tableaux, info, &k);
                for r in 0..2 {
                    u[r] /= Dual::constant(TOL) * (Dual::constant(1.0) + y[r].abs().max(end[r].abs()));
                }
                for (square, x) in squares[index].iter_mut().zip([u, dk, dg]) {
                    *square += x[0] * x[0] + x[1] * x[1];
                }
                while let Some(l) = recorded.located.get(saved).filter(|l| l.step == index) {
                    let (weights, scale) = match info.member {
                        Member::First => (&explicit.dense.weights, info.h),
                        Member::Second => (&implicit.dense, 1.0),
                    };
                    let w =
                        |j: usize| weights[j].iter().rev().fold(0.0, |acc, w| (acc + w) * l.theta) * scale;
                    for r in 0..2 {
                        let at = match l.theta {
                            0.0 => y[r].dot,
                            1.0 => end[r].dot,
                            _ => (0..k.len()).fold(y[r].dot, |acc, j| acc + w(j) * k[j][r].dot),
                        };
                        total += at * bar[saved * n + first + r];
                    }
                    saved += 1;
                }
                y = end;
            }
            assert_eq!(saved, recorded.t.len());
        }
        [total, squares.into_iter().map(|s| penalties(s, n).dot).sum()]
    }

    fn adjoint(&self, memory: Memory) -> Result<(Vec<f64>, Solution<f64>)> {
        let f = Generic(Fading);
        let mut adjoint = DiscreteAdjoint::new(self.method.stepper(&f, self.y0.len() / 2), memory);
        let bar = cotangents(adjoint.forward(&self.problem(), &self.options, &mut [])?);
        adjoint.reverse(&bar, &[], &mut [])?;
        Ok(([adjoint.y0_gradient(), adjoint.theta_gradient()].concat(), adjoint.solution().clone()))
    }

    /// Largest deviation of the adjoint from tangents, relative to the gradient.
    fn deviation(&self) -> Result<f64> {
        let (gradient, solution) = self.adjoint(Memory::Unlimited)?;
        assert!(solution.stats.switches >= 2, "{:?}", solution.stats);
        let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        let off = |(e, g): (usize, &f64)| (g - self.tangent(&solution, e)[0]).abs() / size;
        Ok(gradient.iter().enumerate().map(off).fold(0.0, f64::max))
    }

    /// Largest deviation of the gradient with penalties from tangents and from differences of the replay,
    /// relative to the gradient.
    fn with_penalties(&self) -> Result<[f64; 2]> {
        let f = Generic(Fading);
        let mut adjoint = DiscreteAdjoint::new(self.method.stepper(&f, self.y0.len() / 2), Memory::Unlimited);
        let mut error = Global::sum(ErrorEstimate { epsilon: EPSILON[0], ..ErrorEstimate::default() });
        let mut stiffness = Global::sum(Stiffness { epsilon: EPSILON[1], ..Stiffness::default() });
        let mut penalties = [
            Weighted { weight: WEIGHTS[0], penalty: &mut error },
            Weighted { weight: WEIGHTS[1], penalty: &mut stiffness },
        ];
        let half = |s: &Solution<f64>, bar: &mut [f64]| {
            bar.copy_from_slice(&cotangents(s));
            let w = wave(s.y.len(), 0.4);
            Ok(w.iter().zip(&s.y).map(|(w, y)| w * y + 0.5 * y * y).sum())
        };
        adjoint.value_and_gradient(&self.problem(), &self.options, &mut penalties, half)?;
        let recorded = adjoint.solution().clone();
        assert!(recorded.stats.switches >= 2, "{:?}", recorded.stats);
        let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        let n = self.y0.len();
        let mut worst = [0.0f64; 2];
        for (e, g) in gradient.iter().enumerate() {
            let mut moved = |by: f64| -> Result<f64> {
                let (mut y0, mut theta) = (self.y0.clone(), THETA);
                match e < n {
                    true => y0[e] += by,
                    false => theta[e - n] += by,
                }
                let problem = Problem { y0: &y0, theta: &theta, span: SPAN };
                let solution = adjoint.replay(&problem, &recorded, &self.options, &mut penalties)?;
                let loss = half(solution, &mut vec![0.0; recorded.y.len()])?;
                Ok(penalties.iter().fold(loss, |sum, p| sum + p.weight * p.penalty.value()))
            };
            let mut best = f64::INFINITY;
            for step in [1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6] {
                let near = moved(step)? - moved(-step)?;
                let far = moved(2.0 * step)? - moved(-2.0 * step)?;
                best = best.min((g - (8.0 * near - far) / (12.0 * step)).abs() / size);
            }
            let [loss, penalties] = self.tangent(&recorded, e);
            worst = [worst[0].max((g - loss - penalties).abs() / size), worst[1].max(best)];
        }
        Ok(worst)
    }
}

fn setup<M: ExplicitRk>(explicit: M, batch: usize, save: Save<f64>) -> Setup<M> {
    let method = AutoSwitch::new(explicit, Rodas5P).thresholds(QUICK);
    Setup { method, y0: wave(2 * batch, 0.9), options: Options::tol(TOL, TOL).save(save) }
}

pub fn saves() -> [Save<f64>; 3] {
    let times = (0..=22).map(|i| 0.1 * f64::from(i)).collect();
    [Save::End, Save::EveryStep, Save::At(times)]
}

#[test]
fn adjoint_and_tangents_agree_through_switches() -> Result<()> {
    fn check<M: ExplicitRk + Copy>(explicit: M) -> Result<()> {
        for save in saves() {
            for batch in [1, 3] {
                for stops in [vec![], vec![0.05, 0.613, 1.4]] {
                    let mut s = setup(explicit, batch, save.clone());
                    s.options.tstops = stops;
                    let off = s.deviation()?;
                    assert!(off < 1e-10, "{} {batch} {save:?}: {off:e}", explicit.tableau().name);
                }
            }
        }
        Ok(())
    }
    check(Tsit5)?;
    check(Vern7)
}

/// Near the end of the stability region Vern7's stages amplify rounding by up to 7e4, and with it the estimate
/// by 2e3 (Tsit5: 97 and 3). Its penalties are noisy by 5e-9 whatever the increment of the differences, which
/// are therefore good to 1e-6 only, and their tangents move by 9e-8 when y0 moves by one to four units in the
/// last place (Tsit5: 1e-11). Tangents divide by no increment: it is they that hold the terms.
#[test]
fn penalties_tangents_and_differences_of_the_replay_agree() -> Result<()> {
    for batch in [1, 2] {
        let [tangents, differences] = setup(Tsit5, batch, saves()[2].clone()).with_penalties()?;
        assert!(tangents < 1e-10 && differences < 1e-7, "{batch}: {tangents:e} {differences:e}");
        let [tangents, differences] = setup(Vern7, batch, saves()[2].clone()).with_penalties()?;
        assert!(tangents < 1e-7 && differences < 1e-5, "{batch}: {tangents:e} {differences:e}");
    }
    Ok(())
}

#[test]
fn every_budget_gives_the_same_gradient() -> Result<()> {
    let setup = setup(Tsit5, 1, Save::End);
    let (gradient, _) = setup.adjoint(Memory::Unlimited)?;
    for bytes in [5000, 4500, 4000] {
        let (other, _) = setup.adjoint(Memory::Bytes(bytes))?;
        for (a, b) in gradient.iter().zip(&other) {
            assert!((a - b).abs() < 1e-12 * (1.0 + a.abs()), "{bytes}: {a} {b}");
        }
    }
    Ok(())
}
