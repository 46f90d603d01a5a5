//! Pooling and frames of zeros, dense layers, sums of products of fields and numbers.

use crate::num::Real;

/// The largest value of each block of two points along each axis; where an extent is odd, the last point
/// is left out, as PyTorch's pooling does. The first of several largest ones gets the cotangent.
#[derive(Clone, Debug)]
pub(super) struct MaxPool {
    fine: [usize; 3],
    coarse: [usize; 3],
    /// Points of a block along each axis.
    block: [usize; 3],
}

impl MaxPool {
    pub fn new(dim: usize, fine: [usize; 3]) -> Self {
        let block = std::array::from_fn(|axis| if axis < dim { 2 } else { 1 });
        Self { fine, coarse: std::array::from_fn(|axis| fine[axis] / block[axis]), block }
    }

    /// Points of a coarse field.
    pub fn points(&self) -> usize {
        self.coarse.iter().product()
    }

    /// Where a block of a fine field has its largest value.
    fn largest<T: Real>(&self, field: &[T], coarse: usize) -> usize {
        let [cx, cy, _] = self.coarse;
        let [x, y, z] = [coarse % cx, coarse / cx % cy, coarse / (cx * cy)];
        let [bx, by, bz] = self.block;
        let mut at = usize::MAX;
        for z in bz * z..bz * (z + 1) {
            for y in by * y..by * (y + 1) {
                let row = (z * self.fine[1] + y) * self.fine[0] + bx * x;
                for place in row..row + bx {
                    if at == usize::MAX || field[place] > field[at] {
                        at = place;
                    }
                }
            }
        }
        at
    }

    pub fn forward<T: Real>(&self, x: &[T], y: &mut [T]) {
        let fields = x.chunks_exact(self.fine.iter().product());
        for (x, y) in fields.zip(y.chunks_exact_mut(self.points())) {
            y.iter_mut().enumerate().for_each(|(at, y)| *y = x[self.largest(x, at)]);
        }
    }

    /// `y_dot` ← the derivative along `x_dot`.
    pub fn tangent<T: Real>(&self, [x, x_dot]: [&[T]; 2], y_dot: &mut [T]) {
        let points = self.fine.iter().product();
        let fields = x.chunks_exact(points).zip(x_dot.chunks_exact(points));
        for ((x, x_dot), y_dot) in fields.zip(y_dot.chunks_exact_mut(self.points())) {
            y_dot.iter_mut().enumerate().for_each(|(at, y)| *y = x_dot[self.largest(x, at)]);
        }
    }

    /// `x_bar` ← the cotangent of x.
    pub fn backward<T: Real>(&self, x: &[T], y_bar: &[T], x_bar: &mut [T]) {
        x_bar.fill(T::zero());
        let points = self.fine.iter().product();
        let fields = x.chunks_exact(points).zip(x_bar.chunks_exact_mut(points));
        for ((x, x_bar), y_bar) in fields.zip(y_bar.chunks_exact(self.points())) {
            y_bar.iter().enumerate().for_each(|(at, bar)| x_bar[self.largest(x, at)] = *bar);
        }
    }
}

/// Fields inside larger ones, at their near sides.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub inner: [usize; 3],
    pub outer: [usize; 3],
}

impl Frame {
    /// Where each row of the inner fields begins in the outer ones.
    fn rows(&self) -> impl Iterator<Item = usize> {
        let ([_, my, mz], [nx, ny, nz]) = (self.inner, self.outer);
        (0..).flat_map(move |field| (0..mz * my).map(move |row| (field, row))).map(move |(field, row)| {
            let [y, z] = [row % my, row / my];
            ((field * nz + z) * ny + y) * nx
        })
    }

    pub fn pad<T: Real>(&self, x: &[T], y: &mut [T]) {
        y.fill(T::zero());
        let length = self.inner[0];
        for (row, at) in x.chunks_exact(length).zip(self.rows()) {
            y[at..at + length].copy_from_slice(row);
        }
    }

