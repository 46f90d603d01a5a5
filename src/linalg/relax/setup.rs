//! What the set-ups of several methods check and compute.

use crate::error::{Error, Result};
use crate::linalg::{Csr, LinearOperator};
use crate::num::Real;

/// ω in (0, 2), outside of which neither damped Jacobi nor SOR converges for any SPD matrix (Kahan).
pub(crate) fn check_omega(omega: f64) -> Result<()> {
    if omega > 0.0 && omega < 2.0 {
        return Ok(());
    }
    Err(Error::invalid("ω", omega, "it must lie strictly between 0 and 2"))
}

/// 0 < λmin ≤ λmax < ∞.
pub(crate) fn check_bounds([min, max]: [f64; 2]) -> Result<()> {
    if min > 0.0 && min <= max && max.is_finite() {
        return Ok(());
    }
    let given = format!("[{min}, {max}]");
    Err(Error::invalid("the bounds of the spectrum", given, "0 < λmin ≤ λmax < ∞ must hold"))
}

/// n of a square operator that is not empty.
pub(crate) fn square<T: Real, A: LinearOperator<T> + ?Sized>(a: &A) -> Result<usize> {
    if a.rows() == a.cols() && a.rows() > 0 {
        return Ok(a.rows());
    }
    let given = format!("{} × {}", a.rows(), a.cols());
    Err(Error::invalid("the operator", given, "it must be square and not empty"))
}

/// The diagonal of a square operator, every entry finite and not 0.
pub(crate) fn diagonal<T: Real, A: LinearOperator<T> + ?Sized>(a: &A) -> Result<Vec<T>> {
    let n = square(a)?;
    let needed = "this method needs one: implement LinearOperator::diagonal";
    let d = a.diagonal().ok_or_else(|| Error::invalid("the operator's diagonal", "unknown", needed))?;
    Error::check_len("the operator's diagonal", d.len(), n, "rows")?;
    check_diagonal(&d)?;
    Ok(d)
}

/// Refuses entries that cannot be divided by.
pub(crate) fn check_diagonal<T: Real>(d: &[T]) -> Result<()> {
    match d.iter().position(|v| !(v.is_finite() && (T::one() / *v).is_finite())) {
        None => Ok(()),
        Some(i) => {
            let needed = "the method divides by it: it must be finite and not 0 (reorder the rows, or \
                          use a Krylov or a direct method)";
            Err(Error::invalid(format!("the diagonal entry of row {i}"), d[i], needed))
        }
    }
}

/// Where the diagonal entry stands in each row of a square matrix, counted from the row's start, and
/// the diagonal itself (checked by [`check_diagonal`]).
pub(crate) fn diagonal_places<T: Real>(a: &Csr<T>) -> Result<(Vec<u32>, Vec<T>)> {
    let n = a.square()?;
    let (mut places, mut d) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for i in 0..n {
        let (columns, values) = a.row(i);
        let place = columns.partition_point(|&j| (j as usize) < i);
        let stored = columns.get(place) == Some(&(i as u32));
        places.push(place as u32);
        d.push(if stored { values[place] } else { T::zero() });
    }
    check_diagonal(&d)?;
    Ok((places, d))
}

/// Whether A = Aᵀ, pattern and values, up to rounding in the assembly. One pass, no transpose:
/// while rows i are taken in order, the entries (j, i) below the diagonal of row j are met in order.
pub(crate) fn is_symmetric<T: Real>(a: &Csr<T>) -> bool {
    let n = a.rows();
    if a.cols() != n {
        return false;
    }
    let starts = a.row_starts();
    let mut next = starts[..n].to_vec();
    for i in 0..n {
        let below = next[i] - starts[i];
        let (columns, values) = a.row(i);
        let place = columns.partition_point(|&j| (j as usize) < i);
        if place != below {
            return false;
        }
        let on_diagonal = usize::from(columns.get(place) == Some(&(i as u32)));
        for (&j, &upper) in columns.iter().zip(values).skip(place + on_diagonal) {
            let k = &mut next[j as usize];
            if *k == starts[j as usize + 1] || a.columns()[*k] != i as u32 {
                return false;
            }
            let lower = a.values()[*k];
            let size = upper.abs() + lower.abs() + a.values()[starts[i] + place.min(values.len() - 1)].abs();
            if (upper - lower).abs() > T::of(64.0) * T::EPSILON * size {
                return false;
            }
            *k += 1;
        }
    }
    true
}
