//! What the examples share: options, tables, curves and pictures, JSON lines, errors.
//!
//! Every example prints a table and writes its curves as CSV files, and as pictures when built with
//! the feature `plot`. With `--json` the last lines of standard output are one JSON object per
//! trained model. Whatever goes wrong ends as one sentence on standard error and exit status 1
//! (2 for the command line).

mod table;

pub use table::Table;

use clap::Parser;
use clap::error::ErrorKind;
use odeon::{Error, Result, files};
use serde::Serialize;
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Options of every example.
#[derive(clap::Args, Clone, Debug)]
pub struct Common {
    /// A few seconds instead of the full run: fewer iterations, smaller ensembles
    #[arg(long)]
    pub quick: bool,

    /// Seed of everything that is drawn at random
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Directory of pictures and curves
    #[arg(long, value_name = "DIR", default_value = "target/examples-out")]
    pub out: PathBuf,

    /// End standard output with one JSON object per trained model
    #[arg(long)]
    pub json: bool,
}

/// One trained model, or one way of solving where nothing is trained.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// What was done.
    pub method: String,
    /// Seed of the run.
    pub seed: u64,
    /// Loss after training, on held-out data where there are any; `null` where nothing is trained.
    pub loss: Option<f64>,
    /// Right-hand side evaluations of one prediction.
    pub nfe: usize,
    /// Accepted steps of one prediction.
    pub accepted: usize,
    /// Rejected steps of one prediction.
    pub rejected: usize,
    /// Seconds of training.
    pub train_s: f64,
    /// Seconds of one prediction.
    pub predict_s: f64,
}

/// A JSON line.
#[derive(Serialize)]
struct Line<'a> {
    example: &'a str,
    #[serde(flatten)]
    row: &'a Row,
}

/// A running example: its options, and where its results go.
pub struct Session {
    /// The shared options.
    pub common: Common,
    example: &'static str,
    rows: Vec<Row>,
    lines: Vec<serde_json::Value>,
    written: Vec<PathBuf>,
}

/// The body of `main`: reads the command line, runs the example, reports what went wrong.
pub fn run<A: Parser>(
    example: &'static str,
    common: fn(&A) -> &Common,
    body: fn(&A, &mut Session) -> Result<()>,
) -> ExitCode {
    let options = match A::try_parse() {
        Ok(options) => options,
        Err(error) => return usage(&error),
    };
    let outcome = Session::start(example, common(&options)).and_then(|mut session| {
        body(&options, &mut session)?;
        session.finish()
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read standard output has seen enough (`| head`).
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::from(1)
        }
    }
}

/// Help and version go to standard output; a mistake is one sentence.
fn usage(error: &clap::Error) -> ExitCode {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let text = error.render().to_string();
    if asked {
        // Nobody is left to be told when this fails.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::SUCCESS;
    }
    let first = text.lines().next().unwrap_or_default();
    complain(&format!("{} (--help lists the options)", first.strip_prefix("error: ").unwrap_or(first)));
    ExitCode::from(2)
}

fn complain(message: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "error: {message}");
}

/// The result and wall-clock seconds of `work`.
pub fn timed<R>(work: impl FnOnce() -> Result<R>) -> Result<(R, f64)> {
    let start = Instant::now();
    let result = work()?;
    Ok((result, start.elapsed().as_secs_f64()))
}

impl Session {
    /// Finds out that nothing can be written before the work, not after.
    fn start(example: &'static str, common: &Common) -> Result<Self> {
        let directory = &common.out;
        let attempt = std::fs::create_dir_all(directory).and_then(|()| tempfile::tempfile_in(directory));
        attempt.map_err(|e| Error::io(directory, e))?;
        Ok(Self { common: common.clone(), example, rows: Vec::new(), lines: Vec::new(), written: Vec::new() })
    }

    /// Prints a line.
    pub fn say(&self, line: impl Display) -> Result<()> {
        writeln!(std::io::stdout(), "{line}").map_err(|e| Error::io("standard output", e))
    }

    /// A path in the output directory, its name preceded by the example's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.common.out.join(format!("{}_{name}", self.example))
    }

    /// Keeps a result for the summary and the JSON lines.
    pub fn record(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Keeps a JSON line with keys of its own, an object.
    #[allow(dead_code, reason = "for examples whose results are no rows")]
    pub fn line(&mut self, line: serde_json::Value) {
        self.lines.push(line);
    }

    /// Writes columns (shorter ones end in empty fields) as the CSV file `name`.csv.
    pub fn curves(&mut self, name: &str, columns: &[(&str, &[f64])]) -> Result<()> {
        let path = self.path(&format!("{name}.csv"));
        let names: Vec<&str> = columns.iter().map(|c| c.0).collect();
        let mut text = names.join(",") + "\n";
        let rows = columns.iter().map(|c| c.1.len()).max().unwrap_or(0);
        for i in 0..rows {
            // A value that does not exist is an empty field.
            let field = |c: &(&str, &[f64])| match c.1.get(i).filter(|v| v.is_finite()) {
                Some(value) => format!("{value:?}"),
                None => String::new(),
            };
            let fields: Vec<String> = columns.iter().map(field).collect();
            text += &(fields.join(",") + "\n");
        }
        files::write_atomic(&path, |w| w.write_all(text.as_bytes()))?;
        self.wrote(&path);
        Ok(())
    }

    /// Saves a picture as `name`.png.
    #[cfg(feature = "plot")]
    pub fn picture(&mut self, name: &str, figure: &odeon::plot::Figure) -> Result<()> {
        let path = self.path(&format!("{name}.png"));
        figure.save(&path)?;
        self.wrote(&path);
        Ok(())
    }

    /// Has a file named at the end that something else wrote.
    pub fn wrote(&mut self, path: &Path) {
        self.written.push(path.to_path_buf());
    }

    /// The summary, the files, the JSON lines.
    fn finish(&self) -> Result<()> {
        let header = ["method", "seed", "loss", "NFE", "accepted", "rejected", "train (s)", "predict (s)"];
        let mut table = Table::new(&header);
        for row in &self.rows {
            table.row([
                row.method.clone(),
                row.seed.to_string(),
                row.loss.map_or("–".into(), |loss| format!("{loss:.3e}")),
                row.nfe.to_string(),
                row.accepted.to_string(),
                row.rejected.to_string(),
                format!("{:.2}", row.train_s),
                format!("{:.2e}", row.predict_s),
            ]);
        }
        if !self.rows.is_empty() {
            self.say(format!("\n{table}"))?;
        }
        for path in &self.written {
            self.say(format!("wrote {}", path.display()))?;
        }
        if cfg!(not(feature = "plot")) {
            self.say("built without the feature 'plot': no pictures are written")?;
        }
        if self.common.json {
            for row in &self.rows {
                let line = Line { example: self.example, row };
                let line =
                    serde_json::to_string(&line).map_err(|e| Error::io("standard output", e.into()))?;
                self.say(line)?;
            }
            for line in &self.lines {
                let mut line = line.clone();
                if let Some(object) = line.as_object_mut() {
                    object.insert("example".into(), self.example.into());
                }
                self.say(line)?;
            }
        }
        Ok(())
    }
}
