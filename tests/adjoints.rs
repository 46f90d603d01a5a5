//! Every adjoint of ordinary differential equations against the others, forward tangents and differences.

#[path = "adjoints/breadth.rs"]
mod breadth;
#[path = "adjoints/certificate.rs"]
mod certificate;
#[path = "adjoints/choice.rs"]
mod choice;
#[path = "adjoints/common.rs"]
mod common;
#[path = "adjoints/continuous.rs"]
mod continuous;
#[path = "adjoints/forward.rs"]
mod forward;
#[path = "adjoints/reversible.rs"]
mod reversible;
