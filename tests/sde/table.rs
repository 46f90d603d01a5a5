//! The table of docs/sde.md: method × class of noise × adjoint, made from what the methods accept and claim.
//!
//!     ODEON_WRITE=1 cargo test --test sde table

use super::methods::Method;
use super::problems::{Drift, Visit, with};
use odeon::adjoint::Backsolve;
use odeon::dynamics::generic::Generic;
use odeon::sde::noise::{IntervalTree, Levy};
use odeon::sde::{
    Calculus, Diffusion, DriftImplicitEuler, DriftImplicitTrapezoid, LogOde, Milstein, MilsteinDifferences,
    NoiseClass, ReversibleHeun, Sde, SdeMethod, System,
};
use std::fmt::Write;
use std::path::Path;

/// Whether a stepper and a continuous adjoint can be made.
struct Accepts(Method);

impl Visit for Accepts {
    type Output = [bool; 2];
    fn visit<G: Diffusion<f64>>(&mut self, sde: &Sde<Generic<Drift>, G>, _: &[f64]) -> [bool; 2] {
        let m = Diffusion::<f64>::components(System::<f64>::diffusion(sde));
        let noise = || IntervalTree::new(1, [0.0, 1.0], m, 1).unwrap().levy(Levy::SpaceTime);
        let continuous = match self.0 {
            Method::Table(table) => Backsolve::new(sde, table, noise()).is_ok(),
            _ => false,
        };
        let made = match self.0 {
            Method::Table(table) => table.stepper(sde, noise()).is_ok(),
            Method::Milstein(_) => Milstein.stepper(sde, noise()).is_ok(),
            Method::MilsteinDifferences => MilsteinDifferences.stepper(sde, noise()).is_ok(),
            Method::DriftImplicitEuler => DriftImplicitEuler.stepper(sde, noise()).is_ok(),
            Method::DriftImplicitTrapezoid => DriftImplicitTrapezoid.stepper(sde, noise()).is_ok(),
            Method::LogOde => LogOde.stepper(sde, noise()).is_ok(),
            Method::ReversibleHeun => ReversibleHeun.stepper(sde, noise()).is_ok(),
        };
        [made, continuous]
    }
}

fn order(x: f64) -> String {
    if x == 0.5 { "½".into() } else { format!("{x}") }
}

fn table() -> String {
    let mut out = String::from(
        "| method | calculus | additive | scalar | diagonal | commutative | general | estimate | continuous adjoint |\n",
    );
    out.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for method in Method::all() {
        let made = NoiseClass::ALL.map(|class| with(class, method.calculus(), &mut Accepts(method)));
        let _ = write!(out, "| {} | {} |", method.name(), method.calculus());
        for (class, made) in NoiseClass::ALL.into_iter().zip(made) {
            let claim = method.strength(class).map(|s| format!("{} / {}", order(s.strong), order(s.weak)));
            assert_eq!(claim.is_some(), made[0], "{} on {class} noise", method.name());
            let _ = write!(out, " {} |", claim.unwrap_or_else(|| "–".into()));
        }
        let continuous: Vec<&str> =
            NoiseClass::ALL.into_iter().zip(made).filter(|(_, m)| m[1]).map(|(c, _)| c.name()).collect();
        let continuous = match continuous.len() {
            0 => "–".into(),
            5 => "all".into(),
            _ => continuous.join(", "),
        };
        let estimate = match method {
            _ if !method.has_error() => "–",
            Method::Table(table) if table.error_power > 1 => "~ h^1.5",
            _ => "~ h",
        };
        let _ = writeln!(out, " {estimate} | {continuous} |");
    }
    out
}

#[test]
fn the_table_of_the_docs_is_what_the_methods_accept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sde.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- the table -->\n", "<!-- its end -->");
    let start = text.find(begin).unwrap() + begin.len();
    let stop = text.find(end).unwrap();
    if std::env::var("ODEON_WRITE").is_ok() {
        std::fs::write(&path, [&text[..start], &table(), &text[stop..]].concat()).unwrap();
        return;
    }
    assert_eq!(&text[start..stop], table(), "run ODEON_WRITE=1 cargo test --test sde table");
}

#[test]
fn the_other_calculus_is_refused_but_on_additive_noise() {
    for method in Method::all() {
        // It takes both.
        if matches!(method, Method::Milstein(_)) {
            continue;
        }
        let other = match method.calculus() {
            Calculus::Ito => Calculus::Stratonovich,
            Calculus::Stratonovich => Calculus::Ito,
        };
        for class in NoiseClass::ALL {
            let [made, _] = with(class, other, &mut Accepts(method));
            let expected = class == NoiseClass::Additive && method.strength(class).is_some();
            assert_eq!(made, expected, "{} {class}", method.name());
        }
    }
}
