//! [`Simulated`]: data sets that were computed, as NPY files with a manifest.

use super::{Samples, read_npy};
use crate::num::{Real, parallel};
use crate::operator::pde::Generator;
use crate::{Error, Result, files};
use npyz::WriterBuilder;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: &str = "odeon simulated data, version 1";
const MANIFEST: &str = "manifest.json";

/// What `manifest.json` holds: everything that decides the numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: String,
    /// The equation's name.
    pub equation: String,
    /// Its parameters, solver tolerances included.
    pub parameters: serde_json::Value,
    /// The seed.
    pub seed: u64,
    /// Samples.
    pub samples: u32,
    /// Samples of a file, but for the last.
    pub shard: u32,
    /// Shape of one input and of one output, slowest index first.
    pub shapes: [Vec<usize>; 2],
}

/// A directory of samples: `manifest.json`, and for every shard `inputs_0000.npy` and
/// `outputs_0000.npy` of shape (samples, …) in f64.
///
/// Each file is whole or absent, so that a computation that was interrupted goes on where it stopped and
/// ends with the same bits.
#[derive(Clone, Debug)]
pub struct Simulated {
    directory: PathBuf,
    manifest: Manifest,
}

impl Simulated {
    /// Computes the samples 0 … `samples` − 1 of `generator`, in parallel, `shard` to a file; files that
    /// are there stay. `progress` is called with the number of samples that are done after each file.
    ///
    /// # Errors
    /// Parameters outside their range, no samples, a directory whose manifest differs (which entry), one
    /// with files that do not match it, a solve that fails (which sample), what cannot be written.
    pub fn generate(
        generator: &dyn Generator,
        [samples, shard]: [u32; 2],
        seed: u64,
        directory: impl AsRef<Path>,
        mut progress: impl FnMut(usize) -> Result<()>,
    ) -> Result<Self> {
        generator.check()?;
        if samples == 0 || shard == 0 {
            let given = format!("{samples} in files of {shard}");
            return Err(Error::invalid("the number of samples", given, "both must be positive"));
        }
        let manifest = Manifest {
            format: FORMAT.into(),
            equation: generator.equation().into(),
            parameters: generator.parameters()?,
            seed,
            samples,
            shard,
            shapes: generator.shapes(),
        };
        let path = directory.as_ref().join(MANIFEST);
        if path.exists() {
            let found = Self::open(&directory)?;
            found.agrees(&manifest)?;
        } else {
            let text = serde_json::to_string_pretty(&manifest)
                .map_err(|e| Error::malformed(&path, None, e.to_string()))?;
            files::write_atomic(&path, |out| out.write_all(text.as_bytes()))?;
        }
        let set = Self { directory: directory.as_ref().to_path_buf(), manifest };
        for number in 0..set.shards() {
            set.complete(generator, number)?;
            progress(((number + 1) * shard as usize).min(samples as usize))?;
        }
        Ok(set)
    }

