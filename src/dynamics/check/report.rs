//! What [`check_gradient`](super::check_gradient) found.

use std::fmt;

/// An input of the right-hand side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// t.
    Time,
    /// Entry of the column-major `dim × batch` state.
    State(usize),
    /// Entry of θ.
    Theta(usize),
}

impl Input {
    pub(super) fn kind(self) -> usize {
        match self {
            Self::Time => 0,
            Self::State(_) => 1,
            Self::Theta(_) => 2,
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time => write!(f, "t"),
            Self::State(i) => write!(f, "y[{i}]"),
            Self::Theta(k) => write!(f, "theta[{k}]"),
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// jvp and differences agree, vjp does not.
    Vjp,
    /// vjp and differences agree, jvp does not.
    Jvp,
    /// vjp and jvp agree, but are not the derivative of `eval`.
    Both,
    /// All three differ.
    All,
    /// vjp overwrites or ignores what its buffers hold instead of adding to it.
    Accumulation,
    /// The vjp of several outputs at once is not the sum of the jvp entries.
    OutputSum,
    /// The jvp along several inputs at once is not the sum of the vjp entries.
    DirectionSum,
    /// A jvp with an empty θ direction differs from one with zeros.
    EmptyTheta,
    /// f of a column depends on the other columns or on its place in the batch.
    Columns,
}

impl Fault {
    fn explain(self) -> &'static str {
        match self {
            Self::Vjp => "vjp is off",
            Self::Jvp => "jvp is off",
            Self::Both => "vjp and jvp agree but are not the derivative of eval",
            Self::All => "vjp, jvp and differences all disagree",
            Self::Accumulation => {
                "vjp must add to y_bar and theta_bar (and return t's part alone): into filled buffers"
            }
            Self::OutputSum => "vjp of all outputs at once is not the sum of jvp entries",
            Self::DirectionSum => "jvp along all inputs at once is not the sum of vjp entries",
            Self::EmptyTheta => "jvp with an empty theta direction must treat it as zero",
            Self::Columns => "eval of the batch differs from eval of the column alone",
        }
    }
}

/// One disagreement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mismatch {
    /// What is wrong.
    pub fault: Fault,
    /// Entry of f (column-major), where one is concerned.
    pub output: Option<usize>,
    /// The input, where one is concerned.
    pub input: Option<Input>,
    /// What was computed: by vjp for entries of the Jacobian, else the suspicious value.
    pub given: f64,
    /// What it was compared with: by jvp for entries of the Jacobian, else the expected value.
    pub expected: f64,
    /// The finite difference and its uncertainty, for entries of the Jacobian.
    pub difference: Option<(f64, f64)>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.fault.explain())?;
        match (self.output, self.input) {
            (Some(output), Some(input)) => write!(f, "∂f[{output}]/∂{input}")?,
            (Some(output), None) => write!(f, "f[{output}]")?,
            (None, Some(input)) => write!(f, "cotangent of {input}")?,
            (None, None) => {}
        }
        let (given, expected) = (self.given, self.expected);
        match self.difference {
            Some((fd, uncertainty)) => write!(
                f,
                " is {given:.9e} by vjp, {expected:.9e} by jvp, {fd:.9e} (±{uncertainty:.0e}) by differences"
            ),
            None => write!(f, " is {given:.9e}, expected {expected:.9e}"),
        }
    }
}

/// The outcome of a gradient check.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientReport {
    /// Entries of the Jacobian compared.
    pub entries: usize,
    /// Entries whose finite difference did not settle to three digits of the entry or of a tenth of
    /// |f/x| (a kink, or noise): there only vjp and jvp were compared closely.
    pub unresolved: usize,
    /// Largest relative difference between vjp and jvp.
    pub exact_error: f64,
    /// Largest relative difference between jvp and differences, where these settled.
    pub difference_error: f64,
    /// Every disagreement.
    pub mismatches: Vec<Mismatch>,
}

impl GradientReport {
    /// Whether nothing disagrees.
    pub fn passed(&self) -> bool {
        self.mismatches.is_empty()
    }

    /// One entry by [vjp, jvp, differences], with [exact, difference] tolerances and the
    /// uncertainty of the difference. Agreement is judged relative to the entry or the floor,
    /// whether the difference settled relative to the entry or a tenth of `natural`, |f/x|.
    pub(super) fn entry(
        &mut self,
        (output, input): (usize, Input),
        [vjp, jvp, fd]: [f64; 3],
        [exact_tol, difference_tol, uncertainty]: [f64; 3],
        [floor, natural]: [f64; 2],
    ) {
        self.entries += 1;
        let scale = vjp.abs().max(jvp.abs()).max(floor).max(f64::MIN_POSITIVE);
        let slack = difference_tol * scale.max(fd.abs()) + 3.0 * uncertainty;
        let exact = (vjp - jvp).abs() <= exact_tol * scale;
        // A comparison with NaN is false, so NaN never passes; an unsettled difference always does.
        let near = |x: f64| (x - fd).abs() <= slack || (slack == f64::INFINITY && x.is_finite());
        let fault = match (exact, near(vjp), near(jvp)) {
            (true, true, true) => None,
            (true, ..) => Some(Fault::Both),
            (false, true, false) => Some(Fault::Jvp),
            (false, false, true) => Some(Fault::Vjp),
            (false, ..) => Some(Fault::All),
        };
        self.exact_error = self.exact_error.max((vjp - jvp).abs() / scale);
        if 3.0 * uncertainty > 1e-3 * scale.max(fd.abs()).max(0.1 * natural) {
            self.unresolved += 1;
        } else {
            self.difference_error = self.difference_error.max((jvp - fd).abs() / scale);
        }
        if let Some(fault) = fault {
            self.mismatches.push(Mismatch {
                fault,
                output: Some(output),
                input: Some(input),
                given: vjp,
                expected: jvp,
                difference: Some((fd, uncertainty)),
            });
        }
    }

    /// Two values that must agree to a tolerance relative to the larger or to `size`.
    pub(super) fn compare(
        &mut self,
        fault: Fault,
        output: Option<usize>,
        input: Option<Input>,
        [given, expected]: [f64; 2],
        [tolerance, size]: [f64; 2],
    ) {
        let scale = given.abs().max(expected.abs()).max(size);
        if (given - expected).abs() <= tolerance * scale {
            return;
        }
        self.mismatches.push(Mismatch { fault, output, input, given, expected, difference: None });
    }
}

impl fmt::Display for GradientReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} entries: vjp against jvp {:.1e}, against differences {:.1e}, {} unresolved, {} off",
            self.entries,
            self.exact_error,
            self.difference_error,
            self.unresolved,
            self.mismatches.len()
        )?;
        for mismatch in self.mismatches.iter().take(20) {
            write!(f, "\n  {mismatch}")?;
        }
        if self.mismatches.len() > 20 {
            write!(f, "\n  and {} more", self.mismatches.len() - 20)?;
        }
        Ok(())
    }
}
