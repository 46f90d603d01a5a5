//! [`Network`]: a chain of layers compiled to a list of steps over one flat parameter vector.

use super::activation::Activation;
use super::dense::Dense;
use super::init::{self, Initializer};
use super::norm::LayerNorm;
use super::packed::packed_len;
use super::params::{Entry, Layout, Role};
use crate::num::Real;
use crate::{Error, Result};

/// PyTorch's default ε of a layer normalisation.
const LAYER_NORM_EPSILON: f64 = 1e-5;

/// A feed-forward network out = N(t, x; θ) on column-major `dim × batch` slices.
///
/// Made by [`builder`](Network::builder). Layers are numbered as in PyTorch's `nn.Sequential`
/// (activations count), so parameters are called `"0.weight"`, `"0.bias"`, `"2.weight"`, … and,
/// inside a residual block, `"3.0.weight"`. Forward and reverse are in
/// [`forward`](Network::forward), [`vjp`](Network::vjp) and [`jvp`](Network::jvp).
#[derive(Clone, Debug)]
pub struct Network {
    pub(super) steps: Vec<Step>,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) layout: Layout,
    pub(super) needs: Needs,
}

/// One pass over the batch: an operation and, for a dense layer, the activation fused with it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub op: Op,
    pub activation: Option<Activation>,
    /// The operation's and the fused activation's place in the chain, for messages.
    pub label: String,
    pub activation_label: String,
    pub inputs: usize,
    pub outputs: usize,
    pub input: Slot,
    /// Where the value before the activation is kept, when its slope needs it.
    pub before: Option<usize>,
    pub output: Slot,
}

/// Where a value lies: the network's input or kept rows of scratch starting here (each row being
/// one batch long).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Input,
    Kept(usize),
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Dense(Dense),
    Activate(Activation),
    LayerNorm(LayerNorm),
    /// Start of the residual block at this nesting depth; moves no data.
    Open(usize),
    /// End of it: adds the value in the slot.
    Close(usize, Slot),
}

/// Sizes of the scratch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs {
    /// Rows of kept values.
    pub kept: usize,
    /// Rows of the widest value.
    pub widest: usize,
    /// Deepest nesting of residual blocks.
    pub depth: usize,
    /// Entries of the largest rearranged weight.
    pub weight: usize,
    /// Outputs of the widest dense layer.
    pub units: usize,
}

impl Network {
    /// Starts a network whose input has `inputs` rows (time not counted).
    ///
    /// ```
    /// use odeon::nn::{Activation, Network};
    /// let network = Network::builder(2)
    ///     .activation(Activation::Cube)
    ///     .dense(50)
    ///     .activation(Activation::Tanh)
    ///     .dense(2)
    ///     .build()?;
    /// assert_eq!(network.layout().len(), 252);
    /// let theta: Vec<f64> = network.init(Default::default(), 0)?;
    /// let mut scratch = network.scratch(1);
    /// let mut out = [0.0; 2];
    /// network.forward(network.at(0.0, &[2.0, 0.0], &theta)?, &mut out, &mut scratch);
    /// # Ok::<(), odeon::Error>(())
    /// ```
    pub fn builder(inputs: usize) -> Builder {
        Builder::start(inputs)
    }

    /// Rows of the input.
    pub fn input_dim(&self) -> usize {
        self.inputs
    }
    /// Rows of the output.
    pub fn output_dim(&self) -> usize {
        self.outputs
    }
    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
    /// Whether a layer takes the time.
    pub fn takes_time(&self) -> bool {
        self.steps.iter().any(|s| matches!(&s.op, Op::Dense(dense) if dense.time))
    }
    /// Its activations, from input to output.
    pub fn activations(&self) -> impl Iterator<Item = Activation> + '_ {
        self.steps.iter().flat_map(|s| {
            let own = if let Op::Activate(activation) = s.op { Some(activation) } else { None };
            own.into_iter().chain(s.activation)
        })
    }

    /// Parameters drawn by `initializer` (normalisations start as the identity); one seed, one
    /// result. See [`init`](super::init).
    ///
    /// # Errors
    /// [`Error::Invalid`] for a scale that is negative or not finite.
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        self.init_with(|_| initializer, seed)
    }

    /// As [`init`](Network::init), the initializer chosen for each parameter by its name or shape.
    ///
    /// # Errors
    /// As [`init`](Network::init).
    pub fn init_with<T: Real>(&self, choose: impl Fn(&Entry) -> Initializer, seed: u64) -> Result<Vec<T>> {
        init::draw(&self.layout, choose, seed)
    }
}

