//! [`Triangles`]: I + L + Lᵀ however it is stored, and the passes of an iteration over it.

use super::bands::{Bands, five_point};
use super::pattern::{Entries, refuse};
use super::rows::Rows;
use crate::error::Result;
use crate::linalg::Csr;
use crate::linalg::grid::StencilOperator;
use crate::num::Real;

/// D^−½ A D^−½ = I + L + Lᵀ.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Triangles<T> {
    form: Form<T>,
    /// Of a matrix; none for a stencil.
    entries: Option<Entries>,
}

#[derive(Clone, Debug, PartialEq)]
enum Form<T> {
    Bands(Bands<T>),
    Rows(Rows<T>),
}

/// The vectors of an iteration, in the order of the sweeps: r̃, p̃, x̃, t, w.
#[derive(Clone, Debug)]
pub(super) struct Vectors<T> {
    pub(super) r: Vec<T>,
    pub(super) p: Vec<T>,
    pub(super) x: Vec<T>,
    pub(super) t: Vec<T>,
    pub(super) w: Vec<T>,
}

impl<T: Real> Vectors<T> {
    pub(super) fn new(places: usize) -> Self {
        let zeros = || vec![T::zero(); places];
        Self { r: zeros(), p: zeros(), x: zeros(), t: zeros(), w: zeros() }
    }
}

macro_rules! each {
    ($triangles:expr, $form:ident => $call:expr) => {
        match &$triangles.form {
            Form::Bands($form) => $call,
            Form::Rows($form) => $call,
        }
    };
}

impl<T: Real> Triangles<T> {
    /// # Errors
    /// A matrix that is not symmetric with a positive diagonal.
    pub(super) fn of_matrix(a: &Csr<T>) -> Result<Self> {
        let entries = Entries::new(a)?;
        entries.check(a.values())?;
        let form = match Bands::of(&entries) {
            Some(bands) => Form::Bands(bands),
            None => Form::Rows(Rows::of(&entries)),
        };
        let mut triangles = Self { form, entries: None };
        triangles.fill(&entries, a.values());
        triangles.entries = Some(entries);
        Ok(triangles)
    }

    /// # Errors
    /// As [`of_matrix`](Self::of_matrix).
    pub(super) fn of_stencil(a: &StencilOperator<T>) -> Result<Self> {
        let Some((extents, stencil)) = five_point(a) else { return Self::of_matrix(&a.to_csr()) };
        check_centre(stencil)?;
        Ok(Self { form: Form::Bands(Bands::five_points(extents, stencil)), entries: None })
    }

    /// Takes the values of another matrix; false where its pattern is another one.
    ///
    /// # Errors
    /// As [`of_matrix`](Self::of_matrix); nothing has changed then.
    pub(super) fn refill(&mut self, a: &Csr<T>) -> Result<bool> {
        let Some(entries) = self.entries.take_if(|entries| entries.is_of(a)) else { return Ok(false) };
        let checked = entries.check(a.values());
        if checked.is_ok() {
            self.fill(&entries, a.values());
        }
        self.entries = Some(entries);
        checked.map(|()| true)
    }

    /// Takes another stencil; false where it is on other points, or not one that is kept as such.
    ///
    /// # Errors
    /// As [`of_matrix`](Self::of_matrix); nothing has changed then.
    pub(super) fn refill_stencil(&mut self, a: &StencilOperator<T>) -> Result<bool> {
        let (Form::Bands(bands), None) = (&mut self.form, &self.entries) else { return Ok(false) };
        match five_point(a) {
            Some((extents, stencil)) if bands.extents() == Some(extents) => {
                check_centre(stencil)?;
                bands.set_stencil(stencil);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn fill(&mut self, entries: &Entries, values: &[T]) {
        match &mut self.form {
            Form::Bands(bands) => bands.refill(entries, values),
            Form::Rows(rows) => rows.refill(entries, values),
        }
    }

    /// The length of the vectors.
    pub(super) fn places(&self) -> usize {
        each!(self, form => form.places())
    }

    /// `to` ← D^−½ `from`, in the order of the sweeps.
    pub(super) fn enter(&self, from: &[T], to: &mut [T]) {
        each!(self, form => form.enter(from, to));
    }

    /// ACCUMULATES: `to` += D^−½ `from`, in the order of the unknowns.
    pub(super) fn leave(&self, from: &[T], to: &mut [T]) {
        each!(self, form => form.leave(from, to));
    }

    /// x̃ += α p̃, p̃ ← r̃ + β p̃, t ← (I/ω + Lᵀ)⁻¹ p̃.
    pub(super) fn advance(&self, omega: f64, steps: [f64; 2], v: &mut Vectors<T>) {
        each!(self, form => form.advance(omega, steps, &v.r, [&mut v.p, &mut v.x, &mut v.t]));
    }

    /// `t` ← (I/ω + Lᵀ)⁻¹ `p`.
    pub(super) fn solve_upper(&self, omega: f64, p: &mut [T], t: &mut [T]) {
        each!(self, form => form.solve_upper(omega, p, t));
    }

    /// `w` ← (I/ω + L)⁻¹ (`p` + (1 − 2/ω) `t`); returns p·(t + w).
    pub(super) fn forward(&self, omega: f64, p: &[T], t: &[T], w: &mut [T]) -> f64 {
        each!(self, form => form.forward(omega, p, t, w))
    }

    /// r̃ ← r̃ − α (t + w); returns ‖r̃‖² and ‖D^½ (I/ω + L) r̃‖², the square of the residual of A.
    pub(super) fn update(&self, omega: f64, alpha: f64, v: &mut Vectors<T>) -> [f64; 2] {
        each!(self, form => form.update(omega, alpha, [&v.t, &v.w], &mut v.r))
    }
}

fn check_centre<T: Real>([centre, ..]: [T; 3]) -> Result<()> {
    if centre > T::zero() && centre.is_finite() {
        return Ok(());
    }
    Err(refuse(format!("with {centre} on the diagonal")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::grid::{Boundary, Grid};
    use crate::linalg::model;

    /// Grids in the plane are swept by levels, the rest by rows; the constant 5-point stencil without a matrix.
    #[test]
    fn what_is_banded_is_found_so() -> Result<()> {
        let is_banded = |t: &Triangles<f64>| matches!(t.form, Form::Bands(_));
        let plane = Grid::vertices(&[20, 15], &[1.0; 2])?;
        let five = model::poisson(plane)?;
        let stencil = Triangles::of_stencil(&five)?;
        assert!(is_banded(&stencil) && stencil.entries.is_none());
        assert!(is_banded(&Triangles::of_matrix(&five.to_csr())?));
        let nine = Triangles::of_stencil(&model::poisson_9(plane)?)?;
        assert!(is_banded(&nine) && nine.entries.is_some());
        let cells = Grid::cells(&[20, 15], &[1.0; 2])?.with_sides(0, [Boundary::Neumann; 2])?;
        let neumann = Triangles::of_stencil(&model::poisson(cells)?)?;
        assert!(is_banded(&neumann) && neumann.entries.is_some());
        assert!(!is_banded(&Triangles::of_matrix(&model::poisson_1d(50)?)?));
        Ok(())
    }
}
