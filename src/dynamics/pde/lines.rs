//! [`MethodOfLines`]: a [`Medium`] on a grid, as [`Dynamics`].

use super::{Around, MAX_SPECIES, Medium};
use crate::dynamics::dual::Dual;
use crate::dynamics::duals::Duals;
use crate::dynamics::generic::VectorField;
use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::sparsity::detect;
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::{Error, Result};
use crate::linalg::Pattern;
use crate::num::{Kernel, Real, Scalar, dispatch};

/// What lies beyond the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Edge {
    /// The other side: the first point follows the last.
    Periodic,
    /// A fixed value (Dirichlet); the grid holds the interior points only.
    Fixed(f64),
    /// No flux (homogeneous Neumann); the first and last points lie on the edge and mirror.
    Insulated,
}

/// Points a point sees: itself and one before and behind along each axis.
const POINTS: usize = 5;

/// Inputs of a point.
const INPUTS: usize = POINTS * MAX_SPECIES;

/// Directions of one pass over the inputs.
const WIDTH: usize = 16;

/// Stands for a value that is fixed.
const FIXED: u32 = u32::MAX;

/// A medium on a uniform grid of one or two dimensions: unknown s of point (i, j) is
/// y[S (i n_y + j) + s]. θ are the medium's parameters.
///
/// ```
/// use odeon::dynamics::pde::{Edge, Heat, MethodOfLines};
/// use odeon::dynamics::{Dynamics, Point};
///
/// // u'' of sin on 64 points of a circle.
/// let f = MethodOfLines::new(Heat, &[64], &[std::f64::consts::TAU], Edge::Periodic)?;
/// let y: Vec<f64> = f.sample(|[x, _], _| x.sin());
/// let (mut dy, mut scratch) = (vec![0.0; 64], f.scratch(1));
/// f.eval(Point { t: 0.0, y: &y, theta: &[1.0] }, &mut dy, &mut scratch);
/// assert!((dy[16] + 1.0).abs() < 1e-3);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MethodOfLines<M> {
    medium: M,
    extents: [usize; 2],
    spacing: [f64; 2],
    inverse_spacing: [f64; 2],
    origin: [f64; 2],
    edge: Edge,
    /// The points that each point sees.
    neighbours: Vec<[u32; POINTS]>,
    pattern: Pattern,
    /// Inputs (point of the stencil, species) that each species depends on.
    inputs: Vec<Vec<u32>>,
    /// Entry of the pattern for each point, species and input; [`FIXED`] for none.
    slots: Vec<u32>,
}

impl<M: Medium> MethodOfLines<M> {
    /// `medium` on `extents` points (one or two numbers) of a domain with the given `lengths`: the
    /// spacing is L/n for periodic, L/(n + 1) for fixed and L/(n − 1) for insulated edges.
    ///
    /// # Errors
    /// As [`with_spacing`](Self::with_spacing).
    pub fn new(medium: M, extents: &[usize], lengths: &[f64], edge: Edge) -> Result<Self> {
        let cells = |n: usize| match edge {
            Edge::Periodic => n,
            Edge::Fixed(_) => n + 1,
            Edge::Insulated => n.saturating_sub(1),
        };
        let spacing: Vec<f64> = lengths.iter().zip(extents).map(|(l, &n)| l / cells(n) as f64).collect();
        let from = |h: &f64| if matches!(edge, Edge::Fixed(_)) { *h } else { 0.0 };
        let origin: Vec<f64> = spacing.iter().map(from).collect();
        Self::with_spacing(medium, extents, &spacing, &origin, edge)
    }

