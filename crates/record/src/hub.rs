use serde::{Deserialize, Serialize};
use ts_rs::TS;

use crate::Problem;

/// Where a Hugging Face token was found. The token itself stands in no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[ts(export)]
pub enum TokenSource {
    /// A variable of the environment.
    Environment { name: String },
    /// A variable in the `.env` file that the user points to.
    EnvFile { name: String, path: String },
    /// The operating system's keyring.
    Keyring,
    /// The program's own file, for systems without a keyring.
    OwnFile { path: String },
    /// The file in which Hugging Face's own tools keep theirs.
    HuggingFaceFile { path: String },
}

/// What a token may do at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum TokenRole {
    Read,
    Write,
    /// Only what it was given, place by place.
    FineGrained,
}

/// Whose a token is, as the Hub tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Account {
    pub name: String,
    /// What its owner has called the token.
    pub token_name: Option<String>,
    /// Null where the Hub does not tell.
    pub role: Option<TokenRole>,
    /// Users and organisations under whose names the token may write, and single repositories as `user/name`.
    pub writes_to: Vec<String>,
}

/// What is known of the way to the Hub, before anything was asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct HubAccess {
    pub endpoint: String,
    /// Nothing is to be fetched: `HF_HUB_OFFLINE` is set.
    pub offline: bool,
    /// Null where no token is found; public repositories need none.
    pub token: Option<TokenSource>,
}

/// What the user has set of the way to the Hub; what is null comes from the environment or is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default, deny_unknown_fields)]
#[ts(export)]
pub struct HubSettings {
    /// Another address than huggingface.co, such as that of a mirror.
    pub endpoint: Option<String>,
    /// A `.env` file with `HF_TOKEN` or `HF_HUB_TOKEN` in it.
    pub env_file: Option<String>,
    /// Such as `socks5://127.0.0.1:1080`.
    pub proxy: Option<String>,
    /// Certificates in PEM to be trusted besides the system's.
    pub ca_file: Option<String>,
}

/// What stands in place of a password that is shown.
pub const MASK: &str = "•••";

impl HubSettings {
    /// The settings as they may be shown: without the proxy's password.
    #[must_use]
    pub fn masked(&self) -> HubSettings {
        HubSettings { proxy: self.proxy.as_deref().map(mask_password), ..self.clone() }
    }
}

/// An address such as `http://user:password@host` with [`MASK`] for the password. It need not be a right one: what
/// somebody has mistyped has a password in it, too.
pub fn mask_password(address: &str) -> String {
    let (scheme, rest) = match address.find("://") {
        Some(place) => address.split_at(place + 3),
        None => ("", address),
    };
    // A password may have any letter in it where somebody has not encoded it, so that the last sign counts.
    let Some((login, host)) = rest.rsplit_once('@') else { return address.to_owned() };
    match login.split_once(':') {
        Some((user, password)) if !password.is_empty() => format!("{scheme}{user}:{MASK}@{host}"),
        _ => address.to_owned(),
    }
}

/// What the window wants to be set of the way to the Hub. Files are named by what was chosen in a dialog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(export)]
pub struct HubChange {
    pub endpoint: Option<String>,
    /// As it was shown, with the password masked, it stays what it is.
    pub proxy: Option<String>,
    pub env_file: FileChoice,
    pub ca_file: FileChoice,
}

/// What becomes of a setting that is a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[ts(export)]
pub enum FileChoice {
    /// The one that is set stays.
    Keep,
    /// None is to be set.
    Clear,
    /// The one that was chosen in a dialog.
    Chosen { handle: u32 },
}

/// A file or folder that the user has chosen in a dialog of the system's. The window names it by the number: what
/// path that is, and what it was chosen for, only the Rust side knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Chosen {
    pub handle: u32,
    /// The path, to be read by people.
    pub shown: String,
}

/// The way to the Hub as the window shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct HubState {
    /// Without the proxy's password.
    pub settings: HubSettings,
    /// The address that a token which is kept here was given for, where another one is set: it is not used then.
    pub kept_for: Option<String>,
    /// Null where the settings cannot be used.
    pub access: Option<HubAccess>,
    /// Why they cannot be used.
    pub problem: Option<Problem>,
}

/// What came of logging out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct LoggedOut {
    /// Whether this program kept a token.
    pub was: bool,
    /// Where another one is still found.
    pub left: Option<TokenSource>,
}

/// What came of logging in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct LoggedIn {
    pub account: Account,
    /// The file in which the token is kept where no keyring takes it.
    pub file: Option<String>,
    /// Where the token that is used comes from, which is another one where the environment has one.
    pub used: Option<TokenSource>,
}

/// The two kinds of repositories that the program deals with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum RepoKind {
    Model,
    Dataset,
}

/// Where on the Hub something is from, down to the commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Origin {
    /// The address of the Hub, where it is not huggingface.co. Older versions did not write it down.
    #[serde(default)]
    pub endpoint: Option<String>,
    pub repo: String,
    pub commit: String,
    pub licence: Option<String>,
}

