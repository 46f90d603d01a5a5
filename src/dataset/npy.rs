//! NumPy's `.npy` arrays (NEP 1, versions 1.0–3.0).

use super::Samples;
use crate::num::Real;
use crate::{Error, Result, files};
use npyz::{DType, NpyFile, Order, TypeChar};
use std::path::Path;

/// Reads a `.npy` array as samples: the first axis counts samples, the others are one sample, in
/// C order (last index fastest), whatever order the file is stored in.
///
/// An array of shape `(N, a, b)` becomes column-major `ab × N` with
/// [`shape`](Samples::shape) `[a, b]`; shape `(N,)` becomes `1 × N`. So what NumPy calls a
/// batch-first array arrives in this crate's `dim × batch` layout. Element types: 32- and 64-bit
/// floats, signed and unsigned integers of 8 to 64 bits and booleans, either byte order. Numbers
/// are rounded to `T`; integers that `f64` cannot hold exactly are refused.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Malformed`] for a broken header, another
/// element type, no axes, no samples, and a file shorter or longer than its header says (with byte
/// counts); an error for a NaN or infinity.
pub fn read_npy<T: Real>(path: impl AsRef<Path>) -> Result<Samples<T>> {
    let path = path.as_ref();
    let bytes = files::read(path)?;
    let bad = |reason: String| Error::malformed(path, None, reason);
    check_shape_text(&bytes).map_err(bad)?;
    let file = NpyFile::new(&bytes[..]).map_err(|e| bad(format!("not a readable NPY header: {e}")))?;
    let header = file.header().clone();
    let data_bytes = file.into_inner();
    let shape = header
        .shape()
        .iter()
        .map(|&n| usize::try_from(n).map_err(|_| bad(format!("extent {n} is too large"))))
        .collect::<Result<Vec<usize>>>()?;
    let Some((&count, sample_shape)) = shape.split_first() else {
        return Err(bad("the array has no axes; the first axis must count samples".into()));
    };
    if shape.contains(&0) {
        return Err(bad(format!("the array is empty (shape {shape:?})")));
    }
    let element = Element::of(&header.dtype()).map_err(bad)?;

    // check_shape_text has bounded the product.
    let needed = header.len() as usize * element.bytes;
    let offset = bytes.len() - data_bytes.len();
    if data_bytes.len() != needed {
        return Err(bad(format!(
            "{} bytes of data after byte {offset}, but shape {shape:?} of {}-byte elements needs {needed}",
            data_bytes.len(),
            element.bytes,
        )));
    }
    let mut values = Vec::with_capacity(header.len() as usize);
    for (i, raw) in data_bytes.chunks_exact(element.bytes).enumerate() {
        let wrong = |reason| bad(format!("byte {}: {reason}", offset + i * element.bytes));
        let value = element.value(raw).map_err(wrong)?;
        let rounded = T::of(value);
        if !rounded.is_finite() {
            return Err(wrong(format!("{value} is not a finite {}", T::NAME)));
        }
        values.push(rounded);
    }
    let data = match header.order() {
        Order::C => values,
        Order::Fortran => from_fortran(&values, count, sample_shape),
    };
    Samples::new(sample_shape, data)
}

/// One plain numeric element type.
struct Element {
    kind: TypeChar,
    bytes: usize,
    big_endian: bool,
}

impl Element {
    fn of(dtype: &DType) -> std::result::Result<Self, String> {
        let refused = || {
            format!(
                "elements of type {} cannot be read; save the array as float32, float64, bool or \
                 an integer type",
                dtype.descr()
            )
        };
        let DType::Plain(plain) = dtype else {
            return Err(refused());
        };
        let (kind, size) = (plain.type_char(), plain.size_field());
        let known = match kind {
            TypeChar::Float => matches!(size, 4 | 8),
            TypeChar::Int | TypeChar::Uint => matches!(size, 1 | 2 | 4 | 8),
            TypeChar::Bool => size == 1,
            _ => false,
        };
        if !known {
            return Err(refused());
        }
        let big_endian = plain.endianness() == npyz::Endianness::Big;
        Ok(Self { kind, bytes: size as usize, big_endian })
    }