    /// `medium` on points `origin + i·spacing`.
    ///
    /// # Errors
    /// Not one or two dimensions, fewer than three points along one, a spacing that is not positive, an
    /// origin or edge value that is not finite, too many species or points.
    pub fn with_spacing(
        medium: M,
        extents: &[usize],
        spacing: &[f64],
        origin: &[f64],
        edge: Edge,
    ) -> Result<Self> {
        check(M::SPECIES, extents, spacing, origin, edge)?;
        let pad = |x: &[f64], fill| [x[0], x.get(1).copied().unwrap_or(fill)];
        let extents = [extents[0], extents.get(1).copied().unwrap_or(1)];
        let inverse: Vec<f64> = spacing.iter().map(|h| 1.0 / h).collect();
        let neighbours = (0..extents[0] * extents[1]).map(|k| around(extents, k, edge)).collect();
        let mut grid = Self {
            medium,
            extents,
            spacing: pad(spacing, 1.0),
            inverse_spacing: pad(&inverse, 0.0),
            origin: pad(origin, 0.0),
            edge,
            neighbours,
            pattern: Pattern::diagonal(0),
            inputs: Vec::new(),
            slots: Vec::new(),
        };
        grid.find_pattern()?;
        Ok(grid)
    }

    /// The medium.
    pub fn medium(&self) -> &M {
        &self.medium
    }

    /// Points along x and y (1 in one dimension).
    pub fn extents(&self) -> [usize; 2] {
        self.extents
    }

    /// Distance of the points along x and y (1 where there is no y).
    pub fn spacing(&self) -> [f64; 2] {
        self.spacing
    }

    /// What lies beyond the grid.
    pub fn edge(&self) -> Edge {
        self.edge
    }

    /// Coordinates of point k = i n_y + j.
    #[inline(always)]
    pub fn position(&self, k: usize) -> [f64; 2] {
        let at = [k / self.extents[1], k % self.extents[1]];
        std::array::from_fn(|d| self.origin[d] + self.spacing[d] * at[d] as f64)
    }

    /// The state with unknown s at x equal to `value(x, s)`.
    pub fn sample<T: Real>(&self, value: impl Fn([f64; 2], usize) -> f64) -> Vec<T> {
        let point = |k| (0..M::SPECIES).map(move |s| (k, s));
        let all = (0..self.neighbours.len()).flat_map(point);
        all.map(|(k, s)| T::of(value(self.position(k), s))).collect()
    }

    /// Index in y of input `k` of a point, [`FIXED`] beyond a fixed edge.
    #[inline(always)]
    fn input(neighbours: &[u32; POINTS], k: usize) -> u32 {
        let (point, s) = (neighbours[k / M::SPECIES], k % M::SPECIES);
        if point == FIXED { FIXED } else { point * M::SPECIES as u32 + s as u32 }
    }

    fn find_pattern(&mut self) -> Result<()> {
        let local = detect(&Local(&self.medium));
        self.inputs = (0..M::SPECIES).map(|s| local.row(s).to_vec()).collect();
        let n = self.neighbours.len() * M::SPECIES;
        let mut rows = vec![Vec::new(); n];
        for (i, row) in rows.iter_mut().enumerate() {
            let (point, s) = (i / M::SPECIES, i % M::SPECIES);
            let seen = self.inputs[s].iter().map(|&k| Self::input(&self.neighbours[point], k as usize));
            row.extend(seen.filter(|&j| j != FIXED).map(|j| j as usize));
            row.push(i);
        }
        self.pattern = Pattern::from_rows([n, n], &rows)?;
        self.slots.clear();
        for i in 0..n {
            let (point, s) = (i / M::SPECIES, i % M::SPECIES);
            for &k in &self.inputs[s] {
                let j = Self::input(&self.neighbours[point], k as usize);
                let slot = self.pattern.find(i, j as usize).map_or(FIXED, |k| k as u32);
                self.slots.push(slot);
            }
        }
        Ok(())
    }

