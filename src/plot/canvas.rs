//! The one room that knows plotters: lines, polygons, markers and text in figure pixels.

use super::style::{Color, Dash, Marker};
use plotters::prelude::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, FontTransform, IntoFont, RGBAColor, ShapeStyle, TextStyle};
use std::io;
use std::sync::OnceLock;

/// A point in figure pixels, y downwards.
pub(super) type Point = (f64, f64);

/// Also what an SVG asks its viewer for, hence a CSS list.
const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";
const FONT: &[u8] = include_bytes!("fonts/DejaVuSans-subset.ttf");

/// Where text stands relative to its point, across and along the reading direction.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Align {
    Start,
    Middle,
    End,
}

/// Device pixels per figure pixel of PNGs, averaged down afterwards.
pub(super) const OVERSAMPLING: usize = 3;
/// Units per figure pixel of SVGs (plotters takes whole numbers only).
pub(super) const SVG_UNITS: u32 = 10;

/// A drawing surface in figure pixels.
pub(super) struct Canvas<B> {
    backend: B,
    scale: f64,
    /// The em of plotters' font size `s` is `s / size_per_em`: its two back-ends disagree.
    size_per_em: f64,
    /// How far below the middle plotters' centred text must go, in em.
    drop: f64,
    vector: bool,
}

impl<'a> Canvas<BitMapBackend<'a>> {
    pub(super) fn bitmap(buffer: &'a mut [u8], width: u32, height: u32) -> io::Result<Self> {
        register_font()?;
        let scale = OVERSAMPLING as u32;
        let backend = BitMapBackend::with_buffer(buffer, (width * scale, height * scale));
        Ok(Self { backend, scale: f64::from(scale), size_per_em: 1.164, drop: 0.12, vector: false })
    }
}

impl<'a> Canvas<SVGBackend<'a>> {
    pub(super) fn svg(buffer: &'a mut String, width: u32, height: u32) -> io::Result<Self> {
        register_font()?;
        let backend = SVGBackend::with_string(buffer, (width * SVG_UNITS, height * SVG_UNITS));
        Ok(Self { backend, scale: f64::from(SVG_UNITS), size_per_em: 1.24, drop: 0.0, vector: true })
    }
}

impl<B: DrawingBackend> Canvas<B> {
    fn device(&self, (x, y): Point) -> (i32, i32) {
        // `as` saturates, so no coordinate wraps around.
        ((x * self.scale).round() as i32, (y * self.scale).round() as i32)
    }

    fn pixels(&self, length: f64) -> u32 {
        (length * self.scale).round().max(1.0) as u32
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.backend.present().map_err(io::Error::other_display)
    }

    /// A filled polygon; `alpha` from 0 (invisible) to 1.
    pub(super) fn polygon(&mut self, points: &[Point], color: Color, alpha: f64) -> io::Result<()> {
        let corners: Vec<_> = points.iter().map(|&p| self.device(p)).collect();
        let drawn = self.backend.fill_polygon(corners, &rgba(color, alpha));
        drawn.map_err(io::Error::other_display)
    }

    /// A rectangle of any colour, its sides included, so that neighbours leave no gap.
    pub(super) fn cell(&mut self, a: Point, b: Point, (red, green, blue): (u8, u8, u8)) -> io::Result<()> {
        let color = RGBAColor(red, green, blue, 1.0);
        let drawn = self.backend.draw_rect(self.device(a), self.device(b), &color, true);
        drawn.map_err(io::Error::other_display)
    }

    /// A filled white rectangle with a thin border.
    pub(super) fn plate(&mut self, a: Point, b: Point, border: Option<Color>) -> io::Result<()> {
        let (upper, lower) = (self.device(a), self.device(b));
        let white = RGBAColor(255, 255, 255, 1.0);
        self.backend.draw_rect(upper, lower, &white, true).map_err(io::Error::other_display)?;
        match border {
            Some(color) => self.path(&[a, (b.0, a.1), b, (a.0, b.1), a], color, 0.8),
            None => Ok(()),
        }
    }

