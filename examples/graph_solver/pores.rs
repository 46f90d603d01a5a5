//! Random pore networks and their pressures.

use odeon::linalg::krylov::Cg;
use odeon::linalg::{Csr, Identity, Settings};
use odeon::model::Graph;
use odeon::num::random::{at, normal_pair};
use odeon::{Error, Result};

/// A network and its steady state.
#[cfg_attr(not(feature = "plot"), allow(dead_code, reason = "the pictures read it"))]
pub struct Pores {
    pub graph: Graph<f64>,
    pub place: Vec<[f64; 2]>,
    pub pressure: Vec<f64>,
}

/// Neighbours that a pore is joined to at least.
const NEIGHBOURS: usize = 4;
/// Pores nearer to a side than this have its pressure.
const MARGIN: f64 = 0.1;

fn given(place: [f64; 2]) -> Option<f64> {
    match place[0] {
        x if x < MARGIN => Some(1.0),
        x if x > 1.0 - MARGIN => Some(0.0),
        _ => None,
    }
}

impl Pores {
    /// Network number `id` of about `count` pores.
    pub fn new(count: usize, seed: u64, id: u64) -> Result<Self> {
        let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        let place: Vec<[f64; 2]> = (0..count as u64).map(|k| at(seed, id << 20 | k, 3).map(unit)).collect();
        let distance = |a: usize, b: usize| (place[a][0] - place[b][0]).hypot(place[a][1] - place[b][1]);
        let mut pairs: Vec<[usize; 2]> = Vec::new();
        for i in 0..count {
            let mut near: Vec<usize> = (0..count).filter(|&j| j != i).collect();
            near.sort_by(|&a, &b| distance(i, a).total_cmp(&distance(i, b)));
            pairs.extend(near.iter().take(NEIGHBOURS).map(|&j| [i.min(j), i.max(j)]));
        }
        pairs.sort_unstable();
        pairs.dedup();
        // Pores without a way to a given pressure are left out.
        let mut reached: Vec<bool> = place.iter().map(|&p| given(p).is_some()).collect();
        loop {
            let next = pairs.iter().find(|[a, b]| reached[*a] != reached[*b]);
            match next {
                Some(&[a, b]) => (reached[a], reached[b]) = (true, true),
                None => break,
            }
        }
        let kept: Vec<usize> = (0..count).filter(|&i| reached[i]).collect();
        let number = |i: usize| kept.binary_search(&i);
        // Poiseuille's law: the conductance goes with the fourth power of the radius over the length.
        let mut throats = Vec::new();
        for (k, &[a, b]) in pairs.iter().enumerate() {
            if let (Ok(i), Ok(j)) = (number(a), number(b)) {
                let radius = (0.25 * normal_pair(at(seed, id << 20 | k as u64, 4)).0).exp();
                throats.push((i, j, radius.powi(4) * 0.1 / distance(a, b).max(1e-3)));
            }
        }
        let place: Vec<[f64; 2]> = kept.iter().map(|&i| place[i]).collect();
        let pressure = balance(&place, &throats)?;
        let both = |&(i, j, g): &(usize, usize, f64)| {
            let feature = vec![0.5 * g.ln()];
            [(i, j, feature.clone()), (j, i, feature)]
        };
        let edges: Vec<_> = throats.iter().flat_map(both).collect();
        let features = place.iter().flat_map(|&p| match given(p) {
            Some(value) => [1.0, value],
            None => [0.0, 0.0],
        });
        let graph = Graph::new(&features.collect::<Vec<f64>>(), 2, &edges)?;
        Ok(Self { graph, place, pressure })
    }

    /// Of the pressures.
    pub fn variance(&self) -> f64 {
        let n = self.pressure.len() as f64;
        let mean = self.pressure.iter().sum::<f64>() / n;
        self.pressure.iter().map(|p| (p - mean) * (p - mean) / n).sum()
    }
}

/// Σ_j g_ij (p_i − p_j) = 0 at every pore whose pressure is not given.
fn balance(place: &[[f64; 2]], throats: &[(usize, usize, f64)]) -> Result<Vec<f64>> {
    let n = place.len();
    let (mut triplets, mut b) = (Vec::new(), vec![0.0; n]);
    for (i, p) in place.iter().enumerate() {
        if let Some(value) = given(*p) {
            triplets.push((i, i, 1.0));
            b[i] = value;
        }
    }
    for &(i, j, g) in throats {
        for (i, j) in [(i, j), (j, i)] {
            if given(place[i]).is_none() {
                triplets.push((i, i, g));
                match given(place[j]) {
                    Some(value) => b[i] += g * value,
                    None => triplets.push((i, j, -g)),
                }
            }
        }
    }
    if n == 0 {
        return Err(Error::invalid("a pore network", "empty", "some pore must have a given pressure"));
    }
    let a = Csr::from_triplets([n, n], &triplets)?;
    let mut p = vec![0.0; n];
    Cg::new(n, Settings::tol(1e-12))?.solve(&a, &mut Identity(n), &b, &mut p)?.ok()?;
    Ok(p)
}
