//! What an interval knows and how halves follow from the whole.
//!
//! Let W, H be the increment and the space–time Lévy area of an interval of length h, independent with
//! variances h and h/12, and W₁, H₁, W₂, H₂ those of its halves. With J = ∫ (W(t) − W(a)) dt = h(½W + H),
//! adjacent intervals of lengths l₁ + l₂ = l have J = J₁ + l₂W₁ + J₂, hence
//!
//! W = W₁ + W₂,   H = (l₁H₁ + l₂H₂ + ½(l₂W₁ − l₁W₂)) / l.                                  (join)
//!
//! For halves H = ½(H₁ + H₂) + ¼D, D = W₁ − W₂. Of the four independent numbers W₁, W₂ ~ N(0, h/2),
//! H₁, H₂ ~ N(0, h/24) the whole is to be given: W = W₁ + W₂ is independent of D ~ N(0, h), of H₁ + H₂
//! and of H₁ − H₂; and cov(D, H) = h/4, var H = h/12, so that E(D | H) = 3H with the variance
//! h − (h/4)²/(h/12) = h/4. H₁ − H₂ ~ N(0, h/12) is independent of W, H and D. With independent standard
//! normal X₁, X₂
//!
//! D = 3H + ½√h X₁,   W₁ = ½(W + D),   W₂ = W − W₁,
//! H₁, H₂ = H − ¼D ± √(h/48) X₂ = ¼H − ⅛√h X₁ ± √(h/48) X₂.                               (split)
//!
//! Without areas D ~ N(0, h) is independent of W: W₁ = ½W + ½√h X.
//! Source: Foster, Lyons & Oberhauser, *An optimal polynomial approximation of Brownian motion*, SIAM J.
//! Numer. Anal. 58 (2020), theorem on conditional increments; derived anew above.

/// What a stream's pair of numbers means.
pub(super) trait Bridge: Copy {
    /// Whether a join needs the shares.
    const SHARES: bool;
    /// The pair of an interval of length h, given √h.
    fn whole(root: f64, x: [f64; 2]) -> [f64; 2];
    /// The pairs of the halves of an interval of length h, given √h.
    fn split(whole: [f64; 2], root: f64, x: [f64; 2]) -> [[f64; 2]; 2];
    /// The pair of two adjacent intervals; `shares` are their lengths over that of the union.
    fn join(left: [f64; 2], right: [f64; 2], shares: [f64; 2]) -> [f64; 2];
}

/// Increments of two independent components.
#[derive(Clone, Copy)]
pub(super) struct Two;

/// Increment and area of one component.
#[derive(Clone, Copy)]
pub(super) struct WithArea;

impl Bridge for Two {
    const SHARES: bool = false;
    #[inline(always)]
    fn whole(root: f64, x: [f64; 2]) -> [f64; 2] {
        [root * x[0], root * x[1]]
    }
    #[inline(always)]
    fn split(whole: [f64; 2], root: f64, x: [f64; 2]) -> [[f64; 2]; 2] {
        let half = 0.5 * root;
        let left = [half.mul_add(x[0], 0.5 * whole[0]), half.mul_add(x[1], 0.5 * whole[1])];
        [left, [whole[0] - left[0], whole[1] - left[1]]]
    }
    #[inline(always)]
    fn join(left: [f64; 2], right: [f64; 2], _: [f64; 2]) -> [f64; 2] {
        [left[0] + right[0], left[1] + right[1]]
    }
}

/// √(1/12).
const ROOT_12TH: f64 = 0.288_675_134_594_812_9;

impl Bridge for WithArea {
    const SHARES: bool = true;
    #[inline(always)]
    fn whole(root: f64, x: [f64; 2]) -> [f64; 2] {
        [root * x[0], ROOT_12TH * root * x[1]]
    }
    #[inline(always)]
    fn split([w, h]: [f64; 2], root: f64, x: [f64; 2]) -> [[f64; 2]; 2] {
        let half = 0.5 * root;
        let difference = half.mul_add(x[0], 3.0 * h);
        let left = 0.5_f64.mul_add(difference, 0.5 * w);
        let middle = (-0.25_f64).mul_add(difference, h);
        // √(h/48) = ½√h √(1/12).
        let apart = half * ROOT_12TH;
        [[left, apart.mul_add(x[1], middle)], [w - left, (-apart).mul_add(x[1], middle)]]
    }
    #[inline(always)]
    fn join(left: [f64; 2], right: [f64; 2], [l, r]: [f64; 2]) -> [f64; 2] {
        let lever = r.mul_add(left[0], -(l * right[0]));
        [left[0] + right[0], l.mul_add(left[1], r.mul_add(right[1], 0.5 * lever))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covariances by linearity: the images of the four unit sources (W, H with their standard
    /// deviations, X₁, X₂) are the columns of a factor of the halves' covariance.
    #[test]
    fn halves_have_the_covariance_of_independent_intervals() {
        let h: f64 = 0.7;
        let factor = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]].map(|unit| {
            let [w, area, x, y] = unit.map(f64::from);
            let whole = WithArea::whole(h.sqrt(), [w, area]);
            let [left, right] = WithArea::split(whole, h.sqrt(), [x, y]);
            let joined = WithArea::join(left, right, [0.5, 0.5]);
            assert!((joined[0] - whole[0]).abs() < 1e-15 && (joined[1] - whole[1]).abs() < 1e-15);
            [left[0], left[1], right[0], right[1]]
        });
        let variances = [h / 2.0, h / 24.0, h / 2.0, h / 24.0];
        for i in 0..4 {
            for j in 0..4 {
                let covariance: f64 = factor.iter().map(|column| column[i] * column[j]).sum();
                let expected = if i == j { variances[i] } else { 0.0 };
                assert!((covariance - expected).abs() < 1e-15, "({i}, {j}): {covariance}, {expected}");
            }
        }
    }

    #[test]
    fn joins_do_not_depend_on_the_order() {
        let (pairs, lengths) = ([[0.3, -0.1], [-1.1, 0.4], [0.7, 0.2]], [0.2, 0.5, 1.3]);
        let join = |a: ([f64; 2], f64), b: ([f64; 2], f64)| {
            let length = a.1 + b.1;
            (WithArea::join(a.0, b.0, [a.1 / length, b.1 / length]), length)
        };
        let [a, b, c] = std::array::from_fn(|i| (pairs[i], lengths[i]));
        let (left, right) = (join(join(a, b), c).0, join(a, join(b, c)).0);
        assert!((left[0] - right[0]).abs() < 1e-15 && (left[1] - right[1]).abs() < 1e-15);
        // The integral itself, l (½W + H), adds up with the lever arm of the first increment.
        let integral = |([w, h], l): ([f64; 2], f64)| l * (0.5 * w + h);
        let (joined, apart) = (integral(join(a, b)), integral(a) + b.1 * a.0[0] + integral(b));
        assert!((joined - apart).abs() < 1e-15);
    }
}
