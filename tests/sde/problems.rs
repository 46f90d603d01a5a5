//! Nonlinear, non-autonomous test equations, one for each class of noise.

use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Point, Tangent};
use odeon::num::Scalar as Number;
use odeon::sde::{
    Additive, Calculus, Commutative, Diagonal, Diffusion, General, NoiseClass, Scalar, Sde, Shape, System,
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

/// The noise of every class as one type, so that each method is compiled once.
pub enum Noise {
    Additive(Additive<Diagonal<Generic<Timed>>>),
    Scalar(Scalar<Generic<Together>>),
    Diagonal(Diagonal<Generic<Own>>),
    Commutative(Commutative<Generic<Turn>>),
    General(General<Generic<Shear>>),
}

type ScratchOf<G> = <G as Diffusion<f64>>::Scratch;

pub enum NoiseScratch {
    Additive(ScratchOf<Additive<Diagonal<Generic<Timed>>>>),
    Scalar(ScratchOf<Scalar<Generic<Together>>>),
    Diagonal(ScratchOf<Diagonal<Generic<Own>>>),
    Commutative(ScratchOf<Commutative<Generic<Turn>>>),
    General(ScratchOf<General<Generic<Shear>>>),
}

/// A method of the class's own diffusion, which has `$g` and, where it is asked for, its `$scratch`.
macro_rules! own {
    ($self:ident, $g:ident => $call:expr) => {
        match $self {
            Self::Additive($g) => $call,
            Self::Scalar($g) => $call,
            Self::Diagonal($g) => $call,
            Self::Commutative($g) => $call,
            Self::General($g) => $call,
        }
    };
    ($self:ident, $scratch:ident, $g:ident => $call:expr) => {
        match ($self, $scratch) {
            (Self::Additive($g), NoiseScratch::Additive($scratch)) => $call,
            (Self::Scalar($g), NoiseScratch::Scalar($scratch)) => $call,
            (Self::Diagonal($g), NoiseScratch::Diagonal($scratch)) => $call,
            (Self::Commutative($g), NoiseScratch::Commutative($scratch)) => $call,
            (Self::General($g), NoiseScratch::General($scratch)) => $call,
            _ => unreachable!("the scratch is another noise's"),
        }
    };
}

impl Diffusion<f64> for Noise {
    type Scratch = NoiseScratch;

    fn class(&self) -> NoiseClass {
        own!(self, g => Diffusion::<f64>::class(g))
    }
    fn shape(&self) -> Shape {
        own!(self, g => Diffusion::<f64>::shape(g))
    }
    fn dim(&self) -> usize {
        own!(self, g => Diffusion::<f64>::dim(g))
    }
    fn components(&self) -> usize {
        own!(self, g => Diffusion::<f64>::components(g))
    }
    fn num_params(&self) -> usize {
        own!(self, g => Diffusion::<f64>::num_params(g))
    }
    fn scratch(&self, batch: usize) -> NoiseScratch {
        match self {
            Self::Additive(g) => NoiseScratch::Additive(g.scratch(batch)),
            Self::Scalar(g) => NoiseScratch::Scalar(g.scratch(batch)),
            Self::Diagonal(g) => NoiseScratch::Diagonal(g.scratch(batch)),
            Self::Commutative(g) => NoiseScratch::Commutative(g.scratch(batch)),
            Self::General(g) => NoiseScratch::General(g.scratch(batch)),
        }
    }
    fn scratch_bytes(&self, batch: usize) -> usize {
        own!(self, g => Diffusion::<f64>::scratch_bytes(g, batch))
    }
    #[inline(never)]
    fn eval(&self, at: Point<'_, f64>, out: &mut [f64], scratch: &mut NoiseScratch) {
        own!(self, scratch, g => g.eval(at, out, scratch));
    }
    #[inline(never)]
    fn vjp(
        &self,
        at: Point<'_, f64>,
        g_bar: &[f64],
        y_bar: &mut [f64],
        theta_bar: &mut [f64],
        scratch: &mut NoiseScratch,
    ) -> f64 {
        own!(self, scratch, g => g.vjp(at, g_bar, y_bar, theta_bar, scratch))
    }
    #[inline(never)]
    fn jvp(&self, at: Point<'_, f64>, dot: Tangent<'_, f64>, out: &mut [f64], scratch: &mut NoiseScratch) {
        own!(self, scratch, g => g.jvp(at, dot, out, scratch));
    }
    #[inline(never)]
    fn contraction(
        &self,
        at: Point<'_, f64>,
        u: &[f64],
        out: &mut [f64],
        work: &mut [f64],
        scratch: &mut NoiseScratch,
    ) {
        own!(self, scratch, g => g.contraction(at, u, out, work, scratch));
    }
    fn validate(&self) -> odeon::Result<()> {
        own!(self, g => Diffusion::<f64>::validate(g))
    }
}

/// What a test does with an equation of each class.
pub trait Visit {
    type Output;
    fn visit<G: Diffusion<f64>>(&mut self, sde: &Sde<Generic<Drift>, G>, theta: &[f64]) -> Self::Output;
}

/// The class's equation in the sense of `calculus`, given to `visit`.
pub fn with<V: Visit>(class: NoiseClass, calculus: Calculus, visit: &mut V) -> V::Output {
    let (noise, g_theta) = match class {
        NoiseClass::Additive => (Noise::Additive(Additive(Diagonal(Generic(Timed)))), [1.8, 1.5]),
        NoiseClass::Scalar => (Noise::Scalar(Scalar(Generic(Together))), [0.7, 0.5]),
        NoiseClass::Diagonal => (Noise::Diagonal(Diagonal(Generic(Own))), [0.8, 0.7]),
        NoiseClass::Commutative => {
            (Noise::Commutative(Commutative(vec![Generic(Turn(0)), Generic(Turn(1))])), [0.7, 0.6])
        }
        NoiseClass::General => {
            (Noise::General(General(vec![Generic(Shear(0)), Generic(Shear(1))])), [0.6, 0.5])
        }
    };
    let sde = match calculus {
        Calculus::Ito => Sde::ito(Generic(Drift), noise),
        Calculus::Stratonovich => Sde::stratonovich(Generic(Drift), noise),
    };
    let theta = [&[1.1, 0.8], &g_theta[..]].concat();
    assert_eq!(theta.len(), System::<f64>::num_params(&sde));
    visit.visit(&sde, &theta)
}

/// `paths` copies of the start.
pub fn start(paths: usize) -> Vec<f64> {
    [0.4, -0.3].repeat(paths)
}
