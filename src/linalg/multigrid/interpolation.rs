//! Interpolation from C to F unknowns: direct and classical, and its truncation.

use super::splitting::Point;
use super::strength::Graph;
use crate::linalg::Csr;
use crate::num::Real;

/// How F unknowns are interpolated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// From the C unknowns among the strong couplings alone (Stüben, in Trottenberg et al. 2001,
    /// section A.7.2).
    Direct,
    /// Strong F couplings are interpolated in turn from the C unknowns in common (Ruge & Stüben 1987,
    /// equation 4.31, with entries of the wrong sign left out of the sums).
    #[default]
    Classical,
}

/// P of a splitting: the identity on C unknowns, weights on F ones, rows of which sum to one where A's
/// sum to zero. `coarse` numbers the C unknowns.
pub(super) fn interpolation<T: Real>(
    a: &Csr<T>,
    strong: &Graph,
    points: &[Point],
    how: Interpolation,
    truncation: f64,
) -> Csr<T> {
    let n = a.rows();
    let mut coarse = vec![u32::MAX; n];
    let mut m = 0;
    for (coarse, _) in coarse.iter_mut().zip(points).filter(|(_, p)| **p == Point::Coarse) {
        *coarse = m;
        m += 1;
    }
    let (mut starts, mut columns, mut values) = (Vec::with_capacity(n + 1), Vec::new(), Vec::new());
    columns.reserve(2 * n);
    values.reserve(2 * n);
    starts.push(0);
    let mut row =
        Row { a, strong, points, slots: vec![(u32::MAX, 0); n], kinds: Vec::new(), weights: Vec::new() };
    for i in 0..n {
        if points[i] == Point::Coarse {
            columns.push(coarse[i]);
            values.push(T::one());
        } else {
            row.collect(i);
            match how {
                Interpolation::Direct => row.direct(i),
                Interpolation::Classical => row.classical(i),
            }
            truncate(&mut row.weights, T::of(truncation));
            let kept = row.weights.iter().filter(|w| w.1 != T::zero());
            for &(j, w) in kept {
                columns.push(coarse[j as usize]);
                values.push(w);
            }
        }
        starts.push(columns.len());
    }
    Csr::from_parts([n, m as usize], starts, columns, values)
}

/// Sets weights below `truncation` times the largest to zero and scales the others to the same sum.
fn truncate<T: Real>(weights: &mut [(u32, T)], truncation: T) {
    if truncation == T::zero() {
        return;
    }
    let largest = weights.iter().fold(T::zero(), |m, w| m.max(w.1.abs()));
    let sum = |weights: &[(u32, T)]| weights.iter().fold(T::zero(), |s, w| s + w.1);
    let before = sum(weights);
    weights.iter_mut().filter(|w| w.1.abs() < truncation * largest).for_each(|w| w.1 = T::zero());
    let after = sum(weights);
    let scale = before / after;
    if scale.is_finite() && scale > T::zero() {
        weights.iter_mut().for_each(|w| w.1 *= scale);
    }
}

/// What a coupling of the row in hand is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Own,
    Interpolates,
    StrongFine,
    Weak,
}

/// One row's interpolation, with memory for it.
struct Row<'a, T> {
    a: &'a Csr<T>,
    strong: &'a Graph,
    points: &'a [Point],
    /// For each unknown: the row that last interpolated from it, and the place of its weight.
    slots: Vec<(u32, u32)>,
    /// Kind of each entry of the row.
    kinds: Vec<Kind>,
    /// (unknown, weight) of the row, columns increasing.
    weights: Vec<(u32, T)>,
}

impl<T: Real> Row<'_, T> {
    /// Finds the C unknowns that row i interpolates from and sorts its couplings.
    fn collect(&mut self, i: usize) {
        self.weights.clear();
        self.kinds.clear();
        let mut strong = self.strong.row(i).iter().peekable();
        for &j in self.a.row(i).0 {
            while strong.next_if(|&&s| s < j).is_some() {}
            let kind = match (j as usize == i, strong.peek() == Some(&&j), self.points[j as usize]) {
                (true, ..) => Kind::Own,
                (_, true, Point::Coarse) => Kind::Interpolates,
                (_, true, _) => Kind::StrongFine,
                _ => Kind::Weak,
            };
            if kind == Kind::Interpolates {
                self.slots[j as usize] = (i as u32, self.weights.len() as u32);
                self.weights.push((j, T::zero()));
            }
            self.kinds.push(kind);
        }
    }

    /// w_j = −α aᵢⱼ/aᵢᵢ, α such that the C couplings stand for all couplings of their sign.
    fn direct(&mut self, i: usize) {
        let (columns, values) = self.a.row(i);
        let sign = |v: T| usize::from(v > T::zero());
        let (mut own, mut all, mut through) = (T::zero(), [T::zero(); 2], [T::zero(); 2]);
        for (&v, kind) in values.iter().zip(&self.kinds) {
            match kind {
                Kind::Own => own += v,
                kind => {
                    all[sign(v)] += v;
                    if *kind == Kind::Interpolates {
                        through[sign(v)] += v;
                    }
                }
            }
        }
        // Couplings of a sign that no C unknown has go to the diagonal.
        for s in 0..2 {
            if through[s] == T::zero() {
                own += all[s];
            }
        }
        let interpolating =
            columns.iter().zip(values).zip(&self.kinds).filter(|e| *e.1 == Kind::Interpolates);
        for (((_, &v), _), weight) in interpolating.zip(&mut self.weights) {
            weight.1 = -(all[sign(v)] / through[sign(v)]) * v / own;
        }
    }

    /// w_j = −(aᵢⱼ + Σ_m aᵢₘ âₘⱼ/Σ_k âₘₖ)/(aᵢᵢ + Σ_weak aᵢₙ), m the strong F couplings, k the C unknowns
    /// of i, â without entries of aₘₘ's sign. An m without such k counts as weak.
    fn classical(&mut self, i: usize) {
        let (columns, values) = self.a.row(i);
        let mut own = T::zero();
        for k in 0..columns.len() {
            let (j, v) = (columns[k] as usize, values[k]);
            match self.kinds[k] {
                Kind::Own | Kind::Weak => own += v,
                Kind::Interpolates => self.weights[self.slots[j].1 as usize].1 += v,
                Kind::StrongFine => {
                    if !self.distribute(i, j, v) {
                        own += v;
                    }
                }
            }
        }
        let scale = -T::one() / own;
        self.weights.iter_mut().for_each(|w| w.1 *= scale);
    }

    /// Adds aᵢₘ âₘⱼ/Σ_k âₘₖ to the weights; false when the sum is empty.
    fn distribute(&mut self, i: usize, m: usize, v: T) -> bool {
        let (columns, values) = self.a.row(m);
        let positive = columns.iter().position(|&j| j as usize == m).is_none_or(|k| values[k] > T::zero());
        let counts = |slots: &[(u32, u32)], j: u32, a: T| {
            slots[j as usize].0 == i as u32 && j as usize != m && (a > T::zero()) != positive
        };
        let mut sum = T::zero();
        for (&j, &a) in columns.iter().zip(values) {
            if counts(&self.slots, j, a) {
                sum += a;
            }
        }
        if sum == T::zero() {
            return false;
        }
        let scale = v / sum;
        for (&j, &a) in columns.iter().zip(values) {
            if counts(&self.slots, j, a) {
                let weight = &mut self.weights[self.slots[j as usize].1 as usize].1;
                *weight = scale.mul_add(a, *weight);
            }
        }
        true
    }
}