    pub fn crop<T: Real>(&self, x: &[T], y: &mut [T]) {
        let length = self.inner[0];
        for (row, at) in y.chunks_exact_mut(length).zip(self.rows()) {
            row.copy_from_slice(&x[at..at + length]);
        }
    }
}

/// A dense layer y = W x + b of one sample, W `[outputs, inputs]` row-major.
pub(super) mod dense {
    use super::Real;
    use crate::linalg::vector::axpy;

    pub fn forward<T: Real>(theta: &[T], x: &[T], y: &mut [T]) {
        let (weights, bias) = theta.split_at(x.len() * y.len());
        y.copy_from_slice(bias);
        T::gemm([y.len(), 1, x.len()], T::one(), (weights, true), (x, false), T::one(), y);
    }

    /// `x_bar` ← the cotangent of x, where it is wanted. ACCUMULATES: `theta_bar` += that of W and b.
    pub fn backward<T: Real>(
        theta: &[T],
        [x, y_bar]: [&[T]; 2],
        x_bar: Option<&mut [T]>,
        theta_bar: &mut [T],
    ) {
        let (n, m) = (x.len(), y_bar.len());
        if let Some(x_bar) = x_bar {
            T::gemm([n, 1, m], T::one(), (&theta[..n * m], false), (y_bar, false), T::zero(), x_bar);
        }
        let (weight_bar, bias_bar) = theta_bar.split_at_mut(n * m);
        for (row, bar) in weight_bar.chunks_exact_mut(n).zip(y_bar) {
            // Rounded before it is added: see `Program::direct`.
            row.iter_mut().zip(x).for_each(|(row, x)| *row += *bar * *x);
        }
        axpy(1.0, y_bar, bias_bar);
    }
}

/// y_o = Σ_k c_ok t_k + b_o for fields t_k, as a product of matrices.
pub(super) mod combine {
    use super::Real;

    /// Points, outputs, terms.
    fn shape<T>(bias: &[T], y: &[T], c: &[T]) -> [usize; 3] {
        [y.len() / bias.len(), bias.len(), c.len() / bias.len()]
    }

    pub fn forward<T: Real>(bias: &[T], [t, c]: [&[T]; 2], y: &mut [T]) {
        let shape = shape(bias, y, c);
        y.chunks_exact_mut(shape[0]).zip(bias).for_each(|(y, b)| y.fill(*b));
        T::gemm(shape, T::one(), (t, false), (c, false), T::one(), y);
    }

    /// `y` += b.
    pub fn add_bias<T: Real>(bias: &[T], y: &mut [T]) {
        let points = y.len() / bias.len();
        y.chunks_exact_mut(points).zip(bias).for_each(|(y, b)| y.iter_mut().for_each(|y| *y += *b));
    }

    /// `t_bar` ← the cotangent of t.
    pub fn to_fields<T: Real>(bias: &[T], c: &[T], y_bar: &[T], t_bar: &mut [T]) {
        let [points, outputs, terms] = shape(bias, y_bar, c);
        T::gemm([points, terms, outputs], T::one(), (y_bar, false), (c, true), T::zero(), t_bar);
    }

    /// `c_bar` ← the cotangent of c.
    pub fn to_numbers<T: Real>(bias: &[T], t: &[T], y_bar: &[T], c_bar: &mut [T]) {
        let [points, outputs, terms] = shape(bias, y_bar, c_bar);
        T::gemm([terms, outputs, points], T::one(), (t, true), (y_bar, false), T::zero(), c_bar);
    }

    /// ACCUMULATES: `bias_bar` += the cotangent of b.
    pub fn to_bias<T: Real>(y_bar: &[T], bias_bar: &mut [T]) {
        let points = y_bar.len() / bias_bar.len();
        for (bar, y_bar) in bias_bar.iter_mut().zip(y_bar.chunks_exact(points)) {
            let mut sum = T::zero();
            y_bar.iter().for_each(|y| sum += *y);
            *bar += sum;
        }
    }
}
