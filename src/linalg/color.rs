//! [`Coloring`]: groups of columns that share no row, so that one product gives all entries of a group.

use super::pattern::Pattern;

/// A distance-1 colouring of the column-intersection graph: two columns of one colour have no row in
/// common, so J times the sum of their unit vectors holds the entries of both.
///
/// Greedy, in three orders (as numbered, largest degree first, smallest degree last), of which the first
/// with fewest colours is kept. Source: Curtis, Powell & Reid, *J. Inst. Maths Applics* 13 (1974) 117–119; Coleman
/// & Moré, *SIAM J. Numer. Anal.* 20 (1983) 187–209 (the orders); Gebremedhin, Manne & Pothen, *SIAM
/// Review* 47 (2005) 629–705.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coloring {
    colors: Vec<u32>,
    count: usize,
}

impl Coloring {
    /// A colouring of the columns of `pattern`.
    pub fn columns(pattern: &Pattern) -> Self {
        let transpose = pattern.transpose();
        let mut best = greedy(pattern, &transpose, &(0..pattern.cols() as u32).collect::<Vec<_>>());
        for order in [largest_first, smallest_last] {
            let other = greedy(pattern, &transpose, &order(pattern, &transpose));
            if other.count < best.count {
                best = other;
            }
        }
        best
    }

    /// Colour of each column, below [`count`](Self::count).
    pub fn colors(&self) -> &[u32] {
        &self.colors
    }

    /// Number of colours.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether no row of `pattern` has two entries of one colour.
    pub fn is_valid(&self, pattern: &Pattern) -> bool {
        let mut seen = vec![usize::MAX; self.count];
        self.colors.len() == pattern.cols()
            && (0..pattern.rows()).all(|i| {
                pattern.row(i).iter().all(|&j| {
                    let color = self.colors[j as usize] as usize;
                    color < self.count && std::mem::replace(&mut seen[color], i) != i
                })
            })
    }
}

/// Gives each column, in `order`, the smallest colour that no column it meets has.
fn greedy(pattern: &Pattern, transpose: &Pattern, order: &[u32]) -> Coloring {
    const NONE: u32 = u32::MAX;
    let n = pattern.cols();
    let (mut colors, mut taken, mut count) = (vec![NONE; n], vec![NONE; n + 1], 0);
    for &j in order {
        for &i in transpose.row(j as usize) {
            for &k in pattern.row(i as usize) {
                if colors[k as usize] != NONE {
                    taken[colors[k as usize] as usize] = j;
                }
            }
        }
        let color = taken.iter().position(|&by| by != j).unwrap_or(n);
        colors[j as usize] = color as u32;
        count = count.max(color + 1);
    }
    Coloring { colors, count }
}

/// Calls `visit` once for every column that shares a row with `j`, other than `j`; `seen` marks with `j`.
fn neighbours(pattern: &Pattern, transpose: &Pattern, j: u32, seen: &mut [u32], mut visit: impl FnMut(u32)) {
    seen[j as usize] = j;
    for &i in transpose.row(j as usize) {
        for &k in pattern.row(i as usize) {
            if std::mem::replace(&mut seen[k as usize], j) != j {
                visit(k);
            }
        }
    }
}

fn degrees(pattern: &Pattern, transpose: &Pattern) -> Vec<usize> {
    let n = pattern.cols();
    let mut seen = vec![u32::MAX; n];
    let degree = |j| {
        let mut degree = 0;
        neighbours(pattern, transpose, j, &mut seen, |_| degree += 1);
        degree
    };
    (0..n as u32).map(degree).collect()
}

fn largest_first(pattern: &Pattern, transpose: &Pattern) -> Vec<u32> {
    let degrees = degrees(pattern, transpose);
    let mut order: Vec<u32> = (0..pattern.cols() as u32).collect();
    order.sort_by_key(|&j| std::cmp::Reverse(degrees[j as usize]));
    order
}

/// The last column is one of smallest degree; without it the one before is again of smallest degree,
/// and so on.
fn smallest_last(pattern: &Pattern, transpose: &Pattern) -> Vec<u32> {
    let mut degrees = degrees(pattern, transpose);
    let n = degrees.len();
    // Buckets by degree; entries that moved on are skipped when they come up.
    let mut buckets: Vec<Vec<u32>> = vec![Vec::new(); degrees.iter().max().map_or(0, |d| d + 1)];
    (0..n as u32).rev().for_each(|j| buckets[degrees[j as usize]].push(j));
    let (mut order, mut removed, mut seen) = (Vec::with_capacity(n), vec![false; n], vec![u32::MAX; n]);
    let mut lowest = 0;
    while order.len() < n {
        let Some(j) = buckets[lowest].pop() else {
            lowest += 1;
            continue;
        };
        if removed[j as usize] || degrees[j as usize] != lowest {
            continue;
        }
        removed[j as usize] = true;
        order.push(j);
        neighbours(pattern, transpose, j, &mut seen, |k| {
            if !removed[k as usize] {
                degrees[k as usize] -= 1;
                buckets[degrees[k as usize]].push(k);
            }
        });
        lowest = lowest.saturating_sub(1);
    }
    order.reverse();
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(n: usize, width: usize) -> Pattern {
        let rows: Vec<Vec<usize>> =
            (0..n).map(|i| (i.saturating_sub(width)..(i + width + 1).min(n)).collect()).collect();
        Pattern::from_rows([n, n], &rows).unwrap()
    }

    #[test]
    fn bands_take_as_many_colours_as_they_are_wide() {
        for width in [0, 1, 2, 5] {
            let p = band(40, width);
            let c = Coloring::columns(&p);
            assert!(c.is_valid(&p));
            assert_eq!(c.count(), 2 * width + 1);
        }
    }

    #[test]
    fn arrows_full_and_empty_matrices() {
        // A full row makes every column meet every other one; a full column meets nobody new.
        let rows: Vec<Vec<usize>> = (0..9).map(|i| vec![0, i]).collect();
        let p = Pattern::from_rows([9, 9], &rows).unwrap();
        assert_eq!(Coloring::columns(&p).count(), 2);
        let t = p.transpose();
        assert_eq!(Coloring::columns(&t).count(), 9);
        assert_eq!(Coloring::columns(&Pattern::full(5)).count(), 5);
        let empty = Pattern::from_rows([3, 3], &[vec![], vec![], vec![]]).unwrap();
        assert_eq!(Coloring::columns(&empty).count(), 1);
    }

    #[test]
    fn an_invalid_colouring_is_recognised() {
        let p = band(6, 1);
        let mut c = Coloring::columns(&p);
        assert!(c.is_valid(&p));
        c.colors[2] = c.colors[1];
        assert!(!c.is_valid(&p));
        assert!(!Coloring::columns(&band(5, 1)).is_valid(&p));
    }

    #[test]
    fn a_periodic_five_point_stencil_takes_few_colours() {
        let n = 20;
        let at = |i: usize, j: usize| (i % n) * n + j % n;
        let row = |k: usize| {
            let (i, j) = (k / n + n, k % n + n);
            vec![at(i, j), at(i + 1, j), at(i - 1, j), at(i, j + 1), at(i, j - 1)]
        };
        let rows: Vec<Vec<usize>> = (0..n * n).map(row).collect();
        let p = Pattern::from_rows([n * n, n * n], &rows).unwrap();
        let c = Coloring::columns(&p);
        assert!(c.is_valid(&p));
        // Five is the least (each row has five entries); greedy finds nine.
        assert!((5..=10).contains(&c.count()), "{}", c.count());
    }
}
