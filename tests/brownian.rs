//! Brownian sources: the same bits whatever the order of queries, the evaluator and the batch; the right
//! law, by covariances with confidence bounds at fixed seeds; errors; nothing allocated in a sweep.

use odeon::Result;
use odeon::num::Real;
use odeon::num::random::{at, normal_pair};
use odeon::sde::noise::{Brownian, Correlated, FixedGrid, IntervalTree, Levy, VirtualTree};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Calls of the allocator by this thread: tests run beside each other.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread's own cell,
// which needs no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The i-th number of a fixed sequence, uniform in [0, 1).
fn uniform(i: u64) -> f64 {
    (at(0x5eed, i, 99)[0] >> 11) as f64 / (1_u64 << 53) as f64
}

/// W and H of an interval.
fn ask<T: Real>(noise: &mut dyn Brownian<T>, [from, to]: [f64; 2]) -> Result<(Vec<f64>, Vec<f64>)> {
    let numbers = noise.components() * noise.paths();
    let mut w = vec![T::NAN; numbers];
    let mut area = vec![T::NAN; if noise.levy() == Levy::None { 0 } else { numbers }];
    noise.increment(T::of(from), T::of(to), &mut w, &mut area)?;
    let wide = |x: Vec<T>| x.into_iter().map(T::f64).collect();
    Ok((wide(w), wide(area)))
}

const LEVIES: [Levy; 2] = [Levy::None, Levy::SpaceTime];
/// Components and paths: few and many streams, pairs of components that come out even and odd.
const SHAPES: [(usize, usize); 7] = [(1, 1), (2, 1), (3, 2), (1, 8), (4, 3), (3, 25), (2, 70)];

/// 200 intervals of many lengths, some against time, in thousandths of the span.
fn intervals(span: [f64; 2], cells: f64) -> Vec<[f64; 2]> {
    let time = |u: f64| span[0] + (span[1] - span[0]) * ((u * (cells + 1.0)).floor() / cells);
    let interval = |i: u64| {
        let (a, length) = (uniform(2 * i), 0.5_f64.powi((i % 8) as i32) * uniform(2 * i + 1));
        [time(a), time(if i.is_multiple_of(3) { (a - length).max(0.0) } else { (a + length).min(0.9999) })]
    };
    (0..200).map(interval).filter(|[a, b]| a != b).collect()
}

#[test]
fn bits_depend_on_neither_order_nor_evaluator() -> Result<()> {
    fn check<T: Real>(span: [f64; 2], levy: Levy, (m, paths): (usize, usize)) -> Result<()> {
        let typed = span.map(T::of);
        let cells = 512.0;
        let resolution = T::of((span[1] - span[0]) / cells);
        let mut cached = IntervalTree::new(3, typed, m, paths)?.levy(levy);
        let queries = intervals(span, cells);
        for (i, &query) in queries.iter().enumerate() {
            let mut fresh = VirtualTree::new(3, typed, m, paths, resolution)?.levy(levy);
            let expected = ask(&mut fresh, query)?;
            // A rejected longer step before some of them.
            if i % 4 == 0 {
                ask(&mut cached, [query[0], if query[1] > query[0] { span[1] } else { span[0] }])?;
            }
            assert_eq!(ask(&mut cached, query)?, expected, "{query:?}, {levy:?}, {m} × {paths}");
            // And the virtual tree, asked something else in between, at another resolution.
            let mut finer = VirtualTree::new(3, typed, m, paths, resolution / T::of(8.0))?.levy(levy);
            ask(&mut finer, [span[0], queries[(i * 7) % queries.len()][1].max(span[0] + 0.1)])?;
            assert_eq!(ask(&mut finer, query)?, expected, "{query:?}, finer");
        }
        let forwards: Vec<_> = queries.iter().map(|&q| ask(&mut cached, q)).collect::<Result<_>>()?;
        let mut shuffled: Vec<usize> = (0..queries.len()).collect();
        shuffled.sort_by(|&a, &b| uniform(1000 + a as u64).total_cmp(&uniform(1000 + b as u64)));
        for i in shuffled {
            assert_eq!(ask(&mut cached, queries[i])?, forwards[i]);
        }
        Ok(())
    }
    for levy in LEVIES {
        for shape in SHAPES {
            check::<f64>([0.0, 1.0], levy, shape)?;
        }
        check::<f64>([-0.7, 3.1], levy, (1, 1))?;
        check::<f32>([0.0, 2.0], levy, (3, 2))?;
    }
    Ok(())
}

