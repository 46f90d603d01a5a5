//! Pictures: a [`Figure`] of [`Panel`]s saved as PNG or SVG, and ready-made panels in [`panels`].
//!
//! Pictures see slices of numbers, never solvers. Text is drawn with an embedded subset of DejaVu
//! Sans (`src/plot/fonts`), so no system fonts are needed. PNGs are drawn at three times their size
//! and averaged down, because the bitmap back-end does not anti-alias; SVGs keep a tenth of a pixel.
//! Non-finite values (and values ≤ 0 on a logarithmic axis) leave gaps.
//!
//! ```
//! # fn main() -> odeon::Result<()> {
//! use odeon::plot::{Figure, Panel};
//! let t: Vec<f64> = (0..100).map(|i| i as f64 / 10.0).collect();
//! let y: Vec<f64> = t.iter().map(|t| (-0.3 * t).exp() * t.cos()).collect();
//! let mut panel = Panel::new("Damped oscillation");
//! panel.x_label("t (s)").y_label("y (m)").line(&t, &y, "model")?;
//! let svg = Figure::new(800, 600)?.with(panel).to_svg()?;
//! assert!(svg.contains("Damped oscillation"));
//! # Ok(()) }
//! ```

mod axis;
mod canvas;
mod figure;
mod heat;
mod layout;
mod legend;
mod panel;
pub mod panels;
mod png;
mod style;

pub use figure::Figure;
pub use heat::{HeatMap, viridis};
pub use panel::{Axis, Panel};
pub use style::{Color, Dash, Marker, Style};
