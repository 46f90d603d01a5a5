//! [`Correlated`]: components mixed by a factor of their covariance.

use super::{Brownian, Levy};
use crate::error::{Error, Result};
use crate::num::{Kernel, Real, dispatch};

/// Motions with the covariance C = L Lᵀ per unit of time: `w` ← L · w and `area` ← L · area for each
/// path, from a source of r independent components and a factor L of m rows.
///
/// ```
/// use odeon::sde::noise::{Brownian, Correlated, FixedGrid};
///
/// let source = FixedGrid::new(1, [0.0, 1.0], 10, 2, 1)?;
/// let mut noise = Correlated::new(source, &[1.0, 0.9, 0.9, 1.0])?;
/// let mut w = [0.0; 2];
/// noise.increment(0.0, 0.1, &mut w, &mut [])?;
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Correlated<T, B> {
    source: B,
    rows: usize,
    /// L, `rows × components` of the source, column-major.
    factor: Vec<T>,
    /// The source's increments and areas.
    w: Vec<T>,
    area: Vec<T>,
}

impl<T: Real, B: Brownian<T>> Correlated<T, B> {
    /// The covariance matrix C, `m × m` column-major for a source of m components, symmetric positive
    /// semi-definite; its factor is computed in `f64` with pivoting, so that C may be singular.
    ///
    /// # Errors
    /// A wrong length, NaN or infinity; a matrix that is not symmetric to rounding; a negative pivot,
    /// with its row and value.
    pub fn new(source: B, covariance: &[T]) -> Result<Self> {
        let m = source.components();
        let needed = "components²";
        Error::check_len("the covariance of a Brownian motion", covariance.len(), m * m, needed)?;
        Error::check_finite("the covariance of a Brownian motion", covariance)?;
        let scale = (0..m).map(|i| covariance[i * m + i].f64().abs()).fold(0.0, f64::max);
        let rounding = 16.0 * m as f64 * T::EPSILON.f64() * scale;
        for j in 0..m {
            for i in 0..j {
                let [upper, lower] = [covariance[j * m + i].f64(), covariance[i * m + j].f64()];
                if (upper - lower).abs() > rounding {
                    let given = format!("{lower} at ({j}, {i}) and {upper} at ({i}, {j})");
                    let needed = "it must be symmetric: give (C + Cᵀ)/2 if that is what is meant";
                    return Err(Error::invalid("the covariance of a Brownian motion", given, needed));
                }
            }
        }
        let covariance = covariance.iter().map(|c| c.f64()).collect();
        let factor = factor(m, covariance, rounding)?;
        Self::with_factor(source, &factor.into_iter().map(T::of).collect::<Vec<_>>())
    }

    /// The factor L itself, `m × r` column-major for a source of r components; m is its length over r.
    ///
    /// # Errors
    /// A length that is not a positive multiple of r; NaN or infinity.
    pub fn with_factor(source: B, factor: &[T]) -> Result<Self> {
        let r = source.components();
        if factor.is_empty() || !factor.len().is_multiple_of(r) {
            let needed = format!("{r} columns, the components of its source, and at least one row");
            return Err(Error::Length { what: "the factor of a covariance", given: factor.len(), needed });
        }
        Error::check_finite("the factor of a covariance", factor)?;
        let numbers = r * source.paths();
        let areas = if source.levy() == Levy::None { 0 } else { numbers };
        let (w, area) = (vec![T::zero(); numbers], vec![T::zero(); areas]);
        Ok(Self { source, rows: factor.len() / r, factor: factor.to_vec(), w, area })
    }

    /// L, column-major.
    pub fn factor(&self) -> &[T] {
        &self.factor
    }
}

