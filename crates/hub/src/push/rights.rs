//! Whether one may push, asked before hours of training and not after them.

use record::{Account, RepoKind};
use reqwest::Method;
use serde_json::json;

use super::BRANCH;
use crate::{
    access::{Network, bytes, whoami, writes_to},
    download::RepoPath,
    error::{Error, Result},
};

/// Finds out whether the token may write to a model's repository, without changing anything: by what the Hub says of
/// the token and, where the repository exists, by announcing an upload that is never made.
pub async fn check_rights(network: &Network, repo: &str) -> Result<Account> {
    network.online(repo)?;
    let account = whoami(network).await?;
    if !writes_to(&account, repo) {
        return Err(Error::NoRight { repo: repo.to_owned() });
    }
    let body = json!({ "files": [{ "path": "README.md", "sample": "", "size": 0 }] });
    let mut segments = RepoPath(RepoKind::Model, repo).api();
    segments.extend(["preupload", BRANCH]);
    let (url, what) = (network.url(segments), (bytes::OTHER, "whether one may push"));
    let asked = network.send(Method::POST, url, repo, what, |request| request.json(&body));
    match network.question(asked).await {
        // It will be made when there is something to put into it.
        Ok(_) | Err(Error::NoRepo { .. }) => Ok(account),
        Err(Error::Server { status: 405 | 501, .. }) => Err(Error::NoUploads { host: network.host() }),
        Err(error) => Err(error),
    }
}
