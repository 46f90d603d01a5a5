//! Every stochastic method under one type: the tables, and those that are none, with what they claim.

use odeon::integrate::{Options, Partial, Problem, Solution};
use odeon::sde::noise::Brownian;
use odeon::sde::srk::{StochasticTableau, Strength};
use odeon::sde::{
    Calculus, DriftImplicitEuler, DriftImplicitTrapezoid, LogOde, Milstein, MilsteinDifferences, NoiseClass,
    ReversibleHeun, System, solve, tableaux,
};

#[derive(Clone, Copy, Debug)]
pub enum Method {
    Table(&'static StochasticTableau),
    Milstein(Calculus),
    MilsteinDifferences,
    DriftImplicitEuler,
    DriftImplicitTrapezoid,
    LogOde,
    ReversibleHeun,
}

impl Method {
    pub fn all() -> Vec<Self> {
        let tables = tableaux::all().into_iter().map(Self::Table);
        let others = [
            Self::Milstein(Calculus::Ito),
            Self::Milstein(Calculus::Stratonovich),
            Self::MilsteinDifferences,
            Self::DriftImplicitEuler,
            Self::DriftImplicitTrapezoid,
            Self::LogOde,
            Self::ReversibleHeun,
        ];
        tables.chain(others).collect()
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Table(table) => table.name,
            Self::Milstein(_) => "Milstein",
            Self::MilsteinDifferences => "MilsteinDifferences",
            Self::DriftImplicitEuler => "DriftImplicitEuler",
            Self::DriftImplicitTrapezoid => "DriftImplicitTrapezoid",
            Self::LogOde => "LogOde",
            Self::ReversibleHeun => "ReversibleHeun",
        }
    }

    pub fn calculus(self) -> Calculus {
        match self {
            Self::Table(table) => table.calculus,
            Self::Milstein(calculus) => calculus,
            Self::LogOde | Self::ReversibleHeun => Calculus::Stratonovich,
            _ => Calculus::Ito,
        }
    }

    /// What it claims on a class.
    pub fn strength(self, class: NoiseClass) -> Option<Strength> {
        let on = |strong: f64| Some(Strength { class, strong, weak: 1.0 });
        match self {
            Self::Table(table) => table.strength(class),
            Self::Milstein(_) | Self::MilsteinDifferences if !class.commutes() => None,
            Self::Milstein(_) | Self::MilsteinDifferences => on(1.0),
            Self::DriftImplicitEuler | Self::DriftImplicitTrapezoid => {
                on(if class == NoiseClass::Additive { 1.0 } else { 0.5 })
            }
            Self::LogOde | Self::ReversibleHeun => on(if class.commutes() { 1.0 } else { 0.5 }),
        }
    }

    /// Whether it estimates its error.
    pub fn has_error(self) -> bool {
        match self {
            Self::Table(table) => table.has_error(),
            _ => true,
        }
    }

    /// Whether adaptive steps tend to the solution on this noise, so that it takes them.
    pub fn adapts(self, class: NoiseClass) -> bool {
        let euler = matches!(self, Self::DriftImplicitEuler | Self::DriftImplicitTrapezoid);
        self.has_error() && (!euler || class == NoiseClass::Additive)
    }

    pub fn solve<S: System<f64>>(
        self,
        sde: &S,
        noise: Box<dyn Brownian<f64>>,
        problem: &Problem<'_, f64>,
        options: &Options<f64>,
    ) -> Result<Solution<f64>, Partial<f64>> {
        match self {
            Self::Table(table) => solve(sde, table, noise, problem, options),
            Self::Milstein(_) => solve(sde, &Milstein, noise, problem, options),
            Self::MilsteinDifferences => solve(sde, &MilsteinDifferences, noise, problem, options),
            Self::DriftImplicitEuler => solve(sde, &DriftImplicitEuler, noise, problem, options),
            Self::DriftImplicitTrapezoid => solve(sde, &DriftImplicitTrapezoid, noise, problem, options),
            Self::LogOde => solve(sde, &LogOde, noise, problem, options),
            Self::ReversibleHeun => solve(sde, &ReversibleHeun, noise, problem, options),
        }
    }
}
