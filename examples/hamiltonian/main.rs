//! A Hamiltonian network learns the pendulum from noisy observations, and keeps its energy.
//!
//!     cargo run --release --example hamiltonian

#[path = "../common/mod.rs"]
mod common;
mod data;
#[cfg(feature = "plot")]
mod pictures;
mod train;

use clap::Parser;
use common::{Common, Row, Session, Table, timed};
use data::{Data, energy};
use odeon::dynamics::Dynamics;
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem, Save, Solution};
use odeon::model::{HamiltonianNetwork, NeuralOde};
use odeon::nn::{Activation, Network};
use odeon::num::Scalar;
use odeon::ode::symplectic::{ImplicitMidpoint, Verlet, Yoshida4, Yoshida6, Yoshida8};
use odeon::ode::tableaux::{Rk4, Tsit5};
use odeon::ode::{StepMethod, solve};
use odeon::{Error, Result};
use std::process::ExitCode;

/// The pendulum from noisy data: H = T(p) + V(q) by Störmer–Verlet steps against a plain neural ODE by RK4.
///
/// Both are trained on windows of one time unit of noisy trajectories, through the discrete adjoint of their
/// steps. Then each predicts a hundred time units. `loss` in the table is the mean square error of held-out
/// windows without noise. Pictures: the phase portraits, the true energy along the predictions, and the energy
/// error of symplectic methods and of Tsit5 along Kepler's problem.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    common: Common,

    /// Standard deviation of the noise in the data
    #[arg(long, default_value_t = 0.02, allow_negative_numbers = true)]
    noise: f64,
}

/// A long prediction.
pub struct Rollout {
    pub name: &'static str,
    pub t: Vec<f64>,
    pub q: Vec<f64>,
    pub p: Vec<f64>,
    /// True energy minus that at the start.
    pub drift: Vec<f64>,
}

fn main() -> ExitCode {
    common::run("hamiltonian", |a: &Arguments| &a.common, hamiltonian)
}

fn energies(widths: usize) -> Result<Network> {
    let tanh = Activation::Tanh;
    Network::builder(1).dense(widths).activation(tanh).dense(widths).activation(tanh).dense(1).build()
}

fn hamiltonian(arguments: &Arguments, session: &mut Session) -> Result<()> {
    let (quick, seed, noise) = (session.common.quick, session.common.seed, arguments.noise);
    if !(noise.is_finite() && noise >= 0.0) {
        return Err(Error::invalid("--noise", noise, "a standard deviation is finite and not negative"));
    }
    let data = Data::new(seed, noise)?;
    let iterations = if quick { 200 } else { 2000 };
    session.say(format!(
        "{} windows of a pendulum, noise {noise}; {iterations} iterations",
        data.train.columns()
    ))?;
    let hamiltonian = HamiltonianNetwork::separable(energies(24)?, energies(24)?)?;
    let tanh = Activation::Tanh;
    let network =
        Network::builder(2).dense(32).activation(tanh).dense(32).activation(tanh).dense(2).build()?;
    let plain = NeuralOde::new(network)?;
    let networks: Vec<&Network> = hamiltonian.networks().collect();
    let own = train::train(&hamiltonian, &networks, &Verlet, &data, iterations, seed)?;
    let other = train::train(&plain, &[plain.network()], &Rk4, &data, iterations, seed)?;
    let rollouts = [
        rollout("pendulum", &Generic(Pendulum), &[], &Tsit5, &Options::tol(1e-10, 1e-10))?,
        rollout(
            "Hamiltonian network, Verlet",
            &hamiltonian,
            &own.theta,
            &Verlet,
            &Options::fixed(train::STEP),
        )?,
        rollout("neural ODE, RK4", &plain, &other.theta, &Rk4, &Options::fixed(train::STEP))?,
    ];
    let mut table = Table::new(&["model", "test loss", "largest |energy error| to t = 100", "at the end"]);
    for (trained, (rollout, solution, predict_s)) in [&own, &other].into_iter().zip(&rollouts[1..]) {
        let most = rollout.drift.iter().fold(0.0f64, |m, d| m.max(d.abs()));
        let last = rollout.drift.last().copied().unwrap_or(f64::NAN);
        table.row([
            rollout.name.into(),
            format!("{:.2e}", trained.test),
            format!("{most:.2e}"),
            format!("{last:+.2e}"),
        ]);
        session.record(Row {
            method: rollout.name.into(),
            seed,
            loss: Some(trained.test),
            nfe: solution.stats.nfe,
            accepted: solution.stats.accepted,
            rejected: solution.stats.rejected,
            train_s: trained.seconds,
            predict_s: *predict_s,
        });
    }
    session.say(table)?;
    session.curves("losses", &[("hamiltonian", &own.losses[..]), ("neural_ode", &other.losses[..])])?;
    let rollouts = rollouts.map(|(rollout, _, _)| rollout);
    for (rollout, name) in rollouts.iter().zip(["pendulum", "hamiltonian", "neural_ode"]) {
        let columns = [
            ("t", &rollout.t[..]),
            ("q", &rollout.q[..]),
            ("p", &rollout.p[..]),
            ("drift", &rollout.drift[..]),
        ];
        session.curves(name, &columns)?;
    }
    let orbits = kepler(session)?;
    #[cfg(feature = "plot")]
    {
        session.picture("pendulum", &pictures::pendulum(&data, &rollouts)?)?;
        session.picture("kepler", &pictures::kepler(&orbits)?)?;
    }
    #[cfg(not(feature = "plot"))]
    drop(orbits);
    Ok(())
}

