//! Rooted trees and the order conditions they index (Butcher 1963; Hairer, Nørsett & Wanner I, II.2).
//!
//! A Runge–Kutta method with weights b has order p exactly when, for every rooted tree t with at
//! most p vertices,  Σ_i b_i φ_i(t) = 1/γ(t),  where φ_i(•) = 1 and, for the tree that grafts
//! `branch` onto the root of `trunk`,  φ_i(t) = φ_i(trunk) · Σ_j a_ij φ_j(branch).
//! Additive methods, whose parts have matrices of their own but the same b (Kennedy & Carpenter 2003,
//! section 2), have one condition for every tree with coloured branches: a branch of colour c is
//! grafted by the matrix of part c (the coupling conditions are the trees of more than one colour).
//! Conditions are compared with their rounding scale Σ_i |b_i| |φ|_i(t) (the same recursion over
//! |a_ij|): coefficients rounded to f64 cannot satisfy them better than a few ulp of it.

use std::ops::Range;

/// The largest order whose conditions are generated (7 813 trees).
pub const MAX_ORDER: usize = 12;

/// One rooted tree, as the Butcher product of two earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tree {
    /// Number of vertices |t|.
    pub order: usize,
    /// Density γ(t) = |t| Π γ(subtree).
    pub density: f64,
    /// Index of the tree that keeps the root, and of the tree grafted onto it; `None` for •.
    pub product: Option<(usize, usize)>,
    /// Which matrix grafts the branch: 0 unless the method is additive.
    pub colour: usize,
}

/// All rooted trees up to an order, ordered by their number of vertices.
#[derive(Clone, Debug)]
pub struct RootedTrees {
    trees: Vec<Tree>,
    /// `start[n]..start[n + 1]` are the trees of order n.
    start: Vec<usize>,
}

impl RootedTrees {
    /// Generates every rooted tree with at most `order` vertices, each once.
    pub fn up_to(order: usize) -> Self {
        Self::coloured(order, 1)
    }

    /// Every rooted tree with branches of `colours` colours, each once: a branch is grafted only if it
    /// does not come after the last branch of its trunk, so branches are sorted.
    pub fn coloured(order: usize, colours: usize) -> Self {
        let mut trees = vec![Tree { order: 1, density: 1.0, product: None, colour: 0 }];
        let mut start = vec![0, 0, 1];
        for n in 2..=order {
            for trunk_order in 1..n {
                for trunk in start[trunk_order]..start[trunk_order + 1] {
                    let last = trees[trunk].product.map_or(usize::MAX, |(_, branch)| branch);
                    let last = (last, trees[trunk].colour);
                    let branches = start[n - trunk_order]..start[n - trunk_order + 1];
                    for (branch, colour) in branches.flat_map(|b| (0..colours).map(move |c| (b, c))) {
                        if (branch, colour) > last {
                            break;
                        }
                        let density =
                            trees[trunk].density / trunk_order as f64 * n as f64 * trees[branch].density;
                        trees.push(Tree { order: n, density, product: Some((trunk, branch)), colour });
                    }
                }
            }
            start.push(trees.len());
        }
        start.truncate(order + 2);
        trees.truncate(start[order + 1]);
        Self { trees, start }
    }

    /// The trees, by number of vertices.
    pub fn trees(&self) -> &[Tree] {
        &self.trees
    }

    /// The largest order generated.
    pub fn max_order(&self) -> usize {
        self.start.len() - 2
    }

    /// Indices of the trees with `order` vertices.
    pub fn of_order(&self, order: usize) -> Range<usize> {
        self.start[order]..self.start[order + 1]
    }

    /// Bracket notation of tree `k`: • is the single vertex, [t₁t₂…] joins trees at a new root; a tree
    /// followed by ' is joined by the second colour.
    pub fn notation(&self, k: usize) -> String {
        let mut branches = Vec::new();
        let mut at = k;
        while let Some((trunk, branch)) = self.trees[at].product {
            branches.push(self.notation(branch) + &"'".repeat(self.trees[at].colour));
            at = trunk;
        }
        if branches.is_empty() { "•".to_string() } else { format!("[{}]", branches.concat()) }
    }
}

/// Elementary weights φ_i(t) of every stage and tree, with their rounding scales.
#[derive(Clone, Debug)]
pub struct ElementaryWeights {
    trees: RootedTrees,
    stages: usize,
    /// φ_i(t) at `[t · stages + i]`.
    phi: Vec<f64>,
    /// The same recursion over |a_ij|.
    scale: Vec<f64>,
}

