use super::*;
use crate::num::kernels::gelu;

/// `tests/kat_vectors` of Random123 1.14, rows "philox4x32 10".
#[test]
fn philox_gives_the_known_answers() {
    let digits = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
    let cases = [
        ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
        ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
        (digits, [0xa409_3822, 0x299f_31d0], [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
    ];
    for (counter, key, answer) in cases {
        assert_eq!(philox(counter, key), answer);
        let [a, b, c, d] = counter.map(u64::from);
        let bits = at(u64::from(key[0]) | u64::from(key[1]) << 32, a | b << 32, c | d << 32);
        let [a, b, c, d] = answer.map(u64::from);
        assert_eq!(bits, [a | b << 32, c | d << 32]);
    }
}

/// 2n numbers: one half of them the first of each pair, the other the second.
fn numbers(seed: u64, n: usize) -> [Vec<f64>; 2] {
    let mut z = [vec![0.0; n], vec![0.0; n]];
    let [first, second] = &mut z;
    fill_normal_pairs(seed, Consecutive { first: 5, stream: stream(3, 1) }, first, second);
    z
}

#[test]
fn a_batch_has_the_bits_of_single_pairs_whatever_the_addresses() {
    let n = 133;
    let ids: Vec<u64> = (0..n as u64).map(|i| ((i * i * i) << 17) | i).collect();
    let streams: Vec<u64> = (0..n as u32).map(|i| stream(i * 7, u32::MAX - i)).collect();
    let (mut x, mut y) = (vec![0.0; n], vec![0.0; n]);
    let check = |name: &str, [x, y]: [&[f64]; 2], expected: &dyn Fn(usize) -> (f64, f64)| {
        for (i, pair) in x.iter().zip(y).enumerate() {
            assert_eq!((*pair.0, *pair.1), expected(i), "{name}, pair {i}");
        }
    };
    fill_normal_pairs(9, Ids { ids: &ids, stream: 4 }, &mut x, &mut y);
    check("ids", [&x, &y], &|i| normal_pair(at(9, ids[i], 4)));
    fill_normal_pairs(9, Streams { id: 77, streams: &streams }, &mut x, &mut y);
    check("streams", [&x, &y], &|i| normal_pair(at(9, 77, streams[i])));
    fill_normal_pairs(9, Consecutive { first: 1 << 40, stream: 2 }, &mut x, &mut y);
    check("consecutive", [&x, &y], &|i| normal_pair(at(9, (1 << 40) + i as u64, 2)));
}

#[test]
fn pairs_are_the_transformation_of_their_bits() {
    // Bits by words: all zeros is u = 1, all ones u = 2⁻⁵².
    assert_eq!(normal_pair([0, 0]).0.abs(), 0.0);
    let (x, y) = normal_pair([u64::MAX, 1 << 63]);
    let largest = (104.0 * std::f64::consts::LN_2).sqrt();
    assert!((x - largest).abs() < 1e-14 * largest && y == 0.0, "{x} {y}");
    for i in 0..1000 {
        let [a, b] = at(1, i, 0);
        let (x, y) = normal_pair([a, b]);
        let u = 1.0 - (a >> 12) as f64 * 2.0_f64.powi(-52);
        assert!((x.hypot(y) - (-2.0 * u.ln()).sqrt()).abs() < 1e-14);
        let phi = std::f64::consts::FRAC_PI_2 * ((b >> 12) as f64 * 2.0_f64.powi(-52) - 0.5);
        let cosine = if b & 1 == 1 { -phi.cos() } else { phi.cos() };
        let angle = if b & 2 == 0 { phi.sin().atan2(cosine) } else { cosine.atan2(phi.sin()) };
        assert!((y.atan2(x) - angle).abs() < 1e-14);
    }
}

/// Kolmogorov and Smirnov's distance to Φ, below what chance exceeds once in 10⁶.
#[test]
fn numbers_are_normal() {
    let n = 100_000;
    let phi = |x: f64| if x == 0.0 { 0.5 } else { gelu(x) / x };
    for seed in [0, 1, u64::MAX] {
        for mut z in numbers(seed, n) {
            z.sort_by(f64::total_cmp);
            let far = z.iter().enumerate().map(|(i, &z)| {
                let (below, above) = (i as f64 / n as f64, (i + 1) as f64 / n as f64);
                (phi(z) - below).max(above - phi(z))
            });
            let distance = far.fold(0.0, f64::max);
            let bound = ((2.0_f64 / 1e-6).ln() / (2.0 * n as f64)).sqrt();
            assert!(distance < bound, "{distance} of {bound} at seed {seed}");
        }
    }
}

/// Moments of 2·10⁶ numbers and correlations within pairs and between neighbours and streams, each
/// within five of its standard deviations; tails by the binomial law.
#[test]
fn moments_tails_and_independence() {
    let n = 1_000_000;
    let [x, y] = numbers(42, n);
    let mean = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
    let within = |name: &str, value: f64, expected: f64, variance: f64| {
        let sigma = (variance / n as f64).sqrt();
        assert!((value - expected).abs() < 5.0 * sigma, "{name}: {value}, sigma {sigma}");
    };
    for z in [&x, &y] {
        within("mean", mean(&|i| z[i]), 0.0, 1.0);
        within("variance", mean(&|i| z[i].powi(2)), 1.0, 2.0);
        within("third moment", mean(&|i| z[i].powi(3)), 0.0, 15.0);
        within("fourth moment", mean(&|i| z[i].powi(4)), 3.0, 96.0);
        within("sixth moment", mean(&|i| z[i].powi(6)), 15.0, 10395.0 - 225.0);
        within("lag", mean(&|i| z[i] * z[(i + 1) % n]), 0.0, 1.0);
        for (bound, p) in [(3.0, 2.699_796_063e-3), (4.0, 6.334_248_367e-5)] {
            within("tail", mean(&|i| f64::from(z[i].abs() > bound)), p, p);
        }
    }
    within("within pairs", mean(&|i| x[i] * y[i]), 0.0, 1.0);
    within("squares within pairs", mean(&|i| x[i].powi(2) * y[i].powi(2)), 1.0, 8.0);
    let [other, _] = numbers(43, n);
    within("between seeds", mean(&|i| x[i] * other[i]), 0.0, 1.0);
    let mut next = [vec![0.0; n], vec![0.0; n]];
    let [first, second] = &mut next;
    fill_normal_pairs(42, Consecutive { first: 5, stream: stream(4, 1) }, first, second);
    within("between streams", mean(&|i| x[i] * next[0][i]), 0.0, 1.0);
}
