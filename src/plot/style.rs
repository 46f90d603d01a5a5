//! Colours, markers and line styles.

/// The colour-blind-safe palette of M. Okabe and K. Ito, "Color Universal Design" (2008), and two
/// greys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Color {
    /// #0072B2
    Blue,
    /// #D55E00
    Vermillion,
    /// #009E73
    Green,
    /// #E69F00
    Orange,
    /// #CC79A7
    Purple,
    /// #56B4E9
    Sky,
    /// #000000
    Black,
    /// #F0E442; too light for lines on white, fit for areas.
    Yellow,
    /// #6E6E6E
    Grey,
    /// #C8C8C8
    LightGrey,
}

impl Color {
    /// The colours that series take in turn, most distinct first.
    pub const CYCLE: [Self; 7] =
        [Self::Blue, Self::Vermillion, Self::Green, Self::Orange, Self::Purple, Self::Sky, Self::Black];

    /// Red, green, blue.
    pub fn rgb(self) -> (u8, u8, u8) {
        match self {
            Self::Blue => (0x00, 0x72, 0xB2),
            Self::Vermillion => (0xD5, 0x5E, 0x00),
            Self::Green => (0x00, 0x9E, 0x73),
            Self::Orange => (0xE6, 0x9F, 0x00),
            Self::Purple => (0xCC, 0x79, 0xA7),
            Self::Sky => (0x56, 0xB4, 0xE9),
            Self::Black => (0x00, 0x00, 0x00),
            Self::Yellow => (0xF0, 0xE4, 0x42),
            Self::Grey => (0x6E, 0x6E, 0x6E),
            Self::LightGrey => (0xC8, 0xC8, 0xC8),
        }
    }
}

/// What stands at a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Marker {
    /// Filled circle.
    #[default]
    Circle,
    /// Open circle.
    Ring,
    /// Filled square.
    Square,
    /// Filled triangle.
    Triangle,
    /// Filled diamond.
    Diamond,
    /// ×
    Cross,
}

impl Marker {
    /// The markers that series take in turn.
    pub const CYCLE: [Self; 5] = [Self::Circle, Self::Square, Self::Triangle, Self::Diamond, Self::Ring];
}

/// The pattern of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dash {
    /// Unbroken.
    #[default]
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
}

impl Dash {
    /// Lengths of mark and gap in pixels; `None` when unbroken.
    pub(super) fn pattern(self) -> Option<(f64, f64)> {
        match self {
            Self::Solid => None,
            Self::Dashed => Some((7.0, 4.5)),
            Self::Dotted => Some((1.2, 3.6)),
        }
    }
}

/// How a series is drawn; text converts into a style with that legend label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Style {
    /// Legend entry; none without.
    pub label: Option<String>,
    /// Colour; the next of [`Color::CYCLE`] without.
    pub color: Option<Color>,
    /// Pattern of a line.
    pub dash: Dash,
    /// Shape of points.
    pub marker: Marker,
    /// Line width or point diameter in pixels; 1.8 and 6.5 without.
    pub size: Option<f64>,
}

impl Style {
    /// A style with a legend label.
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..Self::default() }
    }

    /// The same in this colour.
    pub fn color(mut self, color: Color) -> Self {
        self.color = Some(color);
        self
    }

    /// The same with this pattern.
    pub fn dash(mut self, dash: Dash) -> Self {
        self.dash = dash;
        self
    }

    /// The same with this marker.
    pub fn marker(mut self, marker: Marker) -> Self {
        self.marker = marker;
        self
    }

    /// The same with this line width or point diameter in pixels (kept within 0.5–40).
    pub fn size(mut self, pixels: f64) -> Self {
        self.size = Some(if pixels.is_finite() { pixels.clamp(0.5, 40.0) } else { 1.8 });
        self
    }
}

impl From<&str> for Style {
    fn from(label: &str) -> Self {
        Self::new(label)
    }
}

impl From<String> for Style {
    fn from(label: String) -> Self {
        Self::new(label)
    }
}
