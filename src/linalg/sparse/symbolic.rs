//! The analysis of a symmetric pattern: order, elimination tree, supernodes, fronts.
//!
//! Sources: Amestoy, Davis & Duff, *ACM TOMS* 30 (2004) 381–388 (AMD, by faer); Liu, *SIAM J. Matrix
//! Anal. Appl.* 11 (1990) 134–172 (elimination trees); Duff & Reid, *ACM TOMS* 9 (1983) 302–325
//! (multifrontal); Davis, *Direct Methods for Sparse Linear Systems* (2006), ch. 4.

use crate::error::{Error, Result};
use crate::linalg::Pattern;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::SymbolicSparseColMatRef;
use faer::sparse::linalg::amd;

/// A group of consecutive columns (in the new order) that are eliminated together in one dense front.
#[derive(Clone, Debug, Default)]
pub(super) struct Supernode {
    /// Its first column.
    pub first: usize,
    /// Its number of columns, the pivots.
    pub pivots: usize,
    /// The rows below them that it touches, increasing.
    pub rows: Vec<u32>,
    /// Supernodes whose update it takes; in the order in which they are eliminated.
    pub children: Vec<u32>,
    /// Place in the parent's front of each of `rows`.
    pub places: Vec<u32>,
    /// (entry of A, place in the front) of the entries that are assembled here.
    pub entries: Vec<[u32; 2]>,
    /// Zeros among the entries of its columns that the grouping brought in.
    zeros: usize,
}

impl Supernode {
    /// Rows and columns of its front.
    pub fn size(&self) -> usize {
        self.pivots + self.rows.len()
    }
}

/// What [`analyse`] finds.
#[derive(Clone, Debug)]
pub(super) struct Symbolic {
    /// The original index of each place in the new order.
    pub order: Vec<u32>,
    /// Children before parents.
    pub nodes: Vec<Supernode>,
}

impl Symbolic {
    /// Numbers kept for L and U.
    pub fn len_factors(&self) -> usize {
        self.nodes.iter().map(|s| s.pivots * (s.size() + s.rows.len())).sum()
    }

    /// Most numbers in one front.
    pub fn len_front(&self) -> usize {
        self.nodes.iter().map(|s| s.size() * s.size()).max().unwrap_or(0)
    }

    /// Most numbers of updates that wait on the stack at once.
    pub fn len_stack(&self) -> usize {
        let (mut now, mut most) = (0, 0);
        for s in &self.nodes {
            let taken: usize = s.children.iter().map(|&c| self.nodes[c as usize].rows.len().pow(2)).sum();
            now = now - taken + s.rows.len().pow(2);
            most = most.max(now);
        }
        most
    }

    /// Multiply–adds of a factorisation.
    pub fn flops(&self) -> f64 {
        let front = |s: &Supernode| (0..s.pivots).map(|k| ((s.size() - k - 1) as f64).powi(2)).sum::<f64>();
        self.nodes.iter().map(front).sum()
    }
}

/// Analyses the pattern of A + Aᵀ + I for elimination with pivots on (or near) the diagonal.
pub(super) fn analyse(pattern: &Pattern) -> Result<Symbolic> {
    let n = pattern.rows();
    let symmetric = pattern.union(&pattern.transpose())?.union(&Pattern::diagonal(n))?;
    let order = fill_reducing(&symmetric)?;
    let parents = elimination_tree(&symmetric, &order);
    let order: Vec<u32> = postorder(&parents).into_iter().map(|k| order[k as usize]).collect();
    let parents = elimination_tree(&symmetric, &order);
    let mut nodes = supernodes(&column_structures(&symmetric, &order, &parents), &parents);
    link(&mut nodes, n);
    assemble(&mut nodes, pattern, &order);
    Ok(Symbolic { order, nodes })
}

/// The approximate minimum degree order: the original index of each place.
fn fill_reducing(symmetric: &Pattern) -> Result<Vec<u32>> {
    let n = symmetric.rows();
    let starts: Vec<u32> = symmetric.row_starts().iter().map(|&s| s as u32).collect();
    let a = SymbolicSparseColMatRef::new_checked(n, n, &starts, None, symmetric.columns());
    let (mut order, mut inverse) = (vec![0u32; n], vec![0u32; n]);
    let mut memory = MemBuffer::new(amd::order_scratch::<u32>(n, symmetric.nnz()));
    let stack = MemStack::new(&mut memory);
    let done = amd::order(&mut order, &mut inverse, a, amd::Control::default(), stack);
    let failed = |e| Error::invalid("the pattern to order", format!("{e:?}"), "it must fit into memory");
    done.map(|_| order).map_err(failed)
}

/// Place in the new order of each original index.
fn inverse(order: &[u32]) -> Vec<u32> {
    let mut inverse = vec![0; order.len()];
    order.iter().enumerate().for_each(|(k, &i)| inverse[i as usize] = k as u32);
    inverse
}

const ROOT: u32 = u32::MAX;

/// The parent of each column in the new order (Liu's algorithm with path compression).
fn elimination_tree(symmetric: &Pattern, order: &[u32]) -> Vec<u32> {
    let (n, inverse) = (order.len(), inverse(order));
    let (mut parents, mut ancestors) = (vec![ROOT; n], vec![ROOT; n]);
    for (k, &row) in order.iter().enumerate() {
        for &j in symmetric.row(row as usize) {
            let mut i = inverse[j as usize];
            while i < k as u32 {
                let next = std::mem::replace(&mut ancestors[i as usize], k as u32);
                if next == ROOT {
                    parents[i as usize] = k as u32;
                }
                if next == ROOT || next == k as u32 {
                    break;
                }
                i = next;
            }
        }
    }
    parents
}

