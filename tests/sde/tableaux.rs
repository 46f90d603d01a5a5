//! The order conditions of Rößler's families and of the additive Lévy-area methods.

use odeon::sde::srk::{StochasticTableau, Variate};
use odeon::sde::{NoiseClass, tableaux};

struct Table {
    c0: Vec<f64>,
    c1: Vec<f64>,
    a0: Vec<Vec<f64>>,
    a1: Vec<Vec<f64>>,
    b0: Vec<Vec<f64>>,
    b1: Vec<Vec<f64>>,
    alpha: Vec<f64>,
    beta: [Vec<f64>; 4],
}

impl Table {
    fn of(t: &StochasticTableau) -> Self {
        let s = t.stages();
        let fill = |list: &[f64]| (0..s).map(|j| list.get(j).copied().unwrap_or(0.0)).collect::<Vec<_>>();
        let rows = |rows: &[&[f64]]| -> Vec<Vec<f64>> {
            (0..s).map(|i| fill(rows.get(i).copied().unwrap_or_default())).collect()
        };
        let find = |v: Variate| t.noise.iter().find(|c| c.variate == v);
        let beta = [Variate::Increment, Variate::Square, Variate::TimeIntegral, Variate::Cube]
            .map(|v| fill(find(v).map_or(&[], |c| c.solution)));
        Self {
            c0: t.c0.to_vec(),
            c1: t.c1.to_vec(),
            a0: rows(t.a0),
            a1: rows(t.a1),
            b0: rows(find(Variate::TimeIntegral).map_or(&[], |c| c.drift)),
            b1: rows(find(Variate::Root).map_or(&[], |c| c.diffusion)),
            alpha: t.alpha.to_vec(),
            beta,
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn apply(rows: &[Vec<f64>], x: &[f64]) -> Vec<f64> {
    rows.iter().map(|row| dot(row, x)).collect()
}

fn ones(n: usize) -> Vec<f64> {
    vec![1.0; n]
}

fn square(x: &[f64]) -> Vec<f64> {
    x.iter().map(|v| v * v).collect()
}

/// Rößler (2010), theorem 6.1: strong order 1.5 for diagonal noise, with the abscissae's row sums.
fn sri(t: &Table) -> Vec<(String, f64)> {
    let e = ones(t.alpha.len());
    let [b1, b2, b3, b4] = &t.beta;
    let (a0e, a1e, b0e, b1e) = (apply(&t.a0, &e), apply(&t.a1, &e), apply(&t.b0, &e), apply(&t.b1, &e));
    let mut all = vec![
        ("αe = 1".into(), dot(&t.alpha, &e) - 1.0),
        ("αA0e = 1/2".into(), dot(&t.alpha, &a0e) - 0.5),
        ("αB0e = 1".into(), dot(&t.alpha, &b0e) - 1.0),
        ("α(B0e)² = 3/2".into(), dot(&t.alpha, &square(&b0e)) - 1.5),
    ];
    let conditions = [
        ("βe", e.clone(), [1.0, 0.0, 0.0, 0.0]),
        ("βB1e", b1e.clone(), [0.0, 1.0, 0.0, 0.0]),
        ("βA1e", a1e.clone(), [1.0, 0.0, -1.0, 0.0]),
        ("β(B1e)²", square(&b1e), [1.0, 0.0, -1.0, 2.0]),
        ("βB1(B1e)", apply(&t.b1, &b1e), [0.0, 0.0, 0.0, 1.0]),
    ];
    for (name, vector, wanted) in conditions {
        for (k, (beta, wanted)) in [b1, b2, b3, b4].into_iter().zip(wanted).enumerate() {
            all.push((format!("{name} for β{}", k + 1), dot(beta, &vector) - wanted));
        }
    }
    let a1b0 = apply(&t.a1, &b0e);
    all.push(("½β1A1B0e + ⅓β3A1B0e = 0".into(), 0.5 * dot(b1, &a1b0) + dot(b3, &a1b0) / 3.0));
    for (i, (c, sum)) in t.c0.iter().zip(&a0e).chain(t.c1.iter().zip(&a1e)).enumerate() {
        all.push((format!("abscissa {i}"), c - sum));
    }
    all
}

/// Rößler (2010), theorem 5.1: strong order 1.5 for additive noise.
fn sra(t: &Table) -> Vec<(String, f64)> {
    let e = ones(t.alpha.len());
    let [b1, _, b2, _] = &t.beta;
    let (a0e, b0e) = (apply(&t.a0, &e), apply(&t.b0, &e));
    let mut all: Vec<(String, f64)> = vec![
        ("αe = 1".into(), dot(&t.alpha, &e) - 1.0),
        ("β1e = 1".into(), dot(b1, &e) - 1.0),
        ("β2e = 0".into(), dot(b2, &e)),
        ("αB0e = 1".into(), dot(&t.alpha, &b0e) - 1.0),
        ("αA0e = 1/2".into(), dot(&t.alpha, &a0e) - 0.5),
        ("α(B0e)² = 3/2".into(), dot(&t.alpha, &square(&b0e)) - 1.5),
        ("β1c1 = 1".into(), dot(b1, &t.c1) - 1.0),
        ("β2c1 = −1".into(), dot(b2, &t.c1) + 1.0),
    ];
    for (i, (c, sum)) in t.c0.iter().zip(&a0e).enumerate() {
        all.push((format!("abscissa {i}"), c - sum));
    }
    all
}

fn worst(conditions: Vec<(String, f64)>) -> (String, f64) {
    conditions.into_iter().fold((String::new(), 0.0), |a, b| if b.1.abs() > a.1.abs() { b } else { a })
}

/// Conditions by name, with how far each is from holding.
type Conditions = fn(&Table) -> Vec<(String, f64)>;

fn family(t: &StochasticTableau) -> Option<Conditions> {
    let name = t.name.to_lowercase();
    match name {
        n if n.starts_with("sri") || n.starts_with("sosri") => Some(sri),
        n if n.starts_with("sra") || n.starts_with("sosra") => Some(sra),
        _ => None,
    }
}

#[test]
fn conditions_of_strong_order_one_and_a_half_hold() {
    let mut seen = 0;
    for t in tableaux::all() {
        let Some(conditions) = family(t) else { continue };
        seen += 1;
        let (which, off) = worst(conditions(&Table::of(t)));
        // The stability-optimised ones were published with sixteen decimals.
        let bound = if t.name.starts_with("SOS") { 2e-13 } else { 1e-15 };
        assert!(off.abs() < bound, "{}: {which} is off by {off:e}", t.name);
    }
    assert_eq!(seen, 10);
}

#[test]
fn a_changed_coefficient_breaks_a_condition() {
    for t in tableaux::all() {
        let Some(conditions) = family(t) else { continue };
        let strong = |t: &Table| worst(conditions(t)).1.abs() > 5e-8;
        let each = |change: &dyn Fn(&mut Table, usize, usize)| {
            for (i, j) in (0..t.stages()).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let mut changed = Table::of(t);
                change(&mut changed, i, j);
                assert!(strong(&changed), "{}: {i}, {j}", t.name);
            }
        };
        each(&|t, i, j| t.a0[i][j] += 1e-6);
        if t.name.to_lowercase().contains("sri") {
            each(&|t, i, j| t.a1[i][j] += 1e-6);
            each(&|t, i, j| t.b1[i][j] += 1e-6);
        }
        for j in 0..t.stages() {
            let mut changed = Table::of(t);
            changed.alpha[j] += 1e-6;
            assert!(strong(&changed), "{}: α{j}", t.name);
            for k in [0, 2] {
                let mut changed = Table::of(t);
                changed.beta[k][j] += 1e-6;
                assert!(strong(&changed), "{}: β{k}, {j}", t.name);
            }
        }
    }
}

#[test]
fn names_are_found_and_strengths_are_sane() {
    for t in tableaux::all() {
        assert!(std::ptr::eq(tableaux::by_name(t.name).unwrap(), t), "{}", t.name);
        assert_eq!((t.c0.len(), t.c1.len()), (t.stages(), t.stages()), "{}", t.name);
        for class in NoiseClass::ALL {
            if let Some(s) = t.strength(class) {
                assert!(s.strong >= 0.5 && s.weak >= s.strong, "{}", t.name);
            }
        }
    }
    assert!(tableaux::by_name("nothing").is_none());
}
