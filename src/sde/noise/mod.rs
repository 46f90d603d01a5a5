//! Brownian motion as a pure function: the increment W(b) − W(a), and with it the space–time Lévy area
//!
//! H_{a,b} = 1/(b − a) ∫_a^b (W(t) − W(a) − (t − a)/(b − a) · (W(b) − W(a))) dt,
//!
//! depend on (seed, path, component, interval) only: not on the order of the queries, on the number of
//! threads or on steps that were rejected. W_{a,b} ~ N(0, b − a) and H_{a,b} ~ N(0, (b − a)/12) are
//! independent of each other (Foster, Lyons & Oberhauser, SIAM J. Numer. Anal. 58, 2020, section 2).
//! From H one has ∫_a^b (W(t) − W(a)) dt = (b − a)(½ W_{a,b} + H_{a,b}).
//!
//! Three sources: [`VirtualTree`] (constant memory), [`IntervalTree`] (the same motion, cached for the
//! sweeps of a solver) and [`FixedGrid`] (cells of fixed steps, the fastest); [`Correlated`] mixes the
//! components of any of them.
//!
//! A number's address is (seed, use and id, path, component): the seed is the key of
//! [`philox`](crate::num::random::philox()), and of its counter the use of the number (a tree's or a
//! grid's, with areas or without) takes the highest byte, the id of the node or cell the other seven,
//! path and component a word each. So no two uses share a number, and path i is the same in any batch.
//!
//! Against time (b < a) the motion is the same one: W_{a,b} = −W_{b,a} and H_{a,b} = H_{b,a}.

mod bridge;
mod correlated;
mod descent;
mod dyadic;
mod fixed_grid;
mod interval_tree;
mod streams;
mod virtual_tree;

pub use correlated::Correlated;
pub use fixed_grid::FixedGrid;
pub use interval_tree::IntervalTree;
pub use virtual_tree::VirtualTree;

use crate::error::{Error, Result};
use crate::num::Real;

/// What a source knows of the motion inside an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Levy {
    /// Increments only.
    #[default]
    None,
    /// Increments and the space–time Lévy area H.
    SpaceTime,
}

/// Brownian motions for a batch of paths: [`components`](Self::components) independent ones (or
/// correlated by a covariance factor) for each of [`paths`](Self::paths) paths.
pub trait Brownian<T: Real>: Send {
    /// Components of a path, m.
    fn components(&self) -> usize;

    /// Paths, the columns of the batch.
    fn paths(&self) -> usize;

    /// What the source knows.
    fn levy(&self) -> Levy;

    /// Checks that the source covers `span`; called once before a solve.
    ///
    /// # Errors
    /// A span outside the interval that the source was made for.
    fn prepare(&mut self, span: [T; 2]) -> Result<()>;

    /// The size of a step from `t` that is no longer than |h|, nearly as long, and ends where the
    /// source is cheap to ask. Adaptive steps are cut to it; clipped and fixed ones are not.
    #[inline]
    fn snap(&self, t: T, h: T) -> T {
        let _ = t;
        h
    }

    /// `w` ← W(b) − W(a), `components × paths` column-major; `area` ← H_{a,b} of the same shape where
    /// it is not empty.
    ///
    /// # Errors
    /// An interval that the source cannot resolve: outside its span, off a fixed grid, shorter than the
    /// resolution; an area asked of a source without.
    fn increment(&mut self, from: T, to: T, w: &mut [T], area: &mut [T]) -> Result<()>;

    /// [`increment`](Self::increment) of many intervals in any order: `w` ← W(b) − W(a) of each, one
    /// interval after the other, `components × paths × intervals`, and `area` likewise where it is not
    /// empty. The bits are those of the intervals asked one by one; a source may share work between them.
    ///
    /// ```
    /// use odeon::sde::noise::{Brownian, VirtualTree};
    ///
    /// let mut noise = VirtualTree::new(7, [0.0, 1.0], 1, 1, 1e-4)?;
    /// let (mut w, mut alone) = ([0.0_f64; 3], [0.0]);
    /// noise.increments(&[[0.0, 0.3], [0.6, 0.5], [0.0, 1.0]], &mut w, &mut [])?;
    /// noise.increment(0.6, 0.5, &mut alone, &mut [])?;
    /// assert_eq!(w[1], alone[0]);
    /// # Ok::<(), odeon::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for one interval, and lengths that do not fit; then `w` and `area` may be filled in part.
    fn increments(&mut self, intervals: &[[T; 2]], w: &mut [T], area: &mut [T]) -> Result<()> {
        let numbers = self.components() * self.paths();
        check_many(intervals.len(), numbers, w, area)?;
        let mut areas = area.chunks_exact_mut(numbers);
        for (&[from, to], w) in intervals.iter().zip(w.chunks_exact_mut(numbers)) {
            self.increment(from, to, w, areas.next().unwrap_or_default())?;
        }
        Ok(())
    }

    /// Bytes held, for memory budgets.
    fn bytes(&self) -> usize {
        0
    }
}

/// Checks the lengths of what many queries are to write.
fn check_many<T>(intervals: usize, numbers: usize, w: &[T], area: &[T]) -> Result<()> {
    let needed = "components × paths × intervals";
    Error::check_len("w", w.len(), intervals * numbers, needed)?;
    if area.is_empty() { Ok(()) } else { Error::check_len("area", area.len(), intervals * numbers, needed) }
}

impl<T: Real, B: Brownian<T> + ?Sized> Brownian<T> for Box<B> {
    fn components(&self) -> usize {
        (**self).components()
    }
    fn paths(&self) -> usize {
        (**self).paths()
    }
    fn levy(&self) -> Levy {
        (**self).levy()
    }
    fn prepare(&mut self, span: [T; 2]) -> Result<()> {
        (**self).prepare(span)
    }
    fn snap(&self, t: T, h: T) -> T {
        (**self).snap(t, h)
    }
    fn increment(&mut self, from: T, to: T, w: &mut [T], area: &mut [T]) -> Result<()> {
        (**self).increment(from, to, w, area)
    }
    fn increments(&mut self, intervals: &[[T; 2]], w: &mut [T], area: &mut [T]) -> Result<()> {
        (**self).increments(intervals, w, area)
    }
    fn bytes(&self) -> usize {
        (**self).bytes()
    }
}