    fn value(&self, raw: &[u8]) -> std::result::Result<f64, String> {
        let mut little = [0u8; 8];
        for (i, byte) in little.iter_mut().enumerate().take(raw.len()) {
            *byte = raw[if self.big_endian { raw.len() - 1 - i } else { i }];
        }
        let bits = u64::from_le_bytes(little);
        Ok(match self.kind {
            TypeChar::Float if self.bytes == 4 => f64::from(f32::from_bits(bits as u32)),
            TypeChar::Float => f64::from_bits(bits),
            TypeChar::Int => {
                let unused = 64 - 8 * self.bytes as u32;
                exact(i128::from((bits << unused) as i64 >> unused))?
            }
            _ => exact(i128::from(bits))?,
        })
    }
}

fn exact(integer: i128) -> std::result::Result<f64, String> {
    let value = integer as f64;
    if value as i128 == integer {
        Ok(value)
    } else {
        Err(format!("the integer {integer} is not exact in f64"))
    }
}

/// Rearranges first-index-fastest elements of shape `(count, sample…)` to sample after sample,
/// last index fastest.
fn from_fortran<T: Copy>(values: &[T], count: usize, sample_shape: &[usize]) -> Vec<T> {
    let mut data = Vec::with_capacity(values.len());
    let mut index = vec![0usize; sample_shape.len()];
    for sample in 0..count {
        index.fill(0);
        for _ in 0..values.len() / count {
            let inner = index.iter().zip(sample_shape).rev().fold(0, |acc, (&i, &n)| acc * n + i);
            data.push(values[sample + count * inner]);
            for (i, &n) in index.iter_mut().zip(sample_shape).rev() {
                *i += 1;
                if *i < n {
                    break;
                }
                *i = 0;
            }
        }
    }
    data
}

