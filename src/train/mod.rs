//! The training loop: mini-batches, records, early stopping, checkpoints and exact resume.
//!
//! The loop knows nothing of differential equations. An [`Objective`] gives loss, gradient and the
//! solver's counts for a mini-batch; an [`Optimize`] moves the parameters; the loop keeps the
//! books. A run that was stopped (or killed) and resumed ends with the same bits as one that was
//! not: parameters, optimiser state, batch order, schedule position, best parameters so far and
//! whatever the objective asks to be kept stand in one [`Checkpoint`] file. Wall-clock seconds are
//! the one column of the log that differs.

mod checkpoint;
mod objective;
mod optimizer;
mod record;
mod trainer;

pub use checkpoint::{Checkpoint, State};
pub use objective::{Batch, Evaluation, Objective, Optimize};
pub use record::{CsvLog, Record};
pub use trainer::{Outcome, Settings, Trainer};
