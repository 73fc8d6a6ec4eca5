//! Clearing a home of what processes have left that ended in the middle: what was being made, what was being removed,
//! what was in its place before its record was certain. Nothing else is ever touched: a folder that a user has put
//! beside ours stays, whether a record names it or not.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use store::{HomeLock, Part};

use crate::{
    Home,
    error::Result,
    locks,
    making::{self, NEW, PLACING},
    names,
    removing::{destroy, free_name, removed_name},
};

/// A file beside its place that is this old is nobody's any more: to write one takes moments.
const OLD: Duration = Duration::from_secs(60 * 60);

/// Clears the home, unless somebody does something to it just now; then the next opening does.
pub(crate) async fn clear(home: &Home) -> Result<()> {
    let Some(alone) = HomeLock::try_exclusive(&home.folder)? else { return Ok(()) };
    let mut rest = Vec::new();
    for part in Part::ALL {
        clear_part(home, part, &mut rest).await?;
    }
    clear_files(&home.folder);
    // What takes long is done with the lock released: all that is left has a name by which it goes.
    drop(alone);
    for folder in rest {
        destroy(&folder).ok();
    }
    Ok(())
}

async fn clear_part(home: &Home, part: Part, rest: &mut Vec<PathBuf>) -> Result<()> {
    let parent = home.folder.join(part.folder());
    // Where the user has put a part elsewhere by a link, what lies there may be something else's as well.
    if !is_folder(&parent) {
        return Ok(());
    }
    let known: BTreeSet<String> = home.store.names(part).await?.into_iter().collect();
    clear_files(&parent);
    for name in names_in(&parent) {
        let folder = parent.join(&name);
        // What is no text is no name of ours.
        let Some(name) = name.to_str().filter(|_| is_folder(&folder)) else { continue };
        if name.starts_with(files::REMOVED) {
            if let Some(name) = removed_name(name) {
                if known.contains(name) && parent.join(name).symlink_metadata().is_err() {
                    home.store.forget(part, name).await?;
                } else if !may_be_named(part, name) {
                    continue;
                }
                rest.push(folder);
            } else if is_emptied(&folder, name) {
                rest.push(folder);
            }
        } else if name.starts_with(NEW) {
            if making::is_made_name(name) && making::is_left(&folder) && set_aside(&folder, rest) {
                std::fs::remove_file(making::lock_of(&folder)).ok();
            }
        } else if making::has_mark(&folder) {
            if known.contains(name) {
                std::fs::remove_file(folder.join(PLACING)).ok();
            } else {
                set_aside(&folder, rest);
            }
        } else if let Some(run) = name.parse::<i64>().ok().filter(|_| part == Part::Runs) {
            clear_run(home, run, &folder, rest);
        }
    }
    // A lock whose folder is in its place or gone.
    for name in names_in(&parent) {
        let name = name.to_string_lossy();
        if let Some(folder) = name.strip_suffix(making::LOCK).filter(|name| making::is_made_name(name)) {
            let folder = parent.join(folder);
            if folder.symlink_metadata().is_err() && making::is_left(&folder) {
                std::fs::remove_file(making::lock_of(&folder)).ok();
            }
        }
    }
    Ok(())
}

/// Whether a folder in this part can have had this name, or none, as a part of something has.
fn may_be_named(part: Part, name: &str) -> bool {
    name.is_empty()
        || match part {
            Part::Runs => name.parse::<i64>().is_ok(),
            Part::DataSets | Part::Models => names::check(name).is_ok(),
        }
}

/// Whether this is a folder in which [`files::remove_folder`] has put what it was removing.
fn is_emptied(folder: &Path, name: &str) -> bool {
    name.strip_prefix(files::REMOVED).is_some_and(making::is_random)
        && names_in(folder).iter().all(|name| name == "it")
}

