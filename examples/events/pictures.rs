//! The pictures.

use odeon::Result;
use odeon::ode::events::EventSolution;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};

fn events(solution: &EventSolution<f64>, event: usize, row: usize) -> (Vec<f64>, Vec<f64>) {
    solution.log.iter().filter(|r| r.event == event).map(|r| (r.t, r.before[row])).unzip()
}

/// Height and velocity.
pub fn ball(t: &[f64], [height, speed]: [&[f64]; 2], solution: &EventSolution<f64>) -> Result<Figure> {
    let mut up = Panel::new("");
    let (at, place) = events(solution, 0, 0);
    up.x_label("t (s)")
        .y_label("height (m)")
        .line(t, height, Style::new("ball").color(Color::Blue).size(1.6))?
        .points(
            &at,
            &place,
            Style::new("bounces").color(Color::Vermillion).marker(Marker::Circle).size(5.0),
        )?;
    let mut fast = Panel::new("");
    fast.x_label("t (s)").y_label("velocity (m/s)").line(
        t,
        speed,
        Style::default().color(Color::Blue).size(1.6),
    )?;
    Ok(Figure::new(900, 760)?.titled("A bouncing ball: events on dense output").with(up).with(fast))
}

/// Temperature with the switching times.
pub fn thermostat(t: &[f64], temperature: &[f64], solution: &EventSolution<f64>) -> Result<Figure> {
    let mut panel = Panel::new("A thermostat");
    panel.x_label("t (h)").y_label("temperature (°C)").line(
        t,
        temperature,
        Style::new("room").color(Color::Blue).size(1.8),
    )?;
    for (event, label, color, marker) in [
        (0, "heater goes off", Color::Vermillion, Marker::Triangle),
        (1, "heater goes on", Color::Green, Marker::Circle),
    ] {
        let (at, place) = events(solution, event, 0);
        panel.points(&at, &place, Style::new(label).color(color).marker(marker).size(7.0))?;
    }
    for level in [19.0, 21.0] {
        panel.rule_y(level, Style::default().color(Color::LightGrey).dash(Dash::Dashed).size(1.2))?;
    }
    Ok(Figure::new(900, 560)?.with(panel))
}

/// Levels before and after the fit, and the loss.
pub fn dosing(
    [before, after]: [&(Vec<f64>, Vec<f64>); 2],
    losses: &[f64],
    (level, from, _): (f64, f64, f64),
) -> Result<Figure> {
    let mut panel = Panel::new("");
    panel.x_label("t (h)").y_label("drug in the body (mg)");
    panel.line(
        &before.0,
        &before.1,
        Style::new("at the start").color(Color::Grey).dash(Dash::Dashed).size(1.4),
    )?;
    panel.line(&after.0, &after.1, Style::new("fitted").color(Color::Blue).size(1.8))?;
    let end = after.0.last().copied().unwrap_or(from);
    panel.line(&[from, end], &[level, level], Style::new("wanted").color(Color::Vermillion).size(1.6))?;
    let mut loss = Panel::new("");
    let iterations: Vec<f64> = (0..losses.len()).map(|i| i as f64).collect();
    loss.x_label("iteration").y_label("loss").log_y();
    loss.line(&iterations, losses, Style::default().color(Color::Blue).size(1.6))?;
    Ok(Figure::new(900, 800)?
        .titled("Dose and period by gradients through the events")
        .with(panel)
        .with(loss))
}
