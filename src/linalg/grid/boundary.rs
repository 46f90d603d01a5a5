//! Boundary conditions of a side, and how each is eliminated.

use crate::error::{Error, Result};

/// A homogeneous condition on one side of a box; n points outwards. Data other than zero go to the
/// right-hand side ([`StencilOperator::add_boundary_data`](super::StencilOperator::add_boundary_data)).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Boundary {
    /// u = 0.
    #[default]
    Dirichlet,
    /// ∂u/∂n = 0.
    Neumann,
    /// α u + β ∂u/∂n = 0 with α, β ≥ 0, not both zero.
    Robin {
        /// α.
        alpha: f64,
        /// β.
        beta: f64,
    },
    /// The side is joined to the opposite one.
    Periodic,
}

/// Where the unknowns of a grid with spacing h sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Centring {
    /// At vertices. A Dirichlet side's vertices carry no unknown: the nearest one is h inside. On a
    /// Neumann or Robin side the vertex on the boundary is an unknown.
    Vertex,
    /// In the middle of cells: the nearest unknown is h/2 inside.
    Cell,
}

/// The value beyond a side, expressed by the unknowns: `near`·u₀ + `next`·u₁ + `data`·g, where u₀
/// and u₁ are the first two unknowns inside and g is the condition's right-hand side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ghost {
    Fold { near: f64, next: f64, data: f64 },
    Wrap,
}

impl Boundary {
    /// Second-order elimination of the ghost value u₋₁. Vertices: Dirichlet u₋₁ = g; Robin
    /// αu₀ + β(u₋₁ − u₁)/2h = g. Cells: α(u₋₁ + u₀)/2 + β(u₋₁ − u₀)/h = g, Dirichlet being
    /// (α, β) = (1, 0). Neumann is (0, 1) in both.
    pub(crate) fn ghost(self, centring: Centring, h: f64) -> Ghost {
        let [alpha, beta] = match self {
            Self::Periodic => return Ghost::Wrap,
            Self::Dirichlet if centring == Centring::Vertex => {
                return Ghost::Fold { near: 0.0, next: 0.0, data: 1.0 };
            }
            Self::Dirichlet => [1.0, 0.0],
            Self::Neumann => [0.0, 1.0],
            Self::Robin { alpha, beta } => [alpha, beta],
        };
        match centring {
            Centring::Vertex => {
                Ghost::Fold { near: -2.0 * h * alpha / beta, next: 1.0, data: 2.0 * h / beta }
            }
            Centring::Cell => {
                let sum = 0.5 * alpha + beta / h;
                Ghost::Fold { near: (beta / h - 0.5 * alpha) / sum, next: 0.0, data: 1.0 / sum }
            }
        }
    }

    /// Checks the condition for an axis of `n` unknowns.
    pub(crate) fn check(self, centring: Centring, n: usize) -> Result<()> {
        if let Self::Robin { alpha, beta } = self {
            let both = [alpha, beta];
            let bad = both.iter().any(|c| !c.is_finite() || *c < 0.0) || both == [0.0; 2];
            if bad || (centring == Centring::Vertex && beta == 0.0) {
                let needed = "alpha and beta must be finite and not negative, and not both zero \
                              (beta > 0 at vertices: beta = 0 is Dirichlet)";
                return Err(Error::invalid("the Robin condition", format!("{both:?}"), needed));
            }
        }
        let mirrors = matches!(self, Self::Neumann | Self::Robin { .. });
        if centring == Centring::Vertex && mirrors && n < 2 {
            let needed = "a Neumann or Robin side of a vertex grid needs at least 2 unknowns along its axis";
            return Err(Error::invalid("the grid's extent", n, needed));
        }
        Ok(())
    }

    /// Whether a vertex on this side is an unknown.
    pub(crate) fn keeps_vertex(self) -> bool {
        self != Self::Dirichlet
    }
}