    /// A polyline.
    pub(super) fn polyline(
        &mut self,
        points: &[Point],
        color: Color,
        width: f64,
        dash: Dash,
    ) -> io::Result<()> {
        match dash.pattern() {
            None => self.path(points, color, width),
            Some((mark, gap)) => {
                for piece in dashes(points, mark, gap) {
                    self.path(&piece, color, width)?;
                }
                Ok(())
            }
        }
    }

    fn path(&mut self, points: &[Point], color: Color, width: f64) -> io::Result<()> {
        let style = ShapeStyle { color: rgba(color, 1.0), filled: false, stroke_width: self.pixels(width) };
        if self.vector {
            let path: Vec<_> = points.iter().map(|&p| self.device(p)).collect();
            return self.backend.draw_path(path, &style).map_err(io::Error::other_display);
        }
        for pair in points.windows(2) {
            self.capsule(pair[0], pair[1], color, width)?;
        }
        Ok(())
    }

    /// A segment with round ends, row by row. plotters' own thick paths are filled as one polygon,
    /// which goes wrong where a path crosses itself.
    fn capsule(&mut self, a: Point, b: Point, color: Color, width: f64) -> io::Result<()> {
        let s = self.scale;
        let ((ax, ay), (bx, by)) = ((a.0 * s, a.1 * s), (b.0 * s, b.1 * s));
        let radius = 0.5 * (width * s).max(1.0);
        let length = (bx - ax).hypot(by - ay);
        let normal = match length > 0.0 {
            true => ((ay - by) / length * radius, (bx - ax) / length * radius),
            false => (0.0, 0.0),
        };
        let quad = [
            (ax + normal.0, ay + normal.1),
            (bx + normal.0, by + normal.1),
            (bx - normal.0, by - normal.1),
            (ax - normal.0, ay - normal.1),
        ];
        let style = rgba(color, 1.0);
        let (_, rows) = self.backend.get_size();
        let top = (ay.min(by) - radius).floor().max(0.0) as i32;
        let bottom = (ay.max(by) + radius).ceil().min(f64::from(rows)) as i32;
        for row in top..bottom {
            let y = f64::from(row) + 0.5;
            let mut span = (f64::INFINITY, f64::NEG_INFINITY);
            let mut cover = |from: f64, to: f64| span = (span.0.min(from), span.1.max(to));
            for (cx, cy) in [(ax, ay), (bx, by)] {
                let half = (radius * radius - (y - cy) * (y - cy)).sqrt();
                if half >= 0.0 {
                    cover(cx - half, cx + half);
                }
            }
            for i in 0..4 {
                let ((x0, y0), (x1, y1)) = (quad[i], quad[(i + 1) % 4]);
                if (y0 <= y) != (y1 <= y) {
                    let x = x0 + (y - y0) / (y1 - y0) * (x1 - x0);
                    cover(x, x);
                }
            }
            // Pixels whose centres lie inside.
            let (from, to) = ((span.0 - 0.5).ceil(), (span.1 - 0.5).floor());
            if from <= to {
                let ends = ((from as i32, row), (to as i32, row));
                let drawn = self.backend.draw_line(ends.0, ends.1, &style);
                drawn.map_err(io::Error::other_display)?;
            }
        }
        Ok(())
    }

