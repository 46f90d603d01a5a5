//! [`Budget`]: how much memory a direct solver may take, checked before it allocates.

use crate::error::{Error, Result};

/// A limit of bytes for a factorisation. Direct solvers estimate what they need from the size (dense,
/// banded) or from the symbolic analysis (sparse) and refuse before they allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    bytes: u128,
}

impl Default for Budget {
    /// 4 GiB.
    fn default() -> Self {
        Self::bytes(4 << 30)
    }
}

impl Budget {
    /// At most so many bytes.
    pub fn bytes(bytes: usize) -> Self {
        Self { bytes: bytes as u128 }
    }

    /// Whatever the machine has.
    pub fn unlimited() -> Self {
        Self { bytes: u128::MAX }
    }

    /// Checks an estimate of `needed` bytes for `what`.
    ///
    /// # Errors
    /// The estimate and the budget, when the one exceeds the other.
    pub fn check(self, what: &str, needed: u128) -> Result<()> {
        if needed <= self.bytes {
            return Ok(());
        }
        let clause = format!(
            "the budget is {}: raise it, or use an iterative solver (a Krylov method with a preconditioner)",
            readable(self.bytes)
        );
        Err(Error::invalid(format!("the memory that {what} needs"), readable(needed), clause))
    }
}

/// Bytes in the largest binary unit below them.
fn readable(bytes: u128) -> String {
    let (mut value, mut unit) = (bytes as f64, "bytes");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_above_the_budget_are_refused_in_readable_units() {
        let budget = Budget::bytes(3 << 20);
        assert!(budget.check("a factorisation", 3 << 20).is_ok());
        let message = budget.check("a factorisation", (3 << 20) + 1).unwrap_err().to_string();
        assert!(
            message
                .starts_with("the memory that a factorisation needs is 3.0 MiB, but the budget is 3.0 MiB")
        );
        assert!(Budget::unlimited().check("x", u128::MAX).is_ok());
        assert_eq!(readable(17), "17 bytes");
    }
}
