//! [`GraphSolver`]: a convergent graph solver (Park, Choo & Park, "Convergent Graph Solvers", ICLR 2022, arXiv
//! 2106.01680): from the features of a graph a network makes contracting linear maps on its nodes, and
//! what they tend to is decoded.
//!
//! For head m of h, with x_i the features of node i and e_k those of edge k from j to i,
//!
//! s_k = F(x_i, x_j, e_k)_m,  a_k = softmax of s over the edges into i,  c_i = γ σ(G(x_i)_m),
//! H_i = c_i Σ_k a_k H_j + B(x_i)_m,  y_i = D(H_i, x_i),
//!
//! F, (B, G) and D being networks. The map's rows sum to c_i ≤ γ < 1, so that the fixed point H exists and is
//! found whatever the parameters and the graph ([`ContractingMap`]). Its gradient is a transposed solve, and
//! costs what the solve costs, not what its iterations were. The factor c_i of each node, which the paper
//! has not, lets nodes of given value (Dirichlet) not listen to their neighbours.

use super::fixed_point::{ContractingMap, FixedPointSolver};
use crate::linalg::{Csr, Settings};
use crate::nn::{Input, Layout, Network};
use crate::num::Real;
use crate::{Error, Result};
use std::ops::Range;

/// A directed graph with features, edges grouped by the node that they lead into.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph<T> {
    /// Edges into node i: `starts[i]..starts[i + 1]`.
    starts: Vec<usize>,
    /// The node that each edge comes from.
    sources: Vec<u32>,
    /// Features of nodes, one column each.
    nodes: Vec<T>,
    /// Features of edges, one column each.
    edges: Vec<T>,
}

impl<T: Real> Graph<T> {
    /// Of `edges` (from, into, features), any order, on nodes with features `nodes` of `node_dim` rows.
    ///
    /// # Errors
    /// No nodes, features that are not a whole number of columns or not finite, an edge that leads nowhere or is
    /// given twice, edges with different numbers of features.
    pub fn new(nodes: &[T], node_dim: usize, edges: &[(usize, usize, Vec<T>)]) -> Result<Self> {
        if nodes.is_empty() || node_dim == 0 || !nodes.len().is_multiple_of(node_dim) {
            let needed = format!("a positive multiple of {node_dim} (features of a node)");
            return Err(Error::Length { what: "the nodes' features", given: nodes.len(), needed });
        }
        Error::check_finite("the nodes' features", nodes)?;
        let n = nodes.len() / node_dim;
        let edge_dim = edges.first().map_or(0, |e| e.2.len());
        for (k, (from, into, features)) in edges.iter().enumerate() {
            if *from >= n || *into >= n {
                let needed = format!("the graph has {n} nodes");
                return Err(Error::invalid(format!("edge {k}"), format!("{from} → {into}"), needed));
            }
            Error::check_len(
                "an edge's features",
                features.len(),
                edge_dim,
                "as many as the first edge has",
            )?;
            Error::check_finite("an edge's features", features)?;
        }
        let mut order: Vec<usize> = (0..edges.len()).collect();
        order.sort_by_key(|&k| (edges[k].1, edges[k].0));
        if let Some(pair) =
            order.windows(2).find(|w| (edges[w[0]].0, edges[w[0]].1) == (edges[w[1]].0, edges[w[1]].1))
        {
            let (from, into, _) = &edges[pair[0]];
            return Err(Error::invalid("an edge", format!("{from} → {into}"), "it is given twice"));
        }
        let mut starts = vec![0; n + 1];
        edges.iter().for_each(|e| starts[e.1 + 1] += 1);
        (0..n).for_each(|i| starts[i + 1] += starts[i]);
        Ok(Self {
            starts,
            sources: order.iter().map(|&k| edges[k].0 as u32).collect(),
            nodes: nodes.to_vec(),
            edges: order.iter().flat_map(|&k| edges[k].2.iter().copied()).collect(),
        })
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there are no nodes (the constructor refuses that).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Edges into node `i`.
    fn incoming(&self, i: usize) -> Range<usize> {
        self.starts[i]..self.starts[i + 1]
    }

    /// (from, into) of every edge, in the order kept.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.len()).flat_map(move |i| self.incoming(i).map(move |k| (self.sources[k] as usize, i)))
    }
}

