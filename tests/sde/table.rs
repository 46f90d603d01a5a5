//! The table of docs/sde.md: method × class of noise × adjoint, made from what the methods accept.
//!
//!     ODEON_WRITE=1 cargo test --test sde table

use super::problems::{Drift, Visit, with};
use odeon::adjoint::Backsolve;
use odeon::dynamics::generic::Generic;
use odeon::sde::noise::{IntervalTree, Levy};
use odeon::sde::srk::{SrkStepper, StochasticTableau};
use odeon::sde::{Calculus, Diffusion, NoiseClass, Sde, System, tableaux};
use std::fmt::Write;
use std::path::Path;

/// Whether a stepper and a continuous adjoint can be made.
struct Accepts<'a>(&'a StochasticTableau);

impl Visit for Accepts<'_> {
    type Output = [bool; 2];
    fn visit<G: Diffusion<f64>>(&mut self, sde: &Sde<Generic<Drift>, G>, _: &[f64]) -> [bool; 2] {
        let m = Diffusion::<f64>::components(System::<f64>::diffusion(sde));
        let noise = || IntervalTree::new(1, [0.0, 1.0], m, 1).unwrap().levy(Levy::SpaceTime);
        [SrkStepper::new(sde, self.0, noise()).is_ok(), Backsolve::new(sde, self.0, noise()).is_ok()]
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
    for t in tableaux::all() {
        let made = NoiseClass::ALL.map(|class| with(class, t.calculus, &mut Accepts(t)));
        let _ = write!(out, "| {} | {} |", t.name, t.calculus);
        for (class, made) in NoiseClass::ALL.into_iter().zip(made) {
            let claim = t.strength(class).map(|s| format!("{} / {}", order(s.strong), order(s.weak)));
            assert_eq!(claim.is_some(), made[0], "{} on {class} noise", t.name);
            let _ = write!(out, " {} |", claim.unwrap_or_else(|| "–".into()));
        }
        let continuous: Vec<&str> =
            NoiseClass::ALL.into_iter().zip(made).filter(|(_, m)| m[1]).map(|(c, _)| c.name()).collect();
        let continuous = match continuous.len() {
            0 => "–".into(),
            5 => "all".into(),
            _ => continuous.join(", "),
        };
        let estimate = match (t.has_error(), t.error_power) {
            (false, _) => "–",
            (true, 1) => "~ h",
            _ => "~ h^1.5",
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
    for t in tableaux::all() {
        let other = match t.calculus {
            Calculus::Ito => Calculus::Stratonovich,
            Calculus::Stratonovich => Calculus::Ito,
        };
        for class in NoiseClass::ALL {
            let [made, _] = with(class, other, &mut Accepts(t));
            assert_eq!(
                made,
                class == NoiseClass::Additive && t.strength(class).is_some(),
                "{} {class}",
                t.name
            );
        }
    }
}
