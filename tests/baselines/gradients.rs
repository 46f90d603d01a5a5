//! Reverse passes against finite differences.

use crate::{Tested, check_program, small, wave};
use odeon::nn::Initializer;
use odeon::operator::Scratch;

#[test]
fn gradients_are_those_of_finite_differences() -> Tested {
    for (model, extents) in small() {
        check_program(&format!("{} {extents:?}", model.name()), &model.compile(&extents)?, [8, 4])?;
    }
    Ok(())
}

/// Every named range has a gradient: nothing is cut off from the result.
#[test]
fn all_parameters_matter() -> Tested {
    for (model, extents) in small() {
        let program = model.compile(&extents)?;
        let theta: Vec<f64> = program.init(Initializer::TorchLinear, 5)?;
        let x = wave::<f64>(program.input_len(), 0.7);
        let y_bar = wave::<f64>(program.output_len(), 0.1);
        let mut theta_bar = vec![0.0; theta.len()];
        program.pullback(&theta, [&x, &y_bar], None, &mut theta_bar, &mut Scratch::new())?;
        for entry in program.layout().entries() {
            let largest = theta_bar[entry.range()].iter().fold(0.0f64, |m, g| m.max(g.abs()));
            assert!(largest > 1e-9, "{} {extents:?}: {} has no gradient", model.name(), entry.name);
        }
    }
    Ok(())
}
