//! The pictures.

use crate::common::Session;
use crate::fit::{Data, Fit};
use odeon::Result;
use odeon::plot::{Color, Figure, Panel, Style, panels};

/// The fit against the data, and the loss.
pub fn draw(session: &mut Session, data: &Data, fit: &Fit, columns: &[Vec<f64>]) -> Result<()> {
    let mut panel = Panel::new("Robertson's kinetics, fitted");
    panel.x_label("t").y_label("concentration").log_x();
    let names = ["y1", "y2 × 20 000", "y3"];
    for ((c, name), color) in names.iter().enumerate().zip([Color::Blue, Color::Vermillion, Color::Green]) {
        let factor = if c == 1 { 2e4 } else { 1.0 };
        let scaled = |y: &[f64]| -> Vec<f64> { y.iter().map(|y| factor * y).collect() };
        panel.points(&data.times, &scaled(&columns[c]), Style::default().color(color).size(3.0))?;
        panel.line(&data.times, &scaled(&columns[c + 3]), Style::new(*name).color(color))?;
    }
    session.picture("fit", &Figure::new(900, 560)?.with(panel))?;
    let panel = panels::training_curves("Loss of the fit", "loss", &[("Adam on log k", &fit.losses)])?;
    session.picture("loss", &Figure::new(800, 480)?.with(panel))
}
