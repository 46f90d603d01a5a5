//! Right-hand sides of the tests: nonlinear, non-autonomous, with parameters.

/// A field of `dim` rows from an expression.
macro_rules! field {
    ($(#[$doc:meta])* $name:ident, $dim:expr, $params:expr, |$t:ident, $y:ident, $p:ident, $dy:ident| $body:block) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq)]
        pub struct $name;
        impl odeon::dynamics::generic::VectorField for $name {
            fn dim(&self) -> usize {
                $dim
            }
            fn num_params(&self) -> usize {
                $params
            }
            #[inline(always)]
            fn eval<S: odeon::num::Scalar>(&self, $t: S, $y: &[S], $p: &[S], $dy: &mut [S]) {
                let _ = ($t, $p);
                $body
            }
        }
    };
}

field!(
    /// A coupled drift.
    Drift, 2, 3, |t, y, p, dy| {
        dy[0] = p[0] * y[1] * t.cos() - p[1] * y[0];
        dy[1] = (y[0] * p[2]).sin() - p[1] * y[1] + S::of(0.2) * t;
    }
);
field!(
    /// A column, or a diagonal that crosses.
    Column, 2, 2, |t, y, p, dy| {
        dy[0] = p[0] * (y[0] * y[1]).sin() + S::of(0.3);
        dy[1] = p[1] * (y[0] + t).cos() * y[1];
    }
);
field!(
    /// (1 − x²)v, of which x = tanh(z), z' = v, is the solution.
    Tanh, 1, 1, |t, y, p, dy| {
        dy[0] = p[0] * (S::of(1.0) - y[0] * y[0]);
    }
);
field!(
    /// −(α + β²x)(1 − x²): Itô's drift with (1 − x²)β (Kloeden & Platen, eq. 4.4.46).
    TanhIto, 1, 2, |t, y, p, dy| {
        dy[0] = -(p[0] + p[1] * p[1] * y[0]) * (S::of(1.0) - y[0] * y[0]);
    }
);