/// What an engine has left in a run's folder: models and checkpoints that are not whole.
fn clear_run(home: &Home, run: i64, folder: &Path, rest: &mut Vec<PathBuf>) {
    let checkpoints = folder.join("checkpoints");
    let beside = ["model", "merged-to-push"];
    let mut left: Vec<PathBuf> = beside
        .iter()
        .flat_map(|name| [".new", ".old"].map(|end| folder.join(format!("{name}{end}"))))
        .collect();
    left.retain(|path| is_folder(path));
    let is_half = |name: &OsString| {
        let step = name.to_str().and_then(|name| name.strip_prefix("step-")?.strip_suffix(".new"));
        step.is_some_and(|step| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if is_folder(&checkpoints) {
        let halves = names_in(&checkpoints).into_iter().filter(is_half).map(|name| checkpoints.join(name));
        left.extend(halves.filter(|path| is_folder(path)));
    }
    if left.is_empty() {
        return;
    }
    // An engine that is at work has it in hand.
    let Ok(Some(_engine)) = locks::lock(home, run) else { return };
    for path in left {
        let place = path.with_extension("");
        if path.extension().is_some_and(|end| end == "old") && !place.exists() {
            // Its successor did not come into its place.
            std::fs::rename(&path, &place).ok();
            continue;
        }
        let removed = free_name(&home.folder.join(Part::Runs.folder()), "");
        if std::fs::rename(&path, &removed).is_ok() {
            rest.push(removed);
        }
    }
}

/// Gives a folder a name by which it goes.
fn set_aside(folder: &Path, rest: &mut Vec<PathBuf>) -> bool {
    let parent = folder.parent().unwrap_or(Path::new("."));
    let removed = free_name(parent, "");
    let done = std::fs::rename(folder, &removed).is_ok();
    if done {
        rest.push(removed);
    }
    done
}

/// Files that were being written beside their places.
fn clear_files(folder: &Path) {
    for name in names_in(folder) {
        let path = folder.join(&name);
        let name = name.to_string_lossy();
        let is_ours = name.strip_suffix(".part").is_some_and(making::is_made_name);
        let about = path.symlink_metadata().ok().filter(|about| is_ours && about.is_file());
        let age = about.and_then(|about| about.modified().ok()).and_then(|made| made.elapsed().ok());
        if age.is_some_and(|age| age > OLD) {
            std::fs::remove_file(path).ok();
        }
    }
}

fn names_in(folder: &Path) -> Vec<OsString> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
}

/// Whether there is a folder, and no link to one.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.is_dir())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{data_sets, home::empty_home, making::begin};

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            names_in(folder).into_iter().map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn fill(folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("examples.parquet"), "half").unwrap();
    }

    #[tokio::test]
    async fn what_processes_left_goes_and_what_is_alive_or_the_users_stays() {
        let (_folder, home) = empty_home().await;
        data_sets::import_sample(&home).await.unwrap();
        let parent = home.data_set_folder("");
        std::fs::create_dir(parent.join(".new-Left01")).unwrap();
        fill(&parent.join(".new-Locked"));
        for lock in [".new-Locked.lock", ".new-Alone1.lock"] {
            std::fs::write(parent.join(lock), "").unwrap();
        }
        fill(&parent.join(".removed-AbC123/it"));
        fill(&parent.join(".removed-3-posts"));
        fill(&parent.join("orphan"));
        std::fs::write(parent.join("orphan").join(PLACING), "").unwrap();
        std::fs::write(parent.join(data_sets::SAMPLE_NAME).join(PLACING), "").unwrap();
        fill(&parent.join("the-users-own"));
        std::fs::write(parent.join("the-users-own/about.json"), "{}").unwrap();
        let making = begin(&parent, "posts").unwrap();
        fill(&making.folder);
        let alive = making.folder.file_name().unwrap().to_str().unwrap().to_owned();
        Home::open(&home.folder).await.unwrap();
        let mut expected = vec![alive.clone(), format!("{alive}.lock")];
        expected.extend([data_sets::SAMPLE_NAME, "the-users-own"].map(str::to_owned));
        assert_eq!(names(&parent), expected);
        assert!(!parent.join(data_sets::SAMPLE_NAME).join(PLACING).exists());
        assert!(making.folder.join("examples.parquet").exists());
    }

    #[tokio::test]
    async fn folders_of_the_users_own_stay_also_under_names_that_begin_as_ours() {
        let (_folder, home) = empty_home().await;
        let parent = home.data_set_folder("");
        let own = [
            ".new-Left01",
            ".new-year",
            ".new-holidays",
            ".removed-AbC123",
            ".removed-letters",
            ".removed-x-y",
            ".removed-02-posts",
        ];
        own.iter().for_each(|name| fill(&parent.join(name)));
        std::fs::write(parent.join(".new-holidays.lock"), "").unwrap();
        let mut before = names(&parent);
        Home::open(&home.folder).await.unwrap();
        assert_eq!(names(&parent), before);
        // A run's folder has a number.
        fill(&home.folder.join("runs/.removed-0-posts"));
        Home::open(&home.folder).await.unwrap();
        before = names(&home.folder.join("runs"));
        assert_eq!(before, [".removed-0-posts"]);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn nothing_is_cleared_through_a_link() {
        let disk = tempfile::tempdir().unwrap();
        let at = |name: &str| disk.path().join(name);
        let left = [".removed-0-posts", ".removed-AbC123/it", ".new-Locked", "step-00000002.new"];
        left.iter().for_each(|name| fill(&at(name)));
        std::fs::write(at(".new-Locked.lock"), "").unwrap();
        let before = names(disk.path());
        for part in Part::ALL {
            let (_folder, home) = empty_home().await;
            let place = home.folder.join(part.folder());
            std::fs::remove_dir_all(&place).unwrap();
            std::os::unix::fs::symlink(disk.path(), &place).unwrap();
            let words = at("words");
            Home::open(&home.folder).await.unwrap();
            std::fs::remove_dir_all(words).ok();
            assert_eq!(names(disk.path()), before, "{}", part.folder());
        }
        let (_folder, home) = empty_home().await;
        std::fs::create_dir(home.folder.join("runs/1")).unwrap();
        std::os::unix::fs::symlink(disk.path(), home.folder.join("runs/1/checkpoints")).unwrap();
        Home::open(&home.folder).await.unwrap();
        assert_eq!(names(disk.path()), before);
    }

    #[tokio::test]
    async fn a_removal_that_was_begun_is_ended_at_the_next_opening() {
        let (_folder, home) = empty_home().await;
        data_sets::import_sample(&home).await.unwrap();
        let place = home.data_set_folder(data_sets::SAMPLE_NAME);
        let removed = free_name(&home.data_set_folder(""), data_sets::SAMPLE_NAME);
        std::fs::rename(&place, &removed).unwrap();
        let home = Home::open(&home.folder).await.unwrap();
        assert_eq!(home.store.data_sets().await.unwrap(), []);
        assert_eq!(names(&home.data_set_folder("")), [""; 0]);

        // One of the same name that came since has nothing to do with it.
        data_sets::import_sample(&home).await.unwrap();
        fill(&removed);
        let home = Home::open(&home.folder).await.unwrap();
        assert_eq!(home.store.data_sets().await.unwrap().len(), 1);
        assert_eq!(names(&home.data_set_folder("")), [data_sets::SAMPLE_NAME]);
    }

    #[tokio::test]
    async fn nothing_is_cleared_while_somebody_places() {
        let (_folder, home) = empty_home().await;
        let parent = home.data_set_folder("");
        let making = begin(&parent, "posts").unwrap();
        let placing = making.placing(&home).unwrap();
        placing.put().unwrap();
        // Its record is not there yet.
        Home::open(&home.folder).await.unwrap();
        assert!(parent.join("posts").join(PLACING).exists());
        placing.take_back();
        drop(making);
        assert_eq!(names(&parent), [""; 0]);
    }

    #[tokio::test]
    async fn an_engine_that_ended_leaves_no_half_models_and_one_at_work_keeps_its_own() {
        let (_folder, home) = empty_home().await;
        data_sets::import_sample(&home).await.unwrap();
        let config = crate::runs::default_config(&home).await.unwrap();
        let (alive, dead) = (
            crate::runs::create(&home, &config).await.unwrap(),
            crate::runs::create(&home, &config).await.unwrap(),
        );
        for run in [alive, dead] {
            fill(&home.run_folder(run).join("model.new"));
            fill(&home.run_folder(run).join("checkpoints/step-00000002.new"));
            fill(&home.run_folder(run).join("checkpoints/step-00000001"));
        }
        fill(&home.run_folder(dead).join("model.old"));
        let engine = locks::lock(&home, alive).unwrap().unwrap();
        Home::open(&home.folder).await.unwrap();
        assert_eq!(names(&home.run_folder(alive)), ["checkpoints", "engine.lock", "model.new"]);
        assert_eq!(names(&home.run_folder(alive).join("checkpoints")).len(), 2);
        assert_eq!(names(&home.run_folder(dead)), ["checkpoints", "engine.lock", "model"]);
        assert_eq!(names(&home.run_folder(dead).join("checkpoints")), ["step-00000001"]);
        assert_eq!(names(&home.folder.join("runs")).len(), 2);
        drop(engine);
    }
}
