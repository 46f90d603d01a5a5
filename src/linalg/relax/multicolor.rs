//! [`Multicolor`]: Gauss–Seidel in parallel.

use super::{Sweep, setup};
use crate::error::Result;
use crate::linalg::{Csr, Relaxation};
use crate::num::{Kernel, Real, dispatch, parallel};

/// Rows of one piece of parallel work; a colour with fewer rows stays on the caller's thread.
const ROWS: usize = 1 << 12;

/// Gauss–Seidel, SOR and SSOR colour by colour: rows of one colour are not coupled, so they are updated
/// in parallel, and the result is the same, bit for bit, for any number of threads. Colours are given
/// greedily in the order of the rows: two (red and black) for 5- and 7-point grids, 2^d for 9 and 27
/// points. It converges about as fast as the natural order (equally so for SOR on consistently ordered
/// matrices; as SSOR preconditioner it is worse).
#[derive(Clone, Debug, PartialEq)]
pub struct Multicolor<T> {
    omega: T,
    order: Sweep,
    colours: Colours,
    /// 1/aᵢᵢ.
    inverse: Vec<T>,
    /// New values of one colour.
    buffer: Vec<T>,
    symmetric: bool,
}

/// Rows by colour.
#[derive(Clone, Debug, PartialEq)]
struct Colours {
    /// Of each row.
    of: Vec<u32>,
    /// The rows of colour c are `rows[starts[c]..starts[c + 1]]`, in order.
    rows: Vec<u32>,
    starts: Vec<usize>,
}

impl Colours {
    /// Greedily: each row takes the smallest colour that no neighbour in A + Aᵀ has.
    fn greedy<T: Real>(a: &Csr<T>) -> Self {
        const NONE: u32 = u32::MAX;
        let n = a.rows();
        let transpose = a.transpose();
        let mut of = vec![NONE; n];
        // The last row that saw this colour at a neighbour.
        let mut seen: Vec<usize> = Vec::new();
        for i in 0..n {
            for &j in a.row(i).0.iter().chain(transpose.row(i).0) {
                let colour = of[j as usize];
                if colour != NONE {
                    seen[colour as usize] = i;
                }
            }
            let free = seen.iter().position(|&row| row != i).unwrap_or(seen.len());
            if free == seen.len() {
                seen.push(usize::MAX);
            }
            of[i] = free as u32;
        }
        let mut starts = vec![0; seen.len() + 1];
        of.iter().for_each(|&c| starts[c as usize + 1] += 1);
        for c in 0..seen.len() {
            starts[c + 1] += starts[c];
        }
        let (mut next, mut rows) = (starts.clone(), vec![0; n]);
        for (i, &c) in of.iter().enumerate() {
            rows[next[c as usize]] = i as u32;
            next[c as usize] += 1;
        }
        Self { of, rows, starts }
    }

    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    fn rows(&self, colour: usize) -> &[u32] {
        &self.rows[self.starts[colour]..self.starts[colour + 1]]
    }
}

impl<T: Real> Multicolor<T> {
    /// With over-relaxation ω (1: Gauss–Seidel); the order is that of the colours.
    ///
    /// # Errors
    /// A matrix that is not square, is empty, or has a zero on the diagonal (the row is named); ω
    /// outside (0, 2).
    pub fn new(a: &Csr<T>, omega: f64, order: Sweep) -> Result<Self> {
        setup::check_omega(omega)?;
        let (_, d) = setup::diagonal_places(a)?;
        let symmetric =
            order == Sweep::Symmetric && d.iter().all(|&d| d > T::zero()) && setup::is_symmetric(a);
        let colours = Colours::greedy(a);
        let largest = (0..colours.count()).map(|c| colours.rows(c).len()).max().unwrap_or(0);
        let inverse = d.iter().map(|&d| T::one() / d).collect();
        let buffer = vec![T::zero(); largest];
        Ok(Self { omega: T::of(omega), order, colours, inverse, buffer, symmetric })
    }

    /// The colour of each row.
    pub fn colours(&self) -> &[u32] {
        &self.colours.of
    }