/// From (1.4, 0) to t = 100.
fn rollout<D: Dynamics<f64>, M: StepMethod<f64, D>>(
    name: &'static str,
    f: &D,
    theta: &[f64],
    method: &M,
    options: &Options<f64>,
) -> Result<(Rollout, Solution<f64>, f64)> {
    let problem = Problem { y0: &[1.4, 0.0], span: [0.0, 100.0], theta };
    let times: Vec<f64> = (0..=1600).map(|i| 0.0625 * f64::from(i)).collect();
    let options = options.clone().save(Save::At(times));
    let (s, seconds) = timed(|| Ok(solve(f, method, &problem, &options)?))?;
    let pick = |row: usize| s.y.iter().skip(row).step_by(2).copied().collect::<Vec<f64>>();
    let (q, p) = (pick(0), pick(1));
    let drift = q.iter().zip(&p).map(|(&q, &p)| energy(q, p) - energy(1.4, 0.0)).collect();
    Ok((Rollout { name, t: s.t.clone(), q, p, drift }, s, seconds))
}

/// The pendulum of unit mass, length and gravity.
pub struct Pendulum;
impl VectorField for Pendulum {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], _p: &[S], dy: &mut [S]) {
        dy[0] = y[1];
        dy[1] = -y[0].sin();
    }
}

/// Kepler's problem, (x, y, p_x, p_y).
struct Kepler;
impl VectorField for Kepler {
    fn dim(&self) -> usize {
        4
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], _p: &[S], dy: &mut [S]) {
        let square = y[0] * y[0] + y[1] * y[1];
        let cube = square * square.sqrt();
        (dy[0], dy[1]) = (y[2], y[3]);
        (dy[2], dy[3]) = (-y[0] / cube, -y[1] / cube);
    }
}

/// A method, its step, times in periods and relative energy errors.
pub type Orbit = (&'static str, Vec<f64>, Vec<f64>);

/// Energy along Kepler's problem of eccentricity 0.4, with about as many evaluations for each method.
fn kepler(session: &mut Session) -> Result<Vec<Orbit>> {
    let e = 0.4f64;
    let y0 = [1.0 - e, 0.0, 0.0, ((1.0 + e) / (1.0 - e)).sqrt()];
    let periods = if session.common.quick { 100.0 } else { 3000.0 };
    let tau = std::f64::consts::TAU;
    let span = [0.0, periods * tau];
    let energy = |y: &[f64]| 0.5 * (y[2] * y[2] + y[3] * y[3]) - 1.0 / y[0].hypot(y[1]);
    let mut table = Table::new(&["method", "evaluations", "largest relative energy error", "seconds"]);
    let mut all = Vec::new();
    let mut add = |name: &'static str, run: (Solution<f64>, f64)| {
        let (s, seconds) = run;
        let off: Vec<f64> = (0..s.t.len()).map(|i| (energy(s.state(i)) / energy(&y0) - 1.0).abs()).collect();
        let most = off.iter().fold(0.0f64, |m, x| m.max(*x));
        table.row([name.into(), s.stats.nfe.to_string(), format!("{most:.1e}"), format!("{seconds:.2}")]);
        // The largest of every two-hundredth of the time: what a picture can show.
        let bins = 200;
        let (mut t, mut worst) = (vec![0.0; bins], vec![f64::NAN; bins]);
        for (time, off) in s.t.iter().zip(&off) {
            let bin = ((time / span[1] * bins as f64) as usize).min(bins - 1);
            t[bin] = (bin as f64 + 0.5) / bins as f64 * periods;
            worst[bin] = worst[bin].max(*off);
        }
        all.push((name, t, worst));
    };
    let problem = Problem { y0: &y0, span, theta: &[] };
    fn run<M: StepMethod<f64, Generic<Kepler>>>(
        method: &M,
        problem: &Problem<'_, f64>,
        options: Options<f64>,
    ) -> Result<(Solution<f64>, f64)> {
        let options = Options { max_steps: usize::MAX, ..options.save(Save::EveryStep) };
        timed(|| Ok(solve(&Generic(Kepler), method, problem, &options)?))
    }
    let per_step = |evaluations: f64| Options::fixed(tau * evaluations / 613.7);
    add("Störmer–Verlet", run(&Verlet, &problem, per_step(2.0))?);
    add("Yoshida 4", run(&Yoshida4, &problem, per_step(6.0))?);
    add("Yoshida 6", run(&Yoshida6, &problem, per_step(14.0))?);
    add("Yoshida 8", run(&Yoshida8, &problem, per_step(30.0))?);
    add("implicit midpoint", run(&ImplicitMidpoint, &problem, Options::fixed(tau / 61.37))?);
    add("Tsit5", run(&Tsit5, &problem, per_step(6.0))?);
    session.say(format!("Kepler's problem, eccentricity {e}, {periods} periods:\n{table}"))?;
    Ok(all)
}
