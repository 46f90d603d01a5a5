//! Loss and NFE over the iterations.

use crate::common::Session;
use crate::training::Trained;
use odeon::Result;
use odeon::plot::{Figure, panels};

/// One page: training loss above, NFE below.
pub fn draw(trained: &[Trained], session: &mut Session) -> Result<()> {
    let names: Vec<String> = trained.iter().map(|run| run.method.to_string()).collect();
    let curves = |pick: fn(&Trained) -> &[f64]| -> Vec<(&str, &[f64])> {
        names.iter().map(String::as_str).zip(trained.iter().map(pick)).collect()
    };
    let loss =
        panels::training_curves("Training loss", "cross-entropy of the batch", &curves(|r| &r.losses))?;
    let nfe = panels::nfe_curves("Right-hand side evaluations of the forward solve", &curves(|r| &r.nfe))?;
    let figure = Figure::new(800, 860)?.with(loss).with(nfe);
    session.picture("training", &figure)
}
