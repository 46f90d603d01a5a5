//! The pictures.

use crate::data::Data;
use crate::{Orbit, Rollout};
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};

const LOOKS: [(Color, Dash); 3] =
    [(Color::Black, Dash::Dashed), (Color::Blue, Dash::Solid), (Color::Vermillion, Dash::Solid)];

/// Phase portrait and energy of the predictions.
pub fn pendulum(data: &Data, rollouts: &[Rollout; 3]) -> Result<Figure> {
    let mut phase = Panel::new("");
    phase.x_label("angle q").y_label("momentum p");
    let pick = |row: usize| data.train.starts.iter().skip(row).step_by(2).copied().collect::<Vec<f64>>();
    let dots = Style::new("noisy data").color(Color::LightGrey).marker(Marker::Circle).size(3.0);
    phase.points(&pick(0), &pick(1), dots)?;
    let mut drift = Panel::new("");
    drift.x_label("t").y_label("true energy, change since t = 0");
    for (k, (rollout, (color, dash))) in rollouts.iter().zip(LOOKS).enumerate().rev() {
        let style = Style::new(rollout.name).color(color).dash(dash).size(if k == 0 { 1.6 } else { 1.2 });
        phase.line(&rollout.q, &rollout.p, style.clone())?;
        drift.line(&rollout.t, &rollout.drift, Style { label: None, ..style })?;
    }
    Ok(Figure::new(1240, 600)?
        .titled("A pendulum learned from noisy windows, predicted to t = 100")
        .columns(2)
        .with(phase)
        .with(drift))
}

/// Energy errors of the methods.
pub fn kepler(orbits: &[Orbit]) -> Result<Figure> {
    let mut panel = Panel::new("Kepler's problem, eccentricity 0.4, at about equal work");
    panel.x_label("periods").y_label("relative energy error (largest of each 1/200)").log_x().log_y();
    let looks = [
        (Color::Sky, Dash::Solid),
        (Color::Blue, Dash::Solid),
        (Color::Green, Dash::Solid),
        (Color::Purple, Dash::Solid),
        (Color::Orange, Dash::Dashed),
        (Color::Vermillion, Dash::Dashed),
    ];
    for ((name, t, off), (color, dash)) in orbits.iter().zip(looks) {
        panel.line(t, off, Style::new(*name).color(color).dash(dash).size(1.8))?;
    }
    Ok(Figure::new(900, 600)?.with(panel))
}
