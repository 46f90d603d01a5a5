//! Ticks: where they stand and what they say.

/// Data range, scale, ticks of one axis.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    pub(super) log: bool,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Labelled ticks, unlabelled ones, and the power of ten taken out of the labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ticks {
    pub(super) major: Vec<(f64, String)>,
    pub(super) minor: Vec<f64>,
    pub(super) exponent: i32,
}

impl Scale {
    /// A scale over `low..high` (data), widened by a margin, or exactly `fixed`.
    pub(super) fn new(log: bool, (low, high): (f64, f64), fixed: Option<(f64, f64)>) -> Self {
        if let Some((low, high)) = fixed {
            return Self { log, low, high };
        }
        if log {
            // At least a factor of two, so that noise around a constant does not fill the axis.
            let (a, b) = (low.log10(), high.log10());
            let widen = (0.301 - (b - a)).max(0.0) / 2.0;
            let margin = 0.04 * (b - a + 2.0 * widen);
            let low = 10f64.powf(a - widen - margin).max(f64::MIN_POSITIVE);
            let high = 10f64.powf(b + widen + margin).min(f64::MAX);
            return Self { log, low, high };
        }
        let scale = low.abs().max(high.abs());
        let span = (high - low).max(if scale > 0.0 { 1e-9 * scale } else { 1.0 });
        let flat = if high - low < span { 0.5 * span } else { 0.0 };
        let margin = 0.04 * span + flat;
        Self { log, low: (low - margin).max(-f64::MAX), high: (high + margin).min(f64::MAX) }
    }

    /// Position along the axis, 0 at `low` and 1 at `high`; `None` when the axis cannot show it.
    pub(super) fn place(&self, x: f64) -> Option<f64> {
        let position = if self.log {
            if x <= 0.0 {
                return None;
            }
            (x / self.low).ln() / (self.high / self.low).ln()
        } else {
            // Halved, so that a range near ±f64::MAX does not overflow.
            (0.5 * x - 0.5 * self.low) / (0.5 * self.high - 0.5 * self.low)
        };
        position.is_finite().then_some(position)
    }

    /// About `target` labelled ticks.
    pub(super) fn ticks(&self, target: usize) -> Ticks {
        let target = target.clamp(2, 12);
        if self.log {
            let decades = (self.high / self.low).log10();
            if decades >= 1.5 {
                return self.decade_ticks(target);
            }
            let ticks = self.mantissa_ticks(target);
            if ticks.major.len() >= 3 {
                return ticks;
            }
        }
        self.linear_ticks(target)
    }

    fn linear_ticks(&self, target: usize) -> Ticks {
        let span = self.high - self.low;
        let step = nice_step(span / target as f64);
        let inside = |i: f64| (self.low..=self.high).contains(&(i * step));
        let first = (self.low / step).floor();
        let candidates = (0..=2 * target + 4).map(|i| first + i as f64);
        let values: Vec<f64> = candidates.filter(|&i| inside(i)).map(|i| i * step).collect();
        let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let exponent = match largest {
            m if m >= 1e5 || (m > 0.0 && m < 1e-2) => m.log10().floor() as i32,
            _ => 0,
        };
        let unit = 10f64.powi(exponent);
        let decimals = decimals_of(step / unit);
        let label = |&v: &f64| (v, plain(v / unit, decimals));
        Ticks { major: values.iter().map(label).collect(), minor: vec![], exponent }
    }

    /// Ticks at powers of ten, every decade or every few.
    fn decade_ticks(&self, target: usize) -> Ticks {
        let slack = 1e-9;
        let first = (self.low.log10() - slack).ceil() as i32;
        let last = (self.high.log10() + slack).floor() as i32;
        let decades = (last - first + 1).max(1) as usize;
        let every = [1, 2, 3, 4, 5, 10, 20, 50, 100]
            .into_iter()
            .find(|every| decades.div_ceil(*every) <= target + 1)
            .unwrap_or(100);
        let labelled = |k: &i32| k.rem_euclid(every as i32) == 0;
        let major: Vec<_> =
            (first..=last).filter(labelled).map(|k| (10f64.powi(k), power_of_ten(k))).collect();
        let minor = if every == 1 {
            let steps = |k: i32| (2..10).map(move |m| f64::from(m) * 10f64.powi(k));
            let shown = |v: &f64| (self.low..=self.high).contains(v);
            (first - 1..=last).flat_map(steps).filter(shown).collect()
        } else {
            (first..=last).filter(|k| !labelled(k)).map(|k| 10f64.powi(k)).collect()
        };
        Ticks { major, minor, exponent: 0 }
    }

    /// Ticks at 1, 2 and 5 (or 1 to 9) times powers of ten, for less than about two decades.
    fn mantissa_ticks(&self, target: usize) -> Ticks {
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let all: Vec<(i32, i32)> = (first..=last)
            .flat_map(|k| (1..10).map(move |m| (m, k)))
            .filter(|&(m, k)| (self.low..=self.high).contains(&(f64::from(m) * 10f64.powi(k))))
            .collect();
        let sets: [&[i32]; 4] = [&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[1, 2, 3, 5], &[1, 2, 5], &[1, 3]];
        let chosen =
            sets.iter().find(|set| all.iter().filter(|(m, _)| set.contains(m)).count() <= target.max(3));
        let chosen = chosen.copied().unwrap_or(&[1]);
        let mut ticks = Ticks::default();
        for (m, k) in all {
            let value = f64::from(m) * 10f64.powi(k);
            if chosen.contains(&m) {
                ticks.major.push((value, mantissa_label(m, k)));
            } else {
                ticks.minor.push(value);
            }
        }
        ticks
    }
}

