//! [`SecondOrder`]: the gradient of a Jacobian–vector product, which penalties on the Jacobian need.

use super::dual::Dual;
use super::generic::{Generic, Recorder, VectorField, recycle};
use super::tape::Var;
use super::{Dynamics, Point, Tangent};
use crate::Result;
use crate::num::{Real, Scalar};

/// A right-hand side whose Jacobian–vector products have gradients.
pub trait SecondOrder<T: Real>: Dynamics<T> {
    /// Memory that calls reuse.
    type Memory: Send;

    /// Memory for states of `batch` columns.
    fn memory(&self, batch: usize) -> Self::Memory;

    /// ACCUMULATES the gradient of φ = `bar`ᵀ ((∂f/∂t) ṫ + (∂f/∂y) ẏ + (∂f/∂θ) θ̇) at constant `bar` and
    /// (ṫ, ẏ, θ̇) = `dot` (θ̇ empty for none): `y_bar` += ∂φ/∂y, `theta_bar` += ∂φ/∂θ (summed over the batch);
    /// returns ∂φ/∂t.
    fn tangent_vjp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut Self::Memory,
    ) -> T;

    /// Refuses directions θ̇ that [`tangent_vjp`](Self::tangent_vjp) does not serve.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) that says which.
    fn check_direction(&self, theta_dot: &[T]) -> Result<()> {
        let _ = theta_dot;
        Ok(())
    }

    /// ACCUMULATES the gradient of φ = `bar`ᵀ (∂f/∂y) `direction` at constant `bar` and
    /// `direction`: [`tangent_vjp`](Self::tangent_vjp) with ṫ = 0 and θ̇ = 0. `products` is
    /// \[`direction`, `bar`\], each of the state's shape.
    fn jvp_vjp(
        &self,
        at: Point<'_, T>,
        products: [&[T]; 2],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut Self::Memory,
    ) -> T {
        let [direction, bar] = products;
        let dot = Tangent { t: T::zero(), y: direction, theta: &[] };
        self.tangent_vjp(at, dot, bar, y_bar, theta_bar, memory)
    }
}

/// Memory of [`Generic`]'s second-order products: grows in the first call, is reused after.
#[derive(Debug, Default)]
pub struct SecondOrderMemory<T>(Recorder<Dual<T>>);

/// Forward over reverse: the reverse sweep of barᵀf in dual numbers along `direction` has
/// ∂(barᵀf)/∂x in its values and ∂/∂x (barᵀ J direction) in its dots (Griewank & Walther, ch. 5).
impl<T: Real, F: VectorField> SecondOrder<T> for Generic<F> {
    type Memory = SecondOrderMemory<T>;

    fn memory(&self, _batch: usize) -> Self::Memory {
        SecondOrderMemory(Recorder::default())
    }

    fn tangent_vjp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        SecondOrderMemory(recorder): &mut Self::Memory,
    ) -> T {
        let (dim, mut t_bar) = (VectorField::dim(&self.0), T::of(0.0));
        // Leaves: t, then y, then θ.
        let tape = &recorder.tape;
        tape.begin(1 + dim + at.theta.len());
        let mut inputs = recycle::<_, Var<'_, Dual<T>>>(std::mem::take(&mut recorder.inputs));
        let mut outputs = recycle::<_, Var<'_, Dual<T>>>(std::mem::take(&mut recorder.outputs));
        inputs.resize(dim, Var::zero());
        let theta_dot = |k: usize| dot.theta.get(k).copied().unwrap_or(T::zero());
        let theta = at.theta.iter().enumerate();
        inputs.extend(theta.map(|(k, &p)| tape.leaf(1 + dim + k, Dual::new(p, theta_dot(k)))));
        let t = tape.leaf(0, Dual::new(at.t, dot.t));
        let columns = at.y.chunks(dim).zip(dot.y.chunks(dim));
        let bars = bar.chunks(dim).zip(y_bar.chunks_mut(dim));
        for ((y, direction), (bar, y_bar)) in columns.zip(bars) {
            tape.rewind();
            outputs.clear();
            outputs.resize(dim, Var::zero());
            let (state, theta) = inputs.split_at_mut(dim);
            for (row, v) in state.iter_mut().enumerate() {
                *v = tape.leaf(1 + row, Dual::new(y[row], direction[row]));
            }
            self.0.eval(t, state, theta, &mut outputs);
            let seeds = outputs.iter().zip(bar);
            tape.reverse(seeds.map(|(&v, &bar)| (v, Dual::constant(bar))));
            tape.with_leaf_cotangents(|all| {
                t_bar += all[0].dot;
                for (sum, bar) in y_bar.iter_mut().zip(&all[1..=dim]) {
                    *sum += bar.dot;
                }
                for (sum, bar) in theta_bar.iter_mut().zip(&all[1 + dim..]) {
                    *sum += bar.dot;
                }
            });
        }
        recorder.inputs = recycle(inputs);
        recorder.outputs = recycle(outputs);
        t_bar
    }
}

