//! Files that are whole or absent: reading with the path in the error, writing through a temporary
//! file in the same directory and a rename.

use crate::{Error, Result};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Writes a file atomically: `write` fills a temporary file in the directory of `path`, which is
/// flushed to disk and then renamed to `path`.
///
/// Readers see the old file or the new one, never a part. On any error `path` is untouched and the
/// temporary file is removed. Missing parent directories are created.
///
/// # Errors
/// [`Error::Io`] with `path` when the directory cannot be made or written, or when `write` fails.
pub fn write_atomic<F>(path: impl AsRef<Path>, write: F) -> Result<()>
where
    F: FnOnce(&mut dyn Write) -> std::io::Result<()>,
{
    let path = path.as_ref();
    let attempt = || -> std::io::Result<()> {
        let directory = directory_of(path);
        std::fs::create_dir_all(&directory)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".odeon-");
        #[cfg(unix)]
        {
            // tempfile's default is 0600; what is written here is an ordinary output file.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(directory)?;
        let mut buffered = BufWriter::new(file);
        write(&mut buffered)?;
        let file = buffered.into_inner().map_err(|e| e.into_error())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    };
    attempt().map_err(|e| Error::io(path, e))
}

/// The whole file.
///
/// # Errors
/// [`Error::Io`] with `path`.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    std::fs::read(path).map_err(|e| Error::io(path, e))
}

/// The directory that holds `path` ("." when it has no parent).
fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_debris() -> Result<()> {
        let dir = tempfile::tempdir().map_err(|e| Error::io("tempdir", e))?;
        let path = dir.path().join("new/sub/file.txt");
        write_atomic(&path, |w| w.write_all(b"first"))?;
        assert_eq!(read(&path)?, b"first");

        let failed = write_atomic(&path, |w| {
            w.write_all(b"half of the sec")?;
            Err(io::Error::other("disk full"))
        });
        let message = failed.expect_err("the writer failed").to_string();
        assert!(message.contains("file.txt") && message.contains("disk full"), "{message}");
        assert_eq!(read(&path)?, b"first");
        let left = std::fs::read_dir(path.parent().expect("has a parent")).expect("readable");
        assert_eq!(left.count(), 1, "temporary file left behind");

        write_atomic(&path, |w| w.write_all(b"second"))?;
        assert_eq!(read(&path)?, b"second");
        Ok(())
    }

    #[test]
    fn errors_name_the_path() {
        let dir = tempfile::tempdir().expect("tempdir");
        let missing = read(dir.path().join("absent.csv")).expect_err("no such file");
        assert!(matches!(&missing, Error::Io { path, .. } if path.ends_with("absent.csv")));

        std::fs::write(dir.path().join("file"), b"").expect("writable");
        let under_a_file = dir.path().join("file/below.csv");
        let error = write_atomic(&under_a_file, |_| Ok(())).expect_err("parent is a file");
        assert!(matches!(error, Error::Io { path, .. } if path == under_a_file));
    }
}