/// A weight with the magnitude it was rounded at: |w|, or |b| + |b̃| for w = b − b̃.
pub type SizedWeight = (f64, f64);

/// Weights whose magnitudes are their own.
pub fn sized(w: &[f64]) -> Vec<SizedWeight> {
    w.iter().map(|w| (*w, w.abs())).collect()
}

/// The weights b − b̃.
pub fn difference(b: &[f64], error: &[f64]) -> Vec<SizedWeight> {
    let terms = b.iter().zip(error);
    terms.map(|(b, e)| (b - e, b.abs() + e.abs())).collect()
}

/// One side of an order condition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Residual {
    /// Index of the tree.
    pub tree: usize,
    /// Σ_i w_i φ_i(t) minus its required value.
    pub value: f64,
    /// |value| over the rounding scale of the condition.
    pub relative: f64,
}

impl ElementaryWeights {
    /// Elementary weights of the stages whose strictly lower triangular rows are `rows`
    /// (row i has at least i entries; entries past the diagonal are ignored), for trees up to
    /// `order`.
    pub fn new(rows: &[&[f64]], order: usize) -> Self {
        let lower: Vec<&[f64]> = rows.iter().enumerate().map(|(i, row)| &row[..i]).collect();
        Self::additive(&[&lower], order)
    }

    /// Elementary weights of an implicit or additive method: whole rows of the matrix of each part (row
    /// i may be shorter than the number of stages, the rest is zero).
    pub fn additive(parts: &[&[&[f64]]], order: usize) -> Self {
        let trees = RootedTrees::coloured(order, parts.len());
        let s = parts.first().map_or(0, |rows| rows.len());
        let n = trees.trees.len();
        let inner = trees.start[order.max(1)];
        let colours = parts.len();
        let mut weights = Self { stages: s, phi: vec![1.0; n * s], scale: vec![1.0; n * s], trees };
        // A φ(t) of every colour for every tree that can be a branch (order < the largest).
        let size = inner * colours * s;
        let (mut applied, mut applied_scale) = (vec![0.0; size], vec![0.0; size]);
        for k in 0..n {
            let Tree { product, colour, .. } = weights.trees.trees[k];
            if let Some((trunk, branch)) = product {
                let from = (branch * colours + colour) * s;
                for i in 0..s {
                    weights.phi[k * s + i] = weights.phi[trunk * s + i] * applied[from + i];
                    weights.scale[k * s + i] = weights.scale[trunk * s + i] * applied_scale[from + i];
                }
            }
            if k < inner {
                let phi = &weights.phi[k * s..(k + 1) * s];
                let scale = &weights.scale[k * s..(k + 1) * s];
                for (c, rows) in parts.iter().enumerate() {
                    for (i, row) in rows.iter().enumerate() {
                        let at = (k * colours + c) * s + i;
                        applied[at] = row.iter().zip(phi).map(|(a, p)| a * p).sum();
                        applied_scale[at] = row.iter().zip(scale).map(|(a, p)| a.abs() * p).sum();
                    }
                }
            }
        }
        weights
    }

    /// The trees the weights belong to.
    pub fn trees(&self) -> &RootedTrees {
        &self.trees
    }

    /// Residual of the condition of tree `k` for weights `w` (missing entries are zero) against
    /// `required`/γ(t); `required` is 1 for an advancing formula, and 1 or 0 for the coefficient of
    /// ϑ^d in dense weights.
    pub fn residual(&self, k: usize, w: impl Iterator<Item = SizedWeight>, required: f64) -> Residual {
        let s = self.stages;
        let target = required / self.trees.trees[k].density;
        let (mut sum, mut scale) = (0.0, target);
        let phi = &self.phi[k * s..(k + 1) * s];
        for (((w, magnitude), phi), size) in w.zip(phi).zip(&self.scale[k * s..(k + 1) * s]) {
            sum += w * phi;
            scale += magnitude * size;
        }
        let value = sum - target;
        // A condition with no terms at all (0 = 0) holds exactly.
        let relative = if value == 0.0 { 0.0 } else { value.abs() / scale };
        Residual { tree: k, value, relative }
    }

    /// The first violated condition of weights `w` among the trees of `order`, if any.
    /// A NaN counts as violated.
    pub fn violation(&self, w: &[SizedWeight], order: usize, tolerance: f64) -> Option<Residual> {
        self.trees
            .of_order(order)
            .map(|k| self.residual(k, w.iter().copied(), 1.0))
            .find(|r| r.relative.is_nan() || r.relative > tolerance)
    }

