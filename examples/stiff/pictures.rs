//! The pictures: work and precision, and steps through an oscillation.

use crate::methods::Method;
use crate::problems::Kind;
use crate::{Curve, Point};
use odeon::Result;
use odeon::integrate::Solution;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};

/// Families share a hue, shapes tell their members apart.
fn style(method: Method) -> Style {
    let (color, marker, dash) = match method {
        Method::Rosenbrock23 => (Color::Sky, Marker::Circle, Dash::Dashed),
        Method::Rodas4 => (Color::Sky, Marker::Square, Dash::Solid),
        Method::Rodas5P => (Color::Blue, Marker::Diamond, Dash::Solid),
        Method::TrBdf2 => (Color::Orange, Marker::Circle, Dash::Dashed),
        Method::Kvaerno3 => (Color::Orange, Marker::Ring, Dash::Solid),
        Method::Kvaerno5 => (Color::Vermillion, Marker::Triangle, Dash::Dashed),
        Method::Esdirk54 => (Color::Vermillion, Marker::Square, Dash::Solid),
        Method::Radau => (Color::Green, Marker::Circle, Dash::Solid),
        #[cfg(feature = "diffsol")]
        Method::Bdf => (Color::Black, Marker::Cross, Dash::Dotted),
    };
    Style::new(method.name()).color(color).marker(marker).dash(dash)
}

/// Error against seconds, and against evaluations of f.
pub fn work_precision(kind: Kind, curves: &[Curve]) -> Result<Figure> {
    let mut figure = Figure::new(1240, 640)?.titled(kind.title()).columns(2);
    let works: [(&str, bool, fn(&Point) -> f64); 2] = [
        ("time of a solve (s)", true, |p| p.run.seconds),
        ("evaluations of f", false, |p| p.run.solution.stats.nfe as f64),
    ];
    for (label, legend, work) in works {
        let mut panel = Panel::new("");
        panel.x_label(label).y_label("largest relative error at the end").log_x().log_y();
        for Curve { method, points } in curves.iter().filter(|c| !c.points.is_empty()) {
            let (x, y): (Vec<f64>, Vec<f64>) = points.iter().map(|p| (work(p), p.error)).unzip();
            let mut style = style(*method);
            // One legend does for both.
            style.label = style.label.filter(|_| legend);
            panel.line(&x, &y, style.clone().size(1.4))?.points(&x, &y, style.size(6.5))?;
        }
        figure = figure.with(panel);
    }
    Ok(figure)
}

/// y₁ and the sizes of the steps.
pub fn steps(solution: &Solution<f64>) -> Result<Figure> {
    let y: Vec<f64> = solution.y.iter().step_by(solution.dim).copied().collect();
    let mut orbit = Panel::new("");
    let style = Style::default().color(Color::Blue);
    orbit.x_label("t").y_label("y₁").line(&solution.t, &y, style.clone().size(1.2))?;
    orbit.points(&solution.t, &y, style.size(3.5))?;
    let mut sizes = Panel::new("");
    sizes.x_label("t").y_label("step size |h|").log_y();
    for (accepted, label) in [(true, "accepted"), (false, "rejected")] {
        let chosen = solution.attempts.iter().filter(|a| a.accepted == accepted);
        let (t, h): (Vec<f64>, Vec<f64>) = chosen.map(|a| (a.t, a.h.abs())).unzip();
        if t.is_empty() {
            continue;
        }
        match accepted {
            true => sizes.points(&t, &h, Style::new(label).color(Color::Blue).size(3.5))?,
            false => {
                let style = Style::new(label).color(Color::Vermillion).marker(Marker::Cross);
                sizes.points(&t, &h, style.size(7.0))?
            }
        };
    }
    Ok(Figure::new(800, 640)?.titled("Van der Pol, μ = 10⁶: the steps of Rodas5P").with(orbit).with(sizes))
}
