//! What a download would bring and cost, before it begins.

use record::{DownloadPlan, RemoteFile, RepoKind};

use super::{
    cache::RepoCache,
    choose::{DataWish, absent, converted_files, data_files, model_files},
    files, head,
    listing::{Head, is_commit, licence},
    repo::CONVERTED,
};
use crate::{
    access::Network,
    error::{Error, Needed, Result},
    folder::quantized,
    shown::shown,
};

/// What is needed of a model at a revision, or at its newest.
pub async fn plan_model(network: &Network, repo: &str, revision: Option<&str>) -> Result<DownloadPlan> {
    network.question(model(network, repo, revision)).await
}

async fn model(network: &Network, repo: &str, revision: Option<&str>) -> Result<DownloadPlan> {
    let head = head(network, RepoKind::Model, repo, revision).await?;
    if let Some(error) = quantized::refused(repo.to_owned(), &head.config, &head.card) {
        return Err(error);
    }
    let all = files(network, RepoKind::Model, repo, &head.commit).await?;
    let chosen = model_files(repo, &all)?;
    plan(network, RepoKind::Model, repo, revision, &head, chosen)
}

/// What is needed of one split of a data set; where its own files are of no format that can be read, that of the
/// branch that the Hub has converted to Parquet.
pub async fn plan_data_set(
    network: &Network,
    repo: &str,
    revision: Option<&str>,
    wish: &DataWish<'_>,
) -> Result<DownloadPlan> {
    network.question(data_set(network, repo, revision, wish)).await
}

async fn data_set(
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
    let absent = |known: Vec<String>| absent(repo, wish, &known);
    let chosen = data_files(&all, &own.card, wish).map_err(absent)?;
    if !chosen.is_empty() {
        return plan(network, kind, repo, revision, &own, chosen);
    }
    let nothing = || Error::NothingUsable { repo: repo.to_owned(), needed: Needed::Texts };
    let converted = match head(network, kind, repo, Some(CONVERTED)).await {
        Ok(converted) => converted,
        Err(Error::NoRevision { .. } | Error::NoRepo { .. }) => return Err(nothing()),
        Err(error) => return Err(error),
    };
    let all = files(network, kind, repo, &converted.commit).await?;
    let chosen = converted_files(&all, wish).map_err(absent)?;
    // The branch has no card of its own.
    let head = Head { commit: converted.commit, ..own };
    plan(network, kind, repo, Some(CONVERTED), &head, chosen)
}

fn plan(
    network: &Network,
    kind: RepoKind,
    repo: &str,
    revision: Option<&str>,
    head: &Head,
    files: Vec<RemoteFile>,
) -> Result<DownloadPlan> {
    let cache = RepoCache::new(&network.cache, kind, repo);
    let here = |file: &RemoteFile| {
        let whole = std::fs::metadata(cache.blob(file)).map(|about| about.len());
        let part = || std::fs::metadata(cache.incomplete(file)).map(|about| about.len());
        whole.or_else(|_| part()).map_or(0, |bytes| i64::try_from(bytes).unwrap_or(0)).min(file.bytes)
    };
    let revision = revision.unwrap_or("main");
    Ok(DownloadPlan {
        kind,
        repo: repo.to_owned(),
        revision: Some(revision.to_owned()).filter(|revision| !is_commit(revision)),
        renamed: head.renamed.clone(),
        commit: head.commit.clone(),
        bytes: sum(network, repo, &files)?,
        // No more than the sum before.
        bytes_here: files.iter().map(here).sum(),
        files,
        licence: licence(&head.card),
        gated: head.gated,
    })
}

/// How many bytes files have together, where that is a number at all.
pub(super) fn sum(network: &Network, repo: &str, files: &[RemoteFile]) -> Result<i64> {
    files.iter().try_fold(0, |sum: i64, file| {
        let sum = (file.bytes >= 0).then(|| sum.checked_add(file.bytes)).flatten();
        sum.ok_or_else(|| Error::BadAnswer {
            host: network.host(),
            reason: format!("the files of {repo} cannot be as large as it says, up to {}", shown(&file.path)),
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sizes_whose_sum_is_no_number_are_refused_by_name() {
        let network = crate::access::connect(&record::HubSettings::default(), &|_| None, None).unwrap();
        let files = |sizes: &[i64]| -> Vec<RemoteFile> {
            let file = |(number, bytes): (usize, &i64)| {
                let path = format!("{number}.bin");
                RemoteFile { path, bytes: *bytes, hash: "0".repeat(40), lfs: false }
            };
            sizes.iter().enumerate().map(file).collect()
        };
        assert_eq!(sum(&network, "a/b", &files(&[1, 0, 2])).unwrap(), 3);
        for sizes in [&[i64::MAX, i64::MAX][..], &[5, i64::MAX], &[5, -1], &[i64::MIN, i64::MIN]] {
            let error = sum(&network, "a/b", &files(sizes)).unwrap_err().to_string();
            assert!(error.contains("a/b") && error.contains("1.bin") || error.contains("0.bin"), "{error}");
        }
    }
}