/// Every column after its children, a child's whole subtree in a row.
fn postorder(parents: &[u32]) -> Vec<u32> {
    let n = parents.len();
    let (mut first, mut next) = (vec![ROOT; n], vec![ROOT; n]);
    for k in (0..n).rev().filter(|&k| parents[k] != ROOT) {
        next[k] = std::mem::replace(&mut first[parents[k] as usize], k as u32);
    }
    let (mut out, mut stack) = (Vec::with_capacity(n), Vec::new());
    for root in (0..n as u32).filter(|&k| parents[k as usize] == ROOT) {
        stack.push(root);
        while let Some(&k) = stack.last() {
            let child = first[k as usize];
            if child == ROOT {
                out.push(k);
                stack.pop();
            } else {
                first[k as usize] = next[child as usize];
                stack.push(child);
            }
        }
    }
    out
}

/// The rows below the diagonal of each column of L, increasing.
fn column_structures(symmetric: &Pattern, order: &[u32], parents: &[u32]) -> Vec<Vec<u32>> {
    let (n, inverse) = (order.len(), inverse(order));
    let mut columns: Vec<Vec<u32>> = vec![Vec::new(); n];
    let mut seen = vec![ROOT; n];
    let mut children: Vec<Vec<u32>> = vec![Vec::new(); n];
    for k in (0..n).filter(|&k| parents[k] != ROOT) {
        children[parents[k] as usize].push(k as u32);
    }
    for k in 0..n {
        let mut rows = Vec::new();
        let mut add = |i: u32, rows: &mut Vec<u32>| {
            if i > k as u32 && std::mem::replace(&mut seen[i as usize], k as u32) != k as u32 {
                rows.push(i);
            }
        };
        for &j in symmetric.row(order[k] as usize) {
            add(inverse[j as usize], &mut rows);
        }
        for &c in &children[k] {
            columns[c as usize].iter().for_each(|&i| add(i, &mut rows));
        }
        rows.sort_unstable();
        columns[k] = rows;
    }
    columns
}

/// Groups columns of equal structure, then a group with its last child where that brings few zeros: up
/// to eight columns freely, beyond that the fewer the larger the group (as CHOLMOD relaxes).
fn supernodes(columns: &[Vec<u32>], parents: &[u32]) -> Vec<Supernode> {
    let mut nodes: Vec<Supernode> = Vec::new();
    for (k, rows) in columns.iter().enumerate() {
        let mut new = Supernode { first: k, pivots: 1, rows: rows.clone(), ..Supernode::default() };
        while let Some(last) = nodes.last() {
            let top = last.first + last.pivots - 1;
            // The last child of `new`: its last column is the one before, and hangs below `new`.
            if parents[top] as usize != new.first || !worth_joining(last, &new) {
                break;
            }
            let zeros = last.zeros + new.zeros + joined_zeros(last, &new);
            let pivots = last.pivots + new.pivots;
            new = Supernode { first: last.first, pivots, zeros, ..new };
            nodes.pop();
        }
        nodes.push(new);
    }
    nodes
}

/// Zeros that come into the columns of `child` when it joins `parent`.
fn joined_zeros(child: &Supernode, parent: &Supernode) -> usize {
    child.pivots * (parent.size() - child.rows.len())
}

fn worth_joining(child: &Supernode, parent: &Supernode) -> bool {
    let new = joined_zeros(child, parent);
    if new == 0 {
        return true;
    }
    let pivots = child.pivots + parent.pivots;
    let total = pivots * (pivots + 1) / 2 + pivots * parent.rows.len();
    let fraction = (child.zeros + parent.zeros + new) as f64 / total as f64;
    match pivots {
        0..=4 => fraction < 0.8,
        5..=16 => fraction < 0.25,
        17..=48 => fraction < 0.1,
        _ => fraction < 0.05,
    }
}

/// Finds each supernode's parent, and the places of its rows there.
fn link(nodes: &mut [Supernode], n: usize) {
    let mut owner = vec![0u32; n];
    for (s, node) in nodes.iter().enumerate() {
        owner[node.first..node.first + node.pivots].fill(s as u32);
    }
    for s in 0..nodes.len() {
        let Some(&row) = nodes[s].rows.first() else {
            continue;
        };
        let parent = owner[row as usize] as usize;
        let places = nodes[s].rows.iter().map(|&i| place(&nodes[parent], i)).collect();
        nodes[s].places = places;
        nodes[parent].children.push(s as u32);
    }
}

/// Where row or column i of the matrix stands in a front.
fn place(node: &Supernode, i: u32) -> u32 {
    let end = (node.first + node.pivots) as u32;
    if i < end {
        i - node.first as u32
    } else {
        node.rows.partition_point(|&r| r < i) as u32 + node.pivots as u32
    }
}

/// Hands every entry of A to the front of the smaller of its row and column.
fn assemble(nodes: &mut [Supernode], pattern: &Pattern, order: &[u32]) {
    let inverse = inverse(order);
    let ends: Vec<usize> = nodes.iter().map(|s| s.first + s.pivots).collect();
    for i in 0..pattern.rows() {
        for k in pattern.row_starts()[i]..pattern.row_starts()[i + 1] {
            let (row, column) = (inverse[i], inverse[pattern.columns()[k] as usize]);
            let s = ends.partition_point(|&end| end <= row.min(column) as usize);
            let node = &mut nodes[s];
            let at = place(node, column) as usize * node.size() + place(node, row) as usize;
            node.entries.push([k as u32, at as u32]);
        }
    }
    // In the order of the front, so that assembly walks through it once.
    nodes.iter_mut().for_each(|s| s.entries.sort_unstable_by_key(|e| e[1]));
}
