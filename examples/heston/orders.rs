//! Strong and weak errors on geometric Brownian motion, whose solution on each path is known.

use crate::common::{Row, Session, timed};
use odeon::Result;
use odeon::integrate::{Options, Problem};
use odeon::sde::noise::{Brownian, IntervalTree, Levy};
use odeon::sde::problems::GeometricBrownian;
use odeon::sde::{Calculus, Converted, solve, tableaux};

/// The methods drawn.
const METHODS: [&str; 5] = ["EulerMaruyama", "RkMilstein", "SOSRI", "Heun", "Spark"];

/// Errors of one method at every step size.
pub struct Errors {
    pub name: &'static str,
    /// √E|X − X_N|² at t = 1.
    pub strong: Vec<f64>,
    /// |E X_N − E X|, from differences on the same paths.
    pub weak: Vec<f64>,
    /// Two standard errors of `weak`.
    pub noise: Vec<f64>,
}

/// All methods over the same step sizes.
pub struct Orders {
    pub h: Vec<f64>,
    pub errors: Vec<Errors>,
}

pub fn measure(session: &mut Session) -> Result<Orders> {
    let (seed, quick) = (session.common.seed, session.common.quick);
    let paths = if quick { 2000 } else { 50_000 };
    let levels: Vec<i32> = if quick { (2..=5).collect() } else { (2..=8).collect() };
    let h: Vec<f64> = levels.iter().map(|k| 0.5_f64.powi(*k)).collect();
    let theta = [1.0, 0.8];
    let noise =
        || Ok::<_, odeon::Error>(IntervalTree::new(seed, [0.0, 1.0], 1, paths)?.levy(Levy::SpaceTime));
    let mut w = vec![0.0; paths];
    let mut source = noise()?;
    Brownian::<f64>::prepare(&mut source, [0.0, 1.0])?;
    source.increment(0.0, 1.0, &mut w, &mut [])?;
    let exact: Vec<f64> = w.iter().map(|&w| GeometricBrownian::solution(theta, 1.0, 1.0, w)).collect();
    let y0 = vec![1.0; paths];
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let mut errors = Vec::new();
    for name in METHODS {
        let Some(table) = tableaux::by_name(name) else { continue };
        let mut all = Errors { name, strong: vec![], weak: vec![], noise: vec![] };
        let mut total = 0.0;
        for &h in &h {
            let options = Options::fixed(h);
            let (solution, seconds) = timed(|| match table.calculus {
                Calculus::Ito => Ok(solve(&GeometricBrownian::sde(), table, noise()?, &problem, &options)?),
                Calculus::Stratonovich => {
                    let sde = Converted::new(GeometricBrownian::sde());
                    Ok(solve(&sde, table, noise()?, &problem, &options)?)
                }
            })?;
            total += seconds;
            let off = || solution.last().iter().zip(&exact).map(|(x, y)| x - y);
            let [mean, error] = crate::mean(off());
            all.strong.push(crate::mean(off().map(|d| d * d))[0].sqrt());
            all.weak.push(mean.abs());
            all.noise.push(2.0 * error);
        }
        session.record(Row {
            method: format!("{name}, {} steps", (1.0 / h[h.len() - 1]).round()),
            seed,
            loss: all.strong.last().copied(),
            nfe: table.stages() << levels[levels.len() - 1],
            accepted: 1 << levels[levels.len() - 1],
            predict_s: total,
            ..Row::default()
        });
        errors.push(all);
    }
    session.say("The loss of a method's row is its strong error at the smallest step.")?;
    Ok(Orders { h, errors })
}

impl Orders {
    /// Every method's errors over the step sizes.
    pub fn curves(&self, session: &mut Session) -> Result<()> {
        for e in &self.errors {
            let columns =
                [("h", &self.h[..]), ("strong", &e.strong), ("weak", &e.weak), ("weak_noise", &e.noise)];
            session.curves(&format!("orders_{}", e.name), &columns)?;
        }
        Ok(())
    }
}
