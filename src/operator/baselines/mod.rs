//! What the multigrid neural operator is compared with, in the same harness: the Fourier neural operator
//! ([`Fno`]), the U-Net ([`UNet`]), the dilated residual network ([`DilResNet`]), the DeepONet
//! ([`DeepONet`]).
//!
//! Each is a [`Surrogate`](super::Surrogate): numbers that say what the network is, compiled on a grid
//! into a [`Program`](super::Program) with the same passes, file format and determinism as
//! [`mgno`](super::mgno). The classical solver beside them is
//! [`pde::Corrector`](super::pde::Corrector).

mod deeponet;
mod dilresnet;
mod fno;
mod unet;

pub use deeponet::DeepONet;
pub use dilresnet::DilResNet;
pub use fno::Fno;
pub use unet::UNet;

/// The coordinates of all points, one field for each axis, from 0 at its first point to 1 at its last.
fn coordinates(extents: &[usize]) -> Vec<f64> {
    let points: usize = extents.iter().product();
    let axis = |axis: usize| {
        let below: usize = extents[..axis].iter().product();
        let n = extents[axis];
        (0..points).map(move |p| (p / below % n) as f64 / (n.max(2) - 1) as f64)
    };
    (0..extents.len()).flat_map(axis).collect()
}