fn mantissa_label(m: i32, k: i32) -> String {
    match k {
        -3..=4 => plain(f64::from(m) * 10f64.powi(k), usize::try_from(-k).unwrap_or(0)),
        _ if m == 1 => power_of_ten(k),
        _ => format!("{m}×{}", power_of_ten(k)),
    }
}

/// The one of 1, 2, 5 × 10ᵏ nearest to `rough` by ratio.
fn nice_step(rough: f64) -> f64 {
    let unit = 10f64.powf(rough.log10().floor());
    // Geometric means of neighbours: 1|2 at √2, 2|5 at √10, 5|10 at √50.
    match rough / unit {
        m if m < 2f64.sqrt() => unit,
        m if m < 10f64.sqrt() => 2.0 * unit,
        m if m < 50f64.sqrt() => 5.0 * unit,
        _ => 10.0 * unit,
    }
}

/// Digits after the point that a multiple of `step` needs.
fn decimals_of(step: f64) -> usize {
    (0..15)
        .find(|&d| {
            let scaled = step * 10f64.powi(d);
            (scaled - scaled.round()).abs() < 1e-6 * scaled
        })
        .unwrap_or(15) as usize
}

/// A number with a true minus sign and no negative zero.
pub(super) fn plain(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_string(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => text,
    }
}

/// 10ᵏ with superscript digits.
pub(super) fn power_of_ten(k: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let superscript = |c: char| match c.to_digit(10) {
        Some(d) => DIGITS[d as usize],
        None => '⁻',
    };
    format!("10{}", k.to_string().chars().map(superscript).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(log: bool, low: f64, high: f64, target: usize) -> (Vec<String>, i32) {
        let ticks = Scale::new(log, (low, high), Some((low, high))).ticks(target);
        (ticks.major.into_iter().map(|(_, l)| l).collect(), ticks.exponent)
    }

    #[test]
    fn linear_labels() {
        assert_eq!(labels(false, 0.0, 10.0, 5).0, ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(false, 1900.0, 1920.0, 5).0, ["1900", "1905", "1910", "1915", "1920"]);
        assert_eq!(labels(false, -1.0, 1.0, 4).0, ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(false, 0.0, 1.0, 4).0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(false, 0.0, 4e-5, 4), (["0", "1", "2", "3", "4"].map(String::from).into(), -5));
        assert_eq!(
            labels(false, 0.0, 2e6, 4),
            (["0.0", "0.5", "1.0", "1.5", "2.0"].map(String::from).into(), 6)
        );
    }

    #[test]
    fn log_labels() {
        assert_eq!(labels(true, 1e-3, 1e2, 6).0, ["10⁻³", "10⁻²", "10⁻¹", "10⁰", "10¹", "10²"]);
        assert_eq!(labels(true, 1e-12, 1.0, 6).0, ["10⁻¹²", "10⁻¹⁰", "10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "10⁰"]);
        assert_eq!(labels(true, 30.0, 500.0, 5).0, ["50", "100", "200", "500"]);
        assert_eq!(labels(true, 0.01, 0.1, 4).0, ["0.01", "0.02", "0.05", "0.1"]);
        assert_eq!(labels(true, 1.0e-6, 1.0e-5, 4).0, ["10⁻⁶", "2×10⁻⁶", "5×10⁻⁶", "10⁻⁵"]);
        assert_eq!(labels(true, 101.0, 149.0, 4).0, ["110", "120", "130", "140"]);
    }

    #[test]
    fn scales_widen_and_place() {
        let s = Scale::new(false, (0.0, 100.0), None);
        assert_eq!((s.low, s.high), (-4.0, 104.0));
        assert_eq!(s.place(50.0), Some(0.5));
        let s = Scale::new(true, (1e-4, 1e4), Some((1e-4, 1e4)));
        assert!((s.place(1.0).expect("positive") - 0.5).abs() < 1e-15);
        assert_eq!(s.place(0.0), None);
        assert_eq!(s.place(-1.0), None);
        // Constant data, zero data and the largest numbers still give a range with ticks.
        for (log, data) in [(false, 3.0), (false, 0.0), (true, 7.0), (false, -1e300), (true, 1e-300)] {
            let s = Scale::new(log, (data, data), None);
            let at = s.place(data).expect("on the axis");
            assert!((at - 0.5).abs() < 1e-6, "{data}: {at}");
            assert!(!s.ticks(5).major.is_empty(), "{data}");
        }
        let s = Scale::new(false, (-1.7e308, 1.7e308), None);
        assert_eq!(s.place(0.0), Some(0.5));
    }

    #[test]
    fn tick_counts_stay_near_the_target() {
        for target in 3..9 {
            for i in 1..200 {
                let high = 1.07f64.powi(i);
                let count = labels(false, 0.3, 0.3 + high, target).0.len() as f64;
                // The step is within √2.5 of span/target.
                let (wanted, slack) = (target as f64, 2.5f64.sqrt());
                assert!(count >= wanted / slack - 1.0, "{target} {high} {count}");
                assert!(count <= wanted * slack + 1.0, "{target} {high} {count}");
            }
        }
    }
}
