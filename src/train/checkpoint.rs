//! The file that a run continues from.

use crate::dataset::BatchState;
use crate::{Error, Result, files};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Format version; raised when an older reader would misread a file.
const VERSION: u32 = 1;
/// The one metadata key (with one key, equal states give equal bytes).
const KEY: &str = "odeon_checkpoint";

/// Everything a run needs to continue with the same bits.
///
/// The file is safetensors: arrays as F64 (exact for `f32` models too), the rest as JSON in the
/// metadata with a format version and the CRC-32 of all names, shapes, data and the JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Counters and settings.
    pub state: State,
    /// Parameters after `state.iteration` steps.
    pub params: Vec<f64>,
    /// Parameters with the lowest validation loss so far; empty without validation.
    pub best: Vec<f64>,
    /// [`Objective::state`](super::Objective::state).
    pub objective: Vec<f64>,
    /// [`Optimize::export`](super::Optimize::export).
    pub optimizer: Vec<(String, Vec<f64>)>,
}

/// The counters of a [`Checkpoint`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// `"f32"` or `"f64"`.
    pub scalar: String,
    /// Optimiser steps taken.
    pub iteration: u64,
    /// Place in the batch order.
    pub batches: BatchState,
    /// Iteration and validation loss of `best`.
    pub best: Option<(u64, f64)>,
    /// Validations since the best one.
    pub stale: usize,
    /// Names of the optimiser's arrays, in order.
    pub optimizer: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    version: u32,
    crc32: u32,
    state: String,
}

impl Checkpoint {
    /// Writes the file atomically.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let other = |e: String| Error::io(path, std::io::Error::other(e));
        let state = serde_json::to_string(&self.state).map_err(|e| other(e.to_string()))?;
        let arrays: Vec<(String, Vec<u8>)> = self
            .arrays()
            .map(|(name, array)| (name, array.iter().flat_map(|x| x.to_le_bytes()).collect()))
            .collect();
        let crc32 = checksum(&state, arrays.iter().map(|(n, b)| (n.as_str(), b.as_slice())));
        let envelope = Envelope { version: VERSION, crc32, state };
        let envelope = serde_json::to_string(&envelope).map_err(|e| other(e.to_string()))?;
        let mut views = Vec::with_capacity(arrays.len());
        for (name, bytes) in &arrays {
            let view = TensorView::new(Dtype::F64, vec![bytes.len() / 8], bytes);
            views.push((name.as_str(), view.map_err(|e| other(e.to_string()))?));
        }
        let metadata = HashMap::from([(KEY.to_string(), envelope)]);
        let bytes = serialize(views, Some(metadata)).map_err(|e| other(e.to_string()))?;
        files::write_atomic(path, |w| w.write_all(&bytes))
    }

    fn arrays(&self) -> impl Iterator<Item = (String, &[f64])> {
        let fixed = [("params", &self.params), ("best", &self.best), ("objective", &self.objective)];
        let fixed = fixed.into_iter().map(|(name, array)| (name.to_string(), array.as_slice()));
        let optimizer = self.optimizer.iter();
        fixed.chain(optimizer.map(|(name, array)| (format!("optimizer.{name}"), array.as_slice())))
    }

    /// Reads a file whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Malformed`] when it is truncated, corrupt, of
    /// another version, or no checkpoint.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = files::read(path)?;
        parse(&bytes).map_err(|reason| {
            let advice = "the run cannot be resumed from it; start anew or use an older copy";
            Error::malformed(path, None, format!("not an intact checkpoint: {reason} ({advice})"))
        })
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Checkpoint, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| format!("broken header: {e}"))?;
    let metadata = header.metadata().as_ref().and_then(|m| m.get(KEY));
    let envelope = metadata.ok_or_else(|| format!("no '{KEY}' in the metadata"))?;
    let envelope: Envelope = serde_json::from_str(envelope).map_err(|e| format!("broken metadata: {e}"))?;
    if envelope.version != VERSION {
        let version = envelope.version;
        return Err(format!("format version {version}, this program reads {VERSION}"));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| format!("truncated or broken: {e}"))?;
    let mut names: Vec<&str> = tensors.names();
    names.sort_unstable();
    let array = |name: &str| -> std::result::Result<TensorView<'_>, String> {
        let view = tensors.tensor(name).map_err(|e| e.to_string())?;
        match view.dtype() {
            Dtype::F64 => Ok(view),
            other => Err(format!("array '{name}' is {other:?}, not F64")),
        }
    };
    let mut pairs = Vec::with_capacity(names.len());
    for name in names {
        pairs.push((name, array(name)?.data()));
    }
    let crc32 = checksum(&envelope.state, pairs.into_iter());
    if crc32 != envelope.crc32 {
        let stored = envelope.crc32;
        return Err(format!("checksum {crc32:08x}, the file says {stored:08x}"));
    }
    let state: State = serde_json::from_str(&envelope.state).map_err(|e| format!("broken state: {e}"))?;
    let numbers = |name: &str| -> std::result::Result<Vec<f64>, String> {
        let eight = |b: &[u8]| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]);
        Ok(array(name)?.data().chunks_exact(8).map(eight).collect())
    };
    let optimizer = state
        .optimizer
        .iter()
        .map(|name| Ok((name.clone(), numbers(&format!("optimizer.{name}"))?)))
        .collect::<std::result::Result<_, String>>()?;
    Ok(Checkpoint {
        params: numbers("params")?,
        best: numbers("best")?,
        objective: numbers("objective")?,
        optimizer,
        state,
    })
}

