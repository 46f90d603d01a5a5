//! Methods summarised over their seeds.

use crate::common::Table;
use crate::method::Method;
use crate::train::Trained;

/// Mean and standard deviation (n − 1) of a number over the seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub mean: f64,
    pub sd: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Self { mean, sd: (squares / (n - 1.0).max(1.0)).sqrt() }
    }
}

/// One method with one λ over its seeds.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub method: Method,
    pub lambda: [f64; 2],
    pub test: Spread,
    pub nfe: Spread,
    pub train_s: Spread,
    pub predict_s: Spread,
}

impl Summary {
    /// Of runs of one method; `None` without runs.
    pub fn of<T>(runs: &[&Trained<T>]) -> Option<Self> {
        let first = runs.first()?;
        let spread = |f: fn(&Trained<T>) -> f64| Spread::of(&runs.iter().map(|r| f(r)).collect::<Vec<_>>());
        Some(Self {
            method: first.task.method,
            lambda: first.task.lambda,
            test: spread(|r| r.test),
            nfe: spread(|r| r.nfe as f64),
            train_s: spread(|r| r.train_s),
            predict_s: spread(|r| r.predict_s),
        })
    }

    /// λ as it is typed.
    pub fn weight(&self) -> String {
        let [from, to] = self.lambda;
        match self.method {
            Method::None => "–".into(),
            _ if from == to => format!("{from:.1e}"),
            _ => format!("{from:.1e}→{to:.1e}"),
        }
    }
}

/// The table; ratios are those of means to the row `none`, where there is one.
pub fn table(rows: &[Summary]) -> Table {
    let plain = rows.iter().find(|r| r.method == Method::None);
    let mut table =
        Table::new(&["method", "λ", "test loss", "×", "NFE", "×", "train (s)", "×", "predict (µs)", "×"]);
    for row in rows {
        let ratio = |pick: fn(&Summary) -> f64| match plain {
            Some(plain) => format!("{:.2}", pick(row) / pick(plain)),
            None => "–".into(),
        };
        table.row([
            row.method.to_string(),
            row.weight(),
            format!("{:.2e} ± {:.1e}", row.test.mean, row.test.sd),
            ratio(|r| r.test.mean),
            format!("{:.1} ± {:.1}", row.nfe.mean, row.nfe.sd),
            ratio(|r| r.nfe.mean),
            format!("{:.2} ± {:.2}", row.train_s.mean, row.train_s.sd),
            ratio(|r| r.train_s.mean),
            format!("{:.1} ± {:.1}", 1e6 * row.predict_s.mean, 1e6 * row.predict_s.sd),
            ratio(|r| r.predict_s.mean),
        ]);
    }
    table
}

/// The rows that pictures show: the plain one, and of the regularised ones that with the least NFE
/// at no more than 1.5 times the plain test loss (the least NFE of all when there is none).
pub fn chosen(rows: &[Summary]) -> Vec<&Summary> {
    let plain = rows.iter().find(|s| s.method == Method::None);
    let regularised = rows.iter().filter(|s| s.method != Method::None);
    let good = |s: &&Summary| plain.is_none_or(|p| s.test.mean <= ALLOWED * p.test.mean);
    let least = |a: &&Summary, b: &&Summary| a.nfe.mean.total_cmp(&b.nfe.mean);
    let best = (regularised.clone().filter(good).min_by(least)).or_else(|| regularised.min_by(least));
    plain.into_iter().chain(best).collect()
}

/// Test loss that a regularised row may have, in units of the plain one.
const ALLOWED: f64 = 1.5;

/// The two chosen rows in one sentence.
pub fn verdict(rows: &[Summary]) -> Option<String> {
    let [plain, best] = chosen(rows)[..] else {
        return None;
    };
    (plain.method == Method::None).then(|| {
        format!(
            "fewest evaluations at no more than {ALLOWED} times the plain test loss: {} with {:.2} \
             times the plain NFE and {:.2} times its test loss",
            best.method,
            best.nfe.mean / plain.nfe.mean,
            best.test.mean / plain.test.mean
        )
    })
}
