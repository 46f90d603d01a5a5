//! The pictures: work and precision, and steps through an oscillation.

use crate::methods::Method;
use crate::problems::Kind;
use crate::{Curve, Point};
use odeon::Result;
use odeon::error::{Attempt, Member};
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
        Method::Auto => (Color::Purple, Marker::Diamond, Dash::Solid),
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

/// The steps of the switching method: y₁ against time, and both y₁ and |h| against the number of the
/// attempt, where the jumps take their share of the axis.
pub fn steps(solution: &Solution<f64>) -> Result<Figure> {
    let after: Vec<f64> = solution.y.iter().step_by(solution.dim).skip(1).copied().collect();
    let ends: Vec<f64> = solution.t.iter().skip(1).copied().collect();
    let attempts = &solution.attempts;
    // Numbers of the accepted attempts, in step with `after`.
    let number: Vec<f64> = (0..attempts.len()).filter(|&i| attempts[i].accepted).map(|i| i as f64).collect();
    let mut orbit = Panel::new("");
    orbit.x_label("t").y_label("y₁").line(&solution.t, &[&[solution.y[0]], &after[..]].concat(), line())?;
    let mut along = Panel::new("");
    along.x_label("number of the attempt").y_label("y₁").line(&number, &after, line())?;
    let mut sizes = Panel::new("");
    sizes.x_label("number of the attempt").y_label("step size |h|").log_y();
    for (member, style) in members() {
        let mine: Vec<usize> = (0..after.len()).filter(|&i| solution.steps[i].member == member).collect();
        let pick = |from: &[f64]| -> Vec<f64> { mine.iter().map(|&i| from[i]).collect() };
        let wanted = |a: &Attempt| a.accepted && a.member == member;
        let chosen = attempts.iter().enumerate().filter(|(_, a)| wanted(a));
        let (k, h): (Vec<f64>, Vec<f64>) = chosen.map(|(i, a)| (i as f64, a.h.abs())).unzip();
        if mine.is_empty() {
            continue;
        }
        let plain = Style { label: None, ..style.clone() };
        orbit.points(&pick(&ends), &pick(&after), style)?;
        along.points(&pick(&number), &pick(&after), plain.clone())?;
        sizes.points(&k, &h, plain)?;
    }
    let rejected = attempts.iter().enumerate().filter(|(_, a)| !a.accepted);
    let (k, h): (Vec<f64>, Vec<f64>) = rejected.map(|(i, a)| (i as f64, a.h.abs())).unzip();
    if !k.is_empty() {
        sizes.points(&k, &h, Style::new("rejected").color(Color::Black).marker(Marker::Cross).size(6.0))?;
    }
    let title = "Van der Pol, μ = 10⁶: the steps of Tsit5 ↔ Rodas5P";
    Ok(Figure::new(900, 900)?.titled(title).with(orbit).with(along).with(sizes))
}

fn line() -> Style {
    Style::default().color(Color::LightGrey).size(1.0)
}

/// How the accepted steps of either method are drawn.
fn members() -> [(Member, Style); 2] {
    let style = |label: &str, color, marker| Style::new(label).color(color).marker(marker).size(5.0);
    [
        (Member::Second, style("implicit steps (Rodas5P)", Color::Blue, Marker::Circle)),
        (Member::First, style("explicit steps (Tsit5)", Color::Vermillion, Marker::Triangle)),
    ]
}
