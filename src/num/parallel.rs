//! The two doors to rayon: fixed chunks, results in order, so that nothing depends on the number of threads.

use rayon::prelude::*;
use std::ops::Range;

/// Runs `work` on 0..n cut into chunks of `chunk`, in parallel; the results in order.
pub fn chunks<R: Send>(n: usize, chunk: usize, work: impl Fn(Range<usize>) -> R + Sync) -> Vec<R> {
    let range = |i: usize| i * chunk..((i + 1) * chunk).min(n);
    (0..n.div_ceil(chunk)).into_par_iter().map(|i| work(range(i))).collect()
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