    /// The set in a directory.
    ///
    /// # Errors
    /// No manifest, one that cannot be read.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref().to_path_buf();
        let path = directory.join(MANIFEST);
        let bytes = files::read(&path)?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|e| Error::malformed(&path, Some(e.line()), format!("not a manifest: {e}")))?;
        if manifest.format != FORMAT || manifest.shard == 0 || manifest.samples == 0 {
            let reason = format!("format '{}', but this version reads '{FORMAT}'", manifest.format);
            return Err(Error::malformed(&path, None, reason));
        }
        Ok(Self { directory, manifest })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Files of inputs.
    pub fn shards(&self) -> usize {
        self.manifest.samples.div_ceil(self.manifest.shard) as usize
    }

    /// The inputs and outputs of one shard: what is in memory when a set is read piece by piece.
    ///
    /// # Errors
    /// No such shard, a file that is missing, malformed, of another shape than the manifest says, or holds
    /// a NaN or infinity (with its place).
    pub fn read_shard<T: Real>(&self, number: usize) -> Result<[Samples<T>; 2]> {
        if number >= self.shards() {
            let needed = format!("there are {}, counted from 0", self.shards());
            return Err(Error::invalid("the shard", number, needed));
        }
        Ok([self.read(number, 0)?, self.read(number, 1)?])
    }

    /// All inputs and outputs.
    ///
    /// # Errors
    /// As [`read_shard`](Self::read_shard).
    pub fn read_all<T: Real>(&self) -> Result<[Samples<T>; 2]> {
        let [mut inputs, mut outputs] = [Vec::new(), Vec::new()];
        for number in 0..self.shards() {
            let [x, y] = self.read_shard::<T>(number)?;
            inputs.extend_from_slice(x.data());
            outputs.extend_from_slice(y.data());
        }
        let [input, output] = &self.manifest.shapes;
        Ok([Samples::new(input, inputs)?, Samples::new(output, outputs)?])
    }

    fn path(&self, number: usize, which: usize) -> PathBuf {
        self.directory.join(format!("{}_{number:04}.npy", ["inputs", "outputs"][which]))
    }

    /// The samples of a shard by number.
    fn range(&self, number: usize) -> std::ops::Range<u32> {
        let first = number as u32 * self.manifest.shard;
        first..(first + self.manifest.shard).min(self.manifest.samples)
    }

    fn read<T: Real>(&self, number: usize, which: usize) -> Result<Samples<T>> {
        let path = self.path(number, which);
        let samples = read_npy(&path)?;
        let (shape, count) = (&self.manifest.shapes[which], self.range(number).len());
        if samples.shape() != shape || samples.count() != count {
            let reason = format!(
                "{} samples of shape {:?}, but {MANIFEST} says {count} of shape {shape:?}",
                samples.count(),
                samples.shape()
            );
            return Err(Error::malformed(path, None, reason));
        }
        Ok(samples)
    }

    /// Says which entry of the manifest another request differs in.
    fn agrees(&self, wanted: &Manifest) -> Result<()> {
        let (own, other) = (&self.manifest, wanted);
        let entries = [
            ("equation", own.equation.clone(), other.equation.clone()),
            ("parameters", own.parameters.to_string(), other.parameters.to_string()),
            ("seed", own.seed.to_string(), other.seed.to_string()),
            ("samples", own.samples.to_string(), other.samples.to_string()),
            ("shard", own.shard.to_string(), other.shard.to_string()),
            ("shapes", format!("{:?}", own.shapes), format!("{:?}", other.shapes)),
        ];
        match entries.into_iter().find(|(_, own, other)| own != other) {
            None => Ok(()),
            Some((entry, own, other)) => {
                let reason =
                    format!("the {entry} of the data there are {own}, not {other}: use another directory");
                Err(Error::malformed(self.directory.join(MANIFEST), None, reason))
            }
        }
    }

    /// Computes what is missing of a shard; what is there must be this generator's.
    fn complete(&self, generator: &dyn Generator, number: usize) -> Result<()> {
        let range = self.range(number);
        let [inputs, outputs] = [self.path(number, 0), self.path(number, 1)];
        let kept = match inputs.exists() {
            true => Some(self.read::<f64>(number, 0)?),
            false => None,
        };
        if let Some(kept) = &kept {
            let first = generator.input(self.manifest.seed, range.start)?;
            if kept.get(0) != Some(&first[..]) {
                let reason = "its first sample is not the one that the manifest's parameters and seed give";
                return Err(Error::malformed(inputs, None, format!("{reason}: remove the file")));
            }
            if outputs.exists() {
                return self.read::<f64>(number, 1).map(|_| ());
            }
        }
        let sample = |at: std::ops::Range<usize>| -> Result<[Vec<f64>; 2]> {
            let index = range.start + at.start as u32;
            let made = generator.input(self.manifest.seed, index).and_then(|x| {
                let y = generator.output(&x)?;
                Error::check_finite("the output", &y)?;
                Ok([x, y])
            });
            made.map_err(|e| Error::invalid(format!("sample {index}"), "not computed", e.to_string()))
        };
        let made: Result<Vec<_>> = parallel::chunks(range.len(), 1, sample).into_iter().collect();
        let [mut x, mut y] = [Vec::new(), Vec::new()];
        for [input, output] in made? {
            x.extend(input);
            y.extend(output);
        }
        write_npy(&inputs, range.len(), &self.manifest.shapes[0], &x)?;
        write_npy(&outputs, range.len(), &self.manifest.shapes[1], &y)
    }
}

/// Writes samples as one array of shape (count, shape…) in C order.
fn write_npy(path: &Path, count: usize, shape: &[usize], values: &[f64]) -> Result<()> {
    let extents: Vec<u64> = std::iter::once(count).chain(shape.iter().copied()).map(|n| n as u64).collect();
    files::write_atomic(path, |out| {
        let options = npyz::WriteOptions::new().default_dtype().shape(&extents);
        let mut writer = options.writer(out).begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()
    })
}
