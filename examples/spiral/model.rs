//! The right-hand side that is trained: x³ → 50 tanh → 2.

use odeon::dynamics::{Dynamics, Point, SecondOrder, SolutionSeries, Tangent};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Initializer, Layout, Network, Scratch, SeriesScratch};
use odeon::num::Real;
use odeon::num::kernels::{self, Function};
use odeon::{Error, Result};

/// Rows of the state.
pub const DIM: usize = 2;
/// Hidden units.
pub const WIDTH: usize = 50;

/// y' = W₂ tanh(W₁ y³ + b₁) + b₂: a [`NeuralOde`] with the second-order product that RNODE needs.
pub struct Model(NeuralOde);

impl Model {
    /// The network of the published experiment.
    pub fn new() -> Result<Self> {
        let network = Network::builder(DIM)
            .activation(Activation::Cube)
            .dense(WIDTH)
            .activation(Activation::Tanh)
            .dense(DIM)
            .build()?;
        Ok(Self(NeuralOde::new(network)?))
    }

    /// Names and places of the parameters.
    pub fn layout(&self) -> &Layout {
        self.0.network().layout()
    }

    /// Initial parameters.
    pub fn init<T: Real>(&self, seed: u64) -> Result<Vec<T>> {
        self.0.network().init(Initializer::GlorotUniform, seed)
    }
}

impl<T: Real> Dynamics<T> for Model {
    type Scratch = Scratch<T>;

    fn dim(&self) -> usize {
        DIM
    }

    fn num_params(&self) -> usize {
        self.layout().len()
    }

    fn scratch(&self, batch: usize) -> Scratch<T> {
        self.0.scratch(batch)
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Scratch<T>) {
        self.0.eval(at, dy, scratch);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> T {
        self.0.vjp(at, dy_bar, y_bar, theta_bar, scratch)
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], s: &mut Scratch<T>) {
        self.0.jvp(at, dot, dy_dot, s);
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.0.locate_non_finite(at)
    }
}

/// With z = W₁ y³ + b₁, a = tanh z, p = W₂ᵀ·bar and q = W₁ (3y² ⊙ direction) the product is
/// φ = Σ_i p_i (1 − a_i²) q_i; its gradient by hand. Weights are stored by rows.
impl<T: Real> SecondOrder<T> for Model {
    type Memory = ();

    fn memory(&self, _batch: usize) {}

    /// RNODE asks for directions of the state alone.
    fn check_direction(&self, theta_dot: &[T]) -> Result<()> {
        match theta_dot.iter().find(|d| **d != T::zero()) {
            Some(moved) => {
                Err(Error::invalid("a direction of theta", *moved, "only the state's are written"))
            }
            None => Ok(()),
        }
    }

    /// The model is autonomous, so that ∂f/∂t ṫ has no share.
    fn tangent_vjp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        (): &mut (),
    ) -> T {
        let (one, two, three, six) = (T::one(), T::of(2.0), T::of(3.0), T::of(6.0));
        let (first, second) = (0..DIM * WIDTH, (DIM + 1) * WIDTH);
        let bias = &at.theta[first.end..second];
        let columns = at.y.chunks_exact(DIM).zip(dot.y.chunks_exact(DIM));
        let bars = bar.chunks_exact(DIM).zip(y_bar.chunks_exact_mut(DIM));
        for ((y, d), (bar, y_bar)) in columns.zip(bars) {
            let cube: [T; DIM] = std::array::from_fn(|j| y[j] * y[j] * y[j]);
            let along: [T; DIM] = std::array::from_fn(|j| three * y[j] * y[j] * d[j]);
            let mut hidden: [T; WIDTH] = std::array::from_fn(|i| {
                let w = &at.theta[DIM * i..DIM * (i + 1)];
                w[1].mul_add(cube[1], w[0].mul_add(cube[0], bias[i]))
            });
            kernels::apply(Function::Tanh, &mut hidden);
            for (i, &a) in hidden.iter().enumerate() {
                let w = &at.theta[DIM * i..DIM * (i + 1)];
                let out = [at.theta[second + i], at.theta[second + WIDTH + i]];
                let slope = one - a * a;
                let p = out[0] * bar[0] + out[1] * bar[1];
                let q = w[0] * along[0] + w[1] * along[1];
                // ∂φ/∂z_i and ∂φ/∂q_i.
                let z_bar = -two * a * slope * p * q;
                let q_bar = p * slope;
                for j in 0..DIM {
                    theta_bar[DIM * i + j] += z_bar * cube[j] + q_bar * along[j];
                    theta_bar[second + WIDTH * j + i] += bar[j] * slope * q;
                    let cube_bar = z_bar * w[j] * three * y[j] * y[j];
                    y_bar[j] += cube_bar + q_bar * w[j] * six * y[j] * d[j];
                }
                theta_bar[first.end + i] += z_bar;
            }
        }
        T::zero()
    }
}

/// Those of the network.
impl<T: Real> SolutionSeries<T> for Model {
    type Series = SeriesScratch<T>;

    fn check_order(&self, order: usize) -> Result<()> {
        SolutionSeries::<T>::check_order(&self.0, order)
    }

    fn series(&self, batch: usize, order: usize) -> SeriesScratch<T> {
        self.0.series(batch, order)
    }

    fn series_bytes(&self, batch: usize, order: usize) -> usize {
        SolutionSeries::<T>::series_bytes(&self.0, batch, order)
    }

    fn total_derivative(&self, at: Point<'_, T>, values: [&mut [T]; 2], memory: &mut SeriesScratch<T>) {
        self.0.total_derivative(at, values, memory);
    }

    fn total_derivative_vjp(
        &self,
        at: Point<'_, T>,
        bars: [&[T]; 2],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut SeriesScratch<T>,
    ) -> T {
        self.0.total_derivative_vjp(at, bars, y_bar, theta_bar, memory)
    }
}
