//! Files with personal data that a command writes: nobody but their owner reads them, and none is there by halves.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

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
