//! Models and data sets from the Hub: what they would cost, fetching them, and taking them in.

use std::path::{Path, PathBuf};

use data::{ImportOptions, ImportProgress};
pub use hub::catalogue;
use hub::{
    Transfer,
    access::Network,
    download::{self, DataWish},
};
use record::{DownloadPlan, FoundRepo, ImportReport, Model, Origin, RepoKind, bad_setting};

use crate::{Error, Home, account, data_sets, error::Result, models};

/// Longer than the name of any repository, in bytes.
const LONGEST_SEARCH: usize = 500;

/// Repositories found by name.
pub async fn search(home: &Home, kind: RepoKind, words: &str) -> Result<Vec<FoundRepo>> {
    if words.len() > LONGEST_SEARCH {
        return Err(Error::Problem(bad_setting("words", words, "at most 500 bytes")));
    }
    Ok(download::search(&account::network(home)?, kind, words).await?)
}

/// What a model would cost to fetch.
pub async fn plan_model(home: &Home, repo: &str, revision: Option<&str>) -> Result<DownloadPlan> {
    let network = account::network(home)?;
    let repo = download::parse_repo_at(&network, RepoKind::Model, repo)?;
    Ok(download::plan_model(&network, &repo, revision).await?)
}

/// The name that a model or a data set has here unless another is given: the repository's own.
fn own_name(repo: &str) -> String {
    repo.rsplit('/').next().unwrap_or(repo).to_owned()
}

/// Fetches a model and takes it in. `told` hears what will be fetched before it is; `look` sees the folder before it is
/// copied, and may refuse it.
pub async fn add_model(
    home: &Home,
    repo: &str,
    revision: Option<&str>,
    name: Option<&str>,
    transfer: &Transfer,
    told: impl FnOnce(&DownloadPlan),
    look: impl FnOnce(&Path) -> Result<()>,
) -> Result<Model> {
    let network = account::network(home)?;
    let repo = download::parse_repo_at(&network, RepoKind::Model, repo)?;
    let name = name.map_or_else(|| own_name(&repo), str::to_owned);
    // A name that is taken is told before gigabytes are fetched.
    models::is_free(home, &name).await?;
    let (folder, origin) = model_folder(&network, &repo, revision, transfer, told).await?;
    goes_on(transfer).await?;
    let found = models::checked(&folder)?;
    look(&found.folder)?;
    models::take_in(home, (&folder, &found), &name, Some(origin), transfer).await
}

async fn model_folder(
    network: &Network,
    repo: &str,
    revision: Option<&str>,
    transfer: &Transfer,
    told: impl FnOnce(&DownloadPlan),
) -> Result<(PathBuf, Origin)> {
    if network.access().offline {
        return Ok(offline(network, repo, revision)?);
    }
    let plan = transfer.or_stop(download::plan_model(network, repo, revision)).await??;
    told(&plan);
    // The home's copy needs as much room again where it lies on the same disk.
    let folder = download::fetch(network, &plan, transfer, plan.bytes).await?;
    Ok((folder, origin_of(&plan, network)))
}

/// Fails where the work is to be stopped.
async fn goes_on(transfer: &Transfer) -> Result<()> {
    // Not ready at the first look, at which a wish to stop is.
    Ok(transfer.or_stop(tokio::task::yield_now()).await?)
}

fn offline(
    network: &Network,
    repo: &str,
    revision: Option<&str>,
) -> std::result::Result<(PathBuf, Origin), hub::Error> {
    let found = download::snapshot_offline(&network.cache, RepoKind::Model, repo, revision);
    let (commit, folder) = found.ok_or_else(|| hub::Error::Offline { what: repo.to_owned() })?;
    let endpoint = network.other_endpoint();
    Ok((folder, Origin { endpoint, repo: repo.to_owned(), commit, licence: None }))
}

fn origin_of(plan: &DownloadPlan, network: &Network) -> Origin {
    Origin {
        endpoint: network.other_endpoint(),
        repo: plan.renamed.as_ref().unwrap_or(&plan.repo).clone(),
        commit: plan.commit.clone(),
        licence: plan.licence.clone(),
    }
}

/// Which part of a data set on the Hub is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubData {
    pub repo: String,
    pub revision: Option<String>,
    pub config: Option<String>,
    /// Without one, `train`.
    pub split: Option<String>,
}

