//! What one pair of axes shows.

use super::heat::HeatMap;
use super::style::{Color, Dash, Marker, Style};
use crate::{Error, Result};

/// One axis: label with unit, linear or logarithmic, automatic or fixed range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// Label, with the unit in brackets.
    pub label: String,
    /// Logarithmic instead of linear.
    pub log: bool,
    /// Shown range; the data's with a margin without.
    pub range: Option<(f64, f64)>,
    /// Names that replace the ticks, at 0, 1, 2, …
    pub names: Vec<String>,
}

/// One thing drawn, bottom to top.
#[derive(Clone, Debug)]
pub(super) enum Series {
    /// Area between `low` and `high`.
    Band {
        x: Vec<f64>,
        low: Vec<f64>,
        high: Vec<f64>,
        look: Look,
    },
    /// Coloured cells, with a colour bar.
    Heat(HeatMap),
    /// Horizontal bars from the left edge to `length`, bar `i` at `y = i`.
    Bars {
        length: Vec<f64>,
        look: Look,
    },
    Line {
        x: Vec<f64>,
        y: Vec<f64>,
        look: Look,
    },
    Points {
        x: Vec<f64>,
        y: Vec<f64>,
        look: Look,
    },
    /// A line across the panel at `x` (vertical) or `y`.
    Rule {
        at: f64,
        vertical: bool,
        look: Look,
    },
    Text {
        x: f64,
        y: f64,
        text: String,
    },
}

/// A [`Style`] with its defaults filled in.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) label: Option<String>,
    pub(super) color: Color,
    pub(super) dash: Dash,
    pub(super) marker: Marker,
    pub(super) size: f64,
}

/// One pair of axes with what they show.
///
/// Series get the colours of [`Color::CYCLE`] in turn unless their [`Style`] names one. The legend
/// goes into the corner where it covers least, or above the axes when every corner covers data.
#[derive(Clone, Debug)]
pub struct Panel {
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
    colors_used: usize,
}

impl Panel {
    /// An empty panel; the title may be empty.
    pub fn new(title: impl Into<String>) -> Self {
        let (x, y) = (Axis::default(), Axis::default());
        Self { title: title.into(), x, y, series: Vec::new(), colors_used: 0 }
    }

    /// Labels the horizontal axis.
    pub fn x_label(&mut self, label: impl Into<String>) -> &mut Self {
        self.x.label = label.into();
        self
    }

    /// Labels the vertical axis.
    pub fn y_label(&mut self, label: impl Into<String>) -> &mut Self {
        self.y.label = label.into();
        self
    }

    /// Makes the horizontal axis logarithmic.
    pub fn log_x(&mut self) -> &mut Self {
        self.x.log = true;
        self
    }

    /// Makes the vertical axis logarithmic.
    pub fn log_y(&mut self) -> &mut Self {
        self.y.log = true;
        self
    }

    /// The horizontal axis (its range, names).
    pub fn x_axis(&mut self) -> &mut Axis {
        &mut self.x
    }

    /// The vertical axis (its range, names).
    pub fn y_axis(&mut self) -> &mut Axis {
        &mut self.y
    }

    /// A line through (xᵢ, yᵢ), broken at non-finite values.
    ///
    /// # Errors
    /// Unequal lengths, no points, or not one point with both coordinates finite.
    pub fn line(&mut self, x: &[f64], y: &[f64], style: impl Into<Style>) -> Result<&mut Self> {
        check_series(x, &[y])?;
        let look = self.look(style.into(), 1.8);
        self.series.push(Series::Line { x: x.to_vec(), y: y.to_vec(), look });
        Ok(self)
    }

    /// Points at (xᵢ, yᵢ).
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn points(&mut self, x: &[f64], y: &[f64], style: impl Into<Style>) -> Result<&mut Self> {
        check_series(x, &[y])?;
        let look = self.look(style.into(), 6.5);
        self.series.push(Series::Points { x: x.to_vec(), y: y.to_vec(), look });
        Ok(self)
    }

