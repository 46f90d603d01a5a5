//! [`Spill`]: checkpoints on disk, where the budget of bytes is smaller than a state for each step.
//!
//! States are written in blocks as large as the memory for checkpoints, in order, to a temporary file that has no
//! name (it is gone when it is closed, however the process ends), and read back block by block on the way back. A
//! part of the memory, at most a megabyte, holds the bytes in transit. Numbers keep their bits.

use crate::error::{Error, Result};
use crate::num::Real;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

/// Where checkpoints go that the memory budget has no room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spill {
    /// Folder of the temporary file; the system's own for such files when `None`. It should not be one in memory
    /// (`tmpfs`), where nothing would be gained.
    pub folder: Option<PathBuf>,
    /// Most bytes on disk.
    pub max_bytes: u64,
}

impl Default for Spill {
    /// At most 16 GiB in the system's folder for temporary files.
    fn default() -> Self {
        Self { folder: None, max_bytes: 16 << 30 }
    }
}

impl Spill {
    /// Bytes in transit, of `bytes` of memory for checkpoints.
    pub(super) fn transit(bytes: usize) -> usize {
        (bytes / 8).clamp(512, 1 << 20) / 8 * 8
    }

    fn place(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(std::env::temp_dir)
    }

    /// Checks that the folder is there.
    ///
    /// # Errors
    /// It is not, or is no folder.
    pub(super) fn check(&self) -> Result<()> {
        let place = self.place();
        let data = std::fs::metadata(&place).map_err(|e| explain(&place, &e))?;
        if data.is_dir() {
            return Ok(());
        }
        Err(explain(&place, &io::Error::from(io::ErrorKind::NotADirectory)))
    }

    /// Makes the file, with memory for `transit` bytes on the way.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub(super) fn open(&self, transit: usize) -> Result<Disk<File>> {
        let place = self.place();
        let file = tempfile::tempfile_in(&place).map_err(|e| explain(&place, &e))?;
        Ok(Disk::new(file, place, self.max_bytes, transit))
    }
}

/// Says what was being done and what to try.
#[cold]
fn explain(place: &std::path::Path, error: &io::Error) -> Error {
    let advice = "checkpoints were to be kept there: free some space, name another folder (Spill::folder), raise the memory \
                  budget, or do not spill (steps are then taken again)";
    Error::io(place, io::Error::new(error.kind(), format!("{error}; {advice}")))
}

/// A file of numbers.
#[derive(Debug)]
pub(super) struct Disk<F> {
    file: F,
    place: PathBuf,
    limit: u64,
    /// Bytes in transit.
    chunk: Vec<u8>,
    /// Bytes of the file that are in use, and most that were.
    written: u64,
    peak: u64,
}

impl<F: Read + Write + Seek> Disk<F> {
    fn new(file: F, place: PathBuf, limit: u64, transit: usize) -> Self {
        Self { file, place, limit, chunk: vec![0; transit], written: 0, peak: 0 }
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        (self.written, self.peak) = (0, 0);
    }

    /// Bytes that are in transit at a time.
    pub fn transit(&self) -> usize {
        self.chunk.len()
    }

    /// Most bytes that were in use.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Writes `numbers` behind what is there.
    ///
    /// # Errors
    /// More bytes than the limit, or what the system says.
    pub fn append<T: Real>(&mut self, numbers: &[T]) -> Result<()> {
        let after = self.written + size_of_val(numbers) as u64;
        if after > self.limit {
            let needed = format!(
                "{after} bytes and more are needed: raise it, raise the memory budget, loosen the tolerance, or do not \
                 spill (steps are then taken again)"
            );
            return Err(Error::invalid(
                "the bytes that checkpoints may take on disk (Spill::max_bytes)",
                self.limit,
                needed,
            ));
        }
        let outcome = self.write_all(numbers);
        outcome.map_err(|e| explain(&self.place, &e))?;
        self.written = after;
        self.peak = self.peak.max(after);
        Ok(())
    }

