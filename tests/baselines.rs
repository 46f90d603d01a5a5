//! The networks that the multigrid neural operator is compared with, and corrections of their answers:
//! spectra, gradients, counts, bits, allocations, errors.

#[path = "baselines/correct.rs"]
mod correct;
#[path = "baselines/gradients.rs"]
mod gradients;
#[path = "baselines/networks.rs"]
mod networks;
mod operator_support;
#[path = "baselines/spectra.rs"]
mod spectra;

use odeon::operator::Surrogate;
use odeon::operator::baselines::{DeepONet, DilResNet, Fno, UNet};
use operator_support::{Tested, allocations, check_program, wave};

/// Small ones of all kinds, each with extents: odd, not square, in one to three dimensions.
fn small() -> Vec<(Box<dyn Surrogate>, Vec<usize>)> {
    use odeon::nn::Activation::{Gelu, Tanh};
    use odeon::nn::conv::Padding::{Circular, Reflect};
    let fno = Fno { projection: 5, layers: 2, ..Fno::darcy(3, 3) };
    // ReLU and the largest of several have kinks that finite differences would step over.
    let unet = UNet { activation: Gelu, depth: 2, ..UNet::new(2) };
    let dil = DilResNet { activation: Gelu, blocks: 2, dilations: vec![1, 3, 2], ..DilResNet::new(3) };
    let deep = DeepONet { branch: vec![4], trunk: vec![5, 3], ..DeepONet::new(4) };
    vec![
        (Box::new(Fno { padding: 0, ..fno.clone() }), vec![8, 8]),
        (Box::new(Fno { padding: 2, modes: [2, 4], inputs: 2, outputs: 3, ..fno.clone() }), vec![7, 9]),
        (Box::new(Fno { padding: 0, modes: [6, 2], activation: Tanh, ..fno }), vec![10, 5]),
        (Box::new(unet.clone()), vec![8, 8]),
        (Box::new(UNet { padding: Circular, inputs: 2, outputs: 3, ..unet.clone() }), vec![7, 10]),
        (Box::new(UNet { depth: 1, ..unet.clone() }), vec![9]),
        (Box::new(UNet { depth: 1, padding: Reflect, ..unet }), vec![4, 5, 6]),
        (Box::new(dil.clone()), vec![8, 5]),
        (Box::new(DilResNet { padding: Circular, inputs: 2, outputs: 2, ..dil.clone() }), vec![5, 6]),
        (Box::new(DilResNet { padding: Reflect, ..dil }), vec![11]),
        (Box::new(deep.clone()), vec![6, 5]),
        (Box::new(DeepONet { inputs: 2, outputs: 3, branch: vec![], trunk: vec![], ..deep }), vec![3, 4, 2]),
    ]
}
