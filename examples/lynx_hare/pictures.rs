//! The pictures.

use crate::common::Session;
use crate::data::Pelts;
use crate::forecast::{Forecast, names};
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style, panels};

type Pick = fn(&Forecast) -> &[f64];

/// Forecasts and training curves.
pub fn draw(forecasts: &[Forecast], pelts: &Pelts, session: &mut Session) -> Result<()> {
    session.picture("forecast", &populations(forecasts, pelts)?)?;
    session.picture("phase", &phase(forecasts, pelts)?)?;
    let labels: Vec<&str> = names(forecasts);
    let curves: Vec<(&str, &[f64])> = labels
        .iter()
        .filter_map(|&name| {
            let first = forecasts.iter().find(|f| f.name == name)?;
            Some((name, &first.losses[..]))
        })
        .collect();
    let panel = panels::training_curves("Training (first run)", "mean squared logarithmic error", &curves)?;
    session.picture("training", &Figure::new(800, 520)?.with(panel))
}

/// A row of panels for each model, a column for each species.
fn populations(forecasts: &[Forecast], pelts: &Pelts) -> Result<Figure> {
    let names = names(forecasts);
    let mut figure = Figure::new(1100, 300 * names.len() as u32 + 30)?
        .titled("Pelts of the Hudson's Bay Company")
        .columns(2);
    let species: [(&str, Pick, &[f64], Color); 2] = [
        ("hare", |f| &f.hare, &pelts.hare, Color::Blue),
        ("lynx", |f| &f.lynx, &pelts.lynx, Color::Vermillion),
    ];
    for name in names {
        for (animal, pick, data, color) in species {
            let mut panel = Panel::new(format!("{name}: {animal}"));
            panel.x_label("year").y_label("pelts (thousands)");
            let highest = data.iter().copied().fold(0.0, f64::max);
            panel.y_axis().range = Some((0.0, 1.45 * highest));
            let runs: Vec<_> = forecasts.iter().filter(|f| f.name == name).collect();
            for (i, run) in runs.iter().enumerate() {
                let style = match i {
                    0 if runs.len() > 1 => Style::new(format!("{} runs", runs.len())),
                    0 => Style::new("model"),
                    _ => Style::default(),
                };
                let width = if runs.len() > 1 { 1.0 } else { 1.8 };
                panel.line(&run.year, pick(run), style.color(color).size(width))?;
            }
            let (fitted, held) = (pelts.fitted, pelts.year.len());
            let dots = Style::new("fitted").color(Color::Black).size(6.0);
            let rings = Style::new("held out").color(Color::Black).marker(Marker::Ring).size(6.5);
            panel.points(&pelts.year[..fitted], &data[..fitted], dots)?.points(
                &pelts.year[fitted..held],
                &data[fitted..held],
                rings,
            )?;
            let border = 0.5 * (pelts.year[fitted - 1] + pelts.year[fitted]);
            panel.rule_x(border, Style::default().dash(Dash::Dashed))?;
            figure = figure.with(panel);
        }
    }
    Ok(figure)
}

/// Lynx against hare, the first run of each model.
fn phase(forecasts: &[Forecast], pelts: &Pelts) -> Result<Figure> {
    let mut panel = Panel::new("Phase portrait (first run)");
    panel.x_label("hare (thousands)").y_label("lynx (thousands)");
    for name in names(forecasts) {
        if let Some(run) = forecasts.iter().find(|f| f.name == name) {
            panel.line(&run.hare, &run.lynx, name)?;
        }
    }
    let (fitted, held) = (pelts.fitted, pelts.year.len());
    panel
        .points(&pelts.hare[..fitted], &pelts.lynx[..fitted], Style::new("fitted").color(Color::Black))?
        .points(
            &pelts.hare[fitted..held],
            &pelts.lynx[fitted..held],
            Style::new("held out").color(Color::Black).marker(Marker::Ring),
        )?;
    Ok(Figure::new(800, 640)?.with(panel))
}
