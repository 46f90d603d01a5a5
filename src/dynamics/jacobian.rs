//! [`Jacobian`]: ∂f/∂y of one column, dense or with a fixed sparsity pattern, refilled without
//! allocation; [`JacobianProduct`]: the same matrix-free.

use super::{Dynamics, Mass, Point, Tangent};
use crate::error::Result;
use crate::linalg::{Coloring, Csr, LinearOperator, Pattern};
use crate::num::Real;
use std::cell::RefCell;

/// From so many rows on a pattern with at most a fifth of the entries is kept sparse.
const SPARSE_FROM: usize = 24;

/// Memory for J = ∂f/∂y of one column (`dim × dim`), and for ∂f/∂t where asked for.
///
/// [`Dynamics::jacobian`] fills it: by one Jacobian–vector product a column, or a colour of columns
/// ([`Coloring`]) when sparse, unless the dynamics knows better.
///
/// ```
/// use odeon::dynamics::{Dynamics, Point, gallery::Lorenz, generic::Generic, jacobian::Jacobian};
///
/// let f = Generic(Lorenz);
/// let (mut j, mut scratch) = (Jacobian::of::<_>(&f)?, Dynamics::<f64>::scratch(&f, 1));
/// f.jacobian(Point { t: 0.0, y: &[1.0, 2.0, 3.0], theta: &[10.0, 28.0, 2.5] }, &mut j, &mut scratch);
/// assert_eq!(j.values(), [-10.0, 25.0, 2.0, 10.0, -1.0, 1.0, 0.0, -1.0, -2.5]); // column-major
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Jacobian<T> {
    dim: usize,
    form: Form<T>,
    time: Option<Vec<T>>,
    seed: Vec<T>,
    product: Vec<T>,
}

#[derive(Clone, Debug)]
enum Form<T> {
    /// Column-major.
    Dense(Vec<T>),
    Sparse(Box<Sparse<T>>),
}

#[derive(Clone, Debug)]
struct Sparse<T> {
    pattern: Pattern,
    matrix: Csr<T>,
    coloring: Coloring,
    /// (number, row) of the entries of colour c: `starts[c]..starts[c + 1]`.
    entries: Vec<[u32; 2]>,
    starts: Vec<usize>,
    /// Number of each diagonal entry.
    diagonal: Vec<u32>,
}

impl<T: Real> Jacobian<T> {
    /// Memory that suits `dynamics`: sparse where its [`sparsity`](Dynamics::sparsity) is known and
    /// pays, dense otherwise. The pattern contains that of its mass matrix, if it has one.
    ///
    /// # Errors
    /// A pattern or a mass matrix of the wrong size.
    pub fn of<D: Dynamics<T> + ?Sized>(dynamics: &D) -> Result<Self> {
        let n = dynamics.dim();
        match dynamics.sparsity() {
            Some(p) if n >= SPARSE_FROM && p.nnz() * 5 <= n * n => match dynamics.mass() {
                Some(mass) => Self::sparse(&p.union(&mass.pattern())?),
                None => Self::sparse(&p),
            },
            _ => Ok(Self::dense(n)),
        }
    }

    /// Dense, column-major.
    pub fn dense(dim: usize) -> Self {
        Self::with(dim, Form::Dense(vec![T::zero(); dim * dim]))
    }

    /// Sparse, with the diagonal added to `pattern`.
    ///
    /// # Errors
    /// A pattern that is not square.
    pub fn sparse(pattern: &Pattern) -> Result<Self> {
        let n = pattern.rows();
        let pattern = Pattern::diagonal(n).union(pattern)?;
        let coloring = Coloring::columns(&pattern);
        let color = |k: usize| coloring.colors()[pattern.columns()[k] as usize] as usize;
        let mut starts = vec![0; coloring.count() + 1];
        (0..pattern.nnz()).for_each(|k| starts[color(k) + 1] += 1);
        (0..coloring.count()).for_each(|c| starts[c + 1] += starts[c]);
        let (mut next, mut entries) = (starts.clone(), vec![[0; 2]; pattern.nnz()]);
        for i in 0..n {
            for k in pattern.row_starts()[i]..pattern.row_starts()[i + 1] {
                entries[next[color(k)]] = [k as u32, i as u32];
                next[color(k)] += 1;
            }
        }
        let diagonal = (0..n).filter_map(|i| pattern.find(i, i)).map(|k| k as u32).collect();
        let matrix = pattern.zeros();
        let sparse = Sparse { pattern, matrix, coloring, entries, starts, diagonal };
        Ok(Self::with(n, Form::Sparse(Box::new(sparse))))
    }

