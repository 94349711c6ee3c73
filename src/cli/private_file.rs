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
