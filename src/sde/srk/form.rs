//! A line of a table: h Σ_j w_j f_j + Σ_j G_j Σ_r v_rj ξ_r, and its reverse.

use crate::num::{Kernel, Real, accumulate, dispatch};
use crate::sde::diffusion::Shape;

/// Weights of drift values, and of (diffusion value, random vector) pairs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Form {
    /// w_j.
    pub drift: Vec<f64>,
    /// (j, v_rj over r), for each j with a non-zero weight.
    pub noise: Vec<(usize, Vec<f64>)>,
}

/// Where the pieces of a step lie: drift values, then diffusion values, then random vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layout {
    /// Rows of the state, d.
    pub dim: usize,
    /// Paths.
    pub batch: usize,
    /// Motions of a path, m.
    pub components: usize,
    /// How G is stored.
    pub shape: Shape,
    /// Values of each kind, s.
    pub stages: usize,
    /// Random vectors, r.
    pub variates: usize,
}

impl Layout {
    /// Length of the state.
    pub fn len(&self) -> usize {
        self.dim * self.batch
    }

    /// Numbers of one G.
    pub fn entries(&self) -> usize {
        match self.shape {
            Shape::Diagonal => self.len(),
            Shape::Matrix => self.len() * self.components,
        }
    }

    /// Numbers of one random vector.
    pub fn motions(&self) -> usize {
        self.components * self.batch
    }

    /// Whether G ω is an elementwise product.
    #[inline(always)]
    pub fn elementwise(&self) -> bool {
        self.shape == Shape::Diagonal || (self.dim == 1 && self.components == 1)
    }

    /// Blocks of the state's length that one G takes.
    pub fn blocks(&self) -> usize {
        self.entries() / self.len()
    }

    /// Blocks of all values.
    pub fn values(&self) -> usize {
        self.stages * (1 + self.blocks())
    }

    /// Numbers of all values and random vectors.
    pub fn total(&self) -> usize {
        self.values() * self.len() + self.variates * self.motions()
    }

    /// Where f_j lies.
    pub fn drift(&self, j: usize) -> std::ops::Range<usize> {
        j * self.len()..(j + 1) * self.len()
    }

    /// Where G_j lies.
    pub fn diffusion(&self, j: usize) -> std::ops::Range<usize> {
        let start = self.stages * self.len() + j * self.entries();
        start..start + self.entries()
    }

    /// Where ξ_r lies.
    pub fn variate(&self, r: usize) -> std::ops::Range<usize> {
        let start = self.values() * self.len() + r * self.motions();
        start..start + self.motions()
    }
}

impl Form {
    /// From drift weights and, for each random vector, weights of the diffusion values.
    pub fn new(drift: Vec<f64>, couples: &[Vec<f64>]) -> Self {
        let weights = |j: usize| -> Vec<f64> { couples.iter().map(|c| c[j]).collect() };
        let used = |w: &Vec<f64>| w.iter().any(|v| *v != 0.0);
        let noise = (0..drift.len()).map(|j| (j, weights(j))).filter(|(_, w)| used(w)).collect();
        Self { drift, noise }
    }

    /// Whether all weights are zero.
    pub fn is_zero(&self) -> bool {
        self.noise.is_empty() && self.drift.iter().all(|w| *w == 0.0)
    }

    /// Whether f_j enters.
    pub fn takes_drift(&self, j: usize) -> bool {
        self.drift[j] != 0.0
    }

    /// Whether G_j enters.
    pub fn takes_diffusion(&self, j: usize) -> bool {
        self.noise.iter().any(|(i, _)| *i == j)
    }

    /// All weights times −1.
    pub fn negated(&self) -> Self {
        let minus = |w: &Vec<f64>| w.iter().map(|w| -w).collect();
        Self { drift: minus(&self.drift), noise: self.noise.iter().map(|(j, w)| (*j, minus(w))).collect() }
    }

