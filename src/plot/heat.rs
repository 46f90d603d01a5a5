//! Heat maps: values on a grid of cells as colours, with the bar that says which.

use super::axis::Scale;
use super::canvas::{Align, Canvas};
use super::layout::{Frame, LABEL, TICK, TICK_LENGTH, middle, with_exponent};
use super::style::{Color, Dash};
use crate::{Error, Result};
use plotters::prelude::DrawingBackend;
use std::io;

/// Pixels between axes and bar, and across the bar.
const BAR_GAP: f64 = 12.0;
const BAR: f64 = 14.0;
/// Between the bar's numbers and its label.
const LABEL_GAP: f64 = 7.0;
/// Colours told apart.
const LEVELS: usize = 256;

/// Every ninth part of viridis (N. Smith and S. van der Walt, 2015, CC0), from dark to light.
const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3E, 0x49, 0x89],
    [0x31, 0x68, 0x8E],
    [0x26, 0x82, 0x8E],
    [0x1F, 0x9E, 0x89],
    [0x35, 0xB7, 0x79],
    [0x6D, 0xCD, 0x59],
    [0xB4, 0xDE, 0x2C],
    [0xFD, 0xE7, 0x25],
];

/// The colour of `u` in [0, 1] (clamped): viridis, interpolated between ten of its colours. Its
/// lightness rises evenly, so that equal steps look equal, to colour-blind eyes and in grey too.
pub fn viridis(u: f64) -> (u8, u8, u8) {
    let last = VIRIDIS.len() - 1;
    let u = if u.is_nan() { 0.0 } else { u.clamp(0.0, 1.0) };
    let place = u * last as f64;
    let below = (place as usize).min(last - 1);
    let weight = place - below as f64;
    let mix = |c: usize| {
        let (a, b) = (f64::from(VIRIDIS[below][c]), f64::from(VIRIDIS[below + 1][c]));
        (a + weight * (b - a)).round() as u8
    };
    (mix(0), mix(1), mix(2))
}

/// Values on a grid of cells that fill x.0..x.1 × y.0..y.1; drawn by
/// [`Panel::heat_map`](super::Panel::heat_map).
///
/// ```
/// # fn main() -> odeon::Result<()> {
/// use odeon::plot::{Figure, HeatMap, Panel};
/// let wave: Vec<f64> = (0..20 * 30).map(|k| ((k % 30) as f64 / 5.0).sin() * (k / 30) as f64).collect();
/// let mut panel = Panel::new("Wave");
/// panel.x_label("x (m)").y_label("y (m)");
/// panel.heat_map(HeatMap::new(30, &wave, (0.0, 3.0), (0.0, 2.0))?.label("height (m)"))?;
/// assert!(Figure::new(600, 400)?.with(panel).to_svg()?.contains("height (m)"));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    columns: usize,
    values: Vec<f64>,
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
    /// Values of the darkest and the lightest colour.
    range: (f64, f64),
    label: String,
}

