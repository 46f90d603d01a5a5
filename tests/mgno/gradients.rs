//! Reverse passes against finite differences, for every feature of the architecture.

use crate::{Tested, check_program};
use odeon::linalg::multigrid::Cycle;
use odeon::nn::Activation;
use odeon::nn::conv::Padding;
use odeon::operator::Surrogate;
use odeon::operator::mgno::{Architecture, CoarsePoints, CycleSpec, Restriction};

fn architectures() -> Vec<(Architecture, Vec<usize>)> {
    use Padding::{Circular, Reflect, Zero};
    let darcy = |cycle| Architecture::darcy(2, 3, cycle);
    let sides = |x: [Padding; 2], y: [Padding; 2]| [x, y, [Zero; 2]];
    let base = CycleSpec::backslash(3);
    let odd =
        CycleSpec { coarse_points: CoarsePoints::Odd, restriction: Restriction::Residual, ..base.clone() };
    let v = CycleSpec { restriction: Restriction::Residual, ..base.clone().with_after(1) };
    let w = CycleSpec { visits: Cycle::W, ..v.clone() };
    let f = CycleSpec { visits: Cycle::F, steps: vec![[1, 0], [0, 1], [1, 1], [1, 0]], ..base.clone() };
    let mixed = CycleSpec { padding: sides([Reflect, Zero], [Circular; 2]), ..v.clone() };
    let wide = CycleSpec { widths: vec![1, 2, 3], ..base.clone() };
    let navier = Architecture { activation: Activation::Tanh, ..Architecture::navier_stokes(2, 3, 3) };
    vec![
        (darcy(base), vec![8, 8]),
        (darcy(odd.clone()), vec![7, 15]),
        (darcy(odd), vec![9, 6]),
        (darcy(v), vec![9, 6]),
        (Architecture { inputs: 2, outputs: 3, ..darcy(w) }, vec![7, 8]),
        (darcy(f), vec![11, 8]),
        (darcy(mixed), vec![9, 8]),
        (darcy(wide), vec![6, 5]),
        (Architecture { inputs: 3, outputs: 2, ..navier.clone() }, vec![6, 5]),
        (navier, vec![8, 8]),
        (darcy(CycleSpec::backslash(3)), vec![13]),
        (darcy(CycleSpec::backslash(2)), vec![4, 3, 5]),
    ]
}

#[test]
fn gradients_are_those_of_finite_differences() -> Tested {
    for (architecture, extents) in architectures() {
        check_program(&format!("{architecture:?}"), &architecture.compile(&extents)?, [6, 3])?;
    }
    Ok(())
}
