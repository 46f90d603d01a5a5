//! Aggregates of strongly coupled nodes, and the tentative prolongator on them.

use super::strength::Edges;
use crate::linalg::Csr;
use crate::num::Real;

/// How nodes are gathered into aggregates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregation {
    /// First whole neighbourhoods, then what is left joins a neighbouring aggregate, then the rest
    /// (Vaněk, Mandel & Brezina 1996, algorithm 5.1).
    #[default]
    Standard,
    /// Each free node with its free neighbours, in one pass: more and smaller aggregates.
    Greedy,
}

/// No aggregate: a node without strong couplings, which smoothing alone solves.
pub(super) const NONE: u32 = u32::MAX;

/// The aggregate of each node (or [`NONE`]), and how many there are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aggregates {
    pub of: Vec<u32>,
    pub count: usize,
}

impl Aggregates {
    pub fn new(graph: Edges<'_>, how: Aggregation) -> Self {
        let mut own = Self { of: vec![NONE; graph.len()], count: 0 };
        if how == Aggregation::Standard {
            own.neighbourhoods(graph);
            own.join(graph);
        }
        own.rest(graph);
        own
    }

    /// Makes a node without strong couplings an aggregate of its own where `keep` says so.
    pub fn keep_alone(&mut self, keep: impl Fn(usize) -> bool) {
        for (i, of) in self.of.iter_mut().enumerate() {
            if *of == NONE && keep(i) {
                *of = self.count as u32;
                self.count += 1;
            }
        }
    }

    /// A node whose neighbours are all free makes an aggregate of them.
    fn neighbourhoods(&mut self, graph: Edges<'_>) {
        for i in 0..graph.len() {
            let row = graph.row(i);
            let free = |&j: &u32| self.of[j as usize] == NONE;
            if self.of[i] == NONE && !graph.is_alone(i) && row.iter().all(free) {
                self.of[i] = self.count as u32;
                row.iter().for_each(|&j| self.of[j as usize] = self.count as u32);
                self.count += 1;
            }
        }
    }

    /// A free node joins the aggregate of its first neighbour that has one from the first pass.
    fn join(&mut self, graph: Edges<'_>) {
        let first = self.of.clone();
        for i in (0..graph.len()).filter(|&i| first[i] == NONE) {
            let neighbour = graph.row(i).iter().find(|&&j| first[j as usize] != NONE);
            if let Some(&j) = neighbour {
                self.of[i] = first[j as usize];
            }
        }
    }

    /// Free nodes with their free neighbours.
    fn rest(&mut self, graph: Edges<'_>) {
        for i in 0..graph.len() {
            let row = graph.row(i);
            if self.of[i] != NONE || graph.is_alone(i) {
                continue;
            }
            self.of[i] = self.count as u32;
            for &j in row {
                let of = &mut self.of[j as usize];
                if *of == NONE {
                    *of = self.count as u32;
                }
            }
            self.count += 1;
        }
    }
}

/// The tentative prolongator T with orthonormal columns, the near-null space of the coarse level and
/// the aggregate that each coarse unknown belongs to.
pub(super) struct Tentative<T> {
    pub t: Csr<T>,
    /// Row-major, `columns` numbers for each coarse unknown.
    pub near_null: Vec<T>,
    pub node_of: Vec<u32>,
}

/// T and B_c with T B_c = B on every aggregate: T holds the Q of a QR factorisation of each aggregate's
/// rows of B (n × k, row-major). Columns that depend on earlier ones on some aggregate are left out
/// there, so that T has full rank.
pub(super) fn tentative<T: Real>(
    aggregates: &Aggregates,
    node_of: Option<&[u32]>,
    near_null: &[T],
    k: usize,
) -> Tentative<T> {
    if k == 1
        && node_of.is_none()
        && let Some(t) = tentative_of_one(aggregates, near_null)
    {
        return t;
    }
    let n = near_null.len() / k;
    let aggregate = |i: usize| aggregates.of[node_of.map_or(i, |nodes| nodes[i] as usize)];
    let (members, starts) = members(n, aggregates.count, aggregate);
    let (mut coarse_null, mut coarse_nodes) = (Vec::new(), Vec::new());
    // Q's entries by row of the fine level: the first coarse unknown of its aggregate and how many.
    let mut q = vec![T::zero(); n * k];
    let mut place = vec![(0u32, 0u32); n];
    let mut factor = vec![T::zero(); k * k];
    for a in 0..aggregates.count {
        let rows = &members[starts[a]..starts[a + 1]];
        let rank = orthonormalise(rows, near_null, k, &mut q, &mut factor);
        let first = coarse_nodes.len() as u32;
        rows.iter().for_each(|&i| place[i as usize] = (first, rank as u32));
        coarse_nodes.extend(std::iter::repeat_n(a as u32, rank));
        coarse_null.extend_from_slice(&factor[..rank * k]);
    }
    let (mut row_starts, mut columns, mut values) = (Vec::with_capacity(n + 1), Vec::new(), Vec::new());
    row_starts.push(0);
    for (i, (first, rank)) in place.into_iter().enumerate() {
        columns.extend(first..first + rank);
        values.extend_from_slice(&q[i * k..i * k + rank as usize]);
        row_starts.push(columns.len());
    }
    let t = Csr::from_parts([n, coarse_nodes.len()], row_starts, columns, values);
    Tentative { t, near_null: coarse_null, node_of: coarse_nodes }
}

