//! [`Graph`]: a network as a list of operations, each on earlier results.

use super::net::Weights;

/// One operation; `from`, `a` and `b` are places of earlier ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Op {
    /// The residual, and the channels of the geometry.
    Input,
    /// max(y, slope·y) of y, convolution `weights` of `from`; without a slope y itself.
    Conv { from: usize, weights: usize, slope: Option<f64> },
    /// The transposed convolution `weights` of `from`.
    Transpose { from: usize, weights: usize },
    /// r − (K + W)u, K the convolution `weights` and W the level's walls.
    Defect { r: usize, u: usize, weights: usize },
    /// a + b.
    Add { a: usize, b: usize },
    /// `factor` times the sums over 2ᵈ points, on the next coarser level.
    Pool { from: usize, factor: f64 },
    /// Nearest upsampling to the next finer level.
    Up { from: usize },
}

/// An operation, its level and the channels of its result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    pub op: Op,
    pub level: usize,
    pub channels: usize,
}

/// See the module. The last node is the result.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
}

impl Graph {
    pub fn push(&mut self, op: Op, level: usize, channels: usize) -> usize {
        self.nodes.push(Node { op, level, channels });
        self.nodes.len() - 1
    }

    pub fn conv(&mut self, from: usize, weights: (usize, &Weights), slope: Option<f64>) -> usize {
        let level = self.nodes[from].level;
        self.push(Op::Conv { from, weights: weights.0, slope }, level, weights.1.spec.outputs())
    }

    pub fn transpose(&mut self, from: usize, weights: (usize, &Weights)) -> usize {
        let level = self.nodes[from].level;
        self.push(Op::Transpose { from, weights: weights.0 }, level, weights.1.spec.inputs())
    }

    pub fn defect(&mut self, r: usize, u: usize, weights: usize) -> usize {
        let level = self.nodes[r].level;
        self.push(Op::Defect { r, u, weights }, level, 1)
    }

    pub fn add(&mut self, a: usize, b: usize) -> usize {
        let Node { level, channels, .. } = self.nodes[a];
        self.push(Op::Add { a, b }, level, channels)
    }

    pub fn pool(&mut self, from: usize, factor: f64) -> usize {
        let Node { level, channels, .. } = self.nodes[from];
        self.push(Op::Pool { from, factor }, level + 1, channels)
    }

    pub fn up(&mut self, from: usize) -> usize {
        let Node { level, channels, .. } = self.nodes[from];
        self.push(Op::Up { from }, level - 1, channels)
    }
}
