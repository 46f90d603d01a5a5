//! Methods summarised over their seeds.

use crate::common::Table;
use crate::method::Method;
use crate::train::Trained;

/// MSE that a regularised row may have, in units of the plain one.
pub const ALLOWED: f64 = 1.2;
/// NFE that it is to reach, in units of the plain one.
pub const AIM: f64 = 0.8;

/// Mean and standard deviation (n − 1).
type Spread = [f64; 2];

fn spread(values: &[f64]) -> Spread {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    [mean, (squares / (n - 1.0).max(1.0)).sqrt()]
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

/// Runs of one method and λ stand together.
pub fn summarise(runs: &[Trained]) -> Vec<Summary> {
    let same = |a: &Trained, b: &Trained| a.task.method == b.task.method && a.task.lambda == b.task.lambda;
    let summary = |group: &[Trained]| {
        let over = |f: fn(&Trained) -> f64| spread(&group.iter().map(f).collect::<Vec<_>>());
        Summary {
            method: group[0].task.method,
            lambda: group[0].task.lambda,
            test: over(|r| r.test),
            nfe: over(|r| r.nfe),
            train_s: over(|r| r.train_s),
            predict_s: over(|r| r.predict_s),
        }
    };
    runs.chunk_by(same).map(summary).collect()
}

/// The plain row of the same tableau, for any but itself.
fn plain<'a>(rows: &'a [Summary], row: &Summary) -> Option<&'a Summary> {
    rows.iter().find(|r| r.method == row.method.plain())
}

/// The table; ratios are those of means to the plain row of the same tableau, where there is one.
pub fn table(rows: &[Summary]) -> Table {
    let header = ["method", "λ", "MSE", "×", "NFE", "×", "train (s)", "×", "predict (ms)", "×"];
    let mut table = Table::new(&header);
    for row in rows {
        let ratio = |pick: fn(&Summary) -> f64| match plain(rows, row) {
            Some(plain) => format!("{:.2}", pick(row) / pick(plain)),
            None => "–".into(),
        };
        let lambda = match row.lambda {
            _ if row.method.is_plain() => "–".into(),
            [from, to] if from == to => format!("{from:.1e}"),
            [from, to] => format!("{from:.1e}→{to:.1e}"),
        };
        table.row([
            row.method.to_string(),
            lambda,
            format!("{:.4} ± {:.4}", row.test[0], row.test[1]),
            ratio(|r| r.test[0]),
            format!("{:.1} ± {:.1}", row.nfe[0], row.nfe[1]),
            ratio(|r| r.nfe[0]),
            format!("{:.1} ± {:.1}", row.train_s[0], row.train_s[1]),
            ratio(|r| r.train_s[0]),
            format!("{:.1} ± {:.1}", 1e3 * row.predict_s[0], 1e3 * row.predict_s[1]),
            ratio(|r| r.predict_s[0]),
        ]);
    }
    table
}

/// The regularised row with the least NFE, in units of its plain row, among those within the allowed MSE.
pub fn best(rows: &[Summary]) -> Option<(&Summary, [f64; 2])> {
    rows.iter()
        .filter(|r| !r.method.is_plain())
        .filter_map(|r| {
            let plain = plain(rows, r)?;
            Some((r, [r.nfe[0] / plain.nfe[0], r.test[0] / plain.test[0]]))
        })
        .filter(|(_, [_, test])| *test <= ALLOWED)
        .min_by(|a, b| a.1[0].total_cmp(&b.1[0]))
}

/// Whether the aim is reached, in one sentence.
pub fn verdict(rows: &[Summary]) -> Option<String> {
    let regularised = rows.iter().any(|r| !r.method.is_plain() && plain(rows, r).is_some());
    if !regularised {
        return None;
    }
    let Some((row, [nfe, test])) = best(rows) else {
        return Some(format!("no regularised row keeps {ALLOWED} times the plain MSE"));
    };
    let reached = if nfe <= AIM { "reached" } else { "not reached" };
    Some(format!(
        "aim of {AIM} times the plain NFE at no more than {ALLOWED} times the plain MSE: {reached}; {} at λ = \
         {:.1e} has {nfe:.2} times the NFE and {test:.2} times the MSE",
        row.method, row.lambda[0]
    ))
}