    /// Calls `visit(point, inputs, rate)` for each point, its inputs made by `lift(index in y, number of
    /// the input)`.
    #[inline(always)]
    fn sweep<S: Scalar>(
        &self,
        t: S,
        theta: &[S],
        lift: impl Fn(usize, usize) -> S,
        mut visit: impl FnMut(usize, &[u32; POINTS], &[S]),
    ) {
        let (mut values, mut rate) = ([S::zero(); INPUTS], [S::zero(); MAX_SPECIES]);
        let species = M::SPECIES.min(MAX_SPECIES);
        let edge = S::of(if let Edge::Fixed(value) = self.edge { value } else { 0.0 });
        for (point, neighbours) in self.neighbours.iter().enumerate() {
            for (group, &neighbour) in neighbours.iter().enumerate() {
                for s in 0..species {
                    let k = group * species + s;
                    values[k] =
                        if neighbour == FIXED { edge } else { lift(neighbour as usize * species + s, k) };
                }
            }
            let around = Around {
                values: &values[..POINTS * species],
                species,
                position: self.position(point),
                inverse_spacing: self.inverse_spacing,
            };
            self.medium.rate(t, &around, theta, &mut rate[..species]);
            visit(point, neighbours, &rate[..species]);
        }
    }
}

fn check(species: usize, extents: &[usize], spacing: &[f64], origin: &[f64], edge: Edge) -> Result<()> {
    if !(1..=MAX_SPECIES).contains(&species) {
        return Err(Error::invalid("SPECIES of a medium", species, format!("it must be 1 to {MAX_SPECIES}")));
    }
    if !(1..=2).contains(&extents.len()) {
        return Err(Error::invalid("the dimensions of the grid", extents.len(), "they must be 1 or 2"));
    }
    Error::check_len("the spacing", spacing.len(), extents.len(), "one for each dimension")?;
    Error::check_len("the origin", origin.len(), extents.len(), "one for each dimension")?;
    if let Some(n) = extents.iter().find(|&&n| n < 3) {
        return Err(Error::invalid("points along a dimension", n, "at least 3 are needed"));
    }
    let points = extents.iter().try_fold(species, |p, &n| p.checked_mul(n)).filter(|&p| p < FIXED as usize);
    if points.is_none() {
        return Err(Error::invalid("the points of the grid", format!("{extents:?}"), "fewer than 2³² fit"));
    }
    if let Some(h) = spacing.iter().find(|h| !(h.is_finite() && **h > 0.0)) {
        return Err(Error::invalid("the spacing", h, "it must be positive and finite"));
    }
    Error::check_finite("the origin", origin)?;
    if let Edge::Fixed(value) = edge {
        Error::check_finite("the value at the edge", &[value])?;
    }
    Ok(())
}

/// The points that point k sees.
fn around([nx, ny]: [usize; 2], k: usize, edge: Edge) -> [u32; POINTS] {
    let (i, j) = (k / ny, k % ny);
    let beyond = |at: usize, n: usize, step: isize| -> Option<usize> {
        let next = at as isize + step;
        match edge {
            _ if (0..n as isize).contains(&next) => Some(next as usize),
            Edge::Periodic => Some(next.rem_euclid(n as isize) as usize),
            Edge::Fixed(_) => None,
            Edge::Insulated => Some((at as isize - step) as usize),
        }
    };
    let x = |step| beyond(i, nx, step).map_or(FIXED, |i| (i * ny + j) as u32);
    // Without a second dimension the point itself stands in, with weight 0.
    let y =
        |step| if ny == 1 { k as u32 } else { beyond(j, ny, step).map_or(FIXED, |j| (i * ny + j) as u32) };
    [k as u32, x(-1), x(1), y(-1), y(1)]
}

/// The medium at one point as a vector field of its inputs, for the detection of what depends on what.
struct Local<'a, M>(&'a M);

impl<M: Medium> VectorField for Local<'_, M> {
    fn dim(&self) -> usize {
        POINTS * M::SPECIES
    }
    fn num_params(&self) -> usize {
        self.0.num_params()
    }
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy.fill(S::zero());
        let (position, inverse_spacing) = ([0.0; 2], [1.0; 2]);
        let around = Around { values: y, species: M::SPECIES, position, inverse_spacing };
        self.0.rate(t, &around, p, &mut dy[..M::SPECIES]);
    }
}

/// Memory of a [`MethodOfLines`]: its parameters in the numbers of derivatives.
#[derive(Clone, Debug)]
pub struct Scratch<T> {
    dual: Vec<Dual<T>>,
    duals: Vec<Duals<T, WIDTH>>,
}

