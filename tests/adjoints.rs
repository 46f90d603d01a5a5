//! Every adjoint of ordinary differential equations against the others, forward tangents and differences.

#[path = "adjoints/common.rs"]
mod common;
#[path = "adjoints/continuous.rs"]
mod continuous;
