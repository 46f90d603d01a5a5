//! Which couplings of a matrix count: strength of connection.

use crate::linalg::Csr;
use crate::num::Real;
use std::borrow::Cow;

/// When a coupling aᵢⱼ is weak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Weak {
    /// |aᵢⱼ|² < θ² |aᵢᵢ aⱼⱼ|: for both of the unknowns together.
    Symmetric(f64),
    /// |aᵢⱼ| < θ |aᵢᵢ|: for unknown i, whatever j thinks. A small coefficient beside a large one
    /// depends on it, and not the other way round.
    InRow(f64),
}

/// The matrix without its weak couplings, which are added to the diagonal, so that row sums stay
/// (Vaněk, Mandel & Brezina 1996, equation 8). Borrowed when nothing is weak.
pub(super) fn without_weak<'a, T: Real>(a: &'a Csr<T>, diagonal: &[T], weak: Weak) -> Cow<'a, Csr<T>> {
    let square = T::of(match weak {
        Weak::Symmetric(theta) | Weak::InRow(theta) => theta * theta,
    });
    let weak = |i: usize, j: u32, v: T| {
        let own = diagonal[i];
        let other = if let Weak::Symmetric(_) = weak { diagonal[j as usize] } else { own };
        j as usize != i && v * v < square * (own * other).abs()
    };
    let any = |i: usize| {
        let (columns, values) = a.row(i);
        columns.iter().zip(values).any(|(&j, &v)| weak(i, j, v))
    };
    if !(0..a.rows()).any(any) {
        return Cow::Borrowed(a);
    }
    let (mut starts, mut columns, mut values) = (vec![0], Vec::new(), Vec::new());
    columns.reserve(a.nnz());
    values.reserve(a.nnz());
    for (i, &own) in diagonal.iter().enumerate() {
        let (js, vs) = a.row(i);
        let (mut lumped, mut place) = (T::zero(), None);
        for (&j, &v) in js.iter().zip(vs) {
            if weak(i, j, v) {
                lumped += v;
                continue;
            }
            if j as usize == i {
                place = Some(values.len());
            }
            columns.push(j);
            values.push(v);
        }
        // Never below the tenth part: a diagonal that cancels would be divided by.
        if let Some(place) = place {
            values[place] = (own + lumped).max(T::of(0.1) * own);
        }
        starts.push(columns.len());
    }
    Cow::Owned(Csr::from_parts([a.rows(), a.cols()], starts, columns, values))
}

/// Whether the diagonal of row i is so large that a sweep of relaxation all but solves it.
pub(super) fn dominated<T: Real>(a: &Csr<T>, i: usize) -> bool {
    let (columns, values) = a.row(i);
    let entries = columns.iter().zip(values);
    let [mut own, mut others] = [T::zero(); 2];
    for (&j, v) in entries {
        let sum = if j as usize == i { &mut own } else { &mut others };
        *sum += v.abs();
    }
    others < T::of(0.2) * own
}

/// The neighbours of each node; each may or may not be listed among its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edges<'a> {
    starts: &'a [usize],
    columns: &'a [u32],
    /// Whether every node is its own neighbour.
    loops: bool,
}

impl<'a> Edges<'a> {
    /// All places of a matrix that stores its whole diagonal.
    pub fn all<T: Real>(a: &'a Csr<T>) -> Self {
        Self { starts: a.row_starts(), columns: a.columns(), loops: true }
    }

    pub fn len(self) -> usize {
        self.starts.len() - 1
    }

    #[inline(always)]
    pub fn row(self, i: usize) -> &'a [u32] {
        &self.columns[self.starts[i]..self.starts[i + 1]]
    }

    /// Whether node i has no neighbour but itself.
    pub fn is_alone(self, i: usize) -> bool {
        self.starts[i + 1] - self.starts[i] == usize::from(self.loops)
    }
}

/// Pattern of a square matrix's strong couplings, without the diagonal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Graph {
    pub starts: Vec<usize>,
    pub columns: Vec<u32>,
}

impl Graph {
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    #[inline(always)]
    pub fn row(&self, i: usize) -> &[u32] {
        &self.columns[self.starts[i]..self.starts[i + 1]]
    }

    pub fn edges(&self) -> Edges<'_> {
        Edges { starts: &self.starts, columns: &self.columns, loops: false }
    }

    /// The off-diagonal entries of `a` that `keep` (row, column, value) keeps.
    pub fn of<T: Real>(a: &Csr<T>, mut keep: impl FnMut(usize, usize, T) -> bool) -> Self {
        let (mut starts, mut columns) = (Vec::with_capacity(a.rows() + 1), Vec::with_capacity(a.nnz()));
        starts.push(0);
        for i in 0..a.rows() {
            let (js, vs) = a.row(i);
            for (&j, &v) in js.iter().zip(vs) {
                if j as usize != i && keep(i, j as usize, v) {
                    columns.push(j);
                }
            }
            starts.push(columns.len());
        }
        Self { starts, columns }
    }

    /// The graph of the nodes that unknowns belong to: nodes are joined when any of their unknowns are.
    pub fn of_nodes<T: Real>(a: &Csr<T>, node_of: &[u32], nodes: usize) -> Self {
        let mut pairs: Vec<(u32, u32)> = Vec::with_capacity(a.nnz());
        for i in 0..a.rows() {
            let own = node_of[i];
            let others = a.row(i).0.iter().map(|&j| node_of[j as usize]);
            pairs.extend(others.filter(|&other| other != own).map(|other| (own, other)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        let mut starts = vec![0; nodes + 1];
        pairs.iter().for_each(|p| starts[p.0 as usize + 1] += 1);
        (0..nodes).for_each(|i| starts[i + 1] += starts[i]);
        Self { starts, columns: pairs.into_iter().map(|p| p.1).collect() }
    }

    /// The graph with every edge turned round.
    pub fn transpose(&self) -> Self {
        let n = self.len();
        let mut starts = vec![0; n + 1];
        self.columns.iter().for_each(|&j| starts[j as usize + 1] += 1);
        (0..n).for_each(|i| starts[i + 1] += starts[i]);
        let (mut next, mut columns) = (starts.clone(), vec![0; self.columns.len()]);
        for i in 0..n {
            for &j in self.row(i) {
                columns[next[j as usize]] = i as u32;
                next[j as usize] += 1;
            }
        }
        Self { starts, columns }
    }
}
