//! Where panels, axes and labels stand, and their drawing.

use super::axis::{Scale, Ticks, power_of_ten};
use super::canvas::{Align, Canvas, Point};
use super::panel::{Axis, Look, Panel, Series};
use super::style::{Color, Dash};
use super::{Figure, legend};
use crate::{Error, Result};
use plotters::prelude::DrawingBackend;
use std::io;

/// Text sizes (em, pixels), legible at 800×600.
const TITLE: f64 = 16.0;
pub(super) const LABEL: f64 = 14.5;
pub(super) const TICK: f64 = 13.0;
const PAGE_TITLE: f64 = 18.0;
const MARGIN: f64 = 10.0;
pub(super) const TICK_LENGTH: f64 = 5.0;

/// The page with scales worked out.
pub(super) struct Plan<'a> {
    figure: &'a Figure,
    scales: Vec<[Scale; 2]>,
}

/// The inside of a pair of axes, in pixels, and its scales.
pub(super) struct Frame<'a> {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    scales: &'a [Scale; 2],
}

impl Frame<'_> {
    /// Where a data point stands; `None` for what the axes cannot show. Far-away points are kept
    /// within a million pixels.
    pub(super) fn at(&self, x: f64, y: f64) -> Option<Point> {
        let limit = |v: f64| v.clamp(-1e6, 1e6);
        let u = limit(self.scales[0].place(x)?);
        let v = limit(self.scales[1].place(y)?);
        let across = self.left + u * (self.right - self.left);
        Some((across, self.bottom + v * (self.top - self.bottom)))
    }

    /// [`at`](Self::at), moved to the border where it lies beyond.
    pub(super) fn inside(&self, x: f64, y: f64) -> Option<Point> {
        let (x, y) = self.at(x, y)?;
        Some((x.clamp(self.left, self.right), y.clamp(self.top, self.bottom)))
    }

    /// Narrows or lowers the frame until equal numbers on linear axes take equal lengths; returns by how
    /// much its bottom rose.
    fn equalise(&mut self) -> f64 {
        let [across, up] = self.scales;
        if across.log || up.log {
            return 0.0;
        }
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        let unit = (width / (across.high - across.low)).min(height / (up.high - up.low));
        let (spare, rise) = (width - unit * (across.high - across.low), height - unit * (up.high - up.low));
        if !(spare.is_finite() && rise.is_finite()) {
            return 0.0;
        }
        self.left = middle(self.left + 0.5 * spare);
        self.right = middle(self.right - 0.5 * spare);
        self.bottom = middle(self.bottom - rise);
        rise
    }

    fn holds(&self, (x, y): Point) -> bool {
        let slack = 0.5;
        (self.left - slack..=self.right + slack).contains(&x)
            && (self.top - slack..=self.bottom + slack).contains(&y)
    }

    /// The runs of a polyline inside the frame; breaks at gaps and at the border.
    pub(super) fn runs(&self, x: &[f64], y: &[f64]) -> Vec<Vec<Point>> {
        let mut runs: Vec<Vec<Point>> = Vec::new();
        let mut run: Vec<Point> = Vec::new();
        let mut last = None;
        for (&x, &y) in x.iter().zip(y) {
            let next = self.at(x, y);
            match (last, next) {
                (Some(a), Some(b)) => match self.clip(a, b) {
                    Some((from, to)) => {
                        if run.last() != Some(&from) {
                            flush(&mut runs, &mut run);
                            run.push(from);
                        }
                        run.push(to);
                    }
                    None => flush(&mut runs, &mut run),
                },
                (None, Some(b)) if self.holds(b) => run.push(b),
                (_, None) => flush(&mut runs, &mut run),
                _ => {}
            }
            last = next;
        }
        flush(&mut runs, &mut run);
        runs
    }

    /// The part of a segment inside the frame (Y.-D. Liang and B. A. Barsky, ACM Trans. Graph. 3,
    /// 1984).
    fn clip(&self, a: Point, b: Point) -> Option<(Point, Point)> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut enter, mut leave) = (0.0f64, 1.0f64);
        let borders =
            [(-dx, a.0 - self.left), (dx, self.right - a.0), (-dy, a.1 - self.top), (dy, self.bottom - a.1)];
        for (speed, distance) in borders {
            if speed == 0.0 {
                if distance < 0.0 {
                    return None;
                }
            } else if speed < 0.0 {
                enter = enter.max(distance / speed);
            } else {
                leave = leave.min(distance / speed);
            }
        }
        let along = |s: f64| (a.0 + s * dx, a.1 + s * dy);
        let from = if enter == 0.0 { a } else { along(enter) };
        let to = if leave == 1.0 { b } else { along(leave) };
        (enter <= leave).then_some((from, to))
    }
}