/// C = L Lᵀ by Cholesky's method with the largest pivot first (Golub & Van Loan, *Matrix Computations*,
/// 4th ed., §4.2.8); the rows of L are not exchanged, and columns beyond the rank are 0. What is left of
/// a semi-definite C is below `rounding`.
fn factor(m: usize, mut left: Vec<f64>, rounding: f64) -> Result<Vec<f64>> {
    let negative = |row: usize, pivot: f64| {
        let what = format!("the pivot of row {row} of the covariance of a Brownian motion");
        Error::invalid(what, pivot, "it must not be negative: the matrix is not positive semi-definite")
    };
    let mut l = vec![0.0; m * m];
    let mut rows: Vec<usize> = (0..m).collect();
    for column in l.chunks_exact_mut(m.max(1)) {
        let diagonal = |left: &[f64], i: usize| left[i * m + i];
        if let Some(&row) = rows.iter().find(|&&i| diagonal(&left, i) < -rounding) {
            return Err(negative(row, diagonal(&left, row)));
        }
        let largest = |&a: &usize, &b: &usize| diagonal(&left, rows[a]).total_cmp(&diagonal(&left, rows[b]));
        let Some(at) = (0..rows.len()).rev().max_by(largest) else { break };
        let pivot = rows[at];
        let value = diagonal(&left, pivot);
        if value <= rounding {
            break;
        }
        rows.remove(at);
        let root = value.sqrt();
        column[pivot] = root;
        for &i in &rows {
            column[i] = left[pivot * m + i] / root;
        }
        for &j in &rows {
            for &i in &rows {
                left[j * m + i] -= column[i] * column[j];
            }
        }
    }
    // Where all pivots have vanished, the rest of the matrix must have too: |c_ij|² ≤ c_ii c_jj.
    for &j in &rows {
        for &i in &rows {
            if left[j * m + i].abs() > rounding {
                // The eigenvalue of the two rows alone.
                return Err(negative(i.max(j), -left[j * m + i].abs()));
            }
        }
    }
    Ok(l)
}

/// `out` ← L · `x` for each path, in the order of L's columns.
struct Mix<'a, T> {
    rows: usize,
    factor: &'a [T],
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Real> Kernel for Mix<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let columns = self.factor.len() / self.rows;
        let paths = self.x.chunks_exact(columns).zip(self.out.chunks_exact_mut(self.rows));
        for (x, out) in paths {
            out.fill(T::zero());
            for (column, &x) in self.factor.chunks_exact(self.rows).zip(x) {
                for (out, &l) in out.iter_mut().zip(column) {
                    *out = l.mul_add(x, *out);
                }
            }
        }
    }
}

impl<T: Real, B: Brownian<T>> Brownian<T> for Correlated<T, B> {
    fn components(&self) -> usize {
        self.rows
    }
    fn paths(&self) -> usize {
        self.source.paths()
    }
    fn levy(&self) -> Levy {
        self.source.levy()
    }
    fn prepare(&mut self, span: [T; 2]) -> Result<()> {
        self.source.prepare(span)
    }
    fn snap(&self, t: T, h: T) -> T {
        self.source.snap(t, h)
    }
    fn increment(&mut self, from: T, to: T, w: &mut [T], area: &mut [T]) -> Result<()> {
        let numbers = self.rows * self.source.paths();
        Error::check_len("w", w.len(), numbers, "components × paths")?;
        // An area that is not wanted is not computed; one that the source lacks is its error.
        let wanted = !area.is_empty();
        if wanted && self.source.levy() == Levy::SpaceTime {
            Error::check_len("area", area.len(), numbers, "components × paths")?;
        }
        let Self { source, rows, factor, w: own, area: own_area } = self;
        let (rows, factor) = (*rows, &factor[..]);
        match (wanted, own_area.is_empty()) {
            (false, _) => source.increment(from, to, own, &mut [])?,
            (true, true) => source.increment(from, to, own, area)?,
            (true, false) => {
                source.increment(from, to, own, own_area)?;
                dispatch(Mix { rows, factor, x: own_area, out: area });
            }
        }
        dispatch(Mix { rows, factor, x: own, out: w });
        Ok(())
    }
    fn bytes(&self) -> usize {
        let own = self.factor.len() + self.w.len() + self.area.len();
        self.source.bytes() + own * size_of::<T>()
    }
}
