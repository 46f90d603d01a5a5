//! Models beyond the neural ODE: continuous normalising flows, controlled equations, latent ODEs.

#[path = "models/cde.rs"]
mod cde;
#[path = "regularise_support/differences.rs"]
mod differences;
#[path = "models/flow.rs"]
mod flow;
#[path = "models/forms.rs"]
mod forms;
#[path = "models/latent.rs"]
mod latent;
#[path = "models/tangents.rs"]
mod tangents;
#[path = "models/total_derivative.rs"]
mod total_derivative;

/// A fixed, irregular sequence in (−1, 1).
fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + 12.9 * seed + (i as f64).sqrt()).sin()).collect()
}

/// Largest difference over the largest entry of `want`.
fn relative(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let scale = want.iter().fold(1e-300f64, |a, x| a.max(x.abs()));
    got.iter().zip(want).fold(0.0f64, |a, (x, y)| a.max((x - y).abs())) / scale
}