/// Collects layers; the first mistake is reported by [`build`](Builder::build).
#[derive(Debug)]
pub struct Builder {
    steps: Vec<Step>,
    layout: Layout,
    needs: Needs,
    inputs: usize,
    dim: usize,
    at: Slot,
    /// Number of the next layer in the current chain and the prefix of that chain ("3.").
    next: usize,
    prefix: String,
    depth: usize,
    time: bool,
    error: Option<Error>,
}

impl Builder {
    fn start(inputs: usize) -> Self {
        let error =
            (inputs == 0).then(|| Error::invalid("network input", 0, "it must have at least one row"));
        Self {
            steps: Vec::new(),
            layout: Layout::new(),
            needs: Needs { widest: inputs, ..Needs::default() },
            inputs,
            dim: inputs,
            at: Slot::Input,
            next: 0,
            prefix: String::new(),
            depth: 0,
            time: false,
            error,
        }
    }

    /// A dense layer W x + b to `units` rows.
    pub fn dense(self, units: usize) -> Self {
        self.push_dense(units, true)
    }

    /// A dense layer without bias.
    pub fn dense_without_bias(self, units: usize) -> Self {
        self.push_dense(units, false)
    }

    /// Time concatenation: the next dense layer takes [x; t], t being its last input.
    pub fn concat_time(mut self) -> Self {
        if self.time {
            self.fail("concat_time", "it was just given: one time input is enough");
        }
        self.time = true;
        self
    }

