//! The levels of a sparse matrix, and the diagonals that its triangles are within them.

use super::levels::{Levels, WIDTH};
use super::pattern::Entries;

/// Most diagonals of a level: 2 for the 5-point, 4 for the 9-point stencil.
pub(super) const SLOTS: usize = 4;

/// The levels of a matrix, where they are wide enough to be worth it.
pub(super) fn schedule(entries: &Entries) -> Option<Levels> {
    let n = entries.len();
    let mut level = vec![0u32; n];
    let mut starts = vec![0u32];
    for i in 0..n {
        let below = entries.triangle(i, true).map(|e| level[entries.columns()[e] as usize] + 1).max();
        level[i] = below.unwrap_or(0);
        let s = level[i] as usize;
        if starts.len() < s + 2 {
            starts.resize(s + 2, 0);
        }
        starts[s + 1] += 1;
    }
    if n < WIDTH / 2 * (starts.len() - 1) {
        return None;
    }
    for s in 1..starts.len() {
        starts[s] += starts[s - 1];
    }
    let (mut next, mut order) = (starts.clone(), vec![0; n]);
    for (i, &s) in level.iter().enumerate() {
        order[next[s as usize] as usize] = i as u32;
        next[s as usize] += 1;
    }
    Some(Levels::new(order, starts))
}

/// Where the k-th unknown of a level reads its lower and its upper neighbours, less k: none where they are
/// more than [`SLOTS`] or overlap the level itself.
pub(super) fn shifts(
    entries: &Entries,
    levels: &Levels,
    place: &[usize],
    s: usize,
) -> Option<[Vec<usize>; 2]> {
    let span = levels.span(s);
    let mut shifts = [Vec::new(), Vec::new()];
    for (k, &i) in levels.unknowns(s).iter().enumerate() {
        for (side, shifts) in shifts.iter_mut().enumerate() {
            for e in entries.triangle(i as usize, side == 0) {
                let start = place[entries.columns()[e] as usize].checked_sub(k)?;
                let end = start + span.len();
                let apart = if side == 0 { end <= span.start } else { start >= span.end };
                if !apart || end > levels.places() {
                    return None;
                }
                if !shifts.contains(&start) {
                    shifts.push(start);
                }
                if shifts.len() > SLOTS {
                    return None;
                }
            }
        }
    }
    Some(shifts)
}
