//! From a picture drawn large to a PNG file (W3C PNG specification, second edition).

use flate2::{Compression, Crc, write::ZlibEncoder};
use std::io::{self, Write};

/// Averages `factor × factor` blocks of RGB pixels, in linear light (γ = 2) so that thin lines keep their
/// weight on white.
pub(super) fn shrink(large: &[u8], (width, height): (usize, usize), factor: usize) -> Vec<u8> {
    let row = width * factor * 3;
    let samples = (factor * factor) as f64;
    let mut small = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let mut sum = 0.0;
                for v in 0..factor {
                    for u in 0..factor {
                        let at = (y * factor + v) * row + (x * factor + u) * 3 + channel;
                        sum += (f64::from(large[at]) / 255.0).powi(2);
                    }
                }
                small.push((255.0 * (sum / samples).sqrt()).round() as u8);
            }
        }
    }
    small
}

/// An 8-bit RGB PNG of `width × height` pixels.
pub(super) fn encode(rgb: &[u8], (width, height): (usize, usize)) -> io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(13);
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([8, 2, 0, 0, 0]);

    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in rgb.chunks_exact(width * 3) {
        encoder.write_all(&[0])?; // filter "none": best for flat areas
        encoder.write_all(row)?;
    }
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &header);
    chunk(&mut file, b"IDAT", &encoder.finish()?);
    chunk(&mut file, b"IEND", &[]);
    Ok(file)
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let start = file.len();
    file.extend(name);
    file.extend(data);
    let mut crc = Crc::new();
    crc.update(&file[start..]);
    file.extend(crc.sum().to_be_bytes());
}