    fn write_all<T: Real>(&mut self, numbers: &[T]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.written))?;
        for part in numbers.chunks(self.chunk.len() / size_of::<T>()) {
            let bytes = &mut self.chunk[..size_of_val(part)];
            for (to, x) in bytes.chunks_exact_mut(size_of::<T>()).zip(part) {
                match size_of::<T>() {
                    4 => to.copy_from_slice(&(x.f64() as f32).to_ne_bytes()),
                    _ => to.copy_from_slice(&x.f64().to_ne_bytes()),
                }
            }
            self.file.write_all(bytes)?;
        }
        Ok(())
    }

    /// Reads the numbers from the `first` on.
    ///
    /// # Errors
    /// What the system says.
    pub fn read<T: Real>(&mut self, first: usize, out: &mut [T]) -> Result<()> {
        let outcome = self.read_all(first, out);
        outcome.map_err(|e| explain(&self.place, &e))
    }

    fn read_all<T: Real>(&mut self, first: usize, out: &mut [T]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start((first * size_of::<T>()) as u64))?;
        for part in out.chunks_mut(self.chunk.len() / size_of::<T>()) {
            let bytes = &mut self.chunk[..size_of_val(part)];
            self.file.read_exact(bytes)?;
            for (from, x) in bytes.chunks_exact(size_of::<T>()).zip(part) {
                let mut wide = [0; 8];
                wide[..from.len()].copy_from_slice(from);
                let [a, b, c, d, ..] = wide;
                *x = match size_of::<T>() {
                    4 => T::of(f64::from(f32::from_ne_bytes([a, b, c, d]))),
                    _ => T::of(f64::from_ne_bytes(wide)),
                };
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A disk with room for so many bytes.
    struct Full(Cursor<Vec<u8>>, u64);

    impl Read for Full {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            self.0.read(to)
        }
    }

    impl Seek for Full {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    impl Write for Full {
        fn write(&mut self, from: &[u8]) -> io::Result<usize> {
            if self.0.position() + from.len() as u64 > self.1 {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.0.write(from)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn numbers<T: Real>(n: usize) -> Vec<T> {
        (0..n).map(|i| T::of((1.7 * i as f64).sin() / 3.0)).collect()
    }

    fn come_back<T: Real>() {
        let mut disk = Disk::new(Full(Cursor::default(), 1 << 20), PathBuf::from("disk"), 1 << 20, 512);
        let all: Vec<T> = numbers(1000);
        for part in all.chunks(300) {
            disk.append(part).unwrap();
        }
        for (first, length) in [(900, 100), (0, 1000), (333, 17)] {
            let mut out = vec![T::zero(); length];
            disk.read(first, &mut out).unwrap();
            assert!(out.iter().zip(&all[first..]).all(|(a, b)| a.f64().to_bits() == b.f64().to_bits()));
        }
        assert_eq!(disk.peak(), 1000 * size_of::<T>() as u64);
        disk.clear();
        disk.append(&all[500..]).unwrap();
        let mut out = vec![T::zero(); 2];
        disk.read(0, &mut out).unwrap();
        assert!(out == all[500..502] && disk.peak() == 500 * size_of::<T>() as u64);
    }

    #[test]
    fn numbers_come_back_with_their_bits() {
        come_back::<f64>();
        come_back::<f32>();
    }

    #[test]
    fn full_disk_limit_and_lost_bytes_are_errors() {
        let disk = |room, limit| Disk::new(Full(Cursor::default(), room), PathBuf::from("disk"), limit, 512);
        let all: Vec<f64> = numbers(1000);
        let error = disk(4000, u64::MAX).append(&all).unwrap_err();
        assert!(matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull));
        assert!(error.to_string().contains("free some space"), "{error}");
        let error = disk(1 << 20, 7999).append(&all).unwrap_err();
        assert!(error.to_string().contains("is 7999, but 8000 bytes and more"), "{error}");
        let mut short = disk(1 << 20, 1 << 20);
        short.append(&all[..10]).unwrap();
        assert!(matches!(short.read(5, &mut [0.0; 6]), Err(Error::Io { .. })));
        let missing = Spill { folder: Some(PathBuf::from("/no/such/folder")), ..Spill::default() };
        assert!(matches!(missing.check(), Err(Error::Io { path, .. }) if path.ends_with("folder")));
        let no_folder = Spill { folder: Some(PathBuf::from("Cargo.toml")), ..Spill::default() };
        assert!(no_folder.check().unwrap_err().to_string().contains("Cargo.toml"));
    }
}
