//! Files with personal data that a command writes: nobody but their owner reads them, and none is there by halves.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A file that is being written, beside its place. It gets its name, and replaces what was there, when it is whole; a rest is removed.
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// `None`: it is closed.
    file: Option<BufWriter<File>>,
    /// `None`: it has its name.
    part: Option<PathBuf>,
    target: PathBuf,
}

impl Unfinished {
    /// Begins the file that a name means.
    ///
    /// # Errors
    /// Something else has that name, or the file cannot be made.
    pub(crate) fn begin(name: &Path) -> anyhow::Result<Self> {
        let target = target(name)?;
        let part = beside(&target);
        let file = create(&part).map_err(|error| {
            let is_there = error.kind() == io::ErrorKind::AlreadyExists;
            let hint = if is_there { ": if nothing is being written there, remove it" } else { "" };
            anyhow::Error::new(error).context(format!("cannot write {}{hint}", part.display()))
        })?;
        Ok(Self { file: Some(BufWriter::new(file)), part: Some(part), target })
    }

    /// Where the file will be.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// It cannot be written, or renamed; what was there stays as it is.
    pub(crate) fn keep(mut self) -> anyhow::Result<()> {
        let unwritable = format!("cannot write {}", self.target.display());
        self.flush().with_context(|| unwritable.clone())?;
        // The file is closed before it gets its name.
        self.file = None;
        if let Some(part) = &self.part {
            std::fs::rename(part, &self.target).context(unwritable)?;
        }
        self.part = None;
        Ok(())
    }
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(bytes.len()), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.file = None;
        if let Some(part) = &self.part {
            // A rest is nothing that somebody looks for.
            let _ = std::fs::remove_file(part);
        }
    }
}

/// A new file that only its owner reads. One that is there already is somebody's, and stays.
///
/// # Errors
/// It is there already, or it cannot be made.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Where a file is written until it is whole.
pub(crate) fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

/// The file that a name means: links are followed. It need not be there yet.
///
/// # Errors
/// There is something of that name which is no file: a folder, a pipe, a device.
pub(crate) fn target(name: &Path) -> anyhow::Result<PathBuf> {
    let Ok(found) = std::fs::canonicalize(name) else { return Ok(name.to_owned()) };
    let kind = std::fs::metadata(&found)?.file_type();
    anyhow::ensure!(!kind.is_dir(), "{} is a folder: name a file", name.display());
    anyhow::ensure!(kind.is_file(), "{} is not a file: a pipe or a device is not replaced", name.display());
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_leaves_nothing_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "old").unwrap();
        let names = || std::fs::read_dir(folder.path()).unwrap().count();
        let mut broken_off = Unfinished::begin(&path).unwrap();
        broken_off.write_all(b"half").unwrap();
        let second = Unfinished::begin(&path).unwrap_err().to_string();
        assert!(second.contains("a.csv.part: if nothing is being written there, remove it"), "{second}");
        drop(broken_off);
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), names()), ("old", 1));
        let mut whole = Unfinished::begin(&path).unwrap();
        whole.write_all(b"new").unwrap();
        whole.keep().unwrap();
        assert_eq!((std::fs::read_to_string(&path).unwrap().as_str(), names()), ("new", 1));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn links_are_followed_and_only_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
        assert_eq!(target(&file).unwrap(), file);
        std::fs::write(&file, "a").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(target(&link).unwrap(), std::fs::canonicalize(&file).unwrap());
        assert!(target(folder.path()).unwrap_err().to_string().contains("is a folder"));
        assert!(target(Path::new("/dev/null")).unwrap_err().to_string().contains("is not a file"));
    }
}
