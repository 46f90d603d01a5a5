//! Parameters in safetensors files.
//!
//! Weights exported from PyTorch or Equinox load by name, because a dense weight is stored as they
//! do (`[out, in]`, row-major). [`Names`] says what the file calls each parameter. A load either
//! gives every parameter or an error; a save replaces the file as a whole or not at all.

use super::params::{Entry, Layout};
use crate::files;
use crate::num::Real;
use crate::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;

/// What a file calls the parameters of a [`Layout`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    prefix: String,
    /// Text before and after the number of a layer, when layers are renumbered.
    numbered: Option<(String, String)>,
    renamed: Vec<(String, String)>,
    others_allowed: bool,
}

impl Names {
    /// The layout's own names: `"0.weight"`, `"2.weight"`, … as PyTorch's `nn.Sequential`.
    pub fn exact() -> Self {
        Self::default()
    }

    /// `prefix` before every name: `"net."` for `"net.0.weight"`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Layers with parameters are counted from 0 and put in the place of `{}`: with
    /// `"layers[{}]"` the layout's `"2.weight"` is the file's `"layers[1].weight"`, as in an export
    /// of Equinox's `MLP` or of any module whose list holds no activations.
    ///
    /// # Errors
    /// [`Error::Invalid`] when `pattern` does not contain `{}` once.
    pub fn numbered(mut self, pattern: &str) -> Result<Self> {
        match pattern.split_once("{}") {
            Some((before, after)) if !after.contains("{}") => {
                self.numbered = Some((before.to_string(), after.to_string()));
                Ok(self)
            }
            _ => Err(Error::invalid(
                "pattern of layer names",
                pattern,
                "it must contain {} once, for the layer's number",
            )),
        }
    }

    /// The parameter `ours` is called `theirs` in the file (in full: the prefix is not added).
    pub fn rename(mut self, ours: impl Into<String>, theirs: impl Into<String>) -> Self {
        self.renamed.push((ours.into(), theirs.into()));
        self
    }

    /// Lets the file hold further tensors, which are ignored.
    pub fn allow_others(mut self) -> Self {
        self.others_allowed = true;
        self
    }

    /// The file's name of every parameter, in the layout's order.
    fn resolve(&self, layout: &Layout) -> Result<Vec<String>> {
        if let Some((ours, _)) = self.renamed.iter().find(|(ours, _)| layout.get(ours).is_none()) {
            let known: Vec<_> = layout.entries().iter().map(|e| e.name.as_str()).collect();
            let needed = format!("the parameters are {}", known.join(", "));
            return Err(Error::invalid("renamed parameter", ours, needed));
        }
        let mut layers: Vec<&str> = Vec::new();
        let name = |entry: &Entry, layers: &mut Vec<_>, stem, leaf: &str| {
            if layers.last() != Some(&stem) {
                layers.push(stem);
            }
            if let Some((_, theirs)) = self.renamed.iter().find(|(ours, _)| *ours == entry.name) {
                return theirs.clone();
            }
            match &self.numbered {
                Some((before, after)) => {
                    let number = layers.len() - 1;
                    format!("{}{before}{number}{after}.{leaf}", self.prefix)
                }
                None => format!("{}{}", self.prefix, entry.name),
            }
        };
        let entries = layout.entries().iter();
        let names: Vec<_> = entries
            .map(|entry| {
                let (stem, leaf) = entry.name.rsplit_once('.').unwrap_or(("", &entry.name));
                name(entry, &mut layers, stem, leaf)
            })
            .collect();
        match (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
            None => Ok(names),
            Some(i) => Err(Error::invalid("name in the file", &names[i], "two parameters would share it")),
        }
    }
}

