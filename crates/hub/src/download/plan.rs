//! What a download would bring and cost, before it begins.

use record::{DownloadPlan, RemoteFile, RepoKind};

use super::{
    cache::RepoCache,
    choose::{DataWish, converted_files, data_files, model_files},
    files, head,
    listing::{Head, licence},
};
use crate::{
    access::Network,
    error::{Error, Needed, Result},
};

/// The branch in which the Hub keeps data sets that it has converted itself.
const CONVERTED: &str = "refs/convert/parquet";

/// What is needed of a model at a revision, or at its newest.
pub async fn plan_model(network: &Network, repo: &str, revision: Option<&str>) -> Result<DownloadPlan> {
    let head = head(network, RepoKind::Model, repo, revision).await?;
    let all = files(network, RepoKind::Model, repo, &head.commit).await?;
    let chosen = model_files(repo, &all)?;
    Ok(plan(network, RepoKind::Model, repo, &head, chosen))
}

/// What is needed of one split of a data set; where its own files are of no format that can be read, that of the
/// branch that the Hub has converted to Parquet.
pub async fn plan_data_set(
    network: &Network,
    repo: &str,
    revision: Option<&str>,
    wish: &DataWish<'_>,
) -> Result<DownloadPlan> {
    let kind = RepoKind::Dataset;
    let mut own = head(network, kind, repo, revision).await?;
    if revision.is_some() && own.card.is_null() {
        // A commit of the converted branch has no card; the repository's own says what holds of both.
        let newest = head(network, kind, repo, None).await?;
        (own.card, own.gated) = (newest.card, newest.gated);
    }
    let all = files(network, kind, repo, &own.commit).await?;
    let absent = |known: Vec<String>| Error::NoSplit {
        repo: repo.to_owned(),
        split: wish.split.to_owned(),
        known: known.join(", "),
    };
    let chosen = data_files(&all, &own.card, wish).map_err(absent)?;
    if !chosen.is_empty() {
        return Ok(plan(network, kind, repo, &own, chosen));
    }
    let nothing = || Error::NothingUsable { repo: repo.to_owned(), needed: Needed::Texts };
    let converted = match head(network, kind, repo, Some(CONVERTED)).await {
        Ok(converted) => converted,
        Err(Error::NoRevision { .. } | Error::NoRepo { .. }) => return Err(nothing()),
        Err(error) => return Err(error),
    };
    let all = files(network, kind, repo, &converted.commit).await?;
    let chosen = converted_files(&all, wish)
        .map_err(|known| if known.is_empty() { nothing() } else { absent(known) })?;
    // The branch has no card of its own.
    let head = Head { commit: converted.commit, ..own };
    Ok(plan(network, kind, repo, &head, chosen))
}

fn plan(network: &Network, kind: RepoKind, repo: &str, head: &Head, files: Vec<RemoteFile>) -> DownloadPlan {
    let cache = RepoCache::new(&network.cache, kind, repo);
    let here = |file: &RemoteFile| {
        let whole = std::fs::metadata(cache.blob(file)).map(|about| about.len());
        let part = || std::fs::metadata(cache.incomplete(file)).map(|about| about.len());
        whole.or_else(|_| part()).map_or(0, |bytes| i64::try_from(bytes).unwrap_or(0)).min(file.bytes)
    };
    DownloadPlan {
        kind,
        repo: repo.to_owned(),
        commit: head.commit.clone(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        bytes_here: files.iter().map(here).sum(),
        files,
        licence: licence(&head.card),
        gated: head.gated,
    }
}