fn flush(runs: &mut Vec<Vec<Point>>, run: &mut Vec<Point>) {
    if !run.is_empty() {
        runs.push(std::mem::take(run));
    }
}

/// Scales of all panels.
pub(super) fn prepare(figure: &Figure) -> Result<Plan<'_>> {
    if figure.panels.is_empty() {
        return Err(Error::invalid("the figure", "without panels", "it needs at least one"));
    }
    let rows = figure.panels.len().div_ceil(figure.columns) as u32;
    let cell = (figure.width / figure.columns as u32, figure.height / rows);
    if cell.0 < 120 || cell.1 < 110 {
        let given = format!("{}×{} pixels", cell.0, cell.1);
        let needed = "axes with labels need 120×110: enlarge the figure or use fewer columns";
        return Err(Error::invalid("the place of a panel", given, needed));
    }
    let scales = |panel: &Panel| -> Result<[Scale; 2]> {
        let [x, y] = panel.extent()?;
        let named = |axis: &Axis, range| match axis.names.len() {
            0 => axis.range,
            _ => axis.range.or(Some(range)),
        };
        let bars = panel.series.iter().any(|s| matches!(s, Series::Bars { .. }));
        let mut across = Scale::new(panel.x.log, x, panel.x.range);
        if bars && !panel.x.log && panel.x.range.is_none() && x.0 == 0.0 {
            across.low = 0.0; // bars stand on the axis
        }
        let mut up = Scale::new(panel.y.log, y, named(&panel.y, y));
        if bars {
            std::mem::swap(&mut up.low, &mut up.high); // the first bar on top
        }
        Ok([across, up])
    };
    let scales = figure.panels.iter().map(scales).collect::<Result<_>>()?;
    Ok(Plan { figure, scales })
}

/// Draws the page.
pub(super) fn draw<B: DrawingBackend>(plan: &Plan<'_>, canvas: &mut Canvas<B>) -> io::Result<()> {
    let figure = plan.figure;
    let (width, height) = (f64::from(figure.width), f64::from(figure.height));
    canvas.plate((0.0, 0.0), (width, height), None)?;
    let mut top = 0.0;
    if !figure.title.is_empty() {
        canvas.text(&figure.title, (0.5 * width, 20.0), PAGE_TITLE, Align::Middle)?;
        top = 30.0;
    }
    let rows = figure.panels.len().div_ceil(figure.columns);
    let cell = (width / figure.columns as f64, (height - top) / rows as f64);
    for column in 0..figure.columns {
        let members: Vec<usize> = (column..figure.panels.len()).step_by(figure.columns).collect();
        // One left margin for a whole column, so that its axes line up.
        let mut left = 0.0f64;
        for &i in &members {
            let ticks = ticks_up(&figure.panels[i], &plan.scales[i][1], cell.1);
            let widest = widest(canvas, &ticks)?;
            let label = if figure.panels[i].y.label.is_empty() { 0.0 } else { LABEL + 9.0 };
            left = left.max(MARGIN + label + widest + TICK_LENGTH + 4.0);
        }
        for &i in &members {
            let corner = (column as f64 * cell.0, top + (i / figure.columns) as f64 * cell.1);
            draw_panel(&figure.panels[i], &plan.scales[i], canvas, corner, cell, left)?;
        }
    }
    Ok(())
}

fn ticks_up(panel: &Panel, scale: &Scale, height: f64) -> Ticks {
    if !panel.y.names.is_empty() {
        return named_ticks(&panel.y.names);
    }
    scale.ticks(((height / 45.0) as usize).min(8))
}

/// Width of the widest label.
fn widest<B: DrawingBackend>(canvas: &Canvas<B>, ticks: &Ticks) -> io::Result<f64> {
    let mut widest = 0.0f64;
    for (_, text) in &ticks.major {
        widest = widest.max(canvas.text_width(text, TICK)?);
    }
    Ok(widest)
}

fn named_ticks(names: &[String]) -> Ticks {
    let major = names.iter().enumerate().map(|(i, n)| (i as f64, n.clone())).collect();
    Ticks { major, ..Ticks::default() }
}

/// As many horizontal ticks as fit without touching.
fn ticks_across<B: DrawingBackend>(
    panel: &Panel,
    scale: &Scale,
    width: f64,
    canvas: &Canvas<B>,
) -> io::Result<Ticks> {
    if !panel.x.names.is_empty() {
        return Ok(named_ticks(&panel.x.names));
    }
    let mut target = ((width / 75.0) as usize).clamp(2, 8);
    loop {
        let ticks = scale.ticks(target);
        let mut free_from = f64::NEG_INFINITY;
        let mut fits = true;
        for (value, text) in &ticks.major {
            let half = 0.5 * canvas.text_width(text, TICK)?;
            let at = scale.place(*value).unwrap_or(0.0) * width;
            fits &= at - half >= free_from;
            free_from = at + half + 8.0;
        }
        if fits || target <= 2 {
            return Ok(ticks);
        }
        target -= 1;
    }
}