impl HubData {
    fn wish<'a>(&'a self, endings: &'a [&'a str]) -> DataWish<'a> {
        let split = self.split.as_deref().unwrap_or("train");
        DataWish { config: self.config.as_deref(), split, endings }
    }
}

/// What a data set would cost to fetch.
pub async fn plan_data_set(home: &Home, wanted: &HubData) -> Result<DownloadPlan> {
    let network = account::network(home)?;
    let repo = download::parse_repo_at(&network, RepoKind::Dataset, &wanted.repo)?;
    plan_data(&network, &repo, wanted).await
}

async fn plan_data(network: &Network, repo: &str, wanted: &HubData) -> Result<DownloadPlan> {
    let endings = data::endings();
    let endings: Vec<&str> = endings.iter().map(String::as_str).collect();
    Ok(download::plan_data_set(network, repo, wanted.revision.as_deref(), &wanted.wish(&endings)).await?)
}

/// Fetches the files of a data set: where they lie, and where they are from. `told` hears what will be fetched before
/// it is.
pub async fn fetch_data_set(
    home: &Home,
    wanted: &HubData,
    transfer: &Transfer,
    told: impl FnOnce(&DownloadPlan),
) -> Result<Fetched> {
    let network = account::network(home)?;
    let repo = download::parse_repo_at(&network, RepoKind::Dataset, &wanted.repo)?;
    let endings = data::endings();
    let endings: Vec<&str> = endings.iter().map(String::as_str).collect();
    let (revision, wish) = (wanted.revision.as_deref(), wanted.wish(&endings));
    if network.access().offline {
        let found = download::data_set_offline(&network.cache, &repo, revision, &wish)?;
        let endpoint = network.other_endpoint();
        let origin = Origin { endpoint, repo, commit: found.commit, licence: found.licence };
        return Ok(Fetched { files: found.files, origin });
    }
    let plan = transfer.or_stop(plan_data(&network, &repo, wanted)).await??;
    told(&plan);
    // The import makes a copy, of a few tenths of the size.
    let folder = download::fetch(&network, &plan, transfer, plan.bytes / 2).await?;
    download::remember_choice(&network.cache, &plan, &wish);
    let files = plan.files.iter().map(|file| folder.join(&file.path)).collect();
    Ok(Fetched { files, origin: origin_of(&plan, &network) })
}

/// Files that lie in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    pub files: Vec<PathBuf>,
    pub origin: Origin,
}

/// Takes a fetched data set in; without a name, under the repository's, with the split where it is not `train`.
pub async fn import(
    home: &Home,
    wanted: &HubData,
    fetched: &Fetched,
    name: Option<&str>,
    options: &ImportOptions,
    progress: impl FnMut(ImportProgress) -> bool,
) -> Result<ImportReport> {
    let name = name.map_or_else(|| data_name(wanted, &fetched.origin.repo), str::to_owned);
    let Origin { repo, commit, .. } = &fetched.origin;
    let split = wanted.split.as_deref().unwrap_or("train");
    let source = format!("hf://datasets/{repo}@{commit}/{split}");
    data_sets::import_fetched(
        home,
        &fetched.files,
        &name,
        (source, fetched.origin.clone()),
        options,
        progress,
    )
    .await
}

fn data_name(wanted: &HubData, repo: &str) -> String {
    let own = own_name(repo);
    match wanted.split.as_deref() {
        None | Some("train") => own,
        Some(split) => format!("{own}-{split}"),
    }
}

/// Refuses a name that is taken before anything is fetched.
pub async fn name_is_free(home: &Home, wanted: &HubData, name: Option<&str>) -> Result<()> {
    let repo = download::parse_repo(&wanted.repo)?;
    let name = name.map_or_else(|| data_name(wanted, &repo), str::to_owned);
    data_sets::is_free(home, &name).await
}

/// Whether what a user has given is a path of this machine or the name of a repository: what is there is a path, and
/// so is what can be nothing else.
pub fn is_repo(given: &Path) -> bool {
    let text = given.to_string_lossy();
    let only_path = given.exists() || given.is_absolute() || text.starts_with('.') || text.contains('\\');
    !only_path
        && (text.contains("://") || text.split('/').count() == 2)
        && download::parse_repo(&text).is_ok()
}
