//! Putting a run's model on the Hub.

use std::path::{Path, PathBuf};

use hub::{
    Transfer,
    access::Network,
    push::{self, CardFacts, Content, Upload},
};
use record::{Account, Pushed, RunStatus};

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
    let repo = hub::download::parse_repo(repo)?;
    let account = push::check_rights(network, &repo).await?;
    Ok((owned(&repo, &account), account))
}

fn owned(repo: &str, account: &Account) -> String {
    if repo.contains('/') { repo.to_owned() } else { format!("{}/{repo}", account.name) }
}

/// Pushes the model folder `folder` of a run, with a card written from it, in one commit. An adapter must have been
/// merged: what is pushed loads with Transformers as it is. The target is one that was [checked](PushTarget::checked).
pub async fn push(
    home: &Home,
    network: &Network,
    run: i64,
    folder: &Path,
    target: &PushTarget,
    transfer: &Transfer,
) -> Result<Pushed> {
    let found = home.store.run(run).await?;
    let repo = target.repo.clone();
    let settings = toml::to_string(&found.config).map_err(|error| Error::Settings(error.to_string()))?;
    let notices = home.store.notices(run).await?;
    let card = push::model_card(&CardFacts {
        repo: &repo,
        run: &found,
        base: found.origins.model.as_ref(),
        data: found.origins.data.as_ref(),
        notices: &notices,
        settings: &settings,
        version: env!("CARGO_PKG_VERSION"),
    });
    let mut uploads = files_of(folder)?;
    uploads.push(Upload { path: "README.md".to_owned(), content: Content::Text(card) });
    let summary = format!("MBTI Tuner: run {run}");
    let notes = home.run_folder(run).join("push");
    let done = push::push(network, &repo, target.private, uploads, &summary, &notes, transfer).await?;
    std::fs::remove_dir_all(&notes).ok();
    let pushed = Pushed { repo, commit: done.commit, page: done.page };
    home.store.set_pushed(run, &pushed).await?;
    Ok(pushed)
}

/// The files of a model folder but for its README, in whose place the card comes.
fn files_of(folder: &Path) -> Result<Vec<Upload>> {
    let failed = |source| Error::Read { path: folder.to_owned(), source };
    let mut uploads = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && name != "README.md" && !name.starts_with('.') {
            uploads.push(Upload { path: name, content: Content::File(path) });
        }
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
                transfer.or_stop(engine::merge_into(home, run, merged)).await??;
            }
            merged
        }
        None => &folder,
    };
    let pushed = push(home, &network, run, folder, &target, transfer).await?;
    pushed_is_kept(merge_into.as_deref());
    Ok(pushed)
}

/// Removes what was merged only to be pushed.
pub fn pushed_is_kept(merged: Option<&Path>) {
    // What cannot be removed goes with the run.
    merged.map(|merged| std::fs::remove_dir_all(merged).ok());
}