fn draw_panel<B: DrawingBackend>(
    panel: &Panel,
    scales: &[Scale; 2],
    canvas: &mut Canvas<B>,
    (x0, y0): Point,
    (width, height): (f64, f64),
    left: f64,
) -> io::Result<()> {
    let title = if panel.title.is_empty() { 0.0 } else { TITLE + 9.0 };
    let label = if panel.x.label.is_empty() { 0.0 } else { LABEL + 7.0 };
    let entries = legend::entries(panel);
    let mut frame = Frame {
        left: middle(x0 + left),
        right: middle(x0 + width - MARGIN - 8.0),
        top: middle(y0 + MARGIN + title),
        bottom: middle(y0 + height - MARGIN - label - TICK - TICK_LENGTH - 5.0),
        scales,
    };
    let mut rise = 0.0;
    if let Some(map) = panel.heat() {
        frame.right = middle(frame.right - map.bar_width(canvas, frame.bottom - frame.top)?);
    }
    let place = legend::place(panel, &entries, &mut frame, canvas)?;
    if panel.heat().is_some() {
        rise = frame.equalise();
    }
    let across = ticks_across(panel, &scales[0], frame.right - frame.left, canvas)?;
    let up = ticks_up(panel, &scales[1], frame.bottom - frame.top);

    grid(canvas, &frame, &across, &up)?;
    for series in &panel.series {
        draw_series(canvas, &frame, series)?;
    }
    axes(canvas, &frame, &across, &up)?;
    legend::draw(canvas, &entries, &place)?;
    if let Some(map) = panel.heat() {
        map.draw_bar(canvas, &frame)?;
    }

    let middle = 0.5 * (frame.left + frame.right);
    if title > 0.0 {
        canvas.text(&panel.title, (middle, y0 + MARGIN + 0.5 * TITLE), TITLE, Align::Middle)?;
    }
    let below = (middle, y0 + height - MARGIN - 0.5 * LABEL - rise);
    canvas.text(&with_exponent(&panel.x.label, across.exponent), below, LABEL, Align::Middle)?;
    let widest = widest(canvas, &up)?;
    let beside = frame.left - TICK_LENGTH - 4.0 - widest - 8.0 - 0.5 * LABEL;
    let beside = (beside, 0.5 * (frame.top + frame.bottom));
    canvas.text_up(&with_exponent(&panel.y.label, up.exponent), beside, LABEL)
}

pub(super) fn with_exponent(label: &str, exponent: i32) -> String {
    match exponent {
        0 => label.to_string(),
        k if label.is_empty() => format!("×{}", power_of_ten(k)),
        k => format!("{label}  [×{}]", power_of_ten(k)),
    }
}

/// Pixel positions of ticks inside the frame, across or up, in the middle of a pixel so that the
/// thin lines there stay sharp.
fn placed<'t, T>(
    scale: &Scale,
    ticks: &'t [T],
    value: impl Fn(&T) -> f64,
    (from, to): (f64, f64),
) -> Vec<(f64, &'t T)> {
    let inside = |u: &f64| (-1e-9..=1.0 + 1e-9).contains(u);
    let position =
        |t: &'t T| scale.place(value(t)).filter(inside).map(|u| (middle(from + u * (to - from)), t));
    ticks.iter().filter_map(position).collect()
}

pub(super) fn middle(pixel: f64) -> f64 {
    pixel.floor() + 0.5
}

fn grid<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    frame: &Frame<'_>,
    across: &Ticks,
    up: &Ticks,
) -> io::Result<()> {
    let (left, right, top, bottom) = (frame.left, frame.right, frame.top, frame.bottom);
    let faint = |canvas: &mut Canvas<B>, a, b| canvas.polyline(&[a, b], Color::LightGrey, 0.6, Dash::Solid);
    for (x, _) in placed(&frame.scales[0], &across.major, |t| t.0, (left, right)) {
        faint(canvas, (x, top), (x, bottom))?;
    }
    for (y, _) in placed(&frame.scales[1], &up.major, |t| t.0, (bottom, top)) {
        faint(canvas, (left, y), (right, y))?;
    }
    Ok(())
}