    /// The first violated condition of dense weights among the trees of `order`:
    /// Σ_i b_i(ϑ) φ_i(t) = ϑ^{|t|}/γ(t) as polynomials. Every row has `degree` coefficients.
    pub fn dense_violation<R: AsRef<[f64]>>(
        &self,
        rows: &[R],
        degree: usize,
        order: usize,
        tolerance: f64,
    ) -> Option<(usize, Residual)> {
        self.trees.of_order(order).find_map(|k| {
            (0..degree).find_map(|d| {
                let required = if d + 1 == order { 1.0 } else { 0.0 };
                let r = self.residual(
                    k,
                    rows.iter().map(|row| (row.as_ref()[d], row.as_ref()[d].abs())),
                    required,
                );
                (r.relative.is_nan() || r.relative > tolerance).then_some((d + 1, r))
            })
        })
    }

    /// The order the weights achieve: the largest q (up to the order generated) such that every
    /// condition of order 1..=q holds to `tolerance`.
    pub fn order_of(&self, w: &[SizedWeight], tolerance: f64) -> usize {
        (1..=self.trees.max_order()).take_while(|&q| self.violation(w, q, tolerance).is_none()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_rooted_trees() {
        let trees = RootedTrees::up_to(MAX_ORDER);
        // OEIS A000081.
        let counts = [1, 1, 2, 4, 9, 20, 48, 115, 286, 719, 1842, 4766];
        for (n, count) in counts.into_iter().enumerate() {
            assert_eq!(trees.of_order(n + 1).len(), count, "order {}", n + 1);
        }
        assert_eq!(trees.max_order(), MAX_ORDER);
        // OEIS A000151: trees whose vertices other than the root have two colours.
        let two = RootedTrees::coloured(5, 2);
        let counts: Vec<_> = (1..=5).map(|n| two.of_order(n).len()).collect();
        assert_eq!(counts, [1, 2, 7, 26, 107]);
        assert_eq!(RootedTrees::up_to(1).trees().len(), 1);
    }

    #[test]
    fn trees_are_distinct_and_densities_are_right() {
        let trees = RootedTrees::up_to(7);
        let mut names: Vec<_> = (0..trees.trees().len()).map(|k| trees.notation(k)).collect();
        let n = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n);
        // γ from the definition, by the bracket notation: order times the densities of subtrees.
        fn density(t: &str) -> (f64, f64) {
            if t == "•" {
                return (1.0, 1.0);
            }
            let inner: Vec<char> = t.chars().collect();
            let (mut order, mut gamma, mut depth, mut from) = (1.0, 1.0, 0, 1);
            for (i, ch) in inner.iter().enumerate().take(inner.len() - 1).skip(1) {
                depth += match ch {
                    '[' => 1,
                    ']' => -1,
                    _ => 0,
                };
                if depth == 0 {
                    let part: String = inner[from..=i].iter().collect();
                    let (o, g) = density(&part);
                    order += o;
                    gamma *= g;
                    from = i + 1;
                }
            }
            (order, order * gamma)
        }
        for (k, tree) in trees.trees().iter().enumerate() {
            let (order, gamma) = density(&trees.notation(k));
            assert_eq!(order, tree.order as f64);
            assert_eq!(gamma, tree.density, "{}", trees.notation(k));
        }
        // The tall tree has γ = n!, the bushy one γ = n.
        let of7: Vec<_> = trees.of_order(7).map(|k| trees.trees()[k].density).collect();
        assert!(of7.contains(&5040.0) && of7.contains(&7.0));
    }

    #[test]
    fn elementary_weights_of_the_exact_flow() {
        // A stage that integrates exactly to abscissa c has φ(t) = c^{|t|-1}·|t|/γ(t): here c = 0.
        let rows: [&[f64]; 2] = [&[], &[0.5]];
        let w = ElementaryWeights::new(&rows, 4);
        assert_eq!(w.order_of(&sized(&[0.0, 1.0]), 1e-14), 2);
        assert_eq!(w.order_of(&sized(&[0.5, 0.5]), 1e-14), 1);
        assert_eq!(w.order_of(&sized(&[0.5, 0.4]), 1e-14), 0);
        assert_eq!(w.order_of(&sized(&[f64::NAN, 0.4]), 1e-14), 0);
    }
}
