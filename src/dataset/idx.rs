//! IDX files, the format of MNIST (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of
//! handwritten digits", section "File formats").

use super::Samples;
use crate::num::Real;
use crate::{Error, Result, files};
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::Path;

/// Reads an IDX file as samples; a name that ends in `.gz` is decompressed on the way.
///
/// Layout of the file, all big endian: two zero bytes, a type code (0x08 u8, 0x09 i8, 0x0B i16,
/// 0x0C i32, 0x0D f32, 0x0E f64), the number of axes, one u32 extent per axis, the elements in C
/// order. The first axis counts samples: MNIST's images, `(60000, 28, 28)`, become column-major
/// `784 × 60000` with [`shape`](Samples::shape) `[28, 28]` and values 0–255 (see
/// [`Samples::scale`]); its labels become `1 × 60000`.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Malformed`] with the byte offset for a wrong
/// magic number or type code, an empty array, a NaN or infinity, and a file shorter or longer than
/// its header says, and for a broken gzip stream.
pub fn read_idx<T: Real>(path: impl AsRef<Path>) -> Result<Samples<T>> {
    let path = path.as_ref();
    let raw = files::read(path)?;
    let bad = |reason: String| Error::malformed(path, None, reason);
    let zipped = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    let bytes = if zipped { unzip(&raw).map_err(bad)? } else { raw };
    let (shape, data) = parse::<T>(&bytes).map_err(bad)?;
    Samples::new(&shape[1..], data)
}

fn unzip(raw: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    GzDecoder::new(raw)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("broken gzip stream after {} bytes of contents: {e}", bytes.len()))?;
    Ok(bytes)
}

