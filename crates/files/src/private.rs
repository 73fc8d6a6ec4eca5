//! What only its owner may read.

use std::{
    io::{Error, ErrorKind, Result},
    path::Path,
};

/// Makes a folder, and those above it that are missing, which only the owner may enter, whatever the umask is. One
/// that is there already is closed to others; a link in its place is refused, since what it leads to is not ours.
pub fn make_private_folder(path: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    if let Ok(about) = std::fs::symlink_metadata(path)
        && about.is_symlink()
    {
        return Err(Error::new(ErrorKind::InvalidInput, "it is a link where a folder is expected"));
    }
    builder.create(path)?;
    restrict_to_owner(path)
}

/// Takes the rights of everybody else off a file or folder. A link is refused.
pub fn restrict_to_owner(path: &Path) -> Result<()> {
    let about = std::fs::symlink_metadata(path)?;
    if about.is_symlink() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is a link where a file or folder is expected"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = about.permissions().mode();
        if mode & 0o077 != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700))?;
        }
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_private_folder_is_closed_to_others_also_where_it_was_open_before() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        make_private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
        std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o775)).unwrap();
        make_private_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
    }

    #[test]
    fn a_link_is_refused_and_the_rights_of_what_it_leads_to_stay() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::set_permissions(&other, PermissionsExt::from_mode(0o755)).unwrap();
        let link = folder.path().join("secret");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(make_private_folder(&link).is_err());
        assert!(restrict_to_owner(&link).is_err());
        assert_eq!(mode(&other), 0o755);
    }
}
