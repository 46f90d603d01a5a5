//! Named ranges over one flat parameter vector.

use crate::{Error, Result};
use std::ops::Range;

/// What a named range holds, which decides how it is initialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// A dense layer's matrix, `[fan_out, fan_in]`.
    Weight {
        /// Inputs of a unit (the time input counts).
        fan_in: usize,
        /// Units.
        fan_out: usize,
    },
    /// A dense layer's bias.
    Bias {
        /// Inputs of a unit of that layer.
        fan_in: usize,
    },
    /// A normalisation's factor (starts at 1).
    Gain,
    /// A normalisation's offset (starts at 0).
    Shift,
}

/// One named tensor inside a flat parameter vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, unique in the layout (`"0.weight"`).
    pub name: String,
    /// Its shape; the last index varies fastest (row-major), as in PyTorch and safetensors.
    pub shape: Vec<usize>,
    /// What it is.
    pub role: Role,
    /// Where it starts in the flat vector.
    pub offset: usize,
}

impl Entry {
    /// Number of scalars.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }
    /// Its place in the flat vector.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.size()
    }
}

/// Names, shapes and places of the tensors that make up one flat parameter vector, in order and
/// without gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    entries: Vec<Entry>,
    len: usize,
}

impl Layout {
    /// No tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a tensor and returns its place.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the name is empty or taken, or the tensor has no entries.
    pub fn push(&mut self, name: impl Into<String>, shape: &[usize], role: Role) -> Result<Range<usize>> {
        let name = name.into();
        if name.is_empty() || self.get(&name).is_some() {
            let needed = "it must be non-empty and not used by another parameter";
            return Err(Error::invalid("parameter name", name, needed));
        }
        let entry = Entry { name, shape: shape.to_vec(), role, offset: self.len };
        if entry.size() == 0 {
            return Err(Error::invalid(
                format!("shape of {}", entry.name),
                format!("{shape:?}"),
                "every extent must be at least 1",
            ));
        }
        let range = entry.range();
        self.len = range.end;
        self.entries.push(entry);
        Ok(range)
    }

    /// Appends every tensor of `other`, its name preceded by `prefix`; the models then share one
    /// flat vector, `other`'s part at the returned range.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a resulting name is taken.
    pub fn append(&mut self, prefix: &str, other: &Layout) -> Result<Range<usize>> {
        let start = self.len;
        for entry in &other.entries {
            self.push(format!("{prefix}{}", entry.name), &entry.shape, entry.role)?;
        }
        Ok(start..self.len)
    }

    /// Length of the flat vector.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The tensors in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.name == name)
    }

    /// The part of `theta` called `name`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown name, [`Error::Length`] when `theta` has another length.
    pub fn view<'a, T>(&self, name: &str, theta: &'a [T]) -> Result<&'a [T]> {
        Ok(&theta[self.locate(name, theta.len())?])
    }

    /// The part of `theta` called `name`, to be written.
    ///
    /// # Errors
    /// As [`view`](Layout::view).
    pub fn view_mut<'a, T>(&self, name: &str, theta: &'a mut [T]) -> Result<&'a mut [T]> {
        let range = self.locate(name, theta.len())?;
        Ok(&mut theta[range])
    }

    fn locate(&self, name: &str, given: usize) -> Result<Range<usize>> {
        self.check_len("theta", given)?;
        self.get(name).map(Entry::range).ok_or_else(|| {
            let known: Vec<_> = self.entries.iter().map(|e| e.name.as_str()).collect();
            let needed = format!("the parameters are {}", known.join(", "));
            Error::invalid("parameter name", name, needed)
        })
    }

    /// Checks that a flat vector has this layout's length.
    ///
    /// # Errors
    /// [`Error::Length`].
    pub fn check_len(&self, what: &'static str, given: usize) -> Result<()> {
        Error::check_len(what, given, self.len, "the number of parameters")
    }

    /// The name of one scalar, for messages: `"0.weight[3, 1]"`; just the index when it is out of
    /// range.
    pub fn name_of(&self, index: usize) -> String {
        let Some(entry) = self.entries.iter().find(|e| e.range().contains(&index)) else {
            return format!("[{index}]");
        };
        let mut left = index - entry.offset;
        let mut subscripts = vec![0; entry.shape.len()];
        for (subscript, &extent) in subscripts.iter_mut().zip(&entry.shape).rev() {
            *subscript = left % extent;
            left /= extent;
        }
        format!("{}{subscripts:?}", entry.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Result<Layout> {
        let mut layout = Layout::new();
        let role = Role::Weight { fan_in: 2, fan_out: 3 };
        layout.push("0.weight", &[3, 2], role)?;
        layout.push("0.bias", &[3], Role::Bias { fan_in: 2 })?;
        Ok(layout)
    }

    #[test]
    fn views_are_found_by_name_and_scalars_are_named() -> Result<()> {
        let layout = layout()?;
        let mut theta: Vec<f64> = (0..9).map(f64::from).collect();
        assert_eq!(layout.view("0.bias", &theta)?, [6.0, 7.0, 8.0]);
        layout.view_mut("0.weight", &mut theta)?[1] = -1.0;
        assert_eq!(theta[1], -1.0);
        assert_eq!(layout.name_of(5), "0.weight[2, 1]");
        assert_eq!(layout.name_of(6), "0.bias[0]");
        assert_eq!(layout.name_of(9), "[9]");
        Ok(())
    }

    #[test]
    fn bad_requests_are_explained() -> Result<()> {
        let mut layout = layout()?;
        let theta = [0.0; 9];
        let unknown = layout.view("1.bias", &theta).expect_err("unknown");
        assert!(unknown.to_string().contains("0.weight, 0.bias"));
        assert!(matches!(layout.view("0.bias", &theta[1..]), Err(Error::Length { given: 8, .. })));
        assert!(layout.push("0.bias", &[1], Role::Shift).is_err());
        assert!(layout.push("empty", &[3, 0], Role::Shift).is_err());
        assert_eq!(layout.len(), 9, "a refused tensor leaves no trace");
        Ok(())
    }

    #[test]
    fn layouts_join_under_prefixes() -> Result<()> {
        let (mut joined, part) = (Layout::new(), layout()?);
        assert_eq!(joined.append("drift.", &part)?, 0..9);
        assert_eq!(joined.append("head.", &part)?, 9..18);
        assert_eq!(joined.get("head.0.bias").map(|e| e.offset), Some(15));
        assert!(joined.append("head.", &part).is_err());
        Ok(())
    }
}