/// [`tentative`] for one near-null vector b and a node for each unknown: b over its norm on each aggregate.
/// `None` where it vanishes on one.
fn tentative_of_one<T: Real>(aggregates: &Aggregates, b: &[T]) -> Option<Tentative<T>> {
    let of = &aggregates.of;
    let mut norms = vec![T::zero(); aggregates.count];
    for (&a, &b) in of.iter().zip(b).filter(|e| *e.0 != NONE) {
        let square = &mut norms[a as usize];
        *square = b.mul_add(b, *square);
    }
    norms.iter_mut().for_each(|square| *square = square.sqrt());
    if !norms.iter().all(|norm| *norm > T::zero()) {
        return None;
    }
    let inverse: Vec<T> = norms.iter().map(|norm| T::one() / *norm).collect();
    let (mut starts, mut columns) = (Vec::with_capacity(of.len() + 1), Vec::with_capacity(of.len()));
    let mut values = Vec::with_capacity(of.len());
    starts.push(0);
    for (&a, &b) in of.iter().zip(b) {
        if a != NONE {
            columns.push(a);
            values.push(b * inverse[a as usize]);
        }
        starts.push(columns.len());
    }
    let t = Csr::from_parts([of.len(), aggregates.count], starts, columns, values);
    Some(Tentative { t, near_null: norms, node_of: (0..aggregates.count as u32).collect() })
}

/// Unknowns sorted by aggregate, and where each aggregate's begin.
fn members(n: usize, count: usize, aggregate: impl Fn(usize) -> u32) -> (Vec<u32>, Vec<usize>) {
    let mut starts = vec![0; count + 1];
    let inside = |i: &usize| aggregate(*i) != NONE;
    (0..n).filter(inside).for_each(|i| starts[aggregate(i) as usize + 1] += 1);
    (0..count).for_each(|a| starts[a + 1] += starts[a]);
    let (mut next, mut members) = (starts.clone(), vec![0; starts[count]]);
    for i in (0..n).filter(inside) {
        let next = &mut next[aggregate(i) as usize];
        members[*next] = i as u32;
        *next += 1;
    }
    (members, starts)
}

/// Modified Gram–Schmidt, twice, on the given rows of B: Q's columns to `q` (same rows, the first
/// `rank` of k columns), R (rank × k, row-major) to `factor`. Returns the rank.
fn orthonormalise<T: Real>(rows: &[u32], b: &[T], k: usize, q: &mut [T], factor: &mut [T]) -> usize {
    let dot = |q: &[T], s: usize, t: usize| {
        rows.iter().fold(T::zero(), |sum, &i| q[i as usize * k + s].mul_add(q[i as usize * k + t], sum))
    };
    factor.fill(T::zero());
    let mut rank = 0;
    for column in 0..k {
        rows.iter().for_each(|&i| q[i as usize * k + rank] = b[i as usize * k + column]);
        let before = dot(q, rank, rank).sqrt();
        for _ in 0..if rank > 0 { 2 } else { 0 } {
            for s in 0..rank {
                let along = dot(q, s, rank);
                factor[s * k + column] += along;
                for &i in rows {
                    let i = i as usize * k;
                    q[i + rank] = (-along).mul_add(q[i + s], q[i + rank]);
                }
            }
        }
        let norm = dot(q, rank, rank).sqrt();
        if norm > T::of(1e3) * T::EPSILON * before {
            factor[rank * k + column] = norm;
            let inverse = T::one() / norm;
            rows.iter().for_each(|&i| q[i as usize * k + rank] *= inverse);
            rank += 1;
        }
    }
    rank
}
