//! Putting a run's model on the Hub.

use std::path::{Path, PathBuf};

use hub::{
    Transfer,
    access::Network,
    push::{self, CardFacts, Content, Upload},
};
use record::{Account, PushFile, PushPlan, Pushed, RepoKind, Run, RunStatus};

use crate::{Error, Home, account, engine, error::Result, runs};

/// What a push goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushTarget {
    /// `user/name`.
    pub repo: String,
    /// Whether a repository that is made for it is for its owner's eyes only.
    pub private: bool,
}

impl PushTarget {
    /// The same with its owner, once it is known that one may push there.
    pub async fn checked(&self, network: &Network) -> Result<PushTarget> {
        let (repo, _) = check_rights(network, &self.repo).await?;
        Ok(PushTarget { repo, private: self.private })
    }
}

/// Finds out whether one may push, before anything is trained. A name without an owner is put under the account's own.
pub async fn check_rights(network: &Network, repo: &str) -> Result<(String, Account)> {
    let repo = hub::download::parse_repo_at(network, RepoKind::Model, repo)?;
    let account = push::check_rights(network, &repo).await?;
    Ok((owned(&repo, &account, network)?, account))
}

/// The name with its owner. The account's own name is what the other side says that it is.
fn owned(repo: &str, account: &Account, network: &Network) -> Result<String> {
    let repo = if repo.contains('/') { repo.to_owned() } else { format!("{}/{repo}", account.name) };
    match record::is_repo_name(&repo) {
        true => Ok(repo),
        false => {
            let reason = format!(
                "by the name of the account that it tells, \"{}\", the push would go to {repo}",
                account.name
            );
            Err(hub::Error::BadAnswer { host: network.host(), reason }.into())
        }
    }
}

/// Pushes the model folder `folder` of a run, with a card written from it, in one commit. An adapter must have been
/// merged: what is pushed loads with Transformers as it is. The target is one that was [checked](PushTarget::checked).
/// `told` hears what will be sent before the first byte goes.
pub async fn push(
    home: &Home,
    network: &Network,
    run: i64,
    folder: &Path,
    target: &PushTarget,
    transfer: &Transfer,
    told: impl FnOnce(&PushPlan),
) -> Result<Pushed> {
    let found = home.store.run(run).await?;
    let repo = target.repo.clone();
    let mut uploads = files_of(folder)?;
    uploads.push(card(home, &found, &repo).await?);
    told(&PushPlan { repo: repo.clone(), files: uploads.iter().map(planned).collect::<Result<_>>()? });
    let summary = format!("MBTI Tuner: run {run}");
    let notes = home.run_folder(run).join("push");
    let done = push::push(network, &repo, target.private, uploads, &summary, &notes, transfer).await?;
    std::fs::remove_dir_all(&notes).ok();
    let pushed = Pushed { repo, commit: done.commit, page: done.page };
    home.store.set_pushed(run, &pushed).await?;
    Ok(pushed)
}

/// What a push would send, without sending or merging anything. The Hub is asked for no more than the owner of a name
/// that has none.
pub async fn plan(home: &Home, network: &Network, run: i64, repo: &str) -> Result<PushPlan> {
    let repo = hub::download::parse_repo_at(network, RepoKind::Model, repo)?;
    let repo = match repo.contains('/') {
        true => repo,
        false => check_rights(network, &repo).await?.0,
    };
    let found = home.store.run(run).await?;
    let Pushable { folder, merge_into } = pushable(home, run).await?;
    let mut files = match merge_into {
        Some(merged) if !merged.exists() => merged_files(home, &found, &folder).await?,
        merged => files_of(&merged.unwrap_or(folder))?.iter().map(planned).collect::<Result<_>>()?,
    };
    files.push(planned(&card(home, &found, &repo).await?)?);
    Ok(PushPlan { repo, files })
}

/// The same for the window, with the account that it has.
pub async fn plan_run(home: &Home, run: i64, repo: &str) -> Result<PushPlan> {
    plan(home, &account::network(home)?, run, repo).await
}

fn planned(upload: &Upload) -> Result<PushFile> {
    let bytes = match &upload.content {
        Content::Text(text) => text.len() as u64,
        Content::File(path) => {
            path.metadata().map_err(|source| Error::Read { path: path.clone(), source })?.len()
        }
    };
    Ok(PushFile { path: upload.path.clone(), bytes: i64::try_from(bytes).ok() })
}

