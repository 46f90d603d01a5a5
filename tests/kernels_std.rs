//! The elementary functions against the standard library's, where it has them: a coarse net (4 ulp)
//! over the middle of the range.

use odeon::num::Scalar;

fn check(name: &str, f: impl Fn(f64) -> f64, reference: impl Fn(f64) -> f64) {
    for i in -30_000..=30_000 {
        let x = f64::from(i) * 1e-3 + 1e-5;
        let (got, want) = (f(x), reference(x));
        let error = (got - want).abs();
        assert!(
            error <= 4.0 * f64::EPSILON * want.abs(),
            "{name}({x}) = {got}, not {want}"
        );
    }
}

#[test]
fn functions_agree_with_the_standard_library() {
    check("exp", Scalar::exp, f64::exp);
    check("tanh", Scalar::tanh, f64::tanh);
    check("sigmoid", Scalar::sigmoid, |x| match x < 0.0 {
        true => x.exp() / (1.0 + x.exp()),
        false => 1.0 / (1.0 + (-x).exp()),
    });
    check("silu", Scalar::silu, |x| match x < 0.0 {
        true => x * x.exp() / (1.0 + x.exp()),
        false => x / (1.0 + (-x).exp()),
    });
    check("softplus", Scalar::softplus, |x| {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    });
    check(
        "ln",
        |x| Scalar::ln(x.abs() + 0.5),
        |x| (x.abs() + 0.5).ln(),
    );
}