/// Where what a run has used is from, pinned when it was written down.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(default)]
#[ts(export)]
pub struct Origins {
    pub model: Option<Origin>,
    pub data: Option<Origin>,
    pub valid: Option<Origin>,
}

/// What a push would send, shown before the first byte goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct PushPlan {
    /// The repository, with its owner.
    pub repo: String,
    pub files: Vec<PushFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct PushFile {
    pub path: String,
    /// Not known of what has to be merged first.
    pub bytes: Option<i64>,
}

/// Where a run's model was pushed to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Pushed {
    pub repo: String,
    pub commit: String,
    /// The address of its page.
    pub page: String,
}

/// Whether a text can be a repository's name: `user/name` or, of old ones, `name`, by the Hub's rules.
pub fn is_repo_name(text: &str) -> bool {
    /// User and name together.
    const LONGEST: usize = 96;
    let is_part = |part: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let edge = |letter: char| letter == '-' || letter == '.';
        !part.is_empty()
            && part.bytes().all(plain)
            && !part.starts_with(edge)
            && !part.ends_with(edge)
            && !part.contains("--")
            && !part.contains("..")
    };
    text.len() <= LONGEST && text.split('/').count() <= 2 && text.split('/').all(is_part)
}

/// What a download would bring and cost, shown before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct DownloadPlan {
    pub kind: RepoKind,
    pub repo: String,
    /// The branch or tag that was asked for, which the cache notes the commit under. It stays where the plan was made.
    #[serde(skip)]
    #[ts(skip)]
    pub revision: Option<String>,
    /// What the repository is called now, where it was asked for by an older name. The cache knows it by that one.
    #[serde(skip)]
    #[ts(skip)]
    pub renamed: Option<String>,
    /// What is fetched is pinned to it.
    pub commit: String,
    pub files: Vec<RemoteFile>,
    pub bytes: i64,
    /// How many of these are in the cache already, from us or from Python.
    pub bytes_here: i64,
    /// Such as `apache-2.0`, as the repository's card has it.
    pub licence: Option<String>,
    /// Whether its owner wants to be asked first.
    pub gated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct RemoteFile {
    pub path: String,
    pub bytes: i64,
    /// SHA-256 of a file in LFS, else the SHA-1 of its git blob.
    pub hash: String,
    pub lfs: bool,
}

/// How far a download or an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct TransferProgress {
    pub bytes_done: i64,
    pub bytes_total: i64,
    /// Bytes that had to travel twice, because a connection was cut or a file arrived wrong.
    pub bytes_again: i64,
    pub seconds_left: Option<f64>,
    /// The Hub wants to be left alone for so many seconds.
    pub waiting_seconds: Option<f64>,
}

/// A repository that a search has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct FoundRepo {
    pub repo: String,
    pub downloads: Option<i64>,
    pub likes: Option<i64>,
    pub gated: bool,
    /// `model_type` of a model, where the Hub tells it.
    pub family: Option<String>,
}

/// A model that is good to begin with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct CatalogueModel {
    pub repo: String,
    pub family: String,
    /// Weights, in millions.
    pub millions: i64,
    /// What it takes to fetch, in MiB.
    pub download_mib: i64,
    pub licence: String,
    pub gated: bool,
    /// What it is good for.
    pub suits: ModelUse,
    /// Memory to train it in full in 32 bits with texts of some 128 tokens, in MiB.
    pub full_mib: i64,
    /// The same by LoRA in bf16.
    pub lora_mib: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum ModelUse {
    /// English, on any laptop.
    Starter,
    /// Chinese and a hundred other languages, on any laptop.
    Multilingual,
    /// Chinese, on any laptop.
    Chinese,
    /// English, long texts, a good laptop.
    Encoder,
    /// A small language model, Chinese included.
    SmallDecoder,
    /// A large one, for a GPU or much patience.
    LargeDecoder,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_whatever_else_an_address_has_in_it() {
        for (address, shown) in [
            ("http://me:secret@proxy:8080", "http://me:•••@proxy:8080"),
            ("socks5h://me:a:b@c/d?e@proxy", "socks5h://me:•••@proxy"),
            ("me:secret@proxy:1", "me:•••@proxy:1"),
            ("http://:secret@proxy", "http://:•••@proxy"),
            ("htp:/me:secret@proxy", "htp:•••@proxy"),
            ("http://me@proxy:8080", "http://me@proxy:8080"),
            ("http://me:@proxy", "http://me:@proxy"),
            ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ] {
            assert_eq!(mask_password(address), shown);
            assert_eq!(mask_password(shown), shown, "once more changes nothing");
        }
        let settings = HubSettings { proxy: Some("http://me:secret@proxy".into()), ..HubSettings::default() };
        assert_eq!(settings.masked().proxy.as_deref(), Some("http://me:•••@proxy"));
    }
}