/// Many at once, of few streams and many, with intervals of no length between: the bits of each alone,
/// from either tree, whatever the number of queries, which decides what they share.
#[test]
fn many_intervals_have_the_bits_of_each_alone() -> Result<()> {
    for levy in LEVIES {
        for (m, paths) in SHAPES {
            let mut queries = intervals([0.0, 1.0], 4096.0);
            queries.insert(5, [0.25, 0.25]);
            queries.push([0.0, 1.0]);
            queries.extend((1..300).map(|i| [0.0, uniform(7000 + i).max(1e-3)]));
            let mut tree = VirtualTree::new(3, [0.0, 1.0], m, paths, 1.0 / 4096.0)?.levy(levy);
            let mut cached = IntervalTree::new(3, [0.0, 1.0], m, paths)?.levy(levy);
            let numbers = m * paths;
            let areas = if levy == Levy::None { 0 } else { numbers };
            // On the virtual tree's keys, which the other one tells apart from their neighbours.
            let key = |t: f64| (t * 4096.0).round() / 4096.0;
            queries.iter_mut().for_each(|q| *q = q.map(key));
            let alone: Vec<_> = queries.iter().map(|&q| ask(&mut cached, q)).collect::<Result<_>>()?;
            for (count, starts) in [(1, 9), (3, 7), (8, 3), (65, 1), (queries.len(), 1)] {
                for first in (0..starts).map(|i| 40 * i) {
                    let some = &queries[first..queries.len().min(first + count)];
                    let (mut w, mut area) =
                        (vec![f64::NAN; some.len() * numbers], vec![f64::NAN; some.len() * areas]);
                    let sources: [&mut dyn Brownian<f64>; 2] = [&mut tree, &mut cached];
                    for source in sources {
                        source.increments(some, &mut w, &mut area)?;
                        for (i, (w_i, area_i)) in alone[first..].iter().take(some.len()).enumerate() {
                            assert_eq!(w[i * numbers..][..numbers], w_i[..], "{:?} of {count}", some[i]);
                            assert_eq!(area[i * areas..][..areas], area_i[..], "{:?} of {count}", some[i]);
                        }
                    }
                }
            }
        }
    }
    let mut tree = VirtualTree::new(3, [0.0, 1.0], 1, 2, 0.125)?;
    let (mut w, half) = ([0.0; 4], [0.0, 0.5]);
    let short = message(tree.increments(&[half, half], &mut w[..3], &mut []));
    assert!(short.contains("intervals") && short.contains('3') && short.contains('4'), "{short}");
    let area = message(tree.increments(&[half, half], &mut w, &mut [0.0; 4]));
    assert!(area.contains("SpaceTime"), "{area}");
    let outside = message(tree.increments(&[half, [0.0, 1.5]], &mut w, &mut []));
    assert!(outside.contains("1.5") && outside.contains("[0, 1]"), "{outside}");
    tree.increments(&[], &mut [], &mut [])?;
    Ok(())
}

/// Every source of the file, with a shape.
fn sources(levy: Levy, (m, paths): (usize, usize), first: usize) -> Result<Vec<Box<dyn Brownian<f64>>>> {
    let span = [0.0, 2.0];
    let times: Vec<f64> = (0..=64).map(|i| f64::from(i * i) / 2048.0).collect();
    Ok(vec![
        Box::new(VirtualTree::new(5, span, m, paths, 1e-3)?.levy(levy).paths_from(first)?),
        Box::new(IntervalTree::new(5, span, m, paths)?.levy(levy).paths_from(first)?),
        Box::new(FixedGrid::new(5, span, 64, m, paths)?.levy(levy).paths_from(first)?),
        Box::new(FixedGrid::on(5, &times, m, paths)?.levy(levy).paths_from(first)?),
    ])
}

/// Ends on every grid above: squares of multiples of eight, over 2048.
const ENDS: [f64; 4] = [0.03125, 0.125, 0.5, 1.125];