impl<T: Real, M: Medium> Dynamics<T> for MethodOfLines<M> {
    type Scratch = Scratch<T>;

    fn dim(&self) -> usize {
        self.neighbours.len() * M::SPECIES
    }
    fn num_params(&self) -> usize {
        self.medium.num_params()
    }
    fn scratch(&self, _batch: usize) -> Scratch<T> {
        let n = self.medium.num_params();
        Scratch { dual: vec![Dual::of(0.0); n], duals: vec![Duals::of(0.0); n] }
    }
    fn scratch_bytes(&self, _batch: usize) -> usize {
        self.medium.num_params() * (size_of::<Dual<T>>() + size_of::<Duals<T, WIDTH>>())
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], _: &mut Scratch<T>) {
        dispatch(Eval { grid: self, at, dy });
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        dispatch(Vjp { grid: self, at, dy_bar, y_bar, theta_bar, theta: &mut scratch.duals })
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Scratch<T>) {
        dispatch(Jvp { grid: self, at, dot, dy_dot, theta: &mut scratch.dual });
    }

    fn sparsity(&self) -> Option<Pattern> {
        Some(self.pattern.clone())
    }

    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, scratch: &mut Scratch<T>) {
        if j.pattern() == Some(&self.pattern) {
            dispatch(Entries { grid: self, at, j, theta: &mut scratch.duals });
        } else {
            j.by_products(self, at, scratch);
        }
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let mut dy = vec![T::of(0.0); at.y.len()];
        dispatch(Eval { grid: self, at, dy: &mut dy });
        let index = dy.iter().position(|v| !v.is_finite())?;
        let (point, s) = (index % Dynamics::<T>::dim(self) / M::SPECIES, index % M::SPECIES);
        let [x, y] = self.position(point);
        Some(format!("unknown {s} at the point ({x}, {y})"))
    }
}

struct Eval<'a, T, M> {
    grid: &'a MethodOfLines<M>,
    at: Point<'a, T>,
    dy: &'a mut [T],
}

impl<T: Real, M: Medium> Kernel for Eval<'_, T, M> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, at, dy } = self;
        let dim = Dynamics::<T>::dim(grid);
        for (y, dy) in at.y.chunks_exact(dim).zip(dy.chunks_exact_mut(dim)) {
            let write = |point: usize, _: &_, rate: &[T]| {
                dy[point * M::SPECIES..][..M::SPECIES].copy_from_slice(&rate[..M::SPECIES]);
            };
            grid.sweep(at.t, at.theta, |i, _| y[i], write);
        }
    }
}

struct Jvp<'a, T, M> {
    grid: &'a MethodOfLines<M>,
    at: Point<'a, T>,
    dot: Tangent<'a, T>,
    dy_dot: &'a mut [T],
    theta: &'a mut [Dual<T>],
}

impl<T: Real, M: Medium> Kernel for Jvp<'_, T, M> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, at, dot, dy_dot, theta } = self;
        for (k, (dual, &p)) in theta.iter_mut().zip(at.theta).enumerate() {
            *dual = Dual::new(p, dot.theta.get(k).copied().unwrap_or(T::zero()));
        }
        let dim = Dynamics::<T>::dim(grid);
        let columns = at.y.chunks_exact(dim).zip(dot.y.chunks_exact(dim));
        for ((y, y_dot), out) in columns.zip(dy_dot.chunks_exact_mut(dim)) {
            let write = |point: usize, _: &_, rate: &[Dual<T>]| {
                for (out, r) in out[point * M::SPECIES..].iter_mut().zip(rate) {
                    *out = r.dot;
                }
            };
            grid.sweep(Dual::new(at.t, dot.t), theta, |i, _| Dual::new(y[i], y_dot[i]), write);
        }
    }
}

/// The inputs of a point, then t, then θ, sixteen directions a pass.
struct Vjp<'a, T, M> {
    grid: &'a MethodOfLines<M>,
    at: Point<'a, T>,
    dy_bar: &'a [T],
    y_bar: &'a mut [T],
    theta_bar: &'a mut [T],
    theta: &'a mut [Duals<T, WIDTH>],
}

