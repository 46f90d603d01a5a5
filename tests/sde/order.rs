//! A look at the strong orders that takes seconds: few paths, one class for each method, bounds that still see a
//! lost half order. The statistics proper are in `tests/sde_statistics.rs`.

use super::methods::Method;
use super::study::{Effort, study};
use odeon::sde::NoiseClass;

const QUICK: Effort = Effort { groups: 4, paths: 60, coarse: 4, sizes: 3, fine: 9 };

fn check(class: NoiseClass, choose: impl Fn(Method) -> bool, count: usize) {
    let found = study(class, QUICK, choose);
    assert_eq!(found.len(), count, "{class}");
    for (method, found) in found {
        let (name, claim) = (method.name(), method.strength(class).unwrap().strong);
        let weak = found.weak.map_or(f64::NAN, |slope| slope.mean);
        let strong = found.strong;
        println!("{class} {name}: {:.2} ± {:.2}, weak {weak:.2}, claimed {claim}", strong.mean, strong.error);
        assert!(
            (found.strong.mean - claim).abs() < 0.3,
            "{name} on {class} noise: {found:?}, claims {claim}"
        );
    }
}

#[test]
fn no_half_order_is_lost() {
    check(NoiseClass::Diagonal, |m| m.strength(NoiseClass::Diagonal).is_some(), 18);
    check(NoiseClass::Additive, |m| m.strength(NoiseClass::Diagonal).is_none(), 5);
}
