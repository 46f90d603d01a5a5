//! Generators of data against exact solutions, their orders, and bad requests.

#[path = "pde_data/elliptic.rs"]
mod elliptic;
#[path = "pde_data/fields.rs"]
mod fields;
#[path = "pde_data/files.rs"]
mod files;
#[path = "pde_data/plume.rs"]
mod plume;
#[path = "pde_data/torus.rs"]
mod torus;

type Tested = Result<(), Box<dyn std::error::Error>>;

/// ‖a − b‖₂/‖b‖₂.
fn relative(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

/// Values at the points (i/n, j/m), i fastest.
fn on([n, m]: [usize; 2], f: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    (0..n * m).map(|at| f((at % n) as f64 / n as f64, (at / n) as f64 / m as f64)).collect()
}