fn axes<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    frame: &Frame<'_>,
    across: &Ticks,
    up: &Ticks,
) -> io::Result<()> {
    let (left, right, top, bottom) = (frame.left, frame.right, frame.top, frame.bottom);
    let border = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    canvas.polyline(&border, Color::Black, 1.0, Dash::Solid)?;
    let tick = |canvas: &mut Canvas<B>, a, b| canvas.polyline(&[a, b], Color::Black, 1.0, Dash::Solid);
    for (x, (_, text)) in placed(&frame.scales[0], &across.major, |t| t.0, (left, right)) {
        tick(canvas, (x, bottom), (x, bottom + TICK_LENGTH))?;
        canvas.text(text, (x, bottom + TICK_LENGTH + 2.0 + 0.5 * TICK), TICK, Align::Middle)?;
    }
    for (x, _) in placed(&frame.scales[0], &across.minor, |t| *t, (left, right)) {
        tick(canvas, (x, bottom), (x, bottom + 0.55 * TICK_LENGTH))?;
    }
    for (y, (_, text)) in placed(&frame.scales[1], &up.major, |t| t.0, (bottom, top)) {
        tick(canvas, (left - TICK_LENGTH, y), (left, y))?;
        canvas.text(text, (left - TICK_LENGTH - 3.0, y), TICK, Align::End)?;
    }
    for (y, _) in placed(&frame.scales[1], &up.minor, |t| *t, (bottom, top)) {
        tick(canvas, (left - 0.55 * TICK_LENGTH, y), (left, y))?;
    }
    Ok(())
}

fn draw_series<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    frame: &Frame<'_>,
    series: &Series,
) -> io::Result<()> {
    match series {
        Series::Line { x, y, look } => {
            for run in frame.runs(x, y) {
                canvas.polyline(&run, look.color, look.size, look.dash)?;
            }
        }
        Series::Points { x, y, look } => {
            let places = x.iter().zip(y).filter_map(|(&x, &y)| frame.at(x, y));
            for at in places.filter(|&at| frame.holds(at)) {
                canvas.marker(at, look.marker, look.color, look.size)?;
            }
        }
        Series::Band { x, low, high, look } => draw_band(canvas, frame, [x, low, high], look)?,
        Series::Heat(map) => map.draw(canvas, frame)?,
        Series::Bars { length, look } => {
            for (i, &length) in length.iter().enumerate() {
                let middle = i as f64;
                let ends = [middle - 0.5 * look.size, middle + 0.5 * look.size];
                let (Some(a), Some(b)) = (frame.at(length, ends[0]), frame.at(length, ends[1])) else {
                    continue;
                };
                let right = a.0.clamp(frame.left, frame.right);
                let corners = [(frame.left, a.1), (right, a.1), (right, b.1), (frame.left, b.1)];
                canvas.polygon(&corners, look.color, 1.0)?;
            }
        }
        Series::Rule { at, vertical, look } => {
            let scale = &frame.scales[usize::from(!vertical)];
            if let Some(u) = scale.place(*at).filter(|u| (0.0..=1.0).contains(u)) {
                let x = middle(frame.left + u * (frame.right - frame.left));
                let y = middle(frame.bottom + u * (frame.top - frame.bottom));
                let ends = match vertical {
                    true => [(x, frame.top), (x, frame.bottom)],
                    false => [(frame.left, y), (frame.right, y)],
                };
                canvas.polyline(&ends, look.color, look.size, look.dash)?;
            }
        }
        Series::Text { x, y, text } => {
            if let Some(at) = frame.at(*x, *y).filter(|&at| frame.holds(at)) {
                canvas.text(text, at, TICK, Align::Start)?;
            }
        }
    }
    Ok(())
}

fn draw_band<B: DrawingBackend>(
    canvas: &mut Canvas<B>,
    frame: &Frame<'_>,
    [x, low, high]: [&Vec<f64>; 3],
    look: &Look,
) -> io::Result<()> {
    let clamp = |(x, y): Point| (x.clamp(frame.left, frame.right), y.clamp(frame.top, frame.bottom));
    let mut edges: Vec<(Point, Point)> = Vec::new();
    for i in 0..=x.len() {
        let pair = (i < x.len()).then(|| frame.at(x[i], low[i]).zip(frame.at(x[i], high[i]))).flatten();
        match pair {
            Some((a, b)) => edges.push((clamp(a), clamp(b))),
            None if edges.len() > 1 => {
                let there = edges.iter().map(|e| e.0);
                let back = edges.iter().rev().map(|e| e.1);
                let outline: Vec<Point> = there.chain(back).collect();
                canvas.polygon(&outline, look.color, 0.22)?;
                edges.clear();
            }
            None => edges.clear(),
        }
    }
    Ok(())
}
