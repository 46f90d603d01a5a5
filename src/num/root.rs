//! A bracketed root by the ITP method (interpolate, truncate, project): Oliveira & Takahashi, "An
//! enhancement of the bisection method average performance preserving minmax optimality", ACM Trans.
//! Math. Softw. 47 (2020). The estimate of regula falsi is moved towards the middle of the bracket by
//! κ₁ (b − a)², and kept within the distance from the middle that lets bisection's count of
//! evaluations plus one suffice: superlinear on smooth functions, never worse than bisection.

use super::Real;

/// A root of f in the bracket `a..b`, f(a) and f(b) of opposite signs: a point x on b's side of the
/// sign change (or f(x) = 0), no further than 2 `tolerance` from it.
///
/// # Errors
/// A point where f is not finite.
pub fn bracketed<T: Real>(
    mut f: impl FnMut(T) -> T,
    [mut a, mut b]: [T; 2],
    [mut fa, mut fb]: [T; 2],
    tolerance: T,
) -> Result<T, T> {
    let (half, two) = (T::of(0.5), T::of(2.0));
    if fa == T::zero() {
        return Ok(a);
    }
    if fb == T::zero() {
        return Ok(b);
    }
    let kappa = T::of(0.2) / (b - a);
    let halvings = ((b - a) / (two * tolerance)).f64().log2().ceil().max(0.0) as i32;
    let mut reach = tolerance * two.powi(halvings + 1);
    while b - a > two * tolerance {
        let middle = half * (a + b);
        if middle <= a || middle >= b {
            break;
        }
        let slack = reach - half * (b - a);
        let falsi = (fb * a - fa * b) / (fb - fa);
        let (away, move_by) = (middle - falsi, kappa * (b - a) * (b - a));
        let truncated = if move_by <= away.abs() { falsi + move_by.copysign(away) } else { middle };
        let near = (truncated - middle).abs() <= slack;
        let x = if near { truncated } else { middle - slack.copysign(away) };
        // Rounding may put the point on or past an end.
        let x = if x > a && x < b { x } else { middle };
        let fx = f(x);
        if !fx.is_finite() {
            return Err(x);
        }
        if fx == T::zero() {
            return Ok(x);
        }
        if (fx > T::zero()) == (fb > T::zero()) {
            (b, fb) = (x, fx);
        } else {
            (a, fa) = (x, fx);
        }
        reach *= half;
    }
    Ok(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The root and the evaluations it took.
    fn count(f: impl Fn(f64) -> f64, [a, b]: [f64; 2], tolerance: f64) -> (f64, usize) {
        let mut calls = 0;
        let counted = |x| {
            calls += 1;
            f(x)
        };
        let x = bracketed(counted, [a, b], [f(a), f(b)], tolerance);
        (x.unwrap_or(f64::NAN), calls)
    }

    #[test]
    fn roots_are_found_to_rounding_in_few_evaluations_and_never_more_than_bisection() {
        type Case = (fn(f64) -> f64, [f64; 2], f64, usize);
        let cases: [Case; 6] = [
            (|x| x * x * x - 2.0, [0.0, 2.0], 2f64.cbrt(), 10),
            (|x| x.cos() - x, [0.0, 1.0], 0.739_085_133_215_160_6, 8),
            (|x| 1.0 - 3.0 * x, [0.0, 1.0], 1.0 / 3.0, 9),
            (|x| x.exp() - 1e3, [0.0, 20.0], 1e3f64.ln(), 15),
            // A flat root and a jump: bisection's ⌈log₂(1/(2·2.5e-16))⌉ and one more.
            (|x| (x - 0.7).powi(9), [0.0, 1.0], 0.7, 52),
            (|x| if x < 0.123 { -1.0 } else { 1e9 }, [0.0, 1.0], 0.123, 52),
        ];
        for (k, (f, bracket, root, most)) in cases.into_iter().enumerate() {
            let (x, calls) = count(f, bracket, 2.5e-16);
            assert!((x - root).abs() <= 1e-15 * root.max(1.0), "case {k}: {x} {root}");
            assert!(calls <= most, "case {k}: {calls} evaluations");
        }
    }

    #[test]
    fn the_root_lies_on_the_far_side_and_a_bad_point_is_named() {
        for k in 1..50 {
            let root = 0.02 * f64::from(k) - 0.001;
            let f = |x: f64| (x - root) * (1.0 + x * x);
            let x = bracketed(f, [0.0, 1.0], [f(0.0), f(1.0)], 1e-12).unwrap_or(f64::NAN);
            assert!(f(x) >= 0.0 && x - root <= 2e-12);
        }
        let bad = bracketed(|x: f64| if x < 0.9 { f64::NAN } else { 1.0 }, [0.0, 1.0], [-1.0, 1.0], 1e-12);
        assert!(bad.is_err_and(|x| x < 0.9));
    }
}
