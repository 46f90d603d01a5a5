//! The legend: what it lists, and the place where it covers no data.

use super::canvas::{Align, Canvas, Point};
use super::layout::{Frame, TICK};
use super::panel::{Look, Panel, Series};
use super::style::{Color, Dash};
use plotters::prelude::DrawingBackend;
use std::io;

const ROW: f64 = 18.0;
const SAMPLE: f64 = 26.0;
const GAP: f64 = 7.0;
const INSET: f64 = 8.0;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Line,
    Points,
    Area,
    Bar,
}

/// One line of the legend; a line and points of one label share theirs.
pub(super) struct Entry<'a> {
    label: &'a str,
    marks: Vec<(Kind, &'a Look)>,
}

/// Where each entry's sample starts, and the box around them if inside the axes.
#[derive(Default)]
pub(super) struct Place {
    starts: Vec<Point>,
    plate: Option<(Point, Point)>,
}

/// Labels in order of appearance.
pub(super) fn entries(panel: &Panel) -> Vec<Entry<'_>> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for series in &panel.series {
        let (kind, look) = match series {
            Series::Line { look, .. } | Series::Rule { look, .. } => (Kind::Line, look),
            Series::Points { look, .. } => (Kind::Points, look),
            Series::Band { look, .. } => (Kind::Area, look),
            Series::Bars { look, .. } => (Kind::Bar, look),
            Series::Text { .. } | Series::Heat(_) => continue,
        };
        let Some(label) = look.label.as_deref() else {
            continue;
        };
        match entries.iter_mut().find(|e| e.label == label) {
            Some(entry) => entry.marks.push((kind, look)),
            None => entries.push(Entry { label, marks: vec![(kind, look)] }),
        }
    }
    entries
}

