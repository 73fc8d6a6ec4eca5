//! Whose a home is, and that nobody else reads it.

use std::path::Path;

use crate::{Error, error::Result};

/// The names of what this program keeps in a home. The history's other files begin as it does.
const OURS: [&str; 6] = ["datasets", "models", "runs", "home.lock", "hub.json", "secret"];
const HISTORY: &str = "history.sqlite";

/// Makes a home that only its owner may enter, with folders for what it keeps. Of a folder that is there and holds
/// something else as well, such as the user's own or one that all share, the rights stay as they are, and only our
/// parts in it are closed to others.
pub(crate) fn make(home: &Path, parts: impl IntoIterator<Item = &'static str>) -> Result<()> {
    if !home.exists() {
        files::make_private_folder(home).map_err(|error| Error::write(home, error))?;
    } else if is_ours_alone(home) {
        close(home);
    }
    for part in parts {
        let part = home.join(part);
        refuse_strange(home, &part)?;
        if part.is_dir() {
            close(&part);
        } else {
            files::make_private_folder(&part).map_err(|error| Error::write(&part, error))?;
        }
    }
    for name in ["home.lock", "hub.json", "secret"] {
        refuse_strange(home, &home.join(name))?;
    }
    for ending in ["", "-wal", "-shm", "-journal"] {
        let file = home.join(format!("{HISTORY}{ending}"));
        refuse_strange(home, &file)?;
        close(&file);
    }
    Ok(())
}

/// Whether this is the name of what this program keeps in a home.
pub(crate) fn is_ours(name: &str) -> bool {
    OURS.contains(&name) || name.starts_with(HISTORY) || name.starts_with(".new-")
}

/// Takes others' rights off what is there. A link of the user's own is left as it is, as is what knows no rights.
fn close(path: &Path) {
    files::restrict_to_owner(path).ok();
}

/// Whether all in a folder is this program's, and the folder is the user's own and not shared by its rights.
fn is_ours_alone(home: &Path) -> bool {
    let Ok(mut entries) = std::fs::read_dir(home) else { return false };
    let all = entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_ours)));
    all && !is_shared(home)
}

#[cfg(unix)]
fn is_shared(home: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    const STICKY: u32 = 0o1000;
    let about = home.symlink_metadata();
    about.map_or(true, |about| {
        about.mode() & STICKY != 0 || about.uid() != rustix::process::geteuid().as_raw()
    })
}

#[cfg(not(unix))]
fn is_shared(_: &Path) -> bool {
    false
}

/// Refuses what somebody else has put where we look, as in a folder that all may write to: a link, or a folder that they
/// may read and write. Of a home that root opens for its owner, all is the owner's.
fn refuse_strange(home: &Path, path: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let owner = |path: &Path| path.symlink_metadata().ok().map(|about| about.uid());
        let own = rustix::process::geteuid().as_raw();
        let is_ours = |uid: u32| uid == own || (own == 0 && owner(home) == Some(uid));
        if owner(path).is_some_and(|uid| !is_ours(uid)) {
            return Err(Error::Strange { path: path.to_owned() });
        }
    }
    #[cfg(not(unix))]
    let _ = (home, path);
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use crate::Home;

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn open_up(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[tokio::test]
    async fn a_home_and_its_history_are_closed_to_others_also_where_they_were_open() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("new/home");
        let open = Home::open(&home).await.unwrap();
        assert_eq!((mode(&home), mode(&home.join("datasets"))), (0o700, 0o700));
        let history: Vec<_> = ["", "-wal", "-shm"].map(|end| home.join(format!("{HISTORY}{end}"))).into();
        assert!(history.iter().filter(|path| path.exists()).all(|path| mode(path) == 0o600));
        open_up(&home, 0o755);
        history.iter().filter(|path| path.exists()).for_each(|path| open_up(path, 0o644));
        drop(open);
        Home::open(&home).await.unwrap();
        assert_eq!(mode(&home), 0o700);
        assert!(history.iter().filter(|path| path.exists()).all(|path| mode(path) == 0o600));
    }

    #[tokio::test]
    async fn of_a_folder_that_holds_something_else_only_our_parts_are_closed() {
        let folder = tempfile::tempdir().unwrap();
        open_up(folder.path(), 0o755);
        std::fs::write(folder.path().join("letter.txt"), "").unwrap();
        std::fs::create_dir(folder.path().join("datasets")).unwrap();
        open_up(&folder.path().join("datasets"), 0o755);
        for _ in 0..2 {
            Home::open(folder.path()).await.unwrap();
            assert_eq!(mode(folder.path()), 0o755);
            for part in ["datasets", "models", "runs"] {
                assert_eq!(mode(&folder.path().join(part)), 0o700, "{part}");
            }
            assert_eq!(mode(&folder.path().join(HISTORY)), 0o600);
        }
        let sticky = folder.path().join("tmp");
        std::fs::create_dir(&sticky).unwrap();
        open_up(&sticky, 0o1777);
        Home::open(&sticky).await.unwrap();
        assert_eq!(std::fs::metadata(&sticky).unwrap().permissions().mode() & 0o7777, 0o1777);
    }

    #[tokio::test]
    async fn what_another_user_has_put_into_a_shared_folder_is_not_used() {
        const NOBODY: u32 = 65534;
        if !rustix::process::geteuid().is_root() {
            println!("NOT TESTED: only root can give a file to another user");
            return;
        }
        for planted in ["datasets", "models", "runs", "secret", "hub.json", "home.lock", HISTORY] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(planted);
            std::fs::create_dir(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(NOBODY), None).unwrap();
            let error = Home::open(folder.path()).await.map(drop).unwrap_err();
            assert!(matches!(&error, Error::Strange { path: found } if *found == path), "{planted}: {error}");
            // A home of that user's, which root opens.
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), None).unwrap();
            let opened = Home::open(folder.path()).await.map(drop);
            assert!(!matches!(opened, Err(Error::Strange { .. })), "{planted}");
        }
    }

    #[tokio::test]
    async fn a_part_that_the_user_has_linked_to_another_disk_is_used_and_its_rights_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (home, disk) = (folder.path().join("home"), folder.path().join("disk"));
        std::fs::create_dir(&home).unwrap();
        std::fs::create_dir(&disk).unwrap();
        open_up(&disk, 0o755);
        std::os::unix::fs::symlink(&disk, home.join("models")).unwrap();
        Home::open(&home).await.unwrap();
        assert!(disk.join("words").is_dir());
        assert_eq!(mode(&disk), 0o755);
    }
}
