//! Learned search directions: convolutional networks that propose the directions of conjugate
//! gradients, r ↦ q ≈ A⁻¹ r up to a factor (the deep conjugate direction method, Kaneda et al., ICML
//! 2023, arXiv 2205.10763), their training data and their training.
//!
//! - [`DirectionNet`]: the published networks, and self-similar ones of our own: bias-free, positively
//!   homogeneous, with as many levels as the grid has and the same weights on all of them, so that what is
//!   trained on 64² serves 256²; obstacles enter as masks.
//! - [`Proposer`]: a network on a grid as a [`Preconditioner`](crate::linalg::Preconditioner) without
//!   claims, for [`Cg::flexible`](crate::linalg::krylov::Cg::flexible) or, where the network need not be
//!   trusted, [`GuardedCg`](crate::linalg::krylov::GuardedCg).
//! - [`LearnedPreconditioner`]: learned stencils, symmetric positive definite by construction, for ordinary CG.
//! - [`line_search_loss`]: ‖b − αA f(b)‖² with the best α inside, and its cotangent; [`energy_loss`]: the same in
//!   the norm of the energy, for known solutions.
//! - [`Spectra`], [`RitzMixtures`]: right-hand sides by sine transforms, and by Lanczos as published.
//! - [`Trainer`]: Adam on the loss, on fresh right-hand sides and on the residuals the network itself leaves.
//!
//! ```
//! use odeon::linalg::{grid::Grid, krylov::Cg, model, Settings};
//! use odeon::operator::directions::{DirectionNet, Proposer, Rates, Spectra, Trainer};
//!
//! let grid = Grid::vertices(&[8, 8], &[1.0; 2])?;
//! let a = model::poisson::<f64>(grid)?;
//! let net = DirectionNet::self_similar(2, 4, 0.2)?;
//! let mut theta = net.init::<f64>(0)?;
//! let mut trainer = Trainer::new(&net, grid.extents(), 4, Rates { first: 3e-3, last: 1e-3, steps: 20 }, 0)?;
//! let mut data = Spectra::new(&grid, [-1.0, 0.5], 1)?;
//! for _ in 0..20 {
//!     trainer.step(&mut theta, &a, &mut data)?;
//! }
//! let mut proposer = Proposer::new(&net, grid.extents(), theta)?;
//! let mut x = vec![0.0; 64];
//! let report = Cg::flexible(64, Settings::tol(1e-6), 4)?.solve(&a, &mut proposer, &[1.0; 64], &mut x)?;
//! assert!(report.converged());
//! # Ok::<(), odeon::Error>(())
//! ```

mod data;
mod graph;
mod linear;
mod loss;
mod net;
mod pointwise;
mod proposer;
mod run;
mod trainer;

pub use data::{RightHandSides, RitzMixtures, Spectra};
pub use linear::{Equilibrated, LearnedPreconditioner};
pub use loss::{Loss, energy_loss, line_search_loss};
pub use net::{DirectionNet, Published};
pub use proposer::Proposer;
pub use run::NetRun;
pub use trainer::{Rates, Trainer};
