//! The doors to rayon: fixed chunks, results in order, so that nothing depends on the number of threads.

use rayon::prelude::*;
use std::ops::Range;

/// Runs `work` on 0..n cut into chunks of `chunk`, in parallel; the results in order.
pub fn chunks<R: Send>(n: usize, chunk: usize, work: impl Fn(Range<usize>) -> R + Sync) -> Vec<R> {
    let range = |i: usize| i * chunk..((i + 1) * chunk).min(n);
    (0..n.div_ceil(chunk)).into_par_iter().map(|i| work(range(i))).collect()
}

/// Runs `work(start, part)` on `out` cut into parts of `chunk` entries (`start` is the place of the
/// part's first one), in parallel. On one thread it is a plain loop: nothing is allocated.
pub fn parts<T: Send>(out: &mut [T], chunk: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if out.len() <= chunk || threads() == 1 {
        out.chunks_mut(chunk).enumerate().for_each(|(i, part)| work(i * chunk, part));
    } else {
        out.par_chunks_mut(chunk).enumerate().for_each(|(i, part)| work(i * chunk, part));
    }
}

/// Runs `work` on each of `items`, in parallel: for pieces of memory that [`parts`] cannot cut.
pub fn each<I: Send>(items: Vec<I>, work: impl Fn(I) + Sync) {
    if threads() == 1 {
        items.into_iter().for_each(&work);
    } else {
        items.into_par_iter().for_each(&work);
    }
}

/// Threads of the present pool: for choosing how much to cut, never what is computed.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// Runs `work` on a pool of this many threads (all cores for 0).
///
/// # Errors
/// The system's reason when the threads cannot be started.
pub fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> crate::error::Result<R> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| {
        crate::Error::invalid("threads", threads, format!("the pool could not be started: {e}"))
    })?;
    Ok(pool.install(work))
}