/// Sizes of a [`GraphSolver`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GraphSolverShape {
    /// Features of a node.
    pub nodes: usize,
    /// Features of an edge.
    pub edges: usize,
    /// Maps.
    pub heads: usize,
    /// Columns of each map's fixed point.
    pub width: usize,
    /// Outputs of a node.
    pub outputs: usize,
    /// γ ∈ (0, 1), the most that a map may contract less.
    pub gamma: f64,
}

/// The model.
#[derive(Clone, Debug)]
pub struct GraphSolver {
    shape: GraphSolverShape,
    scores: Network,
    biases: Network,
    decoder: Network,
    layout: Layout,
    places: [Range<usize>; 3],
    /// How the fixed points are found.
    pub solver: FixedPointSolver,
    /// How accurately.
    pub settings: Settings,
}

/// A graph solved: the outputs, and what the reverse needs.
pub struct Solved<T: Real> {
    /// Outputs, one column for each node.
    pub y: Vec<T>,
    /// Iterations of all linear solves.
    pub iterations: usize,
    maps: Vec<ContractingMap<T>>,
    /// a_k of every head, one after the other.
    shares: Vec<T>,
    /// σ(G) of every head, one after the other.
    gates: Vec<T>,
    /// Fixed points, `heads · width` rows, one column for each node.
    fixed: Vec<T>,
}

