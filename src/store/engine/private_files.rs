//! Files that hold personal data: only the user of the process may read them.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Nobody else enters the folder: so files in it are closed, too, that an older version has made.
const FOLDER: u32 = 0o700;

const FILE: u32 = 0o600;

/// Makes a folder, and those above it as usual. One that is there is closed to others, if it belongs to the user of the process.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        std::fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(FOLDER).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            // A folder of another user is that user's business.
            std::fs::set_permissions(path, Permissions::from_mode(FOLDER)).or(Ok(()))
        }
        made => made,
    }
}

/// How such a file is opened; if it is new, only the user of the process may read it.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_open_to_others_is_closed_and_new_files_are_the_users_own() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("data").join("refusals");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for _ in 0..2 {
            make_folder(&folder).unwrap();
            assert_eq!(mode(&folder), 0o700);
        }
        let file = folder.join("a");
        options().create(true).append(true).open(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        assert!(make_folder(&file).is_err(), "a file is no folder");
    }
}