impl<T: Real, M: Medium> Kernel for Vjp<'_, T, M> {
    type Output = T;
    #[inline(always)]
    fn run(self) -> T {
        let Self { grid, at, dy_bar, y_bar, theta_bar, theta } = self;
        let (dim, inputs, mut t_bar) = (Dynamics::<T>::dim(grid), POINTS * M::SPECIES, T::zero());
        for first in (0..inputs + 1 + theta.len()).step_by(WIDTH) {
            let variable = |x, direction: usize| Duals::variable(x, direction.wrapping_sub(first));
            for (k, (dual, &p)) in theta.iter_mut().zip(at.theta).enumerate() {
                *dual = variable(p, inputs + 1 + k);
            }
            let columns = at.y.chunks_exact(dim).zip(dy_bar.chunks_exact(dim));
            for ((y, bar), y_bar) in columns.zip(y_bar.chunks_exact_mut(dim)) {
                // t and θ are summed over the column first, so that it counts as one.
                let mut sums = [T::zero(); WIDTH];
                let add = |point: usize, neighbours: &[u32; POINTS], rate: &[Duals<T, WIDTH>]| {
                    let bars = &bar[point * M::SPECIES..][..M::SPECIES];
                    let mut pulled = [T::zero(); WIDTH];
                    for (&bar, rate) in bars.iter().zip(rate) {
                        for (p, &d) in pulled.iter_mut().zip(&rate.dots) {
                            *p = bar.mul_add(d, *p);
                        }
                    }
                    for (k, &p) in (first..inputs).zip(&pulled) {
                        let i = MethodOfLines::<M>::input(neighbours, k);
                        if i != FIXED {
                            y_bar[i as usize] += p;
                        }
                    }
                    for (sum, p) in sums.iter_mut().zip(pulled) {
                        *sum += p;
                    }
                };
                grid.sweep(variable(at.t, inputs), theta, |i, k| variable(y[i], k), add);
                for (k, &sum) in (first..).zip(&sums).skip_while(|(k, _)| *k < inputs) {
                    if k == inputs {
                        t_bar += sum;
                    } else if let Some(bar) = theta_bar.get_mut(k - inputs - 1) {
                        *bar += sum;
                    }
                }
            }
        }
        t_bar
    }
}

/// The entries of the sparse Jacobian, and ∂f/∂t.
struct Entries<'a, T, M> {
    grid: &'a MethodOfLines<M>,
    at: Point<'a, T>,
    j: &'a mut Jacobian<T>,
    theta: &'a mut [Duals<T, WIDTH>],
}

impl<T: Real, M: Medium> Kernel for Entries<'_, T, M> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { grid, at, j, theta } = self;
        for (dual, &p) in theta.iter_mut().zip(at.theta) {
            *dual = Duals::constant(p);
        }
        let inputs = POINTS * M::SPECIES;
        j.values_mut().fill(T::zero());
        for first in (0..inputs + 1).step_by(WIDTH) {
            let variable = |x, direction: usize| Duals::variable(x, direction.wrapping_sub(first));
            let mut slots = grid.slots.iter();
            let (values, mut time) = j.parts_mut();
            let write = |point: usize, _: &_, rate: &[Duals<T, WIDTH>]| {
                for (s, (rate, inputs)) in rate.iter().zip(&grid.inputs).enumerate() {
                    for (&k, &slot) in inputs.iter().zip(&mut slots) {
                        let direction = (k as usize).wrapping_sub(first);
                        if direction < WIDTH && slot != FIXED {
                            values[slot as usize] += rate.dots[direction];
                        }
                    }
                    if let (Some(time), true) =
                        (&mut time, (first..first + WIDTH).contains(&(POINTS * M::SPECIES)))
                    {
                        time[point * M::SPECIES + s] = rate.dots[POINTS * M::SPECIES - first];
                    }
                }
            };
            grid.sweep(variable(at.t, inputs), theta, |i, k| variable(at.y[i], k), write);
        }
    }
}
