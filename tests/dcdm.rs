//! Learned search directions: flexible CG and its safeguards, the networks, their gradients, data and
//! training.

#[path = "dcdm/guarded.rs"]
mod guarded;
#[path = "dcdm/networks.rs"]
mod networks;
#[path = "dcdm/shipped.rs"]
mod shipped;
#[path = "dcdm/training.rs"]
mod training;

type Tested = Result<(), Box<dyn std::error::Error>>;

/// Standard normal numbers.
fn normal(n: usize, stream: u64) -> Vec<f64> {
    let draw = |i| odeon::num::random::normal_pair(odeon::num::random::at(77, i, stream)).0;
    (0..n as u64).map(draw).collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}
