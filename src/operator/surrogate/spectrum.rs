//! The spectrum of a field on the torus.

use crate::error::{Error, Result};
use crate::num::Real;
use crate::operator::fourier::Fourier;
use rustfft::num_complex::Complex64;

/// E_k = Σ |û_κ|² over the wavenumbers κ with k − ½ ≤ |κ| < k + ½, k = 0, 1, …, n/2, n the largest extent of a periodic
/// field of one or two axes: what a surrogate loses at small scales. What is beyond n/2 in a corner of the square is left
/// out; all else is the mean square of the field (Parseval).
///
/// # Errors
/// Another number of axes, a length other than that of a field, a NaN or infinity.
pub fn shell_spectrum<T: Real>(extents: &[usize], u: &[T]) -> Result<Vec<f64>> {
    let [n, m] = match *extents {
        [n] => [n, 1],
        [n, m] => [n, m],
        _ => {
            let given = format!("{extents:?}");
            return Err(Error::invalid("the extents of the field", given, "one or two are needed"));
        }
    };
    if n * m == 0 {
        return Err(Error::invalid("the extents of the field", format!("{extents:?}"), "none may be 0"));
    }
    Error::check_len("u", u.len(), n * m, "one for each point")?;
    Error::check_finite("u", u)?;
    let mut fourier = Fourier::new([n, m]);
    let mut state: Vec<Complex64> = u.iter().map(|u| Complex64::new(u.f64(), 0.0)).collect();
    fourier.forward(&mut state);
    let mut shells = vec![0.0; n.max(m) / 2 + 1];
    for (i, u) in state.iter().enumerate() {
        let [k, l] = fourier.wave(i);
        if let Some(shell) = shells.get_mut(k.hypot(l).round() as usize) {
            *shell += u.norm_sqr();
        }
    }
    Ok(shells)
}
