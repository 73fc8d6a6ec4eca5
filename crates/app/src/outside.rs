//! Keeping what the user wants to have somewhere apart from what the home keeps.

use std::path::Path;

use store::Part;

use crate::{Error, Home, error::Result, privacy};

/// Refuses to put what the user wants to have somewhere among what the home keeps, or into the place of something that
/// it keeps: there it would be in no record, and be taken for what a process has left.
pub fn check_outside(home: &Home, path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Where there is no such folder, that is told when it is written to.
    let (Ok(parent), Ok(whole)) = (parent.canonicalize(), home.folder.canonicalize()) else { return Ok(()) };
    let is_within = |part: Part| {
        home.folder.join(part.folder()).canonicalize().is_ok_and(|part| parent.starts_with(part))
    };
    let is_ours = path.file_name().and_then(|name| name.to_str()).is_none_or(privacy::is_ours);
    if (parent == whole && is_ours) || Part::ALL.into_iter().any(is_within) {
        return Err(Error::InHome { path: path.to_owned(), home: home.folder.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::home::empty_home;

    #[tokio::test]
    async fn nothing_is_written_among_what_the_home_keeps() {
        let (folder, home) = empty_home().await;
        std::fs::create_dir_all(folder.path().join("runs/1")).unwrap();
        std::fs::create_dir(folder.path().join("mine")).unwrap();
        let at = |name: &str| folder.path().join(name);
        for inside in [
            "hub.json",
            "history.sqlite-wal",
            "models/out",
            "datasets/out.csv",
            "runs/1/out",
            "mine/../models/out",
            "runs/./1/x",
        ] {
            let error = check_outside(&home, &at(inside)).unwrap_err();
            assert!(matches!(error, Error::InHome { .. }), "{inside}: {error}");
        }
        for outside in ["out", "mine/out", "not-there/out", "../out"] {
            assert!(check_outside(&home, &at(outside)).is_ok(), "{outside}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(at("models"), at("mine/link")).unwrap();
            assert!(check_outside(&home, &at("mine/link/out")).is_err());
        }
    }
}