    /// A marker of the given diameter.
    pub(super) fn marker(
        &mut self,
        (x, y): Point,
        marker: Marker,
        color: Color,
        size: f64,
    ) -> io::Result<()> {
        let r = 0.5 * size;
        let shape = |corners: &[Point]| -> Vec<Point> {
            corners.iter().map(|(u, v)| (x + r * u, y + r * v)).collect()
        };
        match marker {
            Marker::Circle => self.polygon(&circle((x, y), r), color, 1.0),
            Marker::Ring => {
                let outline = circle((x, y), r - 0.6);
                self.path(&outline, color, 1.4)
            }
            Marker::Square => {
                let corners = shape(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]);
                self.polygon(&corners, color, 1.0)
            }
            Marker::Triangle => {
                let corners = shape(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)]);
                self.polygon(&corners, color, 1.0)
            }
            Marker::Diamond => {
                let corners = shape(&[(0.0, -1.25), (1.05, 0.0), (0.0, 1.25), (-1.05, 0.0)]);
                self.polygon(&corners, color, 1.0)
            }
            Marker::Cross => {
                self.path(&shape(&[(-0.85, -0.85), (0.85, 0.85)]), color, 1.6)?;
                self.path(&shape(&[(-0.85, 0.85), (0.85, -0.85)]), color, 1.6)
            }
        }
    }

    fn text_style(&self, em: f64, color: Color) -> TextStyle<'static> {
        let size = em * self.scale * self.size_per_em;
        (FAMILY, size).into_font().color(&rgba(color, 1.0))
    }

    /// Width of a text in figure pixels.
    pub(super) fn text_width(&self, text: &str, em: f64) -> io::Result<f64> {
        let style = self.text_style(em, Color::Black);
        let size = self.backend.estimate_text_size(text, &style);
        Ok(f64::from(size.map_err(io::Error::other_display)?.0) / self.scale)
    }

    /// Text whose point is at its `across` position and vertical middle.
    pub(super) fn text(&mut self, text: &str, at: Point, em: f64, across: Align) -> io::Result<()> {
        self.draw_text(text, at, em, across, FontTransform::None)
    }

    /// Text that reads upwards, centred on its point.
    pub(super) fn text_up(&mut self, text: &str, at: Point, em: f64) -> io::Result<()> {
        self.draw_text(text, at, em, Align::Middle, FontTransform::Rotate270)
    }

    fn draw_text(
        &mut self,
        text: &str,
        at: Point,
        em: f64,
        across: Align,
        transform: FontTransform,
    ) -> io::Result<()> {
        let h = match across {
            Align::Start => HPos::Left,
            Align::Middle => HPos::Center,
            Align::End => HPos::Right,
        };
        let style =
            self.text_style(em, Color::Black).pos(Pos::new(h, VPos::Center)).transform(transform.clone());
        // plotters centres the em box; figures and capitals stand higher in it.
        let drop = self.drop * em;
        let at = match transform {
            FontTransform::None => self.device((at.0, at.1 + drop)),
            _ => self.device((at.0 + drop, at.1)),
        };
        self.backend.draw_text(text, &style, at).map_err(io::Error::other_display)
    }
}

/// `io::Error::other` for errors that are not `'static`.
trait OtherDisplay {
    fn other_display(error: impl std::fmt::Display) -> Self;
}

impl OtherDisplay for io::Error {
    fn other_display(error: impl std::fmt::Display) -> Self {
        Self::other(error.to_string())
    }
}

fn register_font() -> io::Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let register = || plotters::style::register_font(FAMILY, FontStyle::Normal, FONT).is_ok();
    match REGISTERED.get_or_init(register) {
        true => Ok(()),
        false => Err(io::Error::other("the embedded font could not be read")),
    }
}

fn rgba(color: Color, alpha: f64) -> RGBAColor {
    let (r, g, b) = color.rgb();
    RGBAColor(r, g, b, alpha)
}

fn circle((x, y): Point, radius: f64) -> Vec<Point> {
    let angle = |i: u32| f64::from(i) * std::f64::consts::TAU / 32.0;
    (0..=32).map(|i| (x + radius * angle(i).cos(), y + radius * angle(i).sin())).collect()
}

/// Cuts a polyline into the marks of a dash pattern.
fn dashes(points: &[Point], mark: f64, gap: f64) -> Vec<Vec<Point>> {
    let mut pieces = Vec::new();
    let mut piece: Vec<Point> = points.first().copied().into_iter().collect();
    let (mut drawing, mut left) = (true, mark);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        let mut length = (to.0 - from.0).hypot(to.1 - from.1);
        while length > left {
            let fraction = left / length;
            from = (from.0 + fraction * (to.0 - from.0), from.1 + fraction * (to.1 - from.1));
            length -= left;
            if drawing {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![from];
            }
            drawing = !drawing;
            left = if drawing { mark } else { gap };
        }
        left -= length;
        if drawing {
            piece.push(to);
        }
    }
    if piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_keep_their_rhythm_around_corners() {
        let pieces = dashes(&[(0.0, 0.0), (5.0, 0.0), (5.0, 10.0)], 4.0, 2.0);
        let want =
            [vec![(0.0, 0.0), (4.0, 0.0)], vec![(5.0, 1.0), (5.0, 5.0)], vec![(5.0, 7.0), (5.0, 10.0)]];
        assert_eq!(pieces, want);
    }
}
