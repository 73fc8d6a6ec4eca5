//! Finding repositories by name.

use futures_util::TryStreamExt;
use record::{FoundRepo, RepoKind};

use crate::{access::Network, error::Result};

/// How many are shown.
const FOUND: usize = 20;

/// The repositories whose names are most like the words, those that are fetched most often first.
pub async fn search(network: &Network, kind: RepoKind, words: &str) -> Result<Vec<FoundRepo>> {
    let hub = network.hub("a search")?;
    let translated = |error| network.translated(error, "");
    let count = |count: Option<u64>| count.and_then(|count| i64::try_from(count).ok());
    let is_gated =
        |gated: Option<serde_json::Value>| gated.is_some_and(|gated| gated.as_bool() != Some(false));
    match kind {
        RepoKind::Model => {
            let models =
                hub.list_models().search(words).sort("downloads").fetch_config(true).limit(FOUND).send();
            let found: Vec<_> = models.map_err(translated)?.try_collect().await.map_err(translated)?;
            let family =
                |config: Option<serde_json::Value>| Some(config?.get("model_type")?.as_str()?.to_owned());
            let told = |model: hf_hub::repository::ModelInfo| FoundRepo {
                repo: model.id,
                downloads: count(model.downloads),
                likes: count(model.likes),
                gated: is_gated(model.gated),
                family: family(model.config),
            };
            Ok(found.into_iter().map(told).collect())
        }
        RepoKind::Dataset => {
            let sets = hub.list_datasets().search(words).sort("downloads").limit(FOUND).send();
            let found: Vec<_> = sets.map_err(translated)?.try_collect().await.map_err(translated)?;
            let told = |set: hf_hub::repository::DatasetInfo| FoundRepo {
                repo: set.id,
                downloads: count(set.downloads),
                likes: count(set.likes),
                gated: is_gated(set.gated),
                family: None,
            };
            Ok(found.into_iter().map(told).collect())
        }
    }
}