impl GraphSolver {
    /// With networks F: (2 nodes + edges → heads), (B, G): (nodes → heads·width + heads) and
    /// D: (heads·width + nodes → outputs).
    ///
    /// # Errors
    /// Networks of other shapes, γ outside (0, 1), nothing to solve for.
    pub fn new(shape: GraphSolverShape, [scores, biases, decoder]: [Network; 3]) -> Result<Self> {
        let GraphSolverShape { nodes, edges, heads, width, outputs, gamma } = shape;
        if !(gamma > 0.0 && gamma < 1.0) {
            let needed =
                "it must lie in (0, 1): at 1 the map need not contract, and its fixed point need not exist";
            return Err(Error::invalid("γ", gamma, needed));
        }
        if heads == 0 || width == 0 {
            return Err(Error::invalid("heads × width", heads * width, "there must be a map to solve"));
        }
        let wanted = [
            (&scores, "scores", [2 * nodes + edges, heads]),
            (&biases, "biases", [nodes, heads * (width + 1)]),
            (&decoder, "decoder", [heads * width + nodes, outputs]),
        ];
        let mut layout = Layout::new();
        for (network, name, [rows_in, rows_out]) in &wanted {
            let given = [network.input_dim(), network.output_dim()];
            if given != [*rows_in, *rows_out] {
                let given = format!("{} → {} rows", given[0], given[1]);
                let needed = format!("{rows_in} → {rows_out} rows are needed for this shape");
                return Err(Error::invalid(format!("the network of the {name}"), given, needed));
            }
        }
        let places = [
            layout.append("scores", scores.layout())?,
            layout.append("biases", biases.layout())?,
            layout.append("decoder", decoder.layout())?,
        ];
        let settings = Settings::tol(1e-10);
        Ok(Self {
            shape,
            scores,
            biases,
            decoder,
            layout,
            places,
            solver: FixedPointSolver::Krylov,
            settings,
        })
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn check<T: Real>(&self, graph: &Graph<T>, theta: &[T]) -> Result<()> {
        self.layout.check_len("theta", theta.len())?;
        Error::check_finite("theta", theta)?;
        let (n, m) = (graph.len(), graph.sources.len());
        let of_shape = "nodes times the shape's features";
        Error::check_len("the nodes' features", graph.nodes.len(), n * self.shape.nodes, of_shape)?;
        let of_shape = "edges times the shape's features";
        Error::check_len("the edges' features", graph.edges.len(), m * self.shape.edges, of_shape)
    }

    /// A point of network `k`.
    fn at<'a, T: Real>(&self, k: usize, x: &'a [T], theta: &'a [T]) -> Input<'a, T> {
        Input { t: T::zero(), x, theta: &theta[self.places[k].clone()] }
    }

    /// (x_i, x_j, e_k) of every edge.
    fn edge_inputs<T: Real>(&self, graph: &Graph<T>) -> Vec<T> {
        let (d, e) = (self.shape.nodes, self.shape.edges);
        let mut all = Vec::with_capacity(graph.sources.len() * (2 * d + e));
        for (k, (j, i)) in graph.edges().enumerate() {
            all.extend_from_slice(&graph.nodes[i * d..(i + 1) * d]);
            all.extend_from_slice(&graph.nodes[j * d..(j + 1) * d]);
            all.extend_from_slice(&graph.edges[k * e..(k + 1) * e]);
        }
        all
    }

    /// (H_i, x_i) of every node.
    fn decoder_inputs<T: Real>(&self, graph: &Graph<T>, fixed: &[T]) -> Vec<T> {
        let columns = fixed.chunks_exact(self.shape.heads * self.shape.width);
        columns.zip(graph.nodes.chunks_exact(self.shape.nodes)).flat_map(|(h, x)| [h, x].concat()).collect()
    }

    /// y for `graph`.
    ///
    /// # Errors
    /// Shapes that do not fit, parameters or results that are not finite, a fixed point that is not found.
    pub fn forward<T: Real>(&self, graph: &Graph<T>, theta: &[T]) -> Result<Solved<T>> {
        self.check(graph, theta)?;
        let GraphSolverShape { heads, width, outputs, gamma, .. } = self.shape;
        let (n, m) = (graph.len(), graph.sources.len());
        let mut scores = vec![T::zero(); heads * m];
        if m > 0 {
            self.scores.forward(
                self.at(0, &self.edge_inputs(graph), theta),
                &mut scores,
                &mut self.scores.scratch(m),
            );
        }
        let rows = heads * (width + 1);
        let mut biases = vec![T::zero(); rows * n];
        self.biases.forward(self.at(1, &graph.nodes, theta), &mut biases, &mut self.biases.scratch(n));
        let (mut maps, mut iterations) = (Vec::with_capacity(heads), 0);
        let (mut shares, mut gates) = (vec![T::zero(); heads * m], vec![T::zero(); heads * n]);
        let mut fixed = vec![T::zero(); heads * width * n];
        let (mut b, mut h) = (vec![T::zero(); n], vec![T::zero(); n]);
        for head in 0..heads {
            let mut values = vec![T::zero(); m];
            for i in 0..n {
                let gate = biases[i * rows + heads * width + head].sigmoid();
                gates[head * n + i] = gate;
                let own = graph.incoming(i);
                let score = |k: usize| scores[k * heads + head];
                let most = own.clone().map(score).fold(T::of(-1.0) * T::MAX, T::max);
                let total = own.clone().fold(T::zero(), |s, k| s + (score(k) - most).exp());
                for k in own {
                    let share = (score(k) - most).exp() / total;
                    shares[head * m + k] = share;
                    values[k] = T::of(gamma) * gate * share;
                }
            }
            let matrix = Csr::new([n, n], graph.starts.clone(), graph.sources.clone(), values)?;
            let mut map = ContractingMap::new(&matrix, self.solver, self.settings)?;
            for column in 0..width {
                let row = head * width + column;
                (0..n).for_each(|i| b[i] = biases[i * rows + row]);
                h.fill(T::zero());
                iterations += map.solve(&b, &mut h)?.iterations;
                (0..n).for_each(|i| fixed[i * heads * width + row] = h[i]);
            }
            maps.push(map);
        }
        let mut y = vec![T::zero(); outputs * n];
        let inputs = self.decoder_inputs(graph, &fixed);
        self.decoder.forward(self.at(2, &inputs, theta), &mut y, &mut self.decoder.scratch(n));
        Error::check_finite("the outputs", &y)?;
        Ok(Solved { y, iterations, maps, shares, gates, fixed })
    }

    /// ACCUMULATES into `theta_bar` the reverse of [`forward`](Self::forward), which gave `solved`, for the
    /// cotangent `y_bar` of its outputs.
    ///
    /// # Errors
    /// As [`forward`](Self::forward); cotangents of the wrong length.
    pub fn reverse<T: Real>(
        &self,
        (graph, theta): (&Graph<T>, &[T]),
        solved: &mut Solved<T>,
        y_bar: &[T],
        theta_bar: &mut [T],
    ) -> Result<()> {
        self.check(graph, theta)?;
        self.layout.check_len("theta_bar", theta_bar.len())?;
        Error::check_len("the cotangent of the outputs", y_bar.len(), solved.y.len(), "one for each output")?;
        let GraphSolverShape { nodes, heads, width, gamma, .. } = self.shape;
        let (n, m, gamma) = (graph.len(), graph.sources.len(), T::of(gamma));
        let inputs = self.decoder_inputs(graph, &solved.fixed);
        let mut inputs_bar = vec![T::zero(); inputs.len()];
        let own = &mut theta_bar[self.places[2].clone()];
        self.decoder.vjp(
            self.at(2, &inputs, theta),
            y_bar,
            &mut inputs_bar,
            own,
            &mut self.decoder.scratch(n),
        );
        let rows = heads * (width + 1);
        let (mut biases_bar, mut scores_bar) = (vec![T::zero(); rows * n], vec![T::zero(); heads * m]);
        let (mut bar, mut lambda) = (vec![T::zero(); n], vec![T::zero(); n]);
        for head in 0..heads {
            let mut values_bar = vec![T::zero(); m];
            for column in 0..width {
                let row = head * width + column;
                (0..n).for_each(|i| bar[i] = inputs_bar[i * (heads * width + nodes) + row]);
                lambda.fill(T::zero());
                solved.maps[head].solve_transpose(&bar, &mut lambda)?;
                for (i, &lambda) in lambda.iter().enumerate() {
                    biases_bar[i * rows + row] = lambda;
                    for k in graph.incoming(i) {
                        let h = solved.fixed[graph.sources[k] as usize * heads * width + row];
                        values_bar[k] = lambda.mul_add(h, values_bar[k]);
                    }
                }
            }
            for i in 0..n {
                let gate = solved.gates[head * n + i];
                let share = |k: usize| solved.shares[head * m + k];
                let mean = graph.incoming(i).fold(T::zero(), |s, k| share(k).mul_add(values_bar[k], s));
                biases_bar[i * rows + heads * width + head] = gamma * mean * gate * (T::one() - gate);
                for k in graph.incoming(i) {
                    scores_bar[k * heads + head] = gamma * gate * share(k) * (values_bar[k] - mean);
                }
            }
        }
        let mut nowhere = vec![T::zero(); graph.nodes.len()];
        let own = &mut theta_bar[self.places[1].clone()];
        self.biases.vjp(
            self.at(1, &graph.nodes, theta),
            &biases_bar,
            &mut nowhere,
            own,
            &mut self.biases.scratch(n),
        );
        if m > 0 {
            let inputs = self.edge_inputs(graph);
            let mut nowhere = vec![T::zero(); inputs.len()];
            let own = &mut theta_bar[self.places[0].clone()];
            self.scores.vjp(
                self.at(0, &inputs, theta),
                &scores_bar,
                &mut nowhere,
                own,
                &mut self.scores.scratch(m),
            );
        }
        Error::check_finite("the gradient with respect to theta", theta_bar)
    }
}