/// Refuses, before npyz multiplies them, extents whose product (in bytes) overflows, and header
/// lengths beyond the file, for which npyz would allocate.
fn check_shape_text(bytes: &[u8]) -> std::result::Result<(), String> {
    let text = match bytes {
        [0x93, b'N', b'U', b'M', b'P', b'Y', 1, _, a, b, rest @ ..] => {
            rest.get(..u16::from_le_bytes([*a, *b]) as usize)
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', _, _, a, b, c, d, rest @ ..] => {
            rest.get(..u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        _ => return Err("byte 0: not an NPY file (it must start with \\x93NUMPY)".into()),
    };
    let text = String::from_utf8_lossy(text.ok_or("the file ends inside its header")?);
    let Some(at) = text.find("'shape'") else {
        return Ok(()); // npyz reports the missing key
    };
    let tuple = text[at..].split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let extents = tuple.map_or("", |(inside, _)| inside).split(',').map(str::trim);
    extents
        .filter_map(|extent| extent.parse::<u64>().ok())
        .try_fold(16u64, |product, n| product.checked_mul(n))
        .filter(|&product| product <= isize::MAX as u64)
        .map(|_| ())
        .ok_or_else(|| "the extents of 'shape' multiply to more than memory can address".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version-1 file with numpy's own layout.
    fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut dict = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
        while (10 + dict.len() + 1) % 64 != 0 {
            dict.push(' ');
        }
        dict.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((dict.len() as u16).to_le_bytes());
        bytes.extend(dict.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn read<T: Real>(bytes: &[u8]) -> Result<Samples<T>> {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.npy");
        std::fs::write(&path, bytes).expect("writable");
        read_npy(path)
    }

    fn le<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        values.into_iter().flatten().collect()
    }

    #[test]
    fn c_and_fortran_order_give_the_same_samples() -> Result<()> {
        // a[i, j, k] = 100 i + 10 j + k, shape (2, 2, 3).
        let c: Vec<f64> = [0., 1., 2., 10., 11., 12., 100., 101., 102., 110., 111., 112.].into();
        let mut f = Vec::new();
        for k in 0..3 {
            for j in 0..2 {
                for i in 0..2 {
                    f.push(f64::from(100 * i + 10 * j + k));
                }
            }
        }
        let bytes = |v: &[f64]| le(v.iter().map(|x| x.to_le_bytes()));
        for (order, values) in [("False", &c), ("True", &f)] {
            let a = read::<f64>(&npy("<f8", order, "(2, 2, 3)", &bytes(values)))?;
            assert_eq!((a.dim(), a.count(), a.shape()), (6, 2, &[2usize, 3][..]));
            assert_eq!(a.data(), c, "fortran_order: {order}");
        }
        Ok(())
    }

    #[test]
    fn element_types_and_byte_orders() -> Result<()> {
        let want = [-2.0, 0.0, 7.0];
        let ints = [-2i64, 0, 7];
        let cases = [
            ("<f4", le(want.map(|x| (x as f32).to_le_bytes()))),
            (">f4", le(want.map(|x| (x as f32).to_be_bytes()))),
            (">f8", le(want.map(f64::to_be_bytes))),
            ("|i1", le(ints.map(|x| (x as i8).to_le_bytes()))),
            ("<i2", le(ints.map(|x| (x as i16).to_le_bytes()))),
            (">i4", le(ints.map(|x| (x as i32).to_be_bytes()))),
            ("<i8", le(ints.map(i64::to_le_bytes))),
        ];
        for (descr, data) in cases {
            let a = read::<f32>(&npy(descr, "False", "(3,)", &data))?;
            assert_eq!(a.data(), want.map(|x| x as f32), "{descr}");
            assert_eq!((a.dim(), a.shape()), (1, &[][..]));
        }
        assert_eq!(read::<f64>(&npy("|u1", "False", "(2,)", &[200, 3]))?.data(), [200.0, 3.0]);
        assert_eq!(read::<f64>(&npy("|b1", "False", "(2,)", &[1, 0]))?.data(), [1.0, 0.0]);
        Ok(())
    }

    #[test]
    fn what_numpy_writes_npyz_round_trips() -> Result<()> {
        use npyz::WriterBuilder;
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("w.npy");
        let values = [0.1, -2.5e300, 5e-324, 4.0, 5.0, 6.0];
        files::write_atomic(&path, |w| {
            let options = npyz::WriteOptions::new().default_dtype().shape(&[3, 2]);
            let mut writer = options.writer(w).begin_nd()?;
            writer.extend(values)?;
            writer.finish()
        })?;
        let a = read_npy::<f64>(&path)?;
        assert_eq!((a.dim(), a.count()), (2, 3));
        assert_eq!(a.data().iter().map(|x| x.to_bits()).collect::<Vec<_>>(), values.map(f64::to_bits));
        Ok(())
    }

    #[test]
    fn malformed_files_give_the_reason() {
        let eight = 1.0f64.to_le_bytes();
        let good = npy("<f8", "False", "(1,)", &eight);
        let cases: [(Vec<u8>, &str); 13] = [
            (vec![], "not an NPY file"),
            (b"PK\x03\x04 this is an npz".to_vec(), "not an NPY file"),
            (good[..20].to_vec(), "ends inside its header"),
            (good[..good.len() - 1].to_vec(), "7 bytes of data after byte 128, but shape [1]"),
            ([&good[..], b"x"].concat(), "9 bytes of data"),
            (npy("<f8", "False", "()", &eight), "no axes"),
            (npy("<f8", "False", "(0, 3)", &[]), "empty (shape [0, 3])"),
            (npy("<c16", "False", "(1,)", &[0; 16]), "cannot be read"),
            (npy("<U3", "False", "(1,)", &[0; 12]), "cannot be read"),
            (npy("<f8", "False", "(4294967296, 4294967296)", &[]), "more than memory"),
            (npy("<f8", "Maybe", "(1,)", &eight), "NPY header"),
            (npy("<f8", "False", "(2,)", &le([1.0, f64::NAN].map(f64::to_le_bytes))), "byte 136: NaN"),
            (npy("<i8", "False", "(1,)", &i64::MAX.to_le_bytes()), "not exact in f64"),
        ];
        for (bytes, words) in cases {
            match read::<f64>(&bytes) {
                Err(Error::Malformed { reason, path, .. }) => {
                    assert!(reason.contains(words), "'{reason}' does not say '{words}'");
                    assert!(path.ends_with("a.npy"));
                }
                other => panic!("expected Malformed ({words}), got {other:?}"),
            }
        }
        let wide = read::<f32>(&npy("<f8", "False", "(1,)", &1e200f64.to_le_bytes()));
        assert!(wide.expect_err("beyond f32").to_string().contains("finite f32"));
        assert!(matches!(read_npy::<f64>("no/such.npy"), Err(Error::Io { .. })));
    }
}