    fn with(dim: usize, form: Form<T>) -> Self {
        let zeros = vec![T::zero(); dim];
        Self { dim, form, time: None, seed: zeros.clone(), product: zeros }
    }

    /// Also computes ∂f/∂t.
    pub fn and_time(self) -> Self {
        Self { time: Some(vec![T::zero(); self.dim]), ..self }
    }

    /// Rows and columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The entries: column-major when dense, in the order of [`pattern`](Self::pattern) when sparse.
    #[inline(always)]
    pub fn values(&self) -> &[T] {
        match &self.form {
            Form::Dense(values) => values,
            Form::Sparse(s) => s.matrix.values(),
        }
    }

    /// [`values`](Self::values), for dynamics that fill them by hand.
    #[inline(always)]
    pub fn values_mut(&mut self) -> &mut [T] {
        match &mut self.form {
            Form::Dense(values) => values,
            Form::Sparse(s) => s.matrix.values_mut(),
        }
    }

    /// The pattern when sparse.
    pub fn pattern(&self) -> Option<&Pattern> {
        match &self.form {
            Form::Dense(_) => None,
            Form::Sparse(s) => Some(&s.pattern),
        }
    }

    /// The matrix when sparse.
    pub fn matrix(&self) -> Option<&Csr<T>> {
        match &self.form {
            Form::Dense(_) => None,
            Form::Sparse(s) => Some(&s.matrix),
        }
    }

    /// Colour of each column when sparse.
    pub fn coloring(&self) -> Option<&Coloring> {
        match &self.form {
            Form::Dense(_) => None,
            Form::Sparse(s) => Some(&s.coloring),
        }
    }

    /// ∂f/∂t where it was asked for by [`and_time`](Self::and_time).
    pub fn time(&self) -> Option<&[T]> {
        self.time.as_deref()
    }

    /// Memory of ∂f/∂t, for dynamics that fill it by hand.
    pub fn time_mut(&mut self) -> Option<&mut [T]> {
        self.time.as_deref_mut()
    }

    /// `w` ← α M + β J, in the layout of [`values`](Self::values); M = I when `mass` is `None`. The
    /// pattern must contain that of M ([`of`](Self::of) sees to it).
    #[inline(always)]
    pub fn shifted(&self, alpha: T, mass: Option<&Mass<T>>, beta: T, w: &mut [T]) {
        for (w, &j) in w.iter_mut().zip(self.values()) {
            *w = beta * j;
        }
        let n = self.dim;
        match (mass, &self.form) {
            (None, Form::Dense(_)) => (0..n).for_each(|i| w[i * (n + 1)] += alpha),
            (None, Form::Sparse(s)) => s.diagonal.iter().for_each(|&k| w[k as usize] += alpha),
            (Some(mass), _) => self.add_mass(alpha, mass, w),
        }
    }

    fn add_mass(&self, alpha: T, mass: &Mass<T>, w: &mut [T]) {
        let n = self.dim;
        let place = |i: usize, j: usize| match &self.form {
            Form::Dense(_) => Some(j * n + i),
            Form::Sparse(s) if i == j => s.diagonal.get(i).map(|&k| k as usize),
            Form::Sparse(s) => s.pattern.find(i, j),
        };
        let mut add = |i: usize, j: usize, m: T| {
            if let Some(k) = place(i, j) {
                w[k] = alpha.mul_add(m, w[k]);
            }
        };
        match mass {
            Mass::Diagonal(d) => d.iter().enumerate().for_each(|(i, &m)| add(i, i, m)),
            Mass::Sparse(m) => {
                for i in 0..n {
                    let (columns, values) = m.row(i);
                    columns.iter().zip(values).for_each(|(&j, &m)| add(i, j as usize, m));
                }
            }
        }
    }

    /// Fills it by [`Dynamics::jvp`]: a product for each column or colour, and one for t.
    pub fn by_products<D: Dynamics<T> + ?Sized>(
        &mut self,
        dynamics: &D,
        at: Point<'_, T>,
        scratch: &mut D::Scratch,
    ) {
        let Self { form, time, seed, product, .. } = self;
        let mut along = |seed: &[T], t, out: &mut [T]| {
            dynamics.jvp(at, Tangent { t, y: seed, theta: &[] }, out, scratch);
        };
        match form {
            Form::Dense(values) => {
                seed.fill(T::zero());
                for (j, column) in values.chunks_exact_mut(seed.len().max(1)).enumerate() {
                    seed[j] = T::one();
                    along(seed, T::zero(), column);
                    seed[j] = T::zero();
                }
            }
            Form::Sparse(s) => {
                for c in 0..s.coloring.count() {
                    for (seed, &color) in seed.iter_mut().zip(s.coloring.colors()) {
                        *seed = if color as usize == c { T::one() } else { T::zero() };
                    }
                    along(seed, T::zero(), product);
                    s.scatter(c, |i| product[i]);
                }
            }
        }
        if let Some(time) = time {
            seed.fill(T::zero());
            along(seed, T::one(), time);
        }
    }

