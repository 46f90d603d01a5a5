//! One channel's observations as a piecewise polynomial.

/// How a path is made of observations.
///
/// | | Ẋ | looks ahead | source |
/// |---|---|---|---|
/// | `Linear` | jumps at the observations | to the next observation | Kidger et al. 2020 |
/// | `Rectilinear` | jumps at the knots | no | Morrill et al. 2021, arXiv 2106.11028 |
/// | `Hermite` | continuous | to the next observation | Morrill et al. 2021 |
/// | `NaturalSpline` | continuously differentiable | to the last one | Kidger et al. 2020 |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Interpolation {
    /// Straight lines between the observations.
    Linear,
    /// First the time moves on, then the values jump: the path passes (t_i, x_i), (t_{i+1}, x_i), (t_{i+1}, x_{i+1}),
    /// so that at no time it depends on what comes later. Its parameter counts these knots, 0 to 2(N − 1), and is the
    /// time of the equation; the observations' own times are a channel.
    Rectilinear {
        /// The channel that holds the times; none of it may be missing, and it must increase.
        time: usize,
        /// Value of a channel before its first observation.
        before: f64,
    },
    /// Cubic Hermite splines whose derivative at an observation is the slope from the one before it (at the first: to
    /// the next). A new observation changes nothing before the last one.
    #[default]
    Hermite,
    /// The natural cubic spline: C², X″ = 0 at the first and the last observation.
    NaturalSpline,
}

/// a + b s + c s² + d s³ of s = t − (start of the piece).
pub(super) type Piece = [f64; 4];

/// The pieces between observations at increasing times `t` (one fewer than observations).
pub(super) fn pieces(kind: Interpolation, t: &[f64], x: &[f64]) -> Vec<Piece> {
    let h: Vec<f64> = t.windows(2).map(|w| w[1] - w[0]).collect();
    let slope: Vec<f64> = x.windows(2).zip(&h).map(|(x, h)| (x[1] - x[0]) / h).collect();
    let ends = |i: usize| match kind {
        Interpolation::Linear | Interpolation::Rectilinear { .. } => [slope[i]; 2],
        Interpolation::Hermite => [slope[i.saturating_sub(1)], slope[i]],
        Interpolation::NaturalSpline => [0.0; 2],
    };
    let natural = if kind == Interpolation::NaturalSpline { derivatives(&h, &slope) } else { Vec::new() };
    let piece = |i: usize| {
        let [left, right] = match natural.get(i..i + 2) {
            Some(k) => [k[0], k[1]],
            None => ends(i),
        };
        // Hermite's cubic through the values with these derivatives.
        let bend = (3.0 * slope[i] - 2.0 * left - right) / h[i];
        [x[i], left, bend, (left + right - 2.0 * slope[i]) / (h[i] * h[i])]
    };
    (0..h.len()).map(piece).collect()
}

/// The natural spline's derivatives at the observations, from the continuity of X″:
///
/// k_{i−1}/h_{i−1} + 2(1/h_{i−1} + 1/h_i) k_i + k_{i+1}/h_i = 3(δ_{i−1}/h_{i−1} + δ_i/h_i),
///
/// 2k_0 + k_1 = 3δ_0 at the first and likewise at the last; by elimination, the matrix being diagonally dominant.
fn derivatives(h: &[f64], slope: &[f64]) -> Vec<f64> {
    let n = h.len();
    if n == 0 {
        return Vec::new();
    }
    let mut k = vec![0.0; n + 1];
    // Upper diagonal after elimination.
    let mut upper = vec![0.0; n + 1];
    for i in 0..=n {
        let (below, right_below) = if i > 0 { (1.0 / h[i - 1], slope[i - 1] / h[i - 1]) } else { (0.0, 0.0) };
        let (above, right_above) = if i < n { (1.0 / h[i], slope[i] / h[i]) } else { (0.0, 0.0) };
        let (before, before_upper) = if i > 0 { (k[i - 1], upper[i - 1]) } else { (0.0, 0.0) };
        let pivot = 2.0 * (below + above) - below * before_upper;
        upper[i] = above / pivot;
        k[i] = (3.0 * (right_below + right_above) - below * before) / pivot;
    }
    for i in (0..n).rev() {
        k[i] -= upper[i] * k[i + 1];
    }
    k
}

/// The same polynomial from `by` after the start on.
pub(super) fn shifted([a, b, c, d]: Piece, by: f64) -> Piece {
    [a + by * (b + by * (c + by * d)), b + by * (2.0 * c + 3.0 * by * d), c + 3.0 * by * d, d]
}
