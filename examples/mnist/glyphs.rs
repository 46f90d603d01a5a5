//! Ten generated classes: each a few strokes, shifted, turned, and covered with noise.

use crate::Split;
use crate::digits::{Digits, PIXELS};
use odeon::Result;
use odeon::dataset::Samples;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const CLASSES: usize = 10;
/// Strokes of a class.
const STROKES: usize = 4;
/// Standard deviations: of the shift in pixels, of the turn in radians, of the noise of a pixel.
const SHIFT: f64 = 2.0;
const TURN: f64 = 0.25;
const NOISE: f64 = 0.25;

/// Ends of a stroke, about the centre of the image.
type Stroke = [(f64, f64); 2];

/// Training and test images of the same classes.
pub fn generate(train: usize, test: usize, seed: u64) -> Result<Split> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut end = || (16.0 * random.random::<f64>() - 8.0, 16.0 * random.random::<f64>() - 8.0);
    let classes: Vec<[Stroke; STROKES]> =
        (0..CLASSES).map(|_| std::array::from_fn(|_| [end(), end()])).collect();
    let mut draw = |count: usize| -> Result<Digits> {
        let labels: Vec<usize> = (0..count).map(|i| i % CLASSES).collect();
        let mut pixels = Vec::with_capacity(PIXELS * count);
        for &label in &labels {
            image(&classes[label], &mut random, &mut pixels);
        }
        Ok(Digits { images: Samples::new(&[28, 28], pixels)?, labels, classes: CLASSES })
    };
    Ok((draw(train)?, draw(test)?))
}

/// Appends one image.
fn image(strokes: &[Stroke], random: &mut ChaCha8Rng, pixels: &mut Vec<f32>) {
    let mut normal = |deviation: f64| -> f64 {
        let x: f64 = StandardNormal.sample(random);
        deviation * x
    };
    let (dx, dy, turn) = (normal(SHIFT), normal(SHIFT), normal(TURN));
    let (sin, cos) = turn.sin_cos();
    let place = |(x, y): (f64, f64)| (cos * x - sin * y + dx, sin * x + cos * y + dy);
    let placed: Vec<Stroke> = strokes.iter().map(|s| s.map(place)).collect();
    for i in 0..PIXELS {
        let at = ((i % 28) as f64 - 13.5, (i / 28) as f64 - 13.5);
        let nearest = placed.iter().map(|s| distance(at, s)).fold(f64::INFINITY, f64::min);
        let ink = (1.8 - nearest).clamp(0.0, 1.0);
        pixels.push((ink + normal(NOISE)).clamp(0.0, 1.0) as f32);
    }
}

/// Distance of a point from a stroke.
fn distance((x, y): (f64, f64), &[(ax, ay), (bx, by)]: &Stroke) -> f64 {
    let (ux, uy) = (bx - ax, by - ay);
    let along = ((x - ax) * ux + (y - ay) * uy) / (ux * ux + uy * uy);
    let s = along.clamp(0.0, 1.0);
    (x - ax - s * ux).hypot(y - ay - s * uy)
}
