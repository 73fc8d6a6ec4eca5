//! Paths in the history are told from the home, so that a home can be moved or copied and reads nothing of another.

use std::path::{Component, Path, PathBuf};

use record::{Model, Run};

use crate::Store;

impl Store {
    /// A path as it is written down: from the home where it lies in it, with `/` between on every system.
    pub(crate) fn told(&self, path: &Path) -> String {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let home = std::path::absolute(&self.home).unwrap_or_else(|_| self.home.clone());
        match absolute.strip_prefix(&home) {
            Ok(inner) => {
                let names: Vec<_> =
                    inner.components().map(|name| name.as_os_str().to_string_lossy()).collect();
                names.join("/")
            }
            Err(_) => absolute.to_string_lossy().into_owned(),
        }
    }

    /// Where a path leads that was written down. Older versions wrote it down from the root: what was in the home then,
    /// as its last names show, is in this home now, wherever that lies.
    fn found(&self, told: &str, part: &str, name: &str) -> PathBuf {
        let path = Path::new(told);
        // What we write down has no backslash; what an older version has written on another system may.
        if path.is_relative()
            && !told.contains('\\')
            && path.components().all(|one| matches!(one, Component::Normal(_)))
        {
            return self.home.join(path);
        }
        // Of another system, its separators may be other ones.
        let names: Vec<&str> = told.split(['/', '\\']).filter(|one| !one.is_empty()).collect();
        let is_here = |pair: &[&str]| pair[0] == part && pair[1].eq_ignore_ascii_case(name);
        match names.windows(2).rposition(is_here) {
            Some(place) => names[place..].iter().fold(self.home.clone(), |path, one| path.join(one)),
            None => path.to_owned(),
        }
    }

    /// A model whose folder is told from the root.
    pub(crate) fn model_in_place(&self, mut model: Model) -> Model {
        model.folder = self.found(&model.folder, "models", &model.name).display().to_string();
        model
    }

    /// A run whose model's folder is told from the root.
    pub(crate) fn run_in_place(&self, mut run: Run) -> Run {
        let folder = run.model_folder.take();
        run.model_folder =
            folder.map(|told| self.found(&told, "runs", &run.id.to_string()).display().to_string());
        run
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn paths_are_told_from_the_home_and_older_ones_are_found_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("history.sqlite")).await.unwrap();
        let inner = folder.path().join("runs/3/model");
        assert_eq!(store.told(&inner), "runs/3/model");
        assert_eq!(store.told(Path::new("/elsewhere/model")), "/elsewhere/model");
        for told in
            ["runs/3/model", "/old/home/runs/3/model", "C:\\Users\\a\\runs\\3\\model", "/runs/9/runs/3/model"]
        {
            assert_eq!(store.found(told, "runs", "3"), inner, "{told}");
        }
        let step = "/old/runs/3/checkpoints/step-00000004/model";
        assert_eq!(store.found(step, "runs", "3"), folder.path().join(&step["/old/".len()..]));
        assert_eq!(store.found("/old/models/Tiny", "models", "tiny"), folder.path().join("models/Tiny"));
        for other in ["/old/runs/4/model", "/elsewhere", "../other/models/x"] {
            assert_eq!(store.found(other, "runs", "3"), Path::new(other), "{other}");
        }
    }
}
