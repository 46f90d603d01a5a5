//! The pictures: posterior paths through the observations, the prior against the truth, training.

use crate::common::Session;
use crate::data::{END, POINTS, times};
use odeon::Result;
use odeon::integrate::Options;
use odeon::model::{LatentSde, Moments, Series};
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};
use odeon::sde::problems::OrnsteinUhlenbeck;
use odeon::sde::tableaux::EulerMaruyama;

/// Posterior paths of a series.
const PATHS: usize = 20;
/// Drawn times between two observations.
const BETWEEN: usize = 8;

/// What is drawn.
pub struct Results<'a> {
    pub model: &'a LatentSde,
    pub theta: &'a [f64],
    pub held_out: &'a [f64],
    pub options: &'a Options<f64>,
    pub learnt: &'a Moments<f64>,
}

impl Results<'_> {
    /// All pictures.
    pub fn draw(&self, session: &mut Session, bound: &[f64], exact: f64) -> Result<()> {
        let mut figure = Figure::new(800, 600)?.columns(2);
        for i in 0..2 {
            figure = figure.with(self.posterior(i)?);
        }
        figure = figure.with(self.prior()?).with(training(bound, exact)?);
        session.picture("overview", &figure)
    }

    fn posterior(&self, i: usize) -> Result<Panel> {
        let mut panel = Panel::new(format!("Posterior paths, held-out series {}", i + 1));
        panel.x_label("t").y_label("x");
        let t = times();
        let x = &self.held_out[i * POINTS..(i + 1) * POINTS];
        // One column for each path.
        let values = x.repeat(PATHS);
        let series = Series { times: &t, values: &values };
        let fine = (POINTS - 1) * BETWEEN;
        let grid: Vec<f64> = (0..=fine).map(|k| END * k as f64 / fine as f64).collect();
        let paths = self.model.posterior(self.theta, &series, &grid, 5, &EulerMaruyama, self.options)?;
        for j in 0..PATHS {
            let path: Vec<f64> = paths[j..].iter().step_by(PATHS).copied().collect();
            let label = if j == 0 { "posterior" } else { "" };
            panel.line(&grid, &path, Style::new(label).color(Color::Sky).size(1.0))?;
        }
        panel.points(&t, x, Style::new("observed").color(Color::Black).size(5.0))?;
        Ok(panel)
    }

    fn prior(&self) -> Result<Panel> {
        let mut panel = Panel::new("Prior, mean ± standard deviation");
        panel.x_label("t").y_label("x");
        let (t, theta, start) = (times(), OrnsteinUhlenbeck::THETA, OrnsteinUhlenbeck::Y0[0]);
        let side = |sign: f64| -> Vec<f64> {
            let at = |t: &f64| {
                OrnsteinUhlenbeck::mean(theta, start, *t)
                    + sign * OrnsteinUhlenbeck::variance(theta, *t).sqrt()
            };
            t.iter().map(at).collect()
        };
        panel.band(&t, &side(-1.0), &side(1.0), Style::new("truth").color(Color::Grey))?;
        let learnt = self.learnt;
        let edge = |sign: f64| -> Vec<f64> {
            learnt.mean.iter().zip(&learnt.variance).map(|(m, v)| m + sign * v.sqrt()).collect()
        };
        panel.line(&t, &learnt.mean, Style::new("learnt").color(Color::Vermillion).marker(Marker::Circle))?;
        for sign in [-1.0, 1.0] {
            panel.line(&t, &edge(sign), Style::default().color(Color::Vermillion).dash(Dash::Dashed))?;
        }
        Ok(panel)
    }
}

/// Means over hundredths of the training.
fn training(bound: &[f64], exact: f64) -> Result<Panel> {
    let mut panel = Panel::new("Training bound per series");
    panel.x_label("iteration").y_label("ln p");
    let window = bound.len().div_ceil(100).max(1);
    // The first steps are far off and would hide the rest.
    let skip = bound.len() / 20;
    let means: Vec<f64> =
        bound[skip..].chunks(window).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect();
    let x: Vec<f64> = (0..means.len()).map(|i| (skip + i * window) as f64).collect();
    panel.line(&x, &means, Style::new("bound").color(Color::Blue))?;
    panel.rule_y(exact, Style::new("ln p(x), true process").color(Color::Black).dash(Dash::Dashed))?;
    Ok(panel)
}
