//! The picture.

use crate::pores::Pores;
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, HeatMap, Marker, Panel, Style};

/// Cells of a map along each side.
const CELLS: usize = 160;

/// Every cell has its nearest pore's pressure; throats are lines.
fn map(pores: &Pores, pressure: &[f64], title: &str) -> Result<Panel> {
    let centre = |k: usize| (k as f64 + 0.5) / CELLS as f64;
    let mut values = Vec::with_capacity(CELLS * CELLS);
    for row in 0..CELLS {
        for column in 0..CELLS {
            let (x, y) = (centre(column), centre(row));
            let off = |p: &[f64; 2]| (p[0] - x).hypot(p[1] - y);
            let nearest =
                (0..pores.place.len()).min_by(|&a, &b| off(&pores.place[a]).total_cmp(&off(&pores.place[b])));
            values.push(nearest.map_or(f64::NAN, |i| pressure[i]));
        }
    }
    let mut panel = Panel::new(title);
    panel
        .heat_map(HeatMap::new(CELLS, &values, (0.0, 1.0), (0.0, 1.0))?.range(0.0, 1.0)?.label("pressure"))?;
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for (from, into) in pores.graph.edges().filter(|(from, into)| from < into) {
        let ([a, b], [c, d]) = (pores.place[from], pores.place[into]);
        x.extend([a, c, f64::NAN]);
        y.extend([b, d, f64::NAN]);
    }
    panel.line(&x, &y, Style::default().color(Color::LightGrey).size(0.7))?;
    panel.x_label("x").y_label("y");
    Ok(panel)
}

/// True and predicted pressures, one against the other, and the training.
pub fn pores(pores: &Pores, predicted: &[f64], losses: &[f64]) -> Result<Figure> {
    let mut scatter = Panel::new("");
    scatter.x_label("true pressure").y_label("predicted pressure");
    scatter.line(
        &[0.0, 1.0],
        &[0.0, 1.0],
        Style::default().color(Color::Grey).dash(Dash::Dashed).size(1.2),
    )?;
    let dots = Style::default().color(Color::Blue).marker(Marker::Circle).size(4.0);
    scatter.points(&pores.pressure, predicted, dots)?;
    let mut training = Panel::new("");
    let k: Vec<f64> = (0..losses.len()).map(|k| k as f64).collect();
    training.x_label("iteration").y_label("mean square error").log_y();
    training.line(&k, losses, Style::default().color(Color::Blue).size(1.2))?;
    let title = format!("A pore network of {} pores, larger than those trained on", predicted.len());
    let figure = Figure::new(1200, 1000)?.titled(title).columns(2);
    let maps = [map(pores, &pores.pressure, "true")?, map(pores, predicted, "predicted")?];
    let [truth, guess] = maps;
    Ok(figure.with(truth).with(guess).with(scatter).with(training))
}