#[cfg(test)]
mod tests {
    use super::super::gallery;
    use super::*;

    const T_DOT: f64 = 0.7;

    /// Against central differences of barᵀ (f_t ṫ + f_y ẏ + f_θ θ̇) in every entry of (t, y, θ).
    struct Check;
    impl gallery::Visit for Check {
        fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]) {
            let f = Generic(field);
            let y: Vec<f64> = y0.iter().chain(y0).enumerate().map(|(i, y)| y + 0.1 * i as f64).collect();
            let wave = |p: f64| (0..y.len()).map(|i| (i as f64 * p + p).sin()).collect::<Vec<_>>();
            let (direction, bar) = (wave(0.7), wave(1.9));
            let theta_dot: Vec<f64> = (0..theta.len()).map(|i| (1.3 * i as f64 + 0.2).cos()).collect();
            let along = Tangent { t: T_DOT, y: &direction, theta: &theta_dot };
            let mut scratch = Dynamics::<f64>::scratch(&f, 2);
            let mut phi = |t: f64, y: &[f64], theta: &[f64]| {
                let mut out = vec![0.0; y.len()];
                f.jvp(Point { t, y, theta }, along, &mut out, &mut scratch);
                out.iter().zip(&bar).map(|(a, b)| a * b).sum::<f64>()
            };
            let (mut y_bar, mut theta_bar) = (vec![0.25; y.len()], vec![0.5; theta.len()]);
            let mut memory = SecondOrder::<f64>::memory(&f, 2);
            let at = Point { t: 0.4, y: &y, theta };
            let t_bar = f.tangent_vjp(at, along, &bar, &mut y_bar, &mut theta_bar, &mut memory);
            let size = phi(0.4, &y, theta).abs().max(1.0);
            let close = |got: f64, want: f64, what: String| {
                assert!((got - want).abs() < 1e-6 * (size + want.abs()), "{name} {what}: {got} {want}");
            };
            let d = 1e-5;
            close(t_bar, (phi(0.4 + d, &y, theta) - phi(0.4 - d, &y, theta)) / (2.0 * d), "t".into());
            for i in 0..y.len() {
                let moved = |d: f64| {
                    let mut y = y.clone();
                    y[i] += d;
                    y
                };
                let want = (phi(0.4, &moved(d), theta) - phi(0.4, &moved(-d), theta)) / (2.0 * d);
                close(y_bar[i] - 0.25, want, format!("y {i}"));
            }
            for i in 0..theta.len() {
                let moved = |d: f64| {
                    let mut p = theta.to_vec();
                    p[i] += d;
                    p
                };
                let want = (phi(0.4, &y, &moved(d)) - phi(0.4, &y, &moved(-d))) / (2.0 * d);
                close(theta_bar[i] - 0.5, want, format!("θ {i}"));
            }
        }
    }

    #[test]
    fn second_order_products_match_differences_on_the_whole_gallery() {
        gallery::visit_all(&mut Check);
    }
}
