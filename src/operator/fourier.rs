//! Discrete Fourier transforms of fields on the torus [0, 1)², by `rustfft`: any extents.

use rustfft::num_complex::Complex64;
use rustfft::{Fft, FftPlanner};
use std::f64::consts::TAU;
use std::sync::Arc;

/// Transforms of fields of n × m points, the first axis fastest (m = 1: of one axis), and their memory.
pub(super) struct Fourier {
    extents: [usize; 2],
    /// For each axis forward and inverse.
    plans: [[Arc<dyn Fft<f64>>; 2]; 2],
    turned: Vec<Complex64>,
    scratch: Vec<Complex64>,
}

impl Fourier {
    pub fn new(extents: [usize; 2]) -> Self {
        let mut planner = FftPlanner::new();
        let plans = extents.map(|n| [planner.plan_fft_forward(n), planner.plan_fft_inverse(n)]);
        let needed = plans.iter().flatten().map(|plan| plan.get_inplace_scratch_len()).max();
        let zeros = |n: usize| vec![Complex64::ZERO; n];
        Self { extents, turned: zeros(extents[0] * extents[1]), scratch: zeros(needed.unwrap_or(0)), plans }
    }

    /// Points.
    pub fn len(&self) -> usize {
        self.turned.len()
    }

    /// `u` ← û, û_k = (1/N) Σ u(x) e^{−2πi k·x}.
    pub fn forward(&mut self, u: &mut [Complex64]) {
        self.transform(0, u);
        let share = 1.0 / self.len() as f64;
        u.iter_mut().for_each(|u| *u *= share);
    }

    /// `u` ← Σ_k û_k e^{2πi k·x}.
    pub fn inverse(&mut self, u: &mut [Complex64]) {
        self.transform(1, u);
    }

    fn transform(&mut self, way: usize, u: &mut [Complex64]) {
        let [n, m] = self.extents;
        self.plans[0][way].process_with_scratch(u, &mut self.scratch);
        if m == 1 {
            return;
        }
        transpose([n, m], u, &mut self.turned);
        self.plans[1][way].process_with_scratch(&mut self.turned, &mut self.scratch);
        transpose([m, n], &self.turned, u);
    }

    /// The wavenumbers k of place `i`, between −n/2 and n/2.
    pub fn wave(&self, i: usize) -> [f64; 2] {
        let [n, m] = self.extents;
        let signed = |i: usize, n: usize| if 2 * i < n { i as f64 } else { i as f64 - n as f64 };
        [signed(i % n, n), signed(i / n, m)]
    }

    /// The place of −k for that of k.
    pub fn opposite(&self, i: usize) -> usize {
        let [n, m] = self.extents;
        (m - i / n) % m * n + (n - i % n) % n
    }

    /// The place of wavenumbers below n/2 in absolute value.
    pub fn place(&self, wave: [i64; 2]) -> usize {
        let [k, l] = [0, 1].map(|axis| wave[axis].rem_euclid(self.extents[axis] as i64) as usize);
        l * self.extents[0] + k
    }

    /// 4π²|k|², the eigenvalue of −Δ, for every place.
    pub fn laplacian(&self) -> Vec<f64> {
        let square = |[k, l]: [f64; 2]| TAU * TAU * (k * k + l * l);
        (0..self.len()).map(|i| square(self.wave(i))).collect()
    }

    /// Whether |k_a| < n_a/3 on both axes: of products of two such fields, what comes back by aliasing lies beyond
    /// (Orszag's 2/3 rule, *J. Atmos. Sci.* 28 (1971) 1074).
    pub fn resolved(&self) -> Vec<bool> {
        let fits = |k: f64, n: usize| 3.0 * k.abs() < n as f64;
        let both = |[k, l]: [f64; 2]| fits(k, self.extents[0]) && fits(l, self.extents[1]);
        (0..self.len()).map(|i| both(self.wave(i))).collect()
    }
}

fn transpose([n, m]: [usize; 2], from: &[Complex64], to: &mut [Complex64]) {
    for (j, row) in from.chunks_exact(n).enumerate() {
        row.iter().enumerate().for_each(|(i, u)| to[i * m + j] = *u);
    }
}
