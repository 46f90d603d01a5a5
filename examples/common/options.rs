//! Options of examples that compare methods: methods by name, weights of penalties.

use odeon::{Error, Result};
use std::fmt::Display;

/// The member of `all` that is displayed as `text`.
pub fn named<M: Copy + Display>(text: &str, all: &[M]) -> Result<M, String> {
    all.iter().copied().find(|m| m.to_string() == text).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(M::to_string).collect();
        format!("there is no method '{text}'; choose from {}", names.join(", "))
    })
}

/// The methods of `--methods`, or all.
///
/// # Errors
/// A name that is none.
pub fn methods<M: Copy + Display>(given: &[String], all: &[M]) -> Result<Vec<M>> {
    if given.iter().any(|m| m == "all") {
        return Ok(all.to_vec());
    }
    let parse = |m: &String| named(m, all).map_err(|reason| Error::invalid("--methods", m, reason));
    given.iter().map(parse).collect()
}
