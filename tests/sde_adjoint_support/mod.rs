//! Equations of every class of noise, and fitted slopes.

use odeon::dynamics::generic::{Generic, VectorField};
use odeon::num::Scalar as Number;
use odeon::sde::{Additive, Commutative, Constant, Crossed, Diagonal, General, Scalar, Sde};

/// y₁' = p₀ sin y₂ − p₁ y₁ cos t, y₂' = −p₂ y₁ + p₀ y₂/(1 + y₁²) − t y₂/4.
#[derive(Clone, Copy)]
pub struct Twist;

impl VectorField for Twist {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Number>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[1].sin() - p[1] * y[0] * t.cos();
        dy[1] = p[0] * y[1] / (S::one() + y[0] * y[0]) - p[2] * y[0] - S::of(0.25) * t * y[1];
    }
}

/// g_i = p_i √(1 + y_i²) + ⅕ sin(t + i): diagonal.
#[derive(Clone, Copy)]
pub struct Root;

impl VectorField for Root {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Number>(&self, t: S, y: &[S], p: &[S], g: &mut [S]) {
        for i in 0..2 {
            let swing = (t + S::of(i as f64)).sin();
            g[i] = p[i] * (S::one() + y[i] * y[i]).sqrt() + S::of(0.2) * swing;
        }
    }
}

/// One column of a diffusion in the plane, by its number.
#[derive(Clone, Copy)]
pub struct Column(pub usize);

impl VectorField for Column {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Number>(&self, t: S, y: &[S], p: &[S], g: &mut [S]) {
        match self.0 {
            0 => {
                g[0] = p[0] * y[1].sin() + p[1];
                g[1] = p[1] * t.cos();
            }
            1 => {
                g[0] = p[0] * y[1];
                g[1] = p[1] * y[0].cos();
            }
            2 => {
                g[0] = p[0] * (y[0] - y[1]).sin();
                g[1] = p[1];
            }
            // Rotations and growths of the plane commute with each other.
            k => {
                let s = S::of(1.0 / (k as f64 - 2.0)) + S::of(0.1) * t.sin();
                g[0] = s * (p[0] * y[0] - p[1] * y[1]);
                g[1] = s * (p[1] * y[0] + p[0] * y[1]);
            }
        }
    }
}

/// g = (p₀ t + p₁, p₁ cos t), the same for every y.
#[derive(Clone, Copy)]
pub struct Timed;

impl VectorField for Timed {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Number>(&self, t: S, _: &[S], p: &[S], g: &mut [S]) {
        g[0] = p[0] * t + p[1];
        g[1] = p[1] * t.cos();
    }
}

pub const DRIFT: [f64; 3] = [0.7, 0.4, 0.9];

type Field<F> = Generic<F>;

pub fn diagonal() -> Sde<Field<Twist>, Diagonal<Field<Root>>> {
    Sde::stratonovich(Generic(Twist), Diagonal(Generic(Root)))
}

pub fn crossed() -> Sde<Field<Twist>, Crossed<Field<Column>>> {
    Sde::stratonovich(Generic(Twist), Crossed(Generic(Column(1))))
}

pub fn scalar() -> Sde<Field<Twist>, Scalar<Field<Column>>> {
    Sde::stratonovich(Generic(Twist), Scalar(Generic(Column(0))))
}

pub fn additive() -> Sde<Field<Twist>, Additive<Diagonal<Field<Timed>>>> {
    Sde::stratonovich(Generic(Twist), Additive(Diagonal(Generic(Timed))))
}

pub fn constant() -> Sde<Field<Twist>, Constant> {
    Sde::stratonovich(Generic(Twist), Constant::matrix(2, 3))
}

pub fn commutative() -> Sde<Field<Twist>, Commutative<Field<Column>>> {
    Sde::stratonovich(Generic(Twist), Commutative(vec![Generic(Column(3)), Generic(Column(4))]))
}

pub fn general() -> Sde<Field<Twist>, General<Field<Column>>> {
    let columns = (0..3).map(|k| Generic(Column(k))).collect();
    Sde::stratonovich(Generic(Twist), General(columns))
}

/// θ of the drift, then `n` numbers for the diffusion.
pub fn theta(n: usize) -> Vec<f64> {
    DRIFT.into_iter().chain((0..n).map(|i| 0.3 + 0.2 * (1.9 * i as f64).sin())).collect()
}

pub fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

/// ‖a − b‖/‖b‖.
pub fn relative(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |it: &mut dyn Iterator<Item = f64>| it.map(|v| v * v).sum::<f64>();
    let difference = square(&mut a.iter().zip(b).map(|(a, b)| a - b));
    (difference / square(&mut b.iter().copied())).sqrt()
}

/// Least-squares slope of ln(error) over ln(h).
pub fn slope(h: &[f64], error: &[f64]) -> f64 {
    let (x, y): (Vec<f64>, Vec<f64>) = h.iter().zip(error).map(|(h, e)| (h.ln(), e.ln())).unzip();
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let cross: f64 = x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum();
    cross / x.iter().map(|x| (x - mx) * (x - mx)).sum::<f64>()
}