    /// The area between lowᵢ and highᵢ, lightly filled, broken at non-finite values.
    ///
    /// # Errors
    /// As [`line`](Self::line).
    pub fn band(
        &mut self,
        x: &[f64],
        low: &[f64],
        high: &[f64],
        style: impl Into<Style>,
    ) -> Result<&mut Self> {
        check_series(x, &[low, high])?;
        let look = self.look(style.into(), 1.8);
        let (x, low, high) = (x.to_vec(), low.to_vec(), high.to_vec());
        self.series.push(Series::Band { x, low, high, look });
        Ok(self)
    }

    /// Coloured cells, with a colour bar beside the axes. The axes end where the map does unless they
    /// have ranges of their own, and linear axes take equal lengths for equal numbers.
    ///
    /// # Errors
    /// A second map: one bar cannot tell the values of two.
    pub fn heat_map(&mut self, map: HeatMap) -> Result<&mut Self> {
        if self.heat().is_some() {
            return Err(Error::invalid(
                "the heat maps of a panel",
                2,
                "one is possible: use a panel for each",
            ));
        }
        self.x.range = self.x.range.or(Some(map.x));
        self.y.range = self.y.range.or(Some(map.y));
        self.series.push(Series::Heat(map));
        Ok(self)
    }

    /// The panel's heat map.
    pub(super) fn heat(&self) -> Option<&HeatMap> {
        self.series.iter().find_map(|s| if let Series::Heat(map) = s { Some(map) } else { None })
    }

    /// Horizontal bars from 0 (or the left edge of a logarithmic axis), one per entry of
    /// [`Axis::names`] of the vertical axis, which this sets; the first on top.
    ///
    /// # Errors
    /// Unequal lengths, none, or not one finite length.
    pub fn bars(&mut self, names: &[String], length: &[f64], style: impl Into<Style>) -> Result<&mut Self> {
        let places: Vec<f64> = (0..names.len()).map(|i| i as f64).collect();
        check_series(&places, &[length])?;
        let look = self.look(style.into(), 0.62);
        self.y.names = names.to_vec();
        self.series.push(Series::Bars { length: length.to_vec(), look });
        Ok(self)
    }

    /// A vertical line across the panel.
    ///
    /// # Errors
    /// `x` not finite.
    pub fn rule_x(&mut self, x: f64, style: impl Into<Style>) -> Result<&mut Self> {
        self.rule(x, true, style.into())
    }

    /// A horizontal line across the panel.
    ///
    /// # Errors
    /// `y` not finite.
    pub fn rule_y(&mut self, y: f64, style: impl Into<Style>) -> Result<&mut Self> {
        self.rule(y, false, style.into())
    }

    fn rule(&mut self, at: f64, vertical: bool, style: Style) -> Result<&mut Self> {
        Error::check_finite("rule", &[at])?;
        // Reference lines are grey unless asked, and take no colour from the cycle.
        let style = Style { color: Some(style.color.unwrap_or(Color::Grey)), ..style };
        let look = self.look(style, 1.2);
        self.series.push(Series::Rule { at, vertical, look });
        Ok(self)
    }

    /// A note whose middle left stands at (x, y).
    ///
    /// # Errors
    /// A coordinate that is not finite.
    pub fn text(&mut self, x: f64, y: f64, text: impl Into<String>) -> Result<&mut Self> {
        Error::check_finite("text position", &[x, y])?;
        self.series.push(Series::Text { x, y, text: text.into() });
        Ok(self)
    }