/// Writes `theta` as a safetensors file in the scalar's precision.
///
/// # Errors
/// [`Error::Length`] when `theta` is not of the layout's length, [`Error::NonFiniteInput`] for a NaN
/// or infinity, [`Error::Invalid`] for names that clash, [`Error::Io`].
pub fn save<T: Real>(path: impl AsRef<Path>, layout: &Layout, theta: &[T], names: &Names) -> Result<()> {
    let path = path.as_ref();
    layout.check_len("theta", theta.len())?;
    Error::check_finite("theta", theta)?;
    let names = names.resolve(layout)?;
    let double = T::NAME == "f64";
    let dtype = if double { Dtype::F64 } else { Dtype::F32 };
    let bytes: Vec<Vec<u8>> = layout
        .entries()
        .iter()
        .map(|entry| {
            let values = theta[entry.range()].iter();
            match double {
                true => values.flat_map(|v| v.f64().to_le_bytes()).collect(),
                false => values.flat_map(|v| (v.f64() as f32).to_le_bytes()).collect(),
            }
        })
        .collect();
    let unwritable = |e: safetensors::SafeTensorError| Error::malformed(path, None, e.to_string());
    let mut tensors = Vec::with_capacity(names.len());
    for ((name, entry), bytes) in names.iter().zip(layout.entries()).zip(&bytes) {
        let view = TensorView::new(dtype, entry.shape.clone(), bytes).map_err(unwritable)?;
        tensors.push((name.as_str(), view));
    }
    let file = safetensors::serialize(tensors, None).map_err(unwritable)?;
    files::write_atomic(path, |out| out.write_all(&file))
}

/// Reads the parameters of `layout`; F64, F32, F16 and BF16 tensors are converted to the scalar.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] when the file is not safetensors, lacks a parameter, holds a
/// tensor that is none ([`Names::allow_others`] permits those), or one of another shape or a type
/// that is not floating-point, or a value that is NaN, infinite or overflows the scalar.
pub fn load<T: Real>(path: impl AsRef<Path>, layout: &Layout, names: &Names) -> Result<Vec<T>> {
    let path = path.as_ref();
    let bytes = files::read(path)?;
    parse(&bytes, layout, &names.resolve(layout)?, names.others_allowed)
        .map_err(|reason| Error::malformed(path, None, reason))
}

fn parse<T: Real>(
    bytes: &[u8],
    layout: &Layout,
    names: &[String],
    others_allowed: bool,
) -> Result<Vec<T>, String> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|e| format!("not a complete safetensors file ({e})"))?;
    let mut held = file.names();
    held.sort_unstable();
    let missing: Vec<_> = names.iter().filter(|n| !held.contains(&n.as_str())).collect();
    if !missing.is_empty() {
        return Err(format!("no tensor named {}; the file holds {}", list(&missing), list(&held)));
    }
    let extra: Vec<_> = held.iter().filter(|h| !names.iter().any(|n| n == *h)).collect();
    if !(extra.is_empty() || others_allowed) {
        return Err(format!(
            "the model has no parameter for {} (allow others to ignore such tensors)",
            list(&extra)
        ));
    }
    let mut theta = Vec::with_capacity(layout.len());
    for (entry, name) in layout.entries().iter().zip(names) {
        let tensor = file.tensor(name).map_err(|e| format!("{name}: {e}"))?;
        if tensor.shape() != entry.shape {
            return Err(format!(
                "{name} has shape {:?}, but {} of the model has {:?}",
                tensor.shape(),
                entry.name,
                entry.shape
            ));
        }
        decode(&tensor, name, &mut theta)?;
    }
    Ok(theta)
}

fn decode<T: Real>(tensor: &TensorView<'_>, name: &str, theta: &mut Vec<T>) -> Result<(), String> {
    let data = tensor.data();
    let mut push = |value: f64| {
        let converted = T::of(value);
        match converted.is_finite() {
            true => theta.push(converted),
            false => {
                return Err(format!("{name} holds {value}, which is not a finite {}", T::NAME));
            }
        }
        Ok(())
    };
    match tensor.dtype() {
        Dtype::F64 => words(data).try_for_each(|w| push(f64::from_le_bytes(w))),
        Dtype::F32 => words(data).try_for_each(|w| push(f32::from_le_bytes(w).into())),
        Dtype::BF16 => words(data)
            .map(|w| f32::from_bits(u32::from(u16::from_le_bytes(w)) << 16))
            .try_for_each(|v| push(v.into())),
        Dtype::F16 => words(data).try_for_each(|w| push(half(u16::from_le_bytes(w)))),
        other => Err(format!("{name} has type {other:?}; a floating-point one is needed")),
    }
}

fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.as_chunks::<N>().0.iter().copied()
}

/// The value of an IEEE 754 binary16 number.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

fn list<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<_> = names.iter().map(|n| format!("'{}'", n.as_ref())).collect();
    quoted.join(", ")
}