impl HeatMap {
    /// A map of `values`, row by row from the bottom, `columns` to a row, left to right; its colours
    /// span the finite values.
    ///
    /// # Errors
    /// Not a whole number of rows, no finite value, an extent that is not finite and increasing.
    pub fn new(columns: usize, values: &[f64], x: (f64, f64), y: (f64, f64)) -> Result<Self> {
        if columns == 0 || values.is_empty() || !values.len().is_multiple_of(columns) {
            let given = format!("{} values in rows of {columns}", values.len());
            return Err(Error::invalid("a heat map", given, "it needs whole rows, at least one"));
        }
        increasing("the width of a heat map", x)?;
        increasing("the height of a heat map", y)?;
        let finite = values.iter().filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &v| (a.min(v), b.max(v)));
        if low > high {
            return Err(Error::invalid("a heat map", "without a finite value", "it needs at least one"));
        }
        // A constant stands in the middle of a range that is not empty.
        let half = if low < high { 0.0 } else { 0.5 * low.abs().max(1e-9) };
        let range = ((low - half).max(f64::MIN), (high + half).min(f64::MAX));
        Ok(Self { columns, values: values.to_vec(), x, y, range, label: String::new() })
    }

    /// The same with colours from `low` to `high`; values beyond take the colours of the ends.
    ///
    /// # Errors
    /// Not finite and increasing.
    pub fn range(mut self, low: f64, high: f64) -> Result<Self> {
        increasing("the range of a heat map", (low, high))?;
        self.range = (low, high);
        Ok(self)
    }

    /// The same with a label at the colour bar.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The number of a value's colour.
    fn level(&self, value: f64) -> Option<usize> {
        let (low, high) = self.range;
        // Halved, so that a range near ±f64::MAX does not overflow.
        let u = (0.5 * value - 0.5 * low) / (0.5 * high - 0.5 * low);
        value.is_finite().then(|| ((u.clamp(0.0, 1.0) * LEVELS as f64) as usize).min(LEVELS - 1))
    }

    /// Draws the cells; ones that are not finite stay white.
    pub(super) fn draw<B: DrawingBackend>(
        &self,
        canvas: &mut Canvas<B>,
        frame: &Frame<'_>,
    ) -> io::Result<()> {
        let rows = self.values.len() / self.columns;
        let edge = |(from, to): (f64, f64), i: usize, n: usize| from + (to - from) * (i as f64 / n as f64);
        for (j, row) in self.values.chunks_exact(self.columns).enumerate() {
            let heights = [edge(self.y, j, rows), edge(self.y, j + 1, rows)];
            let mut first = 0;
            // Neighbours of one colour are one rectangle.
            for i in 1..=self.columns {
                let level = self.level(row[first]);
                if i < self.columns && self.level(row[i]) == level {
                    continue;
                }
                let sides = [edge(self.x, first, self.columns), edge(self.x, i, self.columns)];
                if let (Some(level), Some(a), Some(b)) =
                    (level, frame.inside(sides[0], heights[1]), frame.inside(sides[1], heights[0]))
                {
                    canvas.cell(a, b, viridis((level as f64 + 0.5) / LEVELS as f64))?;
                }
                first = i;
            }
        }
        Ok(())
    }

    fn scale(&self) -> Scale {
        Scale::new(false, self.range, Some(self.range))
    }

    /// Pixels that the bar takes beside axes of the given height.
    pub(super) fn bar_width<B: DrawingBackend>(&self, canvas: &Canvas<B>, height: f64) -> io::Result<f64> {
        let mut widest = 0.0f64;
        for (_, text) in &self.scale().ticks(bar_ticks(height)).major {
            widest = widest.max(canvas.text_width(text, TICK)?);
        }
        let label = if self.label.is_empty() { 0.0 } else { LABEL_GAP + LABEL };
        Ok(BAR_GAP + BAR + TICK_LENGTH + 3.0 + widest + label)
    }

    /// Draws the bar beside the axes.
    pub(super) fn draw_bar<B: DrawingBackend>(
        &self,
        canvas: &mut Canvas<B>,
        frame: &Frame<'_>,
    ) -> io::Result<()> {
        let (left, top, bottom) = (middle(frame.right + BAR_GAP), frame.top, frame.bottom);
        let right = left + BAR;
        let up = |u: f64| bottom + u * (top - bottom);
        for level in 0..LEVELS {
            let (low, high) = (level as f64 / LEVELS as f64, (level + 1) as f64 / LEVELS as f64);
            canvas.cell((left, up(high)), (right, up(low)), viridis(0.5 * (low + high)))?;
        }
        let border = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        canvas.polyline(&border, Color::Black, 1.0, Dash::Solid)?;
        let (scale, mut widest) = (self.scale(), 0.0f64);
        let ticks = scale.ticks(bar_ticks(bottom - top));
        for (value, text) in &ticks.major {
            if let Some(u) = scale.place(*value).filter(|u| (-1e-9..=1.0 + 1e-9).contains(u)) {
                let y = middle(up(u));
                canvas.polyline(&[(right, y), (right + TICK_LENGTH, y)], Color::Black, 1.0, Dash::Solid)?;
                canvas.text(text, (right + TICK_LENGTH + 3.0, y), TICK, Align::Start)?;
                widest = widest.max(canvas.text_width(text, TICK)?);
            }
        }
        let label = with_exponent(&self.label, ticks.exponent);
        let beside = right + TICK_LENGTH + 3.0 + widest + LABEL_GAP + 0.5 * LABEL;
        canvas.text_up(&label, (beside, 0.5 * (top + bottom)), LABEL)
    }
}

fn bar_ticks(height: f64) -> usize {
    ((height / 45.0) as usize).min(8)
}

fn increasing(what: &str, (low, high): (f64, f64)) -> Result<()> {
    if low.is_finite() && high.is_finite() && low < high {
        return Ok(());
    }
    Err(Error::invalid(what, format!("({low}, {high})"), "it must be finite and increasing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE 1976 lightness of an sRGB colour.
    fn lightness((r, g, b): (u8, u8, u8)) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let y = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        116.0 * y.cbrt() - 16.0
    }

    #[test]
    fn lightness_rises_evenly_from_end_to_end() {
        let (dark, light) = (lightness(viridis(0.0)), lightness(viridis(1.0)));
        assert!(dark < 16.0 && light > 90.0, "{dark} {light}");
        let mean = (light - dark) / 64.0;
        for i in 0..64 {
            let at = |i: i32| lightness(viridis(f64::from(i) / 64.0));
            let rise = (at(i + 1) - at(i)) / mean;
            assert!((0.6..1.5).contains(&rise), "{i}: {rise}");
        }
        // Lightness is linear in the value to a few parts in a hundred.
        for i in 0..=64 {
            let u = f64::from(i) / 64.0;
            assert!((lightness(viridis(u)) - dark - u * (light - dark)).abs() < 2.5, "{u}");
        }
    }

    #[test]
    fn values_beyond_the_range_take_the_colours_of_its_ends() -> Result<()> {
        let ends = [(0x44, 0x01, 0x54), (0xFD, 0xE7, 0x25)];
        assert_eq!([viridis(-1.0), viridis(2.0)], ends);
        assert_eq!([viridis(f64::NAN), viridis(1.0)], ends);
        let map = HeatMap::new(2, &[-9.0, 0.0, 9.0, f64::NAN], (0.0, 1.0), (0.0, 1.0))?.range(-1.0, 1.0)?;
        let levels: Vec<_> = map.values.iter().map(|&v| map.level(v)).collect();
        assert_eq!(levels, [Some(0), Some(128), Some(255), None]);
        let flat = HeatMap::new(1, &[3.0, 3.0], (0.0, 1.0), (0.0, 1.0))?;
        assert_eq!(flat.level(3.0), Some(128));
        Ok(())
    }
}
