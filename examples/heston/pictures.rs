//! The pictures.

use crate::Simulation;
use crate::common::Session;
use crate::orders::{Errors, Orders};
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, Panel, Style};

const COLORS: [Color; 5] = [Color::Blue, Color::Vermillion, Color::Green, Color::Orange, Color::Purple];

pub fn draw(session: &mut Session, simulation: &Simulation, orders: &Orders) -> Result<()> {
    session.picture("paths", &paths(simulation)?)?;
    session.picture("orders", &errors(orders)?)
}

fn paths(s: &Simulation) -> Result<Figure> {
    let mut figure = Figure::new(900, 420)?.titled("Heston's model").columns(2);
    for (row, (title, label)) in [("Price", "S"), ("Variance", "v")].into_iter().enumerate() {
        let [low, middle, high] = &s.quantiles[row];
        let mut panel = Panel::new(title);
        panel.x_label("t (years)").y_label(label);
        panel.band(&s.t, low, high, Style::new("10–90 %").color(Color::Sky))?;
        for path in &s.shown[row] {
            panel.line(&s.t, path, Style::default().color(Color::Grey).size(0.8))?;
        }
        panel.line(&s.t, middle, Style::new("median").color(Color::Blue))?;
        let style = Style::new("exact mean").color(Color::Vermillion).dash(Dash::Dashed);
        panel.line(&s.t, &s.exact_mean(row), style)?;
        figure = figure.with(panel);
    }
    Ok(figure)
}

fn errors(orders: &Orders) -> Result<Figure> {
    let strong = panel("Strong error", "√E|X − Xₙ|²", orders, |e| &e.strong, &[0.5, 1.0, 1.5])?;
    let mut weak = panel("Weak error of the mean", "|E X − E Xₙ|", orders, |e| &e.weak, &[1.0, 2.0])?;
    if let Some(e) = orders.errors.first() {
        let style = Style::new("two standard errors (Euler–Maruyama)").color(Color::LightGrey);
        weak.line(&orders.h, &e.noise, style)?;
    }
    let title = "Geometric Brownian motion against its exact paths";
    Ok(Figure::new(1000, 460)?.titled(title).columns(2).with(strong).with(weak))
}

fn panel(
    title: &str,
    label: &str,
    orders: &Orders,
    of: fn(&Errors) -> &Vec<f64>,
    slopes: &[f64],
) -> Result<Panel> {
    let mut panel = Panel::new(title);
    panel.x_label("step h").y_label(label).log_x().log_y();
    for (e, color) in orders.errors.iter().zip(COLORS) {
        let style = Style::new(e.name).color(color);
        panel.line(&orders.h, of(e), style)?;
        panel.points(&orders.h, of(e), Style::default().color(color).size(4.0))?;
    }
    let top = orders.errors.iter().filter_map(|e| of(e).first()).fold(0.0_f64, |a, b| a.max(*b));
    for &slope in slopes {
        let guide: Vec<f64> = orders.h.iter().map(|h| top * (h / orders.h[0]).powf(slope)).collect();
        let style = Style::new(format!("h^{slope}")).color(Color::Black).dash(Dash::Dotted).size(0.8);
        panel.line(&orders.h, &guide, style)?;
    }
    Ok(panel)
}