#[test]
fn a_path_is_the_same_alone_and_in_a_batch() -> Result<()> {
    for levy in LEVIES {
        for (m, paths) in SHAPES {
            for (k, mut batch) in sources(levy, (m, paths), 10)?.into_iter().enumerate() {
                for query in [[ENDS[0], ENDS[2]], [ENDS[3], ENDS[1]], [ENDS[1], ENDS[2]]] {
                    let (w, area) = ask(&mut *batch, query)?;
                    for path in [0, paths / 2, paths - 1] {
                        let mut alone = sources(levy, (m, 1), 10 + path)?.swap_remove(k);
                        let (one, one_area) = ask(&mut *alone, query)?;
                        assert_eq!(
                            one,
                            w[path * m..(path + 1) * m],
                            "source {k}, path {path} of {m} × {paths}"
                        );
                        assert!(area.is_empty() || one_area == area[path * m..(path + 1) * m]);
                    }
                    let mut sorted = w.clone();
                    sorted.sort_by(f64::total_cmp);
                    assert!(sorted.windows(2).all(|x| x[0] < x[1]), "a number occurs twice");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn parts_add_up_and_time_turns() -> Result<()> {
    for levy in LEVIES {
        for (k, mut noise) in sources(levy, (3, 5), 0)?.into_iter().enumerate() {
            for (a, b, c) in [(0, 1, 2), (1, 2, 3), (0, 1, 3), (0, 2, 3)] {
                let [a, b, c] = [ENDS[a], ENDS[b], ENDS[c]];
                let (left, right, whole) =
                    (ask(&mut *noise, [a, b])?, ask(&mut *noise, [b, c])?, ask(&mut *noise, [a, c])?);
                for i in 0..15 {
                    let (w, sum) = (whole.0[i], left.0[i] + right.0[i]);
                    assert!((w - sum).abs() < 1e-14, "source {k}: {w} and {sum}");
                    if levy == Levy::SpaceTime {
                        // ∫ (W − W(a)) dt of the parts, with the lever arm of the first increment.
                        let integral = |x: &(Vec<f64>, Vec<f64>), l: f64| l * (0.5 * x.0[i] + x.1[i]);
                        let parts = integral(&left, b - a) + (c - b) * left.0[i] + integral(&right, c - b);
                        assert!((integral(&whole, c - a) - parts).abs() < 1e-14, "source {k}");
                    }
                }
                let (back, area) = ask(&mut *noise, [c, a])?;
                assert!(back.iter().zip(&whole.0).all(|(x, y)| *x == -y) && area == whole.1);
            }
            let (w, area) = ask(&mut *noise, [ENDS[1]; 2])?;
            assert!(w.iter().chain(&area).all(|&x| x == 0.0), "nothing moves in no time");
        }
    }
    Ok(())
}

/// W (false) or H (true) of an interval.
type Quantity = ([f64; 2], bool);

/// cov of W and H of two intervals: W has the kernel 1, H ((a + b)/2 − s)/(b − a), each on [a, b].
fn covariance(x: Quantity, y: Quantity) -> f64 {
    let (low, high) = (x.0[0].max(y.0[0]), x.0[1].min(y.0[1]));
    if low >= high {
        return 0.0;
    }
    let kernel =
        |([a, b], area): ([f64; 2], bool), s: f64| if area { (0.5 * (a + b) - s) / (b - a) } else { 1.0 };
    let product = |s: f64| kernel(x, s) * kernel(y, s);
    // Simpson's rule is exact for products of two linear kernels.
    (high - low) / 6.0 * (product(low) + 4.0 * product(0.5 * (low + high)) + product(high))
}

/// Samples of W and H of intervals against theory; a covariance may be off by 4.5 of its standard
/// deviations √((cᵢᵢ cⱼⱼ + cᵢⱼ²)/n).
fn check_covariances(name: &str, noise: &mut dyn Brownian<f64>, intervals: &[[f64; 2]]) -> Result<()> {
    let mut samples: Vec<(Quantity, usize, Vec<f64>)> = Vec::new();
    let (m, n) = (noise.components(), noise.paths());
    for &interval in intervals {
        let (w, area) = ask(noise, interval)?;
        for (values, is_area) in [(w, false), (area, true)] {
            for component in 0..m.min(values.len()) {
                let own = values.iter().skip(component).step_by(m).copied().collect();
                samples.push(((interval, is_area), component, own));
            }
        }
    }
    for (i, (x, component, of_x)) in samples.iter().enumerate() {
        for (y, other, of_y) in &samples[i..] {
            let expected = if component == other { covariance(*x, *y) } else { 0.0 };
            let variance = covariance(*x, *x) * covariance(*y, *y) + expected * expected;
            let found = of_x.iter().zip(of_y).map(|(x, y)| x * y).sum::<f64>() / n as f64;
            let bound = 4.5 * (variance / n as f64).sqrt();
            assert!(
                (found - expected).abs() < bound,
                "{name}: cov of {x:?} and {y:?}, components {component} and {other}: {found}, not {expected} ± {bound}"
            );
        }
    }
    Ok(())
}

/// A million paths see a coefficient that is off by 1 %: a variance off by 1 % is 7 deviations. An unoptimised build
/// takes a sixteenth of them, which see 4 %: `cargo test --release --test brownian`, as `.ci/run` does.
#[test]
fn covariances_are_those_of_brownian_motion() -> Result<()> {
    let sixteenths = |a: f64, b: f64| [a / 16.0, b / 16.0];
    let overlapping =
        [sixteenths(3.0, 11.0), sixteenths(5.0, 15.0), sixteenths(8.0, 16.0), sixteenths(0.0, 4.0)];
    let n = if cfg!(debug_assertions) { 1 << 16 } else { 1 << 20 };
    for levy in LEVIES {
        let mut tree = VirtualTree::new(11, [0.0, 1.0], 1, n, 1.0 / 16.0)?.levy(levy);
        check_covariances("tree", &mut tree, &overlapping)?;
        let mut two = VirtualTree::new(12, [0.0, 1.0], 2, n / 4, 1.0 / 16.0)?.levy(levy);
        check_covariances("two components", &mut two, &overlapping[..2])?;
        let times = [0.0, 0.1, 0.3, 0.35, 0.7, 1.0];
        let mut grid = FixedGrid::on(13, &times, 1, n / 2)?.levy(levy);
        check_covariances("grid", &mut grid, &[[0.1, 0.3], [0.3, 0.35], [0.0, 0.7], [0.1, 1.0]])?;
    }
    Ok(())
}

#[test]
fn quadratic_variation_is_time() -> Result<()> {
    let n = 1 << 14;
    let mut sources: [(&str, Box<dyn Brownian<f64>>); 3] = [
        ("tree", Box::new(VirtualTree::new(1, [0.0, 2.0], 1, 1, 2.0 / n as f64)?.levy(Levy::SpaceTime))),
        ("cached", Box::new(IntervalTree::new(2, [0.0, 2.0], 1, 1)?.levy(Levy::SpaceTime))),
        ("grid", Box::new(FixedGrid::new(3, [0.0, 2.0], n, 1, 1)?.levy(Levy::SpaceTime))),
    ];
    for (name, noise) in &mut sources {
        let (mut increments, mut areas, mut both) = (0.0, 0.0, 0.0);
        for i in 0..n {
            let time = |i: usize| 2.0 * i as f64 / n as f64;
            let (w, area) = ask(&mut **noise, [time(i), time(i + 1)])?;
            increments += w[0] * w[0];
            areas += 12.0 * area[0] * area[0];
            both += 12.0_f64.sqrt() * w[0] * area[0];
        }
        let deviation = 2.0 * (2.0 / n as f64).sqrt();
        for (what, sum, expected) in [("W²", increments, 2.0), ("12 H²", areas, 2.0), ("W H", both, 0.0)] {
            assert!((sum - expected).abs() < 4.0 * deviation, "{name}: Σ {what} = {sum}, not {expected}");
        }
    }
    Ok(())
}

/// One cell of the grid is the normal number of its counter, scaled.
#[test]
fn cells_are_their_counters() -> Result<()> {
    let mut noise = FixedGrid::<f64>::new(21, [1.0, 2.0], 10, 2, 1)?.paths_from(6)?;
    let (w, _) = ask(&mut noise, [1.3, 1.4])?;
    let stream = |component: u64| 6 | component << 32;
    for component in 0..2 {
        let (_, second) = normal_pair(at(21, 3 << 56 | 1, stream(component)));
        assert!((w[component as usize] - 0.1_f64.sqrt() * second).abs() < 1e-16, "{w:?}");
    }
    Ok(())
}

#[test]
fn grids_match_times_to_rounding_in_both_types() -> Result<()> {
    fn check<T: Real>(cells: usize) -> Result<()> {
        let mut noise = FixedGrid::new(2, [T::of(0.1), T::of(2.3)], cells, 1, 1)?;
        noise.prepare([T::of(0.1), T::of(2.3)])?;
        let h = (T::of(2.3) - T::of(0.1)) / T::of(cells as f64);
        let (mut t, mut w, mut sum) = (T::of(0.1), [T::zero()], 0.0);
        for _ in 0..cells {
            noise.increment(t, t + h, &mut w, &mut [])?;
            t += h;
            sum += w[0].f64();
        }
        noise.increment(T::of(0.1), T::of(2.3), &mut w, &mut [])?;
        assert!((w[0].f64() - sum).abs() < cells as f64 * T::EPSILON.f64() * 3.0);
        Ok(())
    }
    check::<f64>(1000)?;
    check::<f32>(200)
}

/// Steps of a solver with rejections, forwards and back: a handful of new nodes a query, whatever the
/// depth of the tree, and no allocation once the levels are there.
#[test]
fn sweeps_compute_few_nodes_and_allocate_nothing() -> Result<()> {
    for (paths, levy) in [(1, Levy::None), (20, Levy::SpaceTime)] {
        let mut noise = IntervalTree::<f64>::new(1, [0.0, 1.0], 1, paths)?.levy(levy);
        let (mut w, mut area) = (vec![0.0; paths], vec![0.0; if levy == Levy::None { 0 } else { paths }]);
        let mut sweep = |noise: &mut IntervalTree<f64>, backwards: bool| -> Result<(u64, usize, u64)> {
            let (computed, calls, mut queries) = (noise.computed(), CALLS.get(), 0);
            let (mut t, sign) = if backwards { (1.0, -1.0) } else { (0.0, 1.0) };
            for i in 0.. {
                let left = if backwards { t } else { 1.0 - t };
                if left <= 0.0 {
                    break;
                }
                let h = sign * (0.001 + 0.002 * (0.02 * f64::from(i)).sin().abs()).min(left);
                let h = noise.snap(t, h);
                if i % 3 == 0 {
                    noise.increment(t, (t + 2.0 * h).clamp(0.0, 1.0), &mut w, &mut area)?;
                    queries += 1;
                }
                noise.increment(t, t + h, &mut w, &mut area)?;
                queries += 1;
                t += h;
            }
            Ok((noise.computed() - computed, CALLS.get() - calls, queries))
        };
        sweep(&mut noise, false)?;
        sweep(&mut noise, true)?;
        for backwards in [false, true] {
            let (computed, calls, queries) = sweep(&mut noise, backwards)?;
            assert_eq!(calls, 0, "{paths} paths, {queries} queries");
            assert!(queries > 500 && computed < 6 * queries, "{computed} nodes for {queries} queries");
        }
        let bytes = noise.bytes();
        assert!(bytes > 0 && bytes < 64 * 2 * 24 * paths.max(8) + 20_000, "{bytes} bytes");
    }
    let mut noise = VirtualTree::new(1, [0.0, 1.0], 1, 1, 1e-5)?;
    let mut grid = FixedGrid::new(1, [0.0, 1.0], 1000, 1, 1)?;
    let many: Vec<[f64; 2]> = (1..500).map(|i| [0.0, f64::from(i) / 500.0]).collect();
    let mut of_many = vec![0.0; many.len()];
    for round in 0..2 {
        let before = CALLS.get();
        noise.increments(&many, &mut of_many, &mut [])?;
        for i in 0..1000 {
            let (t, mut w) = (f64::from(i) / 1000.0, [0.0]);
            noise.increment(t, t + 1e-3, &mut w, &mut [])?;
            noise.increment(t, 0.123_45, &mut w, &mut [])?;
            grid.increment(t, t + 1e-3, &mut w, &mut [])?;
        }
        assert!(round == 0 || CALLS.get() == before, "{} allocations", CALLS.get() - before);
    }
    Ok(())
}

/// The message of an error.
fn message<X>(result: Result<X>) -> String {
    result.err().map_or("no error".into(), |e| e.to_string())
}

#[test]
fn bad_input_is_an_error_that_names_it() -> Result<()> {
    let expect = |message: String, parts: &[&str]| {
        for part in parts {
            assert!(message.contains(part), "{message:?} does not say {part:?}");
        }
    };
    let tree = |span, m, paths, resolution| message(VirtualTree::<f64>::new(0, span, m, paths, resolution));
    expect(tree([0.0, 1.0], 0, 1, 0.1), &["components", "at least 1"]);
    expect(tree([0.0, 1.0], 1, 0, 0.1), &["paths", "at least 1"]);
    expect(tree([1.0, 1.0], 1, 1, 0.1), &["span", "[1, 1]"]);
    expect(tree([1.0, 0.0], 1, 1, 0.1), &["span", "earlier to a later"]);
    expect(tree([0.0, f64::NAN], 1, 1, 0.1), &["span", "NaN", "finite"]);
    expect(tree([0.0, f64::INFINITY], 1, 1, 0.1), &["span", "finite"]);
    expect(tree([0.0, 1.0], 1, 1, 0.0), &["resolution", "positive"]);
    expect(tree([0.0, 1.0], 1, 1, f64::NAN), &["resolution", "positive"]);
    expect(tree([0.0, 1.0], 1, 1, 1e-17), &["resolution", "1e-17", "at least 8.88"]);
    expect(message(VirtualTree::<f32>::new(0, [0.0, 1.0], 1, 1, 1e-8)), &["resolution", "f32"]);
    expect(message(IntervalTree::new(0, [1.0, 1.0 + f64::EPSILON], 1, 1)), &["length of the span"]);
    expect(message(IntervalTree::new(0, [0.0, 1.0], 1, 2)?.paths_from(u32::MAX as usize)), &["first path"]);

    let mut noise = VirtualTree::new(0, [0.0, 1.0], 2, 1, 0.125)?;
    assert_eq!(noise.resolution(), 0.125);
    let mut ask = |from, to| message(noise.increment(from, to, &mut [0.0; 2], &mut []));
    expect(ask(0.5, 0.5625), &["0.5", "6.25e-2", "resolution is 1.25e-1"]);
    expect(ask(0.5, 1.5), &["1.5", "[0, 1]"]);
    expect(ask(f64::NAN, 0.5), &["NaN"]);
    expect(message(noise.prepare([0.0, 1.1])), &["1.1", "[0, 1]"]);
    expect(message(noise.increment(0.0, 0.5, &mut [0.0; 3], &mut [])), &["w", "3", "components × paths"]);
    expect(message(noise.increment(0.0, 0.5, &mut [0.0; 2], &mut [0.0; 2])), &["area", "SpaceTime"]);
    let mut noise = noise.levy(Levy::SpaceTime);
    expect(message(noise.increment(0.0, 0.5, &mut [0.0; 2], &mut [0.0; 1])), &["area", "1"]);

    expect(message(FixedGrid::new(0, [0.0, 1.0], 0, 1, 1)), &["cells"]);
    expect(message(FixedGrid::new(0, [0.0, 1.0], 1 << 52, 1, 1)), &["cells", "f64"]);
    expect(message(FixedGrid::on(0, &[1.0], 1, 1)), &["times"]);
    expect(message(FixedGrid::on(0, &[1.0, 2.0, 2.0], 1, 1)), &["time 2", "2"]);
    expect(message(FixedGrid::on(0, &[1.0, f64::NAN], 1, 1)), &["NaN"]);
    let mut grid = FixedGrid::new(0, [0.0, 1.0], 4, 1, 1)?;
    let mut ask = |from, to| message(grid.increment(from, to, &mut [0.0], &mut []));
    expect(ask(0.25, 0.3), &["0.3", "0.25 and 0.5"]);
    expect(ask(0.7, 1.0), &["0.7", "0.5 and 0.75"]);
    expect(ask(0.0, 1.3), &["1.3", "[0, 1]"]);
    assert_eq!(grid.snap(0.25, 0.6), 0.5);
    assert_eq!(grid.snap(0.75, -0.6), -0.5);
    assert_eq!(grid.snap(0.0, 0.1), 0.1, "no room for a cell");
    Ok(())
}

#[test]
fn correlated_components_have_their_covariance() -> Result<()> {
    let (n, m) = (1 << 18, 3);
    let c = [2.0_f64, 0.6, -0.3, 0.6, 1.0, 0.5, -0.3, 0.5, 0.7];
    let source = FixedGrid::new(4, [0.0, 1.0], 2, m, n)?.levy(Levy::SpaceTime);
    let mut noise = Correlated::new(source, &c)?;
    let (w, area) = ask(&mut noise, [0.0, 0.5])?;
    for (values, scale) in [(w, 0.5), (area, 0.5 / 12.0)] {
        for i in 0..m {
            for j in 0..m {
                let sum: f64 = values.chunks_exact(m).map(|x| x[i] * x[j]).sum();
                let variance = c[i * m + i] * c[j * m + j] + c[i * m + j].powi(2);
                let (found, bound) = (sum / n as f64, 4.5 * scale * (variance / n as f64).sqrt());
                assert!((found - scale * c[i * m + j]).abs() < bound, "({i}, {j}): {found}");
            }
        }
    }
    Ok(())
}

#[test]
fn factors_of_singular_and_bad_covariances() -> Result<()> {
    let source = |m| FixedGrid::<f64>::new(4, [0.0, 1.0], 2, m, 1);
    // L Lᵀ = C to rounding, for full rank, rank one, zero rows and all of it zero.
    for c in [
        vec![4.0, 2.0, 2.0, 5.0],
        vec![1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 3.0, 6.0, 9.0],
        vec![0.0, 0.0, 0.0, 0.0, 3.0, 1.0, 0.0, 1.0, 2.0],
        vec![0.0; 4],
    ] {
        let m = c.len().isqrt();
        let noise = Correlated::new(source(m)?, &c)?;
        let l = noise.factor();
        for i in 0..m {
            for j in 0..m {
                let product: f64 = (0..m).map(|k| l[k * m + i] * l[k * m + j]).sum();
                assert!((product - c[j * m + i]).abs() < 1e-14, "{c:?} at ({i}, {j}): {product}");
            }
        }
    }
    let bad = |c: &[f64]| message(source(2).and_then(|s| Correlated::new(s, c)));
    let cases: [(&[f64], &[&str]); 7] = [
        (&[1.0, 2.0, 2.0, 1.0], &["row 1", "-3"]),
        (&[-1.0, 0.0, 0.0, 1.0], &["row 0", "-1"]),
        (&[0.0, 1.0, 1.0, 0.0], &["row 1", "-1"]),
        (&[1.0, 0.5, 0.4, 1.0], &["symmetric", "0.5", "0.4"]),
        (&[1.0, f64::NAN, 0.0, 1.0], &["[1]", "NaN"]),
        (&[1.0, 0.0, 1.0], &["components²"]),
        (&[f64::INFINITY, 0.0, 0.0, 1.0], &["inf"]),
    ];
    for (c, parts) in cases {
        let message = bad(c);
        assert!(parts.iter().all(|part| message.contains(part)), "{c:?}: {message}");
    }
    let wide = Correlated::with_factor(source(2)?, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])?;
    assert_eq!(wide.components(), 3);
    assert!(Correlated::with_factor(source(2)?, &[1.0]).is_err());
    assert!(Correlated::with_factor(source(2)?, &[]).is_err());
    let (mut wide, mut narrow) = (wide, source(2)?);
    let ((w, _), (x, _)) = (ask(&mut wide, [0.0, 0.5])?, ask(&mut narrow, [0.0, 0.5])?);
    for (i, w) in w.iter().enumerate() {
        let expected = (i + 1) as f64 * x[0] + (i + 4) as f64 * x[1];
        assert!((w - expected).abs() < 1e-14, "row {i}");
    }
    let error = message(wide.increment(0.0, 0.5, &mut [0.0; 3], &mut [0.0; 3]));
    assert!(error.contains("SpaceTime"), "{error}");
    Ok(())
}