    /// The column-major entries and ∂f/∂t when dense.
    #[inline(always)]
    pub(super) fn dense_mut(&mut self) -> Option<(&mut [T], Option<&mut [T]>)> {
        match &mut self.form {
            Form::Dense(values) => Some((values, self.time.as_deref_mut())),
            Form::Sparse(_) => None,
        }
    }

    /// The entries and ∂f/∂t.
    #[inline(always)]
    pub(super) fn parts_mut(&mut self) -> (&mut [T], Option<&mut [T]>) {
        let values = match &mut self.form {
            Form::Dense(values) => &mut values[..],
            Form::Sparse(s) => s.matrix.values_mut(),
        };
        (values, self.time.as_deref_mut())
    }

    /// Number of directions that a pass over all of them takes: columns or colours, and t.
    #[inline(always)]
    pub(super) fn directions(&self) -> usize {
        let columns = match &self.form {
            Form::Dense(_) => self.dim,
            Form::Sparse(s) => s.coloring.count(),
        };
        columns + usize::from(self.time.is_some())
    }

    /// Direction of column j.
    #[inline(always)]
    pub(super) fn direction(&self, j: usize) -> usize {
        match &self.form {
            Form::Dense(_) => j,
            Form::Sparse(s) => s.coloring.colors()[j] as usize,
        }
    }

    /// Takes the derivatives along the directions `first..first + width`: `dot(i, k)` is that of row i
    /// along direction `first + k`.
    #[inline(always)]
    pub(super) fn take(&mut self, first: usize, width: usize, dot: impl Fn(usize, usize) -> T) {
        let n = self.dim;
        let columns = self.directions() - usize::from(self.time.is_some());
        for k in 0..width.min(columns.saturating_sub(first)) {
            match &mut self.form {
                Form::Dense(values) => {
                    for (i, v) in values[(first + k) * n..(first + k + 1) * n].iter_mut().enumerate() {
                        *v = dot(i, k);
                    }
                }
                Form::Sparse(s) => s.scatter(first + k, |i| dot(i, k)),
            }
        }
        if let Some(time) = &mut self.time
            && (first..first + width).contains(&columns)
        {
            time.iter_mut().enumerate().for_each(|(i, v)| *v = dot(i, columns - first));
        }
    }
}

impl<T: Real> Sparse<T> {
    /// Writes the entries of colour c; `product(i)` is row i of the product with its columns' sum.
    #[inline(always)]
    fn scatter(&mut self, c: usize, product: impl Fn(usize) -> T) {
        let values = self.matrix.values_mut();
        for &[k, i] in &self.entries[self.starts[c]..self.starts[c + 1]] {
            values[k as usize] = product(i as usize);
        }
    }
}

/// J = ∂f/∂y at a point as an operator: v ↦ J v by [`Dynamics::jvp`], its transpose by
/// [`Dynamics::vjp`]. A state of several columns gives the block diagonal of theirs.
#[derive(Debug)]
pub struct JacobianProduct<'a, T: Real, D: Dynamics<T>> {
    dynamics: &'a D,
    at: Point<'a, T>,
    memory: RefCell<(D::Scratch, Vec<T>)>,
}

impl<'a, T: Real, D: Dynamics<T>> JacobianProduct<'a, T, D> {
    /// ∂f/∂y at `at`.
    ///
    /// # Errors
    /// What [`check_shapes`](super::check_shapes) finds.
    pub fn new(dynamics: &'a D, at: Point<'a, T>) -> Result<Self> {
        let batch = super::check_shapes(dynamics, at.y, at.theta)?;
        let theta_bar = vec![T::zero(); dynamics.num_params()];
        Ok(Self { dynamics, at, memory: RefCell::new((dynamics.scratch(batch), theta_bar)) })
    }
}

impl<T: Real, D: Dynamics<T>> LinearOperator<T> for JacobianProduct<'_, T, D> {
    fn rows(&self) -> usize {
        self.at.y.len()
    }
    fn cols(&self) -> usize {
        self.at.y.len()
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        let (scratch, _) = &mut *self.memory.borrow_mut();
        self.dynamics.jvp(self.at, Tangent { t: T::zero(), y: x, theta: &[] }, y, scratch);
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        let (scratch, theta_bar) = &mut *self.memory.borrow_mut();
        x.fill(T::zero());
        self.dynamics.vjp(self.at, y, x, theta_bar, scratch);
    }
}
