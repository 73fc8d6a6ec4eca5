//! Finding repositories by name.

use record::{FoundRepo, RepoKind};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{listing::is_gated, repo::plural};
use crate::{
    access::{Network, bytes},
    error::Result,
    shown::shown,
};

/// How many are shown.
const FOUND: usize = 20;

/// A line of `GET /api/models` or `/api/datasets`.
#[derive(Deserialize)]
struct Found {
    id: String,
    downloads: Option<i64>,
    likes: Option<i64>,
    gated: Option<Value>,
    config: Option<Value>,
}

/// The repositories whose names are most like the words, those that are fetched most often first. One page has them
/// all, so that none is asked for that the answer names.
pub async fn search(network: &Network, kind: RepoKind, words: &str) -> Result<Vec<FoundRepo>> {
    let mut url = network.url(["api", plural(kind)]);
    let limit = FOUND.to_string();
    url.query_pairs_mut().extend_pairs([("search", words), ("sort", "downloads"), ("limit", &limit)]);
    if kind == RepoKind::Model {
        url.query_pairs_mut().append_pair("config", "true");
    }
    let what = (bytes::OTHER, "which repositories there are");
    let asked = network.send_json(Method::GET, url, "a search", what, |request| request);
    let (found, _): (Vec<Found>, _) = network.question(asked).await?;
    let named = found.into_iter().filter(|found| record::is_repo_name(&found.id));
    Ok(named.take(FOUND).map(told).collect())
}

fn told(found: Found) -> FoundRepo {
    let family = |config: Value| Some(shown(config.get("model_type")?.as_str()?));
    FoundRepo {
        repo: found.id,
        downloads: found.downloads,
        likes: found.likes,
        gated: is_gated(found.gated.as_ref()),
        family: found.config.and_then(family),
    }
}