/// Finds a corner without data; if there is none, takes rows above the axes and lowers the
/// frame's top.
pub(super) fn place<B: DrawingBackend>(
    panel: &Panel,
    entries: &[Entry<'_>],
    frame: &mut Frame<'_>,
    canvas: &Canvas<B>,
) -> io::Result<Place> {
    if entries.is_empty() {
        return Ok(Place::default());
    }
    let mut widths = Vec::with_capacity(entries.len());
    for entry in entries {
        widths.push(SAMPLE + GAP + canvas.text_width(entry.label, TICK)?);
    }
    let widest = widths.iter().copied().fold(0.0, f64::max);
    let size = (widest + 2.0 * INSET, entries.len() as f64 * ROW + INSET);
    let taken = occupied(panel, frame);
    let free = |corner: &Point| {
        let margin = 5.0;
        let inside = |p: &Point| {
            (corner.0 - margin..corner.0 + size.0 + margin).contains(&p.0)
                && (corner.1 - margin..corner.1 + size.1 + margin).contains(&p.1)
        };
        !taken.iter().any(inside)
    };
    let room = (frame.right - frame.left, frame.bottom - frame.top);
    if size.0 <= 0.6 * room.0 && size.1 <= 0.6 * room.1 {
        let (left, right) = (frame.left + 8.0, frame.right - 8.0 - size.0);
        let (top, bottom) = (frame.top + 8.0, frame.bottom - 8.0 - size.1);
        let middle = 0.5 * (left + right);
        let corners =
            [(right, top), (left, top), (right, bottom), (left, bottom), (middle, top), (middle, bottom)];
        if let Some(corner) = corners.into_iter().find(free) {
            let start = |i: usize| (corner.0 + INSET, corner.1 + 0.5 * INSET + (i as f64 + 0.5) * ROW);
            let starts = (0..entries.len()).map(start).collect();
            let plate = Some((corner, (corner.0 + size.0, corner.1 + size.1)));
            return Ok(Place { starts, plate });
        }
    }
    Ok(above(&widths, frame))
}

/// Rows of entries between title and axes.
fn above(widths: &[f64], frame: &mut Frame<'_>) -> Place {
    const BETWEEN: f64 = 18.0;
    let mut rows: Vec<Vec<f64>> = vec![Vec::new()];
    let mut used = 0.0;
    for &width in widths {
        let last = rows.len() - 1;
        if used + width > frame.right - frame.left && !rows[last].is_empty() {
            rows.push(vec![width]);
            used = width + BETWEEN;
        } else {
            rows[last].push(width);
            used += width + BETWEEN;
        }
    }
    let mut starts = Vec::with_capacity(widths.len());
    for (i, row) in rows.iter().enumerate() {
        let length = row.iter().sum::<f64>() + BETWEEN * (row.len() - 1) as f64;
        let mut x = 0.5 * (frame.left + frame.right - length);
        for width in row {
            starts.push((x.max(frame.left), frame.top + (i as f64 + 0.5) * ROW));
            x += width + BETWEEN;
        }
    }
    frame.top += rows.len() as f64 * ROW + 4.0;
    Place { starts, plate: None }
}

/// Points along everything drawn, a few pixels apart.
fn occupied(panel: &Panel, frame: &Frame<'_>) -> Vec<Point> {
    let mut points = Vec::new();
    let mut trace = |run: &[Point]| {
        points.extend_from_slice(run);
        for pair in run.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let steps = ((b.0 - a.0).hypot(b.1 - a.1) / 4.0) as usize;
            points.extend((1..steps).map(|i| {
                let s = i as f64 / steps as f64;
                (a.0 + s * (b.0 - a.0), a.1 + s * (b.1 - a.1))
            }));
        }
    };
    for series in &panel.series {
        match series {
            Series::Line { x, y, .. } => frame.runs(x, y).iter().for_each(|run| trace(run)),
            Series::Points { x, y, .. } => {
                let places = x.iter().zip(y).filter_map(|(&x, &y)| frame.at(x, y));
                places.for_each(|at| trace(&[at]));
            }
            Series::Band { x, low, high, .. } => {
                for ((&x, &low), &high) in x.iter().zip(low).zip(high) {
                    if let (Some(a), Some(b)) = (frame.at(x, low), frame.at(x, high)) {
                        trace(&[a, b]);
                    }
                }
            }
            Series::Bars { length, .. } => {
                for (i, &length) in length.iter().enumerate() {
                    if let Some(end) = frame.at(length, i as f64) {
                        trace(&[(frame.left, end.1), end]);
                    }
                }
            }
            Series::Text { x, y, text } => {
                if let Some(at) = frame.at(*x, *y) {
                    let width = 0.62 * TICK * text.chars().count() as f64;
                    trace(&[at, (at.0 + width, at.1)]);
                }
            }
            Series::Rule { .. } => {}
            Series::Heat(_) => {
                // All of the panel.
                let lattice = |i: usize| 0.125 * i as f64;
                for (i, j) in (0..81).map(|k| (k / 9, k % 9)) {
                    let x = frame.left + lattice(i) * (frame.right - frame.left);
                    trace(&[(x, frame.top + lattice(j) * (frame.bottom - frame.top))]);
                }
            }
        }
    }
    points
}

/// Draws the legend.
pub(super) fn draw<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    entries: &[Entry<'_>],
    place: &Place,
) -> io::Result<()> {
    if let Some((a, b)) = place.plate {
        canvas.plate(a, b, Some(Color::LightGrey))?;
    }
    for (entry, &(x, y)) in entries.iter().zip(&place.starts) {
        for (kind, look) in &entry.marks {
            match kind {
                Kind::Line => {
                    let ends = [(x, y), (x + SAMPLE, y)];
                    canvas.polyline(&ends, look.color, look.size, look.dash)?;
                }
                Kind::Points => {
                    let size = look.size.clamp(5.0, 8.0);
                    canvas.marker((x + 0.5 * SAMPLE, y), look.marker, look.color, size)?;
                }
                Kind::Area | Kind::Bar => {
                    let (right, half) = (x + SAMPLE, 4.5);
                    let corners = [(x, y - half), (right, y - half), (right, y + half), (x, y + half)];
                    let alpha = if *kind == Kind::Bar { 1.0 } else { 0.35 };
                    canvas.polygon(&corners, look.color, alpha)?;
                    let outline = [corners[0], corners[1], corners[2], corners[3], corners[0]];
                    canvas.polyline(&outline, look.color, 0.8, Dash::Solid)?;
                }
            }
        }
        canvas.text(entry.label, (x + SAMPLE + GAP, y), TICK, Align::Start)?;
    }
    Ok(())
}
