//! Labelled images, and MNIST's files.

use crate::Split;
use odeon::dataset::{Samples, read_idx};
use odeon::{Error, Result};
use std::path::{Path, PathBuf};

/// Pixels of an image.
pub const PIXELS: usize = 784;

/// Images of 28×28 pixels in 0…1 with their classes.
pub struct Digits {
    /// `784 × count`.
    pub images: Samples<f32>,
    /// Class of each image.
    pub labels: Vec<usize>,
    /// How many classes there are.
    pub classes: usize,
}

impl Digits {
    /// How many images.
    pub fn count(&self) -> usize {
        self.labels.len()
    }
}

/// MNIST from its four files.
///
/// # Errors
/// A directory without one of the files; files that do not fit together.
pub fn read(directory: &Path) -> Result<Split> {
    let half = |name: &str| -> Result<Digits> {
        let images = find(directory, &format!("{name}-images-idx3-ubyte"))?;
        let labels = find(directory, &format!("{name}-labels-idx1-ubyte"))?;
        join(&images, &labels)
    };
    Ok((half("train")?, half("t10k")?))
}

/// The file called `name`, or the same with `.gz` or (as some archives have it) with a dot.
fn find(directory: &Path, name: &str) -> Result<PathBuf> {
    let dotted = name.replace("-idx", ".idx");
    let names = [name.to_string(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")];
    let paths = names.map(|n| directory.join(n));
    paths.into_iter().find(|p| p.is_file()).ok_or_else(|| {
        let needed =
            format!("it must be a directory that holds {name} or {name}.gz (--help names all four files)");
        Error::invalid("--data", directory.display(), needed)
    })
}

fn join(images: &Path, labels: &Path) -> Result<Digits> {
    const CLASSES: usize = 10;
    let (mut pixels, classes) = (read_idx::<f32>(images)?, read_idx::<f32>(labels)?);
    if pixels.shape() != [28, 28] {
        let reason = format!("images of shape {:?}, 28×28 is needed", pixels.shape());
        return Err(Error::malformed(images, None, reason));
    }
    if classes.dim() != 1 || classes.count() != pixels.count() {
        let reason = format!(
            "{} labels of {} numbers for the {} images of {}",
            classes.count(),
            classes.dim(),
            pixels.count(),
            images.display()
        );
        return Err(Error::malformed(labels, None, reason));
    }
    let label = |&l: &f32| (l.fract() == 0.0 && (0.0..CLASSES as f32).contains(&l)).then_some(l as usize);
    let found: Option<Vec<usize>> = classes.data().iter().map(label).collect();
    let found = found.ok_or_else(|| Error::malformed(labels, None, "a label outside 0…9"))?;
    pixels.scale(1.0 / 255.0)?;
    Ok(Digits { images: pixels, labels: found, classes: CLASSES })
}