    fn colour(&mut self, colour: usize, a: &Csr<T>, b: &[T], x: &mut [T]) {
        let rows = self.colours.rows(colour);
        let update = Update { a, b, inverse: &self.inverse, omega: self.omega };
        if rows.len() <= ROWS || parallel::threads() == 1 {
            return dispatch(InPlace { update, rows, x });
        }
        let buffer = &mut self.buffer[..rows.len()];
        let old = &*x;
        parallel::parts(buffer, ROWS, |first, new| {
            dispatch(Aside { update, rows: &rows[first..first + new.len()], x: old, new });
        });
        for (&i, &new) in rows.iter().zip(&*buffer) {
            x[i as usize] = new;
        }
    }

    fn sweep_in(&mut self, order: Sweep, a: &Csr<T>, b: &[T], x: &mut [T]) {
        if order != Sweep::Reverse {
            (0..self.colours.count()).for_each(|c| self.colour(c, a, b, x));
        }
        if order != Sweep::Natural {
            (0..self.colours.count()).rev().for_each(|c| self.colour(c, a, b, x));
        }
    }

    /// `x` ← (D/ω + Lᵀ)⁻¹ `x` with the entries L to earlier colours, or with Uᵀ.
    fn scatter(&self, lower: bool, a: &Csr<T>, x: &mut [T]) {
        let n = x.len();
        for step in 0..n {
            let i = self.colours.rows[if lower { n - 1 - step } else { step }] as usize;
            let xi = self.omega * self.inverse[i] * x[i];
            x[i] = xi;
            let (columns, values) = a.row(i);
            for (&j, &v) in columns.iter().zip(values) {
                let (mine, other) = (self.colours.of[i], self.colours.of[j as usize]);
                if (lower && other < mine) || (!lower && other > mine) {
                    x[j as usize] = (-v).mul_add(xi, x[j as usize]);
                }
            }
        }
    }
}

impl<T: Real> Relaxation<T, Csr<T>> for Multicolor<T> {
    fn sweep(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        self.sweep_in(self.order, a, b, x);
    }

    fn sweep_adjoint(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        self.sweep_in(self.order.adjoint(), a, b, x);
    }

    fn transpose_from_zero(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) -> Result<()> {
        x.copy_from_slice(b);
        match self.order {
            Sweep::Natural => self.scatter(true, a, x),
            Sweep::Reverse => self.scatter(false, a, x),
            Sweep::Symmetric => {
                self.scatter(false, a, x);
                let factor = (T::of(2.0) - self.omega) / self.omega;
                x.iter_mut().zip(&self.inverse).for_each(|(x, &inverse)| *x *= factor / inverse);
                self.scatter(true, a, x);
            }
        }
        Ok(())
    }

    fn is_spd(&self) -> bool {
        self.symmetric
    }

    /// As for [`GaussSeidel`](super::GaussSeidel), in another order.
    fn sweeps_are_spd(&self, sweeps: usize) -> bool {
        self.symmetric && sweeps > 0
    }
}

struct Update<'a, T> {
    a: &'a Csr<T>,
    b: &'a [T],
    inverse: &'a [T],
    omega: T,
}

impl<T> Clone for Update<'_, T>
where
    T: Copy,
{
    fn clone(&self) -> Self {
        *self
    }
}
impl<T: Copy> Copy for Update<'_, T> {}

impl<T: Real> Update<'_, T> {
    /// xᵢ + ω (b − A x)ᵢ/aᵢᵢ.
    #[inline(always)]
    fn at(&self, i: usize, x: &[T]) -> T {
        let (columns, values) = self.a.row(i);
        let mut sum = self.b[i];
        for (&j, &v) in columns.iter().zip(values) {
            sum = (-v).mul_add(x[j as usize], sum);
        }
        (self.omega * self.inverse[i]).mul_add(sum, x[i])
    }
}

struct InPlace<'a, T> {
    update: Update<'a, T>,
    rows: &'a [u32],
    x: &'a mut [T],
}

impl<T: Real> Kernel for InPlace<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for &i in self.rows {
            self.x[i as usize] = self.update.at(i as usize, self.x);
        }
    }
}

struct Aside<'a, T> {
    update: Update<'a, T>,
    rows: &'a [u32],
    x: &'a [T],
    new: &'a mut [T],
}

impl<T: Real> Kernel for Aside<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (new, &i) in self.new.iter_mut().zip(self.rows) {
            *new = self.update.at(i as usize, self.x);
        }
    }
}