/// What a model will consist of that is merged from a run's adapter and its base.
async fn merged_files(home: &Home, run: &Run, adapter: &Path) -> Result<Vec<PushFile>> {
    let base = home.models_folder().join(&home.store.model(&run.config.model).await?.name);
    let mut files: Vec<PushFile> = ["config.json", "model.safetensors"]
        .map(|name| PushFile { path: name.to_owned(), bytes: None })
        .into();
    for name in hub::companions() {
        let found = [adapter, &base].map(|folder| folder.join(name)).into_iter().find(|path| path.is_file());
        if let Some(path) = found {
            files.push(planned(&Upload { path: name.to_owned(), content: Content::File(path) })?);
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The card of a run's model.
async fn card(home: &Home, run: &Run, repo: &str) -> Result<Upload> {
    let settings = toml::to_string(&run.config).map_err(|error| Error::Settings(error.to_string()))?;
    let notices = home.store.notices(run.id).await?;
    let card = push::model_card(&CardFacts {
        repo,
        run,
        base: run.origins.model.as_ref(),
        data: run.origins.data.as_ref(),
        notices: &notices,
        settings: &settings,
        version: env!("CARGO_PKG_VERSION"),
    });
    Ok(Upload { path: "README.md".to_owned(), content: Content::Text(card) })
}

/// The files of a model folder but for its README, in whose place the card comes. This program has written all of
/// them, so that a link or a pipe among them is somebody else's, and nothing is sent.
fn files_of(folder: &Path) -> Result<Vec<Upload>> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let mut uploads = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "README.md" || name.starts_with('.') || kind.is_dir() {
            continue;
        }
        if !kind.is_file() {
            let reason = "a push sends the model's own files, and this is a link, a pipe or a device";
            let reason = std::io::Error::new(std::io::ErrorKind::InvalidInput, reason);
            return Err(hub::Error::NotAFile { path, reason }.into());
        }
        uploads.push(Upload { path: name, content: Content::File(path) });
    }
    uploads.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(uploads)
}

/// What is to be pushed of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushable {
    pub folder: PathBuf,
    /// The new folder into which an adapter is to be merged first. It stays until the push has succeeded, so that what
    /// was uploaded of it is not uploaded again.
    pub merge_into: Option<PathBuf>,
}

/// The model of a run that has ended, unless it is the bag of words, which is no model for the Hub.
pub async fn pushable(home: &Home, run: i64) -> Result<Pushable> {
    let found = home.store.run(run).await?;
    if found.config.model.eq_ignore_ascii_case(hub::WORDS) {
        return Err(Error::NotForTheHub { run });
    }
    if !matches!(found.status, RunStatus::Finished | RunStatus::Stopped) {
        return Err(Error::RunHasNoModel { run, status: found.status.name() });
    }
    let (_, folder) = runs::model_folder(home, Some(run)).await?;
    let merge_into = runs::has_adapter(&found).then(|| home.run_folder(run).join("merged-to-push"));
    Ok(Pushable { folder, merge_into })
}

/// Pushes a run's model from the window: an adapter is merged by an engine first.
pub async fn push_run(home: &Home, run: i64, target: &PushTarget, transfer: &Transfer) -> Result<Pushed> {
    let network = account::network(home)?;
    // Before gigabytes are merged.
    let target = target.checked(&network).await?;
    let Pushable { folder, merge_into } = pushable(home, run).await?;
    let folder = match &merge_into {
        Some(merged) => {
            if !merged.exists() {
                let merging = transfer.or_stop(engine::merge_into(home, run, merged)).await;
                merging.map_err(|_| hub::Error::PushStopped)??;
            }
            merged
        }
        None => &folder,
    };
    let pushed = push(home, &network, run, folder, &target, transfer, |_| ()).await?;
    pushed_is_kept(merge_into.as_deref());
    Ok(pushed)
}

/// Removes what was merged only to be pushed.
pub fn pushed_is_kept(merged: Option<&Path>) {
    // What cannot be removed goes with the run.
    merged.map(|merged| std::fs::remove_dir_all(merged).ok());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_in_a_runs_model_is_named_and_nothing_is_sent() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("model.safetensors"), "12345").unwrap();
        std::fs::write(folder.path().join("README.md"), "the card comes in its place").unwrap();
        std::fs::create_dir(folder.path().join("more")).unwrap();
        let files: Vec<PushFile> =
            files_of(folder.path()).unwrap().iter().map(|file| planned(file).unwrap()).collect();
        assert_eq!(files, [PushFile { path: "model.safetensors".to_owned(), bytes: Some(5) }]);
        for target in ["/proc/self/environ", "model.safetensors"] {
            let link = folder.path().join("LICENSE");
            std::os::unix::fs::symlink(target, &link).unwrap();
            let error = files_of(folder.path()).unwrap_err();
            assert!(error.to_string().contains("LICENSE is not taken"), "{error}");
            std::fs::remove_file(link).unwrap();
        }
    }
}