    /// An elementwise activation, fused with a dense layer directly before it.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.refuse_time(activation.name());
        let label = self.label(activation.name());
        let fused =
            self.steps.last_mut().filter(|last| matches!(last.op, Op::Dense(_)) && last.activation.is_none());
        if let Some(last) = fused {
            last.activation = Some(activation);
            last.activation_label = label;
            if !activation.slope_from_output()
                && let Slot::Kept(rows) = last.output
            {
                last.before = Some(rows);
                last.output = Slot::Kept(rows + last.outputs);
                self.at = last.output;
                self.needs.kept += last.outputs;
            }
            return self;
        }
        self.push(Op::Activate(activation), label, self.dim);
        self
    }

    /// Layer normalisation over the rows of each column, with gain and shift, ε = 10⁻⁵.
    pub fn layer_norm(self) -> Self {
        self.layer_norm_with(LAYER_NORM_EPSILON)
    }

    /// Layer normalisation with another ε > 0.
    pub fn layer_norm_with(mut self, epsilon: f64) -> Self {
        self.refuse_time("layer_norm");
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            self.fail(&format!("layer_norm epsilon {epsilon}"), "it must be positive");
        }
        let dim = self.dim;
        let (stem, label) = (self.stem(), self.label("layer norm"));
        let gain = self.layout.push(format!("{stem}.weight"), &[dim], Role::Gain);
        let shift = self.layout.push(format!("{stem}.bias"), &[dim], Role::Shift);
        match (gain, shift) {
            (Ok(gain), Ok(shift)) => {
                let norm = LayerNorm { dim, epsilon, gain, shift };
                self.push(Op::LayerNorm(norm), label, dim);
            }
            (Err(e), _) | (_, Err(e)) => self.error = self.error.or(Some(e)),
        }
        self
    }

    /// A residual block x + B(x); `block` adds the layers of B, which must keep the number of rows.
    pub fn residual(mut self, block: impl FnOnce(Self) -> Self) -> Self {
        self.refuse_time("residual");
        let (dim, from) = (self.dim, self.at);
        let (stem, label) = (self.stem(), self.label("residual"));
        let outer = (self.next, self.prefix.clone());
        (self.next, self.prefix) = (0, format!("{stem}."));
        self.push_open(label.clone());
        self.depth += 1;
        self.needs.depth = self.needs.depth.max(self.depth);
        self = block(self);
        self.depth -= 1;
        self.refuse_time("the end of a residual block");
        (self.next, self.prefix) = outer;
        if self.dim != dim {
            let given = format!("{label}, whose block gives {} rows", self.dim);
            self.fail(&given, &format!("it must give {dim}, as many as it takes"));
        }
        self.push(Op::Close(self.depth, from), label, dim);
        self
    }

    /// The network.
    ///
    /// # Errors
    /// [`Error::Invalid`] for the first mistake: no layers, a width of 0, a time input that no dense
    /// layer takes, a residual block that changes the number of rows.
    pub fn build(mut self) -> Result<Network> {
        self.refuse_time("the end of the network");
        if self.steps.is_empty() {
            self.fail("a network without layers", "add at least one layer");
        }
        match self.error {
            Some(error) => Err(error),
            None => Ok(Network {
                steps: self.steps,
                inputs: self.inputs,
                outputs: self.dim,
                layout: self.layout,
                needs: self.needs,
            }),
        }
    }

    fn push_dense(mut self, units: usize, bias: bool) -> Self {
        if units == 0 {
            self.fail("a dense layer of 0 units", "it must have at least one");
            return self;
        }
        let time = std::mem::take(&mut self.time);
        let (stem, label) = (self.stem(), self.label("dense"));
        let width = self.dim + usize::from(time);
        let role = Role::Weight { fan_in: width, fan_out: units };
        let weight = self.layout.push(format!("{stem}.weight"), &[units, width], role);
        let bias = bias.then(|| {
            let role = Role::Bias { fan_in: width };
            self.layout.push(format!("{stem}.bias"), &[units], role)
        });
        match (weight, bias.transpose()) {
            (Ok(weight), Ok(bias)) => {
                let dense = Dense { inputs: self.dim, outputs: units, time, weight, bias };
                self.needs.weight = self.needs.weight.max(packed_len(units, self.dim));
                self.needs.units = self.needs.units.max(units);
                self.push(Op::Dense(dense), label, units);
            }
            (Err(e), _) | (_, Err(e)) => self.error = self.error.or(Some(e)),
        }
        self
    }

    fn push(&mut self, op: Op, label: String, outputs: usize) {
        let output = Slot::Kept(self.needs.kept);
        self.needs.kept += outputs;
        self.needs.widest = self.needs.widest.max(outputs);
        self.push_step(op, label, outputs, output);
    }

    fn push_open(&mut self, label: String) {
        self.push_step(Op::Open(self.depth), label, self.dim, self.at);
    }

    fn push_step(&mut self, op: Op, label: String, outputs: usize, output: Slot) {
        self.steps.push(Step {
            op,
            activation: None,
            label,
            activation_label: String::new(),
            inputs: self.dim,
            outputs,
            input: self.at,
            before: None,
            output,
        });
        (self.dim, self.at) = (outputs, output);
    }

    /// The number of the next layer with its prefix: the stem of its parameters' names.
    fn stem(&self) -> String {
        format!("{}{}", self.prefix, self.next)
    }

    /// "layer 3 (tanh)"; moves on to the next number.
    fn label(&mut self, kind: &str) -> String {
        let label = format!("layer {} ({kind})", self.stem());
        self.next += 1;
        label
    }

    fn refuse_time(&mut self, before: &str) {
        if std::mem::take(&mut self.time) {
            let given = format!("before {before}");
            self.fail(&format!("concat_time {given}"), "a dense layer must follow it");
        }
    }

    fn fail(&mut self, given: &str, needed: &str) {
        if self.error.is_none() {
            self.error = Some(Error::invalid("network", given, needed));
        }
    }
}
