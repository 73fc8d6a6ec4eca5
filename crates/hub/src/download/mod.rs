//! What repositories hold, which of it is needed, and fetching it into the cache that Python's client uses, too.

mod cache;
mod choose;
mod fetch;
mod hash;
mod listing;
mod offline;
mod plan;
mod repo;
mod search;

pub use cache::snapshot_offline;
pub use choose::DataWish;
pub use fetch::fetch;
pub use offline::{OfflineData, data_set_offline, remember_choice};
pub use plan::{plan_data_set, plan_model};
pub use repo::{parse_repo, parse_repo_at};
pub use search::search;

pub(crate) use hash::{GivenUp, apart, hashes, hashes_of, matches};
pub(crate) use listing::{files, head, is_commit};
pub(crate) use repo::RepoPath;