/// CRC-32 (IEEE 802.3) of the state and, by increasing name, of every array's name, length, data.
fn checksum<'a>(state: &str, arrays: impl Iterator<Item = (&'a str, &'a [u8])>) -> u32 {
    let mut arrays: Vec<_> = arrays.collect();
    arrays.sort_unstable_by_key(|(name, _)| *name);
    let mut crc = flate2::Crc::new();
    crc.update(state.as_bytes());
    for (name, bytes) in arrays {
        crc.update(name.as_bytes());
        crc.update(&(bytes.len() as u64).to_le_bytes());
        crc.update(bytes);
    }
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        let batches = crate::dataset::Batches::new(7, 2).expect("sizes").shuffled(u64::MAX);
        Checkpoint {
            state: State {
                scalar: "f64".into(),
                iteration: 12,
                batches: batches.state(),
                best: Some((8, 0.1 + 0.2)),
                stale: 3,
                optimizer: vec!["m".into(), "t".into()],
            },
            params: vec![0.1, -0.0, 5e-324, f64::MAX],
            best: vec![1.0 / 3.0; 4],
            objective: vec![],
            optimizer: vec![("m".into(), vec![1e-300; 4]), ("t".into(), vec![12.0])],
        }
    }

    #[test]
    fn what_is_saved_is_loaded_bit_for_bit() -> Result<()> {
        let dir = tempfile::tempdir().expect("tempdir");
        let paths = [dir.path().join("a"), dir.path().join("b")];
        example().save(&paths[0])?;
        let loaded = Checkpoint::load(&paths[0])?;
        assert_eq!(loaded, example());
        assert!(loaded.params[1].is_sign_negative(), "-0 keeps its sign");
        loaded.save(&paths[1])?;
        assert_eq!(files::read(&paths[0])?, files::read(&paths[1])?, "equal states, equal bytes");
        Ok(())
    }

    /// Cutting the file anywhere and flipping any single bit must be noticed.
    #[test]
    fn every_truncation_and_every_flipped_bit_is_an_error() -> Result<()> {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("c");
        example().save(&path)?;
        let good = files::read(&path)?;
        for length in 0..good.len() {
            assert!(parse(&good[..length]).is_err(), "cut to {length} of {}", good.len());
        }
        for byte in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[byte] ^= 1 << bit;
                if let Ok(read) = parse(&bad) {
                    // JSON has more than one spelling; what is read must still be the same.
                    assert_eq!(read, example(), "bit {bit} of byte {byte}");
                }
            }
        }
        std::fs::write(&path, &good[..good.len() - 3]).expect("writable");
        let message = Checkpoint::load(&path).expect_err("truncated").to_string();
        assert!(message.contains("not an intact checkpoint"), "{message}");
        assert!(message.contains("start anew"), "{message}");
        assert!(matches!(Checkpoint::load(dir.path().join("no")), Err(Error::Io { .. })));
        Ok(())
    }

    #[test]
    fn other_versions_are_named() {
        let envelope = Envelope { version: 9, crc32: 0, state: String::new() };
        let json = serde_json::to_string(&envelope).expect("plain");
        let none: Vec<(&str, TensorView<'_>)> = Vec::new();
        let bytes = serialize(none, Some(HashMap::from([(KEY.to_string(), json)])));
        let reason = parse(&bytes.expect("serialises")).expect_err("version 9");
        assert!(reason.contains("format version 9, this program reads 1"), "{reason}");
        let foreign = serialize(Vec::<(&str, TensorView<'_>)>::new(), None).expect("serialises");
        assert!(parse(&foreign).expect_err("foreign").contains("odeon_checkpoint"));
    }
}
