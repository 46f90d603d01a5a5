//! [`Tableau`]: an explicit Runge–Kutta method as data.
//!
//! Stage i = 0..s:  g_i = y + h Σ_{j<i} a_ij k_j,  k_i = f(t + c_i h, g_i);
//! y⁺ = y + h Σ b_i k_i;  local error estimate  ũ = h Σ b̃_i k_i,  b̃ = b − b̂.
//! Dense output  y(t + ϑh) = y + h Σ_i b_i(ϑ) k_i,  b_i(ϑ) = Σ_{d≥1} w_id ϑ^d  with the coefficients
//! w_id in `dense.weights`, over the main stages and `extra` stages evaluated only in steps that are
//! interpolated.

use std::borrow::Cow;

/// A row of coefficients: static for built-in methods, owned for user-supplied ones.
pub type Row = Cow<'static, [f64]>;

/// Two stages at the same abscissa whose quotient ‖k_j − k_i‖/‖g_j − g_i‖ estimates the dominant
/// eigenvalue (Shampine; Hairer & Wanner II, IV.2), with the size of the method's stability region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StiffnessPair {
    /// The earlier stage i (0-based).
    pub first: usize,
    /// The later stage j (0-based), c_j = c_i.
    pub second: usize,
    /// Extent of the stability region on the negative real axis (3.5068 for Tsit5).
    pub stability_size: f64,
}

/// Continuous extension of a method.
#[derive(Clone, Debug, PartialEq)]
pub struct Dense {
    /// Order: y(t + ϑh) is exact to O(h^{order+1}) locally.
    pub order: usize,
    /// Abscissae of the extra stages.
    pub extra_c: Row,
    /// Rows of a for the extra stages; extra row e has `stages + e` entries. A first extra stage
    /// with c = 1 and a row equal to b is f(t + h, y⁺), the next step's first stage.
    pub extra_a: Cow<'static, [Row]>,
    /// For every main and extra stage i, the coefficients of ϑ¹, ϑ², … in b_i(ϑ).
    pub weights: Cow<'static, [Row]>,
}

/// An explicit Runge–Kutta method: coefficients, error weights, dense output and facts about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tableau {
    /// The method's usual name.
    pub name: Cow<'static, str>,
    /// Order of the advancing solution.
    pub order: usize,
    /// Order of the embedded solution b̂; 0 when there is none. With `error_low`, the order of the
    /// combined estimate: error E of order q and E_low of q_low give E²/E_low the order 2q − q_low
    /// (DOP853: 2·5 − 3 = 7). A controller uses the exponent 1/(min(order, embedded_order) + 1).
    pub embedded_order: usize,
    /// Abscissae c_0..c_{s−1}; c_0 = 0.
    pub c: Row,
    /// Rows of a: row i has i entries.
    pub a: Cow<'static, [Row]>,
    /// Weights b.
    pub b: Row,
    /// b̃ = b − b̂ (Σ b̃ = 0), empty when there is no embedded solution.
    pub error: Row,
    /// A second, lower-order estimate (DOP853): E = E₅²/√(E₅² + 0.01 E₃²). Empty otherwise.
    pub error_low: Row,
    /// First-same-as-last: the last stage has c = 1 and a-row equal to b, so k_s = f(t+h, y⁺)
    /// is the next step's k_1.
    pub fsal: bool,
    /// Stage pair for the stiffness estimate, where there is one.
    pub stiffness: Option<StiffnessPair>,
    /// Continuous extension.
    pub dense: Dense,
}

impl Tableau {
    /// Number of main stages s.
    pub fn stages(&self) -> usize {
        self.b.len()
    }
}

/// A method given by a tableau. Built-in methods are unit structs (`Tsit5`), so that code is
/// specialised for them; a user's [`Tableau`] is itself a method.
pub trait ExplicitRk: Sync {
    /// The coefficients.
    fn tableau(&self) -> &Tableau;
}

impl ExplicitRk for Tableau {
    fn tableau(&self) -> &Tableau {
        self
    }
}
