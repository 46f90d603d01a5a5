//! The multigrid neural operator: parameter counts, gradients, the classical cycle, inference, losses,
//! data, certificates.

#[path = "mgno/classical.rs"]
mod classical;
#[path = "mgno/data.rs"]
mod data;
#[path = "mgno/gradients.rs"]
mod gradients;
#[path = "mgno/losses.rs"]
mod losses;
#[path = "mgno/network.rs"]
mod network;
#[path = "mgno/neural_pde.rs"]
mod neural_pde;
mod operator_support;
#[path = "mgno/rollouts.rs"]
mod rollouts;

use operator_support::{Tested, allocations, check_gradient, check_program, wave};
