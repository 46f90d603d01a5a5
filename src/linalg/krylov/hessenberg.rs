//! The small least-squares problem of GMRES: min ‖β e₁ − H y‖ by Givens rotations as H grows.

/// An upper Hessenberg matrix of at most m columns, triangularised column by column, with its rotated
/// right-hand side (Saad, Iterative Methods, section 6.5.3).
#[derive(Clone, Debug)]
pub(super) struct Hessenberg {
    m: usize,
    /// R by columns, m + 1 rows.
    r: Vec<f64>,
    cosines: Vec<f64>,
    sines: Vec<f64>,
    /// The rotated right-hand side.
    g: Vec<f64>,
    y: Vec<f64>,
    columns: usize,
}

impl Hessenberg {
    pub(super) fn new(m: usize) -> Self {
        let zeros = |length| vec![0.0; length];
        Self {
            m,
            r: zeros(m * (m + 1)),
            cosines: zeros(m),
            sines: zeros(m),
            g: zeros(m + 1),
            y: zeros(m),
            columns: 0,
        }
    }

    /// An empty matrix with right-hand side β e₁.
    pub(super) fn begin(&mut self, beta: f64) {
        self.g.fill(0.0);
        self.g[0] = beta;
        self.columns = 0;
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Subtracts `negative` from the next column, which is zero before the `first` time.
    pub(super) fn add(&mut self, negative: &[f64], first: bool) {
        let start = self.columns * (self.m + 1);
        for (h, n) in self.r[start..].iter_mut().zip(negative) {
            *h = if first { -n } else { *h - n };
        }
    }

    /// Completes the next column by its entry `below` the diagonal and rotates it; false when the column
    /// is zero, so that it must not be used.
    pub(super) fn push(&mut self, below: f64) -> bool {
        let j = self.columns;
        let column = &mut self.r[j * (self.m + 1)..(j + 1) * (self.m + 1)];
        for i in 0..j {
            let (c, s) = (self.cosines[i], self.sines[i]);
            let (upper, lower) = (column[i], column[i + 1]);
            column[i] = c.mul_add(upper, s * lower);
            column[i + 1] = c.mul_add(lower, -s * upper);
        }
        // Relative to the column: a diagonal of nothing but rounding has no solution.
        let size = column[..=j].iter().fold(below, |m: f64, h| m.max(h.abs()));
        let rho = column[j].hypot(below);
        if rho <= 4.0 * f64::EPSILON * size || rho == 0.0 {
            return false;
        }
        let (c, s) = (column[j] / rho, below / rho);
        (self.cosines[j], self.sines[j], column[j]) = (c, s, rho);
        self.g[j + 1] = -s * self.g[j];
        self.g[j] *= c;
        self.columns += 1;
        true
    }

    /// The norm of the residual.
    pub(super) fn residual(&self) -> f64 {
        self.g[self.columns].abs()
    }

    /// y, by back substitution.
    pub(super) fn solve(&mut self) -> &[f64] {
        let (k, rows) = (self.columns, self.m + 1);
        for i in (0..k).rev() {
            let known: f64 = (i + 1..k).map(|j| self.r[j * rows + i] * self.y[j]).sum();
            self.y[i] = (self.g[i] - known) / self.r[i * rows + i];
        }
        &self.y[..k]
    }
}
