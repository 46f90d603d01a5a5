//! The fused linear combinations that steps are made of: out = base + scale · Σ_j w_j k_j in one pass
//! over memory for up to eight terms.

use super::{Kernel, Scalar, dispatch};

/// How many terms one pass of [`combine`] takes.
const TERMS: usize = 8;

struct Combine<'a, E, const J: usize> {
    out: &'a mut [E],
    base: Option<&'a [E]>,
    minus: Option<&'a [E]>,
    scale: E,
    weights: [E; J],
    terms: [&'a [E]; J],
}

impl<E: Scalar, const J: usize> Combine<'_, E, J> {
    /// Σ_j w_j terms_j[i].
    #[inline(always)]
    fn dot(w: &[E; J], terms: &[&[E]; J], i: usize) -> E {
        let mut acc = w[0] * terms[0][i];
        for j in 1..J {
            acc = w[j].mul_add(terms[j][i], acc);
        }
        acc
    }

    /// Σ_{j<J−1} w_j terms_j[i]. The last term joins the base by one fused operation: in a step of a
    /// small system it is what the others wait for (`small_stage` in `ode::explicit` has the same bits).
    #[inline(always)]
    fn earlier(w: &[E; J], terms: &[&[E]; J], i: usize) -> E {
        let mut acc = E::zero();
        for j in 0..J - 1 {
            acc = w[j].mul_add(terms[j][i], acc);
        }
        acc
    }

    /// Σ_j w_j (terms_j[i] − x).
    #[inline(always)]
    fn dot_minus(w: &[E; J], terms: &[&[E]; J], x: E, i: usize) -> E {
        let mut acc = w[0] * (terms[0][i] - x);
        for j in 1..J {
            acc = w[j].mul_add(terms[j][i] - x, acc);
        }
        acc
    }
}

impl<E: Scalar, const J: usize> Kernel for Combine<'_, E, J> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let n = self.out.len();
        let (w, scale, out) = (self.weights, self.scale, self.out);
        let mut terms = self.terms;
        for term in &mut terms {
            *term = &term[..n];
        }
        match (self.base, self.minus) {
            (Some(base), None) => {
                let base = &base[..n];
                let last = scale * w[J - 1];
                for i in 0..n {
                    out[i] =
                        last.mul_add(terms[J - 1][i], scale.mul_add(Self::earlier(&w, &terms, i), base[i]));
                }
            }
            (None, None) => {
                for (i, out) in out.iter_mut().enumerate() {
                    *out = scale.mul_add(Self::dot(&w, &terms, i), *out);
                }
            }
            (_, Some(minus)) => {
                let minus = &minus[..n];
                for i in 0..n {
                    out[i] = scale.mul_add(Self::dot_minus(&w, &terms, minus[i], i), out[i]);
                }
            }
        }
    }
}

/// Runs passes of at most [`TERMS`] terms over the non-zero weights.
#[inline(never)]
fn passes<'a, E: Scalar + 'a>(
    out: &mut [E],
    mut base: Option<&[E]>,
    minus: Option<&[E]>,
    scale: E,
    terms: impl Iterator<Item = (E, &'a [E])>,
) {
    let mut weights = [E::zero(); TERMS];
    let mut slices: [&[E]; TERMS] = [&[]; TERMS];
    let mut terms = terms.peekable();
    while terms.peek().is_some() {
        let mut count = 0;
        for (w, s) in terms.by_ref().take(TERMS) {
            (weights[count], slices[count]) = (w, s);
            count += 1;
        }
        macro_rules! pass {
            ($($j:literal)*) => {
                match count {
                    $($j => dispatch(Combine::<E, $j> {
                        out: &mut *out, base, minus, scale,
                        weights: std::array::from_fn(|j| weights[j]),
                        terms: std::array::from_fn(|j| slices[j]),
                    }),)*
                    _ => {}
                }
            };
        }
        pass!(1 2 3 4 5 6 7 8);
        base = None;
    }
}

/// `out` ← `base` + `scale` · Σ_j weights_j · stage_j, stages stored one after the other in `stages`.
/// One fused pass over memory for up to eight non-zero weights.
pub fn combine<E: Scalar>(out: &mut [E], base: &[E], scale: E, weights: &[f64], stages: &[E]) {
    let n = out.len();
    let terms = nonzero(weights, 0).map(|(j, w)| (E::of(w), &stages[j * n..(j + 1) * n]));
    let mut terms = terms.peekable();
    if terms.peek().is_none() {
        out.copy_from_slice(base);
        return;
    }
    passes(out, Some(base), None, scale, terms);
}

/// `out` += `scale` · Σ_j weights_j · stage_j.
pub fn accumulate<E: Scalar>(out: &mut [E], scale: E, weights: &[f64], stages: &[E]) {
    let n = out.len();
    passes(out, None, None, scale, nonzero(weights, 0).map(|(j, w)| (E::of(w), &stages[j * n..(j + 1) * n])));
}

/// `out` ← `scale` · Σ_{j≥1} weights_j · (stage_j − stage_0): for weights that sum to zero this equals
/// Σ_j weights_j stage_j with the lowest rounding floor (differences of nearly equal stages are exact).
pub fn combine_differences<E: Scalar>(out: &mut [E], scale: E, weights: &[f64], stages: &[E]) {
    let n = out.len();
    out.fill(E::zero());
    let terms = nonzero(weights, 1).map(|(j, w)| (E::of(w), &stages[j * n..(j + 1) * n]));
    passes(out, None, Some(&stages[..n]), scale, terms);
}

fn nonzero(weights: &[f64], first: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
    weights.iter().copied().enumerate().skip(first).filter(|(_, w)| *w != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combinations_are_the_sums() {
        let n = 37;
        let stages: Vec<f64> = (0..n * 12).map(|i| ((i * i) as f64).sin()).collect();
        let weights: Vec<f64> = (0..12).map(|j| if j == 3 { 0.0 } else { (j as f64).cos() }).collect();
        let base = vec![0.5; n];
        let mut out = vec![f64::NAN; n];
        combine(&mut out, &base, 0.3, &weights, &stages);
        let dot = |i: usize, s: f64| (0..12).map(|j| weights[j] * (stages[j * n + i] - s)).sum::<f64>();
        for (i, out) in out.iter().enumerate() {
            assert!((out - (0.5 + 0.3 * dot(i, 0.0))).abs() < 1e-14);
        }
        accumulate(&mut out, 2.0, &weights[..2], &stages);
        combine_differences(&mut out, 0.3, &weights, &stages);
        for i in 0..n {
            assert!((out[i] - 0.3 * dot(i, stages[i])).abs() < 1e-14);
        }
    }
}