/// Shape and elements.
fn parse<T: Real>(bytes: &[u8]) -> std::result::Result<(Vec<usize>, Vec<T>), String> {
    let &[zero_a, zero_b, code, axes, ref rest @ ..] = bytes else {
        return Err(format!("byte 0: {} bytes, too short for an IDX header", bytes.len()));
    };
    if (zero_a, zero_b) != (0, 0) {
        let hint = if (zero_a, zero_b) == (0x1f, 0x8b) {
            "; this is a gzip stream: give the file a name ending in .gz"
        } else {
            ""
        };
        return Err(format!("byte 0: an IDX file starts with two zero bytes{hint}"));
    }
    let (size, decode): (usize, fn(&[u8]) -> f64) = match code {
        0x08 => (1, |b| f64::from(b[0])),
        0x09 => (1, |b| f64::from(b[0] as i8)),
        0x0B => (2, |b| f64::from(i16::from_be_bytes([b[0], b[1]]))),
        0x0C => (4, |b| f64::from(i32::from_be_bytes([b[0], b[1], b[2], b[3]]))),
        0x0D => (4, |b| f64::from(f32::from_be_bytes([b[0], b[1], b[2], b[3]]))),
        0x0E => (8, |b| f64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])),
        _ => return Err(format!("byte 2: unknown element type 0x{code:02X}")),
    };
    if axes == 0 {
        return Err("byte 3: no axes; the first axis must count samples".into());
    }
    let extents = 4 * usize::from(axes);
    let Some((extents, data)) = rest.split_at_checked(extents) else {
        return Err(format!("byte {}: the file ends inside the {axes} extents", bytes.len()));
    };
    let shape: Vec<usize> =
        extents.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    if shape.contains(&0) {
        return Err(format!("byte 4: the array is empty (shape {shape:?})"));
    }
    let offset = bytes.len() - data.len();
    let needed = shape.iter().try_fold(size, |product, &n| product.checked_mul(n));
    if needed != Some(data.len()) {
        let needed = needed.map_or("more than memory can address".into(), |n| n.to_string());
        return Err(format!(
            "{} bytes of data after byte {offset}, but shape {shape:?} of {size}-byte elements needs {needed}",
            data.len()
        ));
    }
    let mut values = Vec::with_capacity(data.len() / size);
    for (i, element) in data.chunks_exact(size).enumerate() {
        let value = decode(element);
        let rounded = T::of(value);
        if !rounded.is_finite() {
            let at = offset + i * size;
            return Err(format!("byte {at}: {value} is not a finite {}", T::NAME));
        }
        values.push(rounded);
    }
    Ok((shape, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn idx(code: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, code, shape.len() as u8];
        shape.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn read(name: &str, bytes: &[u8]) -> Result<Samples<f64>> {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        read_idx(path)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn images_and_labels_plain_and_zipped() -> Result<()> {
        let images = idx(0x08, &[2, 2, 3], &[0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255]);
        for (name, bytes) in [("i-idx3-ubyte", images.clone()), ("i-idx3-ubyte.gz", gzip(&images))] {
            let a = read(name, &bytes)?;
            assert_eq!((a.dim(), a.count(), a.shape()), (6, 2, &[2usize, 3][..]));
            assert_eq!(a.get(1), Some(&[250.0, 251.0, 252.0, 253.0, 254.0, 255.0][..]));
        }
        let labels = read("l-idx1-ubyte", &idx(0x08, &[3], &[7, 0, 9]))?;
        assert_eq!((labels.dim(), labels.count(), labels.data()), (1, 3, &[7.0, 0.0, 9.0][..]));
        Ok(())
    }

    #[test]
    fn every_element_type() -> Result<()> {
        let cases: [(u8, Vec<u8>); 5] = [
            (0x09, vec![0xFE, 7]),
            (0x0B, [-2i16, 7].map(i16::to_be_bytes).concat()),
            (0x0C, [-2i32, 7].map(i32::to_be_bytes).concat()),
            (0x0D, [-2f32, 7.0].map(f32::to_be_bytes).concat()),
            (0x0E, [-2f64, 7.0].map(f64::to_be_bytes).concat()),
        ];
        for (code, data) in cases {
            assert_eq!(read("x", &idx(code, &[2], &data))?.data(), [-2.0, 7.0], "0x{code:02X}");
        }
        Ok(())
    }

    #[test]
    fn malformed_files_give_offset_and_reason() {
        let good = idx(0x08, &[2, 2], &[1, 2, 3, 4]);
        let zipped = gzip(&good);
        let cases: [(&str, Vec<u8>, &str); 12] = [
            ("x", vec![], "byte 0: 0 bytes"),
            ("x", b"\x00\x01\x08\x01".to_vec(), "byte 0: an IDX file starts with"),
            ("x", zipped.clone(), "name ending in .gz"),
            ("x", idx(0x0A, &[1], &[0]), "byte 2: unknown element type 0x0A"),
            ("x", idx(0x08, &[], &[]), "byte 3: no axes"),
            ("x", good[..9].to_vec(), "byte 9: the file ends inside the 2 extents"),
            ("x", idx(0x08, &[0, 5], &[]), "byte 4: the array is empty (shape [0, 5])"),
            ("x", good[..15].to_vec(), "3 bytes of data after byte 12, but shape [2, 2]"),
            ("x", [&good[..], b"!"].concat(), "5 bytes of data"),
            ("x", idx(0x0E, &[u32::MAX; 4], &[]), "more than memory"),
            ("x", idx(0x0D, &[2], &[1.0, f32::NAN].map(f32::to_be_bytes).concat()), "byte 12: NaN"),
            ("x.gz", zipped[..zipped.len() - 9].to_vec(), "broken gzip stream"),
        ];
        for (name, bytes, words) in cases {
            match read(name, &bytes) {
                Err(Error::Malformed { reason, .. }) => {
                    assert!(reason.contains(words), "'{reason}' does not say '{words}'");
                }
                other => panic!("expected Malformed ({words}), got {other:?}"),
            }
        }
        assert!(matches!(read_idx::<f32>("no/such-idx"), Err(Error::Io { .. })));
    }
}
