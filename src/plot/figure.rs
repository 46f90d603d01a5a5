//! The page: size, grid of panels, files.

use super::canvas::{Canvas, OVERSAMPLING, SVG_UNITS};
use super::{Panel, layout, png};
use crate::{Error, Result, files};
use std::path::Path;

/// A page of panels, saved as PNG or SVG.
#[derive(Clone, Debug)]
pub struct Figure {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) columns: usize,
    pub(super) title: String,
    pub(super) panels: Vec<Panel>,
}

impl Figure {
    /// An empty page of `width × height` pixels (SVG: CSS pixels).
    ///
    /// # Errors
    /// A side below 120 or above 8000 pixels.
    pub fn new(width: u32, height: u32) -> Result<Self> {
        for (what, side) in [("figure width", width), ("figure height", height)] {
            if !(120..=8000).contains(&side) {
                return Err(Error::invalid(what, side, "it must be 120 to 8000 pixels"));
            }
        }
        Ok(Self { width, height, columns: 1, title: String::new(), panels: Vec::new() })
    }

    /// The same with a title above all panels.
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The same, higher by so many pixels: room for another row.
    pub(super) fn taller(mut self, by: u32) -> Self {
        self.height = self.height.saturating_add(by).min(8000);
        self
    }

    /// The same with panels in rows of `columns` (at least 1).
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns.max(1);
        self
    }

    /// The same with one more panel, filled row by row.
    pub fn with(mut self, panel: Panel) -> Self {
        self.panels.push(panel);
        self
    }

    /// Writes the page atomically; the extension `.png` or `.svg` says how.
    ///
    /// # Errors
    /// Another extension, no panels, a panel without data or too small for its labels, or an
    /// unwritable path.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        let bytes = match extension.as_deref() {
            Some("png") => self.to_png()?,
            Some("svg") => self.to_svg()?.into_bytes(),
            _ => {
                let needed = "its name must end in .png or .svg";
                return Err(Error::invalid("the picture's file", path.display(), needed));
            }
        };
        files::write_atomic(path, |w| w.write_all(&bytes))
    }

    /// The page as an SVG document.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn to_svg(&self) -> Result<String> {
        let plan = layout::prepare(self)?;
        let mut svg = String::new();
        let mut draw = || {
            let mut canvas = Canvas::svg(&mut svg, self.width, self.height)?;
            layout::draw(&plan, &mut canvas)?;
            canvas.finish()
        };
        draw().map_err(|e| Error::io("SVG picture", e))?;
        // The drawing is in tenths of a pixel: keep the view box, shrink the page.
        let units = |side: u32| side * SVG_UNITS;
        let large = format!("width=\"{}\" height=\"{}\"", units(self.width), units(self.height));
        let page = format!(
            "width=\"{}\" height=\"{}\" stroke-linejoin=\"round\" stroke-linecap=\"round\"",
            self.width, self.height
        );
        Ok(svg.replacen(&large, &page, 1))
    }

    /// The page as a PNG file.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let plan = layout::prepare(self)?;
        let size = (self.width as usize, self.height as usize);
        let mut large = vec![255; size.0 * size.1 * OVERSAMPLING * OVERSAMPLING * 3];
        let mut draw = || {
            let mut canvas = Canvas::bitmap(&mut large, self.width, self.height)?;
            layout::draw(&plan, &mut canvas)?;
            canvas.finish()
        };
        draw()
            .and_then(|()| png::encode(&png::shrink(&large, size, OVERSAMPLING), size))
            .map_err(|e| Error::io("PNG picture", e))
    }
}
