//! C/F splittings: which unknowns stay on the coarse level (C) and which are interpolated (F), by the
//! two passes of J. W. Ruge & K. Stüben, "Algebraic multigrid", in Multigrid Methods (SIAM 1987),
//! section 4.

use super::strength::Graph;

/// What an unknown became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Point {
    Undecided,
    Coarse,
    Fine,
}

/// Unknowns in lists by weight, so that the heaviest is found, and one moved, in constant time.
struct Queue {
    /// First unknown of each weight.
    heads: Vec<u32>,
    next: Vec<u32>,
    before: Vec<u32>,
    weight: Vec<u32>,
    heaviest: usize,
}

const END: u32 = u32::MAX;

impl Queue {
    fn new(weight: Vec<u32>) -> Self {
        let n = weight.len();
        let most = weight.iter().max().map_or(0, |w| *w as usize);
        let mut own = Self {
            heads: vec![END; most + 1],
            next: vec![END; n],
            before: vec![END; n],
            weight,
            heaviest: most,
        };
        // The last put in is the first out: equal ones leave in natural order.
        (0..n).rev().for_each(|i| own.insert(i));
        own
    }

    fn insert(&mut self, i: usize) {
        let weight = self.weight[i] as usize;
        if weight >= self.heads.len() {
            self.heads.resize(weight + 1, END);
        }
        let head = self.heads[weight];
        (self.next[i], self.before[i]) = (head, END);
        if head != END {
            self.before[head as usize] = i as u32;
        }
        self.heads[weight] = i as u32;
        self.heaviest = self.heaviest.max(weight);
    }

    fn remove(&mut self, i: usize) {
        let (next, before) = (self.next[i], self.before[i]);
        if next != END {
            self.before[next as usize] = before;
        }
        match before {
            END => self.heads[self.weight[i] as usize] = next,
            before => self.next[before as usize] = next,
        }
    }

    fn change(&mut self, i: usize, weight: u32) {
        self.remove(i);
        self.weight[i] = weight;
        self.insert(i);
    }

    /// Takes out the heaviest.
    fn pop(&mut self) -> Option<usize> {
        while self.heads[self.heaviest] == END {
            self.heaviest = self.heaviest.checked_sub(1)?;
        }
        let i = self.heads[self.heaviest] as usize;
        self.remove(i);
        Some(i)
    }
}

/// First pass: the unknown that most others depend on becomes C, those others F, and what these depend
/// on gains weight. `depends` has in row i the unknowns that i strongly depends on. Unknowns that
/// nothing depends on are F.
pub(super) fn first_pass(depends: &Graph, influences: &Graph) -> Vec<Point> {
    let n = depends.len();
    let mut point = vec![Point::Undecided; n];
    let mut queue = Queue::new((0..n).map(|i| influences.row(i).len() as u32).collect());
    while let Some(i) = queue.pop() {
        if queue.weight[i] == 0 {
            point[i] = Point::Fine;
            continue;
        }
        point[i] = Point::Coarse;
        for &j in influences.row(i) {
            let j = j as usize;
            if point[j] != Point::Undecided {
                continue;
            }
            point[j] = Point::Fine;
            queue.remove(j);
            for &k in depends.row(j) {
                let k = k as usize;
                if point[k] == Point::Undecided {
                    queue.change(k, queue.weight[k] + 1);
                }
            }
        }
        for &j in depends.row(i) {
            let j = j as usize;
            if point[j] == Point::Undecided {
                queue.change(j, queue.weight[j].saturating_sub(1));
            }
        }
    }
    point
}

/// Second pass: two F unknowns of which one strongly depends on the other share a C unknown that both
/// depend on; where they do not, one of them becomes C.
pub(super) fn second_pass(depends: &Graph, point: &mut [Point]) {
    let mut coarse_of = vec![END; depends.len()];
    for i in 0..depends.len() {
        if point[i] != Point::Fine {
            continue;
        }
        let own = i as u32;
        for &j in depends.row(i) {
            if point[j as usize] == Point::Coarse {
                coarse_of[j as usize] = own;
            }
        }
        // The first that lacks one becomes C itself; at a second one i does instead.
        let mut candidate: Option<usize> = None;
        for &j in depends.row(i) {
            let j = j as usize;
            if point[j] != Point::Fine || depends.row(j).iter().any(|&k| coarse_of[k as usize] == own) {
                continue;
            }
            match candidate {
                None => {
                    candidate = Some(j);
                    point[j] = Point::Coarse;
                    coarse_of[j] = own;
                }
                Some(tried) => {
                    point[tried] = Point::Fine;
                    point[i] = Point::Coarse;
                    break;
                }
            }
        }
    }
}

/// The parallel modified independent set of H. De Sterck, U. M. Yang & J. J. Heys (SIAM J. Matrix Anal.
/// Appl. 27, 2006): unknowns that outweigh all their neighbours become C, their dependants F, until all
/// are decided. Fewer C unknowns than the two passes, at the price of more iterations.
pub(super) fn independent_set(depends: &Graph, influences: &Graph) -> Vec<Point> {
    let n = depends.len();
    // A fixed scramble of the index breaks ties.
    let scramble = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let weight = |i: usize| ((influences.row(i).len() as u64) << 32) | scramble(i);
    let weights: Vec<u64> = (0..n).map(weight).collect();
    let none = |i: usize| influences.row(i).is_empty();
    let start = |i| if none(i) { Point::Fine } else { Point::Undecided };
    let mut point: Vec<Point> = (0..n).map(start).collect();
    let mut left: Vec<u32> = (0..n as u32).filter(|&i| point[i as usize] == Point::Undecided).collect();
    while !left.is_empty() {
        let neighbours = |i: usize| depends.row(i).iter().chain(influences.row(i));
        let outweighed = |i: usize| {
            neighbours(i).any(|&j| point[j as usize] == Point::Undecided && weights[j as usize] > weights[i])
        };
        let chosen: Vec<u32> = left.iter().copied().filter(|&i| !outweighed(i as usize)).collect();
        for &i in &chosen {
            point[i as usize] = Point::Coarse;
        }
        for &i in &chosen {
            for &j in influences.row(i as usize) {
                if point[j as usize] == Point::Undecided {
                    point[j as usize] = Point::Fine;
                }
            }
        }
        left.retain(|&i| point[i as usize] == Point::Undecided);
    }
    point
}