    fn look(&mut self, style: Style, size: f64) -> Look {
        let color = style.color.unwrap_or_else(|| {
            self.colors_used += 1;
            Color::CYCLE[(self.colors_used - 1) % Color::CYCLE.len()]
        });
        // Past one round of the palette, the pattern tells series of one colour apart.
        let round = (self.colors_used.max(1) - 1) / Color::CYCLE.len();
        let dash = match (style.dash, round) {
            (Dash::Solid, 1) => Dash::Dashed,
            (Dash::Solid, 2) => Dash::Dotted,
            (dash, _) => dash,
        };
        let Style { label, marker, size: asked, .. } = style;
        let label = label.filter(|l| !l.is_empty());
        Look { label, color, dash, marker, size: asked.unwrap_or(size) }
    }

    /// Smallest and largest finite coordinate (positive, on a logarithmic axis) of each axis.
    ///
    /// # Errors
    /// Nothing to show.
    pub(super) fn extent(&self) -> Result<[(f64, f64); 2]> {
        let mut extent = [(f64::INFINITY, f64::NEG_INFINITY); 2];
        let logs = [self.x.log, self.y.log];
        let mut cover = |axis: usize, value: f64| {
            if value.is_finite() && (!logs[axis] || value > 0.0) {
                let (low, high) = extent[axis];
                extent[axis] = (low.min(value), high.max(value));
            }
        };
        for series in &self.series {
            match series {
                Series::Line { x, y, .. } | Series::Points { x, y, .. } => {
                    let shown = |v: f64, log: bool| v.is_finite() && (!log || v > 0.0);
                    for (&x, &y) in x.iter().zip(y) {
                        if shown(x, logs[0]) && shown(y, logs[1]) {
                            cover(0, x);
                            cover(1, y);
                        }
                    }
                }
                Series::Band { x, low, high, .. } => {
                    x.iter().for_each(|&x| cover(0, x));
                    low.iter().chain(high).for_each(|&y| cover(1, y));
                }
                Series::Bars { length, .. } => {
                    cover(0, 0.0);
                    length.iter().for_each(|&x| cover(0, x));
                    cover(1, -0.45);
                    cover(1, length.len() as f64 - 0.55);
                }
                Series::Heat(map) => {
                    [map.x.0, map.x.1].iter().for_each(|&x| cover(0, x));
                    [map.y.0, map.y.1].iter().for_each(|&y| cover(1, y));
                }
                Series::Rule { at, vertical, .. } => cover(usize::from(!vertical), *at),
                Series::Text { x, y, .. } => {
                    cover(0, *x);
                    cover(1, *y);
                }
            }
        }
        for (axis, name, (low, high)) in [(&self.x, "x", extent[0]), (&self.y, "y", extent[1])] {
            self.check_range(axis, name)?;
            if low > high && axis.range.is_none() {
                let needed = if self.x.log || self.y.log {
                    "it needs a finite value, positive where the axis is logarithmic"
                } else {
                    "it needs at least one series with a finite value, or a range"
                };
                let what = format!("the {name} axis of panel '{}'", self.title);
                return Err(Error::invalid(what, "without data", needed));
            }
        }
        Ok(extent)
    }

    fn check_range(&self, axis: &Axis, name: &str) -> Result<()> {
        let Some((low, high)) = axis.range else {
            return Ok(());
        };
        if low.is_finite() && high.is_finite() && low < high && (!axis.log || low > 0.0) {
            return Ok(());
        }
        let what = format!("the range of the {name} axis of panel '{}'", self.title);
        let needed = "it must be finite and increasing, and positive on a logarithmic axis";
        Err(Error::invalid(what, format!("({low}, {high})"), needed))
    }
}

fn check_series(x: &[f64], others: &[&[f64]]) -> Result<()> {
    if x.is_empty() {
        return Err(Error::invalid("a plotted series", "empty", "it needs at least one point"));
    }
    for y in others {
        Error::check_len("y", y.len(), x.len(), "as many as x")?;
    }
    let shown = |i: usize| x[i].is_finite() && others.iter().all(|y| y[i].is_finite());
    if (0..x.len()).any(shown) {
        return Ok(());
    }
    let given = format!("{} points, all with a NaN or infinity", x.len());
    Err(Error::invalid("a plotted series", given, "at least one point must be finite"))
}