    /// This form minus another.
    pub fn minus(&self, other: &Self) -> Self {
        let drift: Vec<f64> = self.drift.iter().zip(&other.drift).map(|(a, b)| a - b).collect();
        let r = self.noise.iter().chain(&other.noise).map(|(_, w)| w.len()).max().unwrap_or(0);
        let of = |form: &Self, j: usize, r: usize| {
            form.noise.iter().find(|(i, _)| *i == j).map_or(0.0, |(_, w)| w[r])
        };
        let couples: Vec<Vec<f64>> =
            (0..r).map(|r| (0..drift.len()).map(|j| of(self, j, r) - of(other, j, r)).collect()).collect();
        Self::new(drift, &couples)
    }

    /// `out` += the form of `values`, laid out by `layout`.
    #[inline(always)]
    pub fn add<T: Real>(&self, out: &mut [T], h: T, values: &[T], layout: &Layout) {
        accumulate(out, h, &self.drift, &values[..layout.stages * layout.len()]);
        for (j, weights) in &self.noise {
            let g = &values[layout.diffusion(*j)];
            Mixed::of(weights, values, layout).each(Product { out: &mut *out, g, layout });
        }
    }

    /// ACCUMULATES the reverse of [`add`](Self::add) into `bars`, laid out as the values, and marks in
    /// `touched` the blocks that got something.
    pub fn pullback<T: Real>(
        &self,
        out_bar: &[T],
        h: T,
        values: &[T],
        layout: &Layout,
        (bars, touched): (&mut [T], &mut [bool]),
    ) {
        self.send(out_bar, h, values, layout, bars);
        for (j, touched) in touched[..layout.stages].iter_mut().enumerate() {
            *touched |= self.takes_drift(j);
        }
        for (j, _) in &self.noise {
            let first = layout.stages + j * layout.blocks();
            touched[first..first + layout.blocks()].fill(true);
        }
    }

    /// [`pullback`](Self::pullback) that marks nothing.
    pub fn send<T: Real>(&self, out_bar: &[T], h: T, values: &[T], layout: &Layout, bars: &mut [T]) {
        for (j, &w) in self.drift.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            accumulate(&mut bars[layout.drift(j)], h, &[w], out_bar);
        }
        for (j, weights) in &self.noise {
            let g_bar = &mut bars[layout.diffusion(*j)];
            Mixed::of(weights, values, layout).each(ProductReverse { out_bar, g_bar, layout });
        }
    }
}

/// `out` += `weight` G ω.
#[inline(always)]
pub(crate) fn product<T: Real>(out: &mut [T], g: &[T], weight: T, omega: &[T], layout: &Layout) {
    Product { out, g, layout }.run::<1>([weight], [omega]);
}

/// ACCUMULATES the reverse of [`product`] in G: `g_bar` += `weight` `out_bar` ⊗ ω.
#[inline(always)]
pub(crate) fn product_pullback<T: Real>(
    out_bar: &[T],
    g_bar: &mut [T],
    weight: T,
    omega: &[T],
    layout: &Layout,
) {
    ProductReverse { out_bar, g_bar, layout }.run::<1>([weight], [omega]);
}

/// How many random vectors one pass takes.
const VARIATES: usize = 4;

/// Σ_r v_r ξ_r over at most four random vectors.
struct Mixed<'a, T> {
    count: usize,
    weights: [T; VARIATES],
    vectors: [&'a [T]; VARIATES],
}

impl<'a, T: Real> Mixed<'a, T> {
    #[inline(always)]
    fn of(weights: &[f64], values: &'a [T], layout: &Layout) -> Self {
        let mut mixed = Self { count: 0, weights: [T::zero(); VARIATES], vectors: [&[]; VARIATES] };
        for (r, &w) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            debug_assert!(mixed.count < VARIATES, "a table's line takes four random vectors at most");
            mixed.weights[mixed.count] = T::of(w);
            mixed.vectors[mixed.count] = &values[layout.variate(r)];
            mixed.count += 1;
        }
        mixed
    }

    /// Runs `pass` with the vectors as an array of their number.
    #[inline(always)]
    fn each(&self, pass: impl Pass<T>) {
        match self.count {
            1 => pass.run::<1>(self.take(), self.vectors()),
            2 => pass.run::<2>(self.take(), self.vectors()),
            3 => pass.run::<3>(self.take(), self.vectors()),
            4 => pass.run::<4>(self.take(), self.vectors()),
            _ => {}
        }
    }

    #[inline(always)]
    fn take<const R: usize>(&self) -> [T; R] {
        std::array::from_fn(|r| self.weights[r])
    }

    #[inline(always)]
    fn vectors<const R: usize>(&self) -> [&'a [T]; R] {
        std::array::from_fn(|r| self.vectors[r])
    }
}

