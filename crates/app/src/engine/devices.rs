//! What an engine can compute on, as it lists it itself: this program has no arithmetic.

use std::path::Path;

use record::DeviceInfo;

use super::{answer, locate};
use crate::{Home, error::Result};

/// The devices of the engine, the processor first, with those that are there and cannot be used.
pub async fn devices(home: &Home) -> Result<Vec<DeviceInfo>> {
    devices_by(&locate()?, home).await
}

async fn devices_by(engine: &Path, home: &Home) -> Result<Vec<DeviceInfo>> {
    answer(engine, home, &["devices", "--json"]).await
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::tests::scripted, *};
    use crate::home::empty_home;
    use record::{ProblemCode, Unusable};

    #[tokio::test]
    async fn the_engine_lists_its_devices_and_one_that_cannot_says_so() {
        let (folder, home) = empty_home().await;
        let gpu = DeviceInfo {
            device: "cuda:0".to_owned(),
            name: "A card".to_owned(),
            memory_mib: None,
            free_mib: None,
            unusable: Some(Unusable::OldDriver { found: "535.183.01".to_owned(), needed: "580".to_owned() }),
        };
        let listed = serde_json::to_string(std::slice::from_ref(&gpu)).unwrap();
        let script = format!("[ \"$3 $4\" = 'devices --json' ] || exit 1\necho '{listed}'");
        let engine = scripted(folder.path(), &script);
        assert_eq!(devices_by(&engine, &home).await.unwrap(), [gpu]);
        let engine = scripted(folder.path(), "echo 'error: No.' >&2; exit 1");
        let error = devices_by(&engine, &home).await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::EngineGone);
    }
}
