//! Files in the format of the PhysioNet 2012 challenge: `Time,Parameter,Value`, a file for each record, or one file with
//! the column `RecordID` before them.

use crate::data::Data;
use odeon::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Parameters that describe the record and are no series.
const DESCRIPTORS: [&str; 5] = ["RecordID", "Age", "Gender", "Height", "ICUType"];
/// A parameter is used when at least this part of the records has it.
const COMMON: f64 = 0.5;

/// Values by record, parameter and time in grid points.
type Records = BTreeMap<String, BTreeMap<(String, usize), f64>>;

/// Reads a file or a directory; times are rounded to multiples of `grid` hours, later values of the same time replace
/// earlier ones. Parameters are standardised over all records, the first half of the time is read.
pub fn read(path: &Path, grid: f64) -> Result<Data> {
    if !(grid > 0.0 && grid.is_finite()) {
        return Err(Error::invalid("--grid", grid, "it must be a positive number of hours"));
    }
    let mut files: Vec<PathBuf> = vec![path.to_path_buf()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| Error::io(path, e))?;
        let names: std::io::Result<Vec<PathBuf>> = entries.map(|e| e.map(|e| e.path())).collect();
        files = names.map_err(|e| Error::io(path, e))?;
        files.retain(|f| f.extension().is_some_and(|e| e == "txt" || e == "csv"));
        files.sort();
    }
    let mut records = Records::new();
    for file in &files {
        read_file(file, grid, &mut records)?;
    }
    assemble(path, grid, &records)
}

fn read_file(file: &Path, grid: f64, records: &mut Records) -> Result<()> {
    let malformed = |line: Option<usize>, reason: String| Error::malformed(file, line, reason);
    let mut reader = csv::Reader::from_path(file).map_err(|e| malformed(None, e.to_string()))?;
    let header = reader.headers().map_err(|e| malformed(Some(1), e.to_string()))?.clone();
    let column = |name: &str| header.iter().position(|h| h.trim() == name);
    let needed = |name: &str| {
        let reason = format!("there is no column '{name}': Time, Parameter and Value are needed");
        column(name).ok_or_else(|| malformed(Some(1), reason))
    };
    let (time, parameter, value) = (needed("Time")?, needed("Parameter")?, needed("Value")?);
    let id = column("RecordID");
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for (row, record) in reader.records().enumerate() {
        let line = Some(row + 2);
        let record = record.map_err(|e| malformed(line, e.to_string()))?;
        let field = |i: usize| record.get(i).unwrap_or_default().trim();
        let bad = |what: &str, text: &str| malformed(line, format!("'{text}' is no {what}"));
        let hours = hours(field(time)).ok_or_else(|| bad("time (HH:MM, or hours)", field(time)))?;
        let number: f64 = field(value).parse().map_err(|_| bad("number", field(value)))?;
        // The challenge marks missing values by −1.
        if DESCRIPTORS.contains(&field(parameter)) || !number.is_finite() || number == -1.0 {
            continue;
        }
        let name = id.map_or_else(|| stem.clone(), |i| field(i).to_owned());
        let at = (hours / grid).round() as usize;
        records.entry(name).or_default().insert((field(parameter).to_owned(), at), number);
    }
    Ok(())
}

/// Hours of `HH:MM` or of a number.
fn hours(text: &str) -> Option<f64> {
    let hours = match text.split_once(':') {
        Some((h, m)) => h.parse::<f64>().ok()? + m.parse::<f64>().ok()? / 60.0,
        None => text.parse().ok()?,
    };
    (hours >= 0.0 && hours.is_finite()).then_some(hours)
}

fn assemble(path: &Path, grid: f64, records: &Records) -> Result<Data> {
    let malformed = |reason: String| Error::malformed(path, None, reason);
    let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records.values() {
        let mut own: Vec<&str> = record.keys().map(|(p, _)| p.as_str()).collect();
        own.dedup();
        own.iter().for_each(|p| *shared.entry(p).or_default() += 1);
    }
    let enough = COMMON * records.len() as f64;
    let names: Vec<String> =
        shared.iter().filter(|(_, n)| **n as f64 >= enough).map(|(p, _)| (*p).to_owned()).collect();
    let points = records.values().flat_map(|r| r.keys().map(|(_, at)| at + 1)).max().unwrap_or(0);
    if names.is_empty() || points < 4 || records.len() < 5 {
        let found = format!("{} records, {} common parameters, {points} times", records.len(), names.len());
        return Err(malformed(format!("{found}: at least 5, 1 and 4 are needed")));
    }
    let rows = names.len();
    let mut values = vec![f64::NAN; rows * points * records.len()];
    for (j, record) in records.values().enumerate() {
        for ((parameter, at), value) in record {
            if let Ok(row) = names.binary_search(parameter) {
                values[(j * points + at) * rows + row] = *value;
            }
        }
    }
    for row in 0..rows {
        let there = values[row..].iter().step_by(rows).copied().filter(|x| !x.is_nan());
        let (n, sum, squares) = there.fold((0.0, 0.0, 0.0), |(n, s, q), x| (n + 1.0, s + x, q + x * x));
        let (mean, variance) = (sum / n, (squares / n - (sum / n) * (sum / n)).max(0.0));
        let sd = if variance > 0.0 { variance.sqrt() } else { 1.0 };
        values[row..].iter_mut().step_by(rows).for_each(|x| *x = (*x - mean) / sd);
    }
    // One unit of time is the whole record.
    let end = grid * (points - 1) as f64;
    let times = (0..points).map(|k| grid * k as f64 / end).collect();
    Ok(Data { rows, names, times, seen: points / 2, truth: values.clone(), values })
}