/// A pass over the state with the multiplier Σ_r v_r ξ_r.
trait Pass<T: Real> {
    fn run<const R: usize>(self, weights: [T; R], vectors: [&[T]; R]);
}

/// Entry i of the multiplier.
#[inline(always)]
fn multiplier<T: Real, const R: usize>(weights: &[T; R], vectors: &[&[T]; R], i: usize) -> T {
    let mut sum = weights[0] * vectors[0][i];
    for r in 1..R {
        sum = weights[r].mul_add(vectors[r][i], sum);
    }
    sum
}

/// out += G ω.
struct Product<'a, T> {
    out: &'a mut [T],
    g: &'a [T],
    layout: &'a Layout,
}

struct ProductKernel<'a, 'b, T, const R: usize>(Product<'a, T>, [T; R], [&'b [T]; R]);

impl<T: Real> Pass<T> for Product<'_, T> {
    #[inline(always)]
    fn run<const R: usize>(self, weights: [T; R], vectors: [&[T]; R]) {
        dispatch(ProductKernel(self, weights, vectors));
    }
}

impl<T: Real, const R: usize> Kernel for ProductKernel<'_, '_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(Product { out, g, layout }, weights, mut vectors) = self;
        if layout.elementwise() {
            let n = out.len();
            let g = &g[..n];
            for v in &mut vectors {
                *v = &v[..n];
            }
            for i in 0..n {
                out[i] = g[i].mul_add(multiplier(&weights, &vectors, i), out[i]);
            }
            return;
        }
        let (d, m) = (layout.dim, layout.components);
        for (b, (out, g)) in out.chunks_exact_mut(d).zip(g.chunks_exact(d * m)).enumerate() {
            for (k, column) in g.chunks_exact(d).enumerate() {
                let omega = multiplier(&weights, &vectors, b * m + k);
                for (out, g) in out.iter_mut().zip(column) {
                    *out = g.mul_add(omega, *out);
                }
            }
        }
    }
}

/// Ḡ += ō ⊗ ω.
struct ProductReverse<'a, T> {
    out_bar: &'a [T],
    g_bar: &'a mut [T],
    layout: &'a Layout,
}

struct ProductReverseKernel<'a, 'b, T, const R: usize>(ProductReverse<'a, T>, [T; R], [&'b [T]; R]);

impl<T: Real> Pass<T> for ProductReverse<'_, T> {
    #[inline(always)]
    fn run<const R: usize>(self, weights: [T; R], vectors: [&[T]; R]) {
        dispatch(ProductReverseKernel(self, weights, vectors));
    }
}

impl<T: Real, const R: usize> Kernel for ProductReverseKernel<'_, '_, T, R> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(ProductReverse { out_bar, g_bar, layout }, weights, mut vectors) = self;
        if layout.elementwise() {
            let n = out_bar.len();
            let g_bar = &mut g_bar[..n];
            for v in &mut vectors {
                *v = &v[..n];
            }
            for i in 0..n {
                g_bar[i] = out_bar[i].mul_add(multiplier(&weights, &vectors, i), g_bar[i]);
            }
            return;
        }
        let (d, m) = (layout.dim, layout.components);
        for (b, (out_bar, g_bar)) in out_bar.chunks_exact(d).zip(g_bar.chunks_exact_mut(d * m)).enumerate() {
            for (k, column) in g_bar.chunks_exact_mut(d).enumerate() {
                let omega = multiplier(&weights, &vectors, b * m + k);
                for (g_bar, out_bar) in column.iter_mut().zip(out_bar) {
                    *g_bar = out_bar.mul_add(omega, *g_bar);
                }
            }
        }
    }
}
