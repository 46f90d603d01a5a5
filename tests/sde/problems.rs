//! Nonlinear, non-autonomous test equations, one for each class of noise.

use odeon::dynamics::generic::{Generic, VectorField};
use odeon::num::Scalar as Number;
use odeon::sde::{
    Additive, Calculus, Commutative, Diagonal, Diffusion, General, NoiseClass, Scalar, Sde, System,
};

macro_rules! field {
    ($name:ident, $params:literal, |$t:ident, $y:ident, $p:ident, $dy:ident| $body:block) => {
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl VectorField for $name {
            fn dim(&self) -> usize {
                2
            }
            fn num_params(&self) -> usize {
                $params
            }
            #[inline(always)]
            fn eval<S: Number>(&self, $t: S, $y: &[S], $p: &[S], $dy: &mut [S]) $body
        }
    };
}

field!(Drift, 2, |t, y, p, dy| {
    dy[0] = p[0] * y[1].sin() - y[0] + S::of(0.5) * t.cos();
    dy[1] = p[1] * y[0].cos() - S::of(0.5) * y[1] * t;
});
field!(Own, 2, |t, y, p, dy| {
    dy[0] = p[0] * (S::one() + S::of(0.9) * (S::of(1.5) * y[0]).sin() + S::of(0.3) * t);
    dy[1] = p[1] * (S::one() + S::of(0.9) * (S::of(1.5) * y[1]).cos());
});
field!(Other, 2, |_t, y, p, dy| {
    dy[0] = p[0] * (S::one() + S::of(0.5) * y[1].sin());
    dy[1] = p[1] * (S::one() + S::of(0.5) * y[0].cos());
});
field!(Together, 2, |t, y, p, dy| {
    dy[0] = p[0] * (y[1].sin() + S::of(0.5) * t);
    dy[1] = p[1] * (S::one() + S::of(0.5) * y[0].cos());
});
field!(Timed, 2, |t, _y, p, dy| {
    dy[0] = p[0] * (S::one() + t.sin());
    dy[1] = p[1] * (S::one() - S::of(0.5) * t * t);
});
field!(Still, 2, |_t, _y, p, dy| {
    dy[0] = p[0];
    dy[1] = p[1];
});

/// A₀ or A₁ times y, with A₀ and A₁ functions of one rotation: they commute.
#[derive(Clone, Copy, Debug)]
pub struct Turn(pub usize);

impl VectorField for Turn {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        let (a, b) = [(0.6, 0.3), (-0.2, 0.8)][self.0];
        dy[0] = p[0] * (S::of(a) * y[0] - S::of(b) * y[1]);
        dy[1] = p[0] * (S::of(b) * y[0] + S::of(a) * y[1]);
    }
}

/// Columns that do not commute.
#[derive(Clone, Copy, Debug)]
pub struct Shear(pub usize);

impl VectorField for Shear {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        let (to, from) = [(0, 1), (1, 0)][self.0];
        dy[to] = p[0] * (S::one() + y[from]);
        dy[from] = S::zero();
    }
}

/// What a test does with an equation of each class.
pub trait Visit {
    type Output;
    fn visit<G: Diffusion<f64>>(&mut self, sde: &Sde<Generic<Drift>, G>, theta: &[f64]) -> Self::Output;
}

/// The class's equation in the sense of `calculus`, given to `visit`.
pub fn with<V: Visit>(class: NoiseClass, calculus: Calculus, visit: &mut V) -> V::Output {
    fn made<V: Visit, G: Diffusion<f64>>(
        calculus: Calculus,
        g: G,
        g_theta: &[f64],
        visit: &mut V,
    ) -> V::Output {
        let sde = match calculus {
            Calculus::Ito => Sde::ito(Generic(Drift), g),
            Calculus::Stratonovich => Sde::stratonovich(Generic(Drift), g),
        };
        let theta = [&[1.1, 0.8], g_theta].concat();
        assert_eq!(theta.len(), System::<f64>::num_params(&sde));
        visit.visit(&sde, &theta)
    }
    match class {
        NoiseClass::Additive => made(calculus, Additive(Diagonal(Generic(Timed))), &[1.8, 1.5], visit),
        NoiseClass::Scalar => made(calculus, Scalar(Generic(Together)), &[0.7, 0.5], visit),
        NoiseClass::Diagonal => made(calculus, Diagonal(Generic(Own)), &[0.8, 0.7], visit),
        NoiseClass::Commutative => {
            made(calculus, Commutative(vec![Generic(Turn(0)), Generic(Turn(1))]), &[0.7, 0.6], visit)
        }
        NoiseClass::General => {
            made(calculus, General(vec![Generic(Shear(0)), Generic(Shear(1))]), &[0.6, 0.5], visit)
        }
    }
}

/// `paths` copies of the start.
pub fn start(paths: usize) -> Vec<f64> {
    [0.4, -0.3].repeat(paths)
}
