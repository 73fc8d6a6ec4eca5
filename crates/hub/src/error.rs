use std::path::{Path, PathBuf};

use record::{Problem, ProblemCode, TokenSource};

use crate::WeightFormat;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no folder {}. Check the path.", .path.display())]
    NotFound { path: PathBuf },
    #[error("{} cannot be read: {source}. Check that the folder is there and may be read.", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written: {source}. {advice}", .path.display(), advice = ::files::advice_to_write(.source))]
    Write { path: PathBuf, source: std::io::Error },
    #[error(
        "{} is not taken: {reason}. If it belongs to the model, put the file itself in its place.",
        .path.display()
    )]
    NotAFile { path: PathBuf, reason: std::io::Error },
    #[error("The model folder {} has no {missing}. Fetch the whole model and add it again.", .path.display())]
    Incomplete { path: PathBuf, missing: String },
    #[error(
        "The model folder {} has no tokenizer.json, which a fast tokenizer is read from. Fetch it with the model; \
         where there is none, Transformers' AutoTokenizer.from_pretrained(...).save_pretrained(...) writes one.",
        .path.display()
    )]
    NoTokenizer { path: PathBuf },
    #[error("The model folder {} has its weights only as {found}: {}", .path.display(), .format.advice())]
    OtherFormat { path: PathBuf, found: String, format: WeightFormat },
    #[error(
        "{} is an adapter, which only changes another model and cannot be trained without it. Add that base model \
         instead; adapter_config.json names it as base_model_name_or_path.",
        .path.display()
    )]
    Adapter { path: PathBuf },
    #[error(
        "{of} holds weights that {method} has quantized, which cannot be trained any further. Add the model that it was \
         made from instead{name}; the setting quantization makes its weights as small while it is trained.",
        name = .original.as_ref().map(|name| format!(": {name}")).unwrap_or_default()
    )]
    Quantized { of: String, method: String, original: Option<String> },
    #[error("{} cannot be understood: {reason}. Fetch the model again.", .path.display())]
    Config { path: PathBuf, reason: String },
    #[error("{} is a model of the family \"{family}\"; families that can be trained are {known}.", .path.display())]
    Family { path: PathBuf, family: String, known: String },
    #[error("{} cannot be read as safetensors: {reason}. Fetch the model again.", .path.display())]
    Weights { path: PathBuf, reason: String },
    #[error(
        "{}: the weight {name} has the shape {found:?}, but config.json asks for {expected:?}. \
         Config and weights belong to different models; fetch both again.",
        .path.display()
    )]
    Shape { path: PathBuf, name: String, found: Vec<usize>, expected: Vec<usize> },

    #[error(
        "No Hugging Face token is known, and this needs one. Make one at huggingface.co/settings/tokens and log in with \
         it: mbti login."
    )]
    NoToken,
    #[error(
        "The token that is kept here was given for {kept_for} and goes nowhere else, and the address that is set is \
         {endpoint}. Log in for this one: mbti login. Or set the other address again: mbti hub set --endpoint."
    )]
    TokenOfAnother { kept_for: String, endpoint: String },
    #[error("That is no token: one is a single word such as hf_…, without spaces. Copy it again as a whole.")]
    BadToken,
    #[error(
        "The Hub does not know the token from {}: it is mistyped, revoked or expired. Make a new one at \
         huggingface.co/settings/tokens and log in again: mbti login.",
        told(.from)
    )]
    WrongToken { from: TokenSource },
    #[error(
        "The Hub does not know this token: it is mistyped, revoked or expired. Copy it again as a whole, or make a new one."
    )]
    UnknownToken,
    #[error(
        "The token may not write to {repo}. Log in with one that has the right to write there, or choose a repository \
         under your own name."
    )]
    NoRight { repo: String },
    #[error(
        "The Hub does not let you read {repo}. Ask its owner for access, or log in with a token that has the right to \
         read it."
    )]
    NoAccess { repo: String },
    #[error(
        "{repo} is shared only with those who ask. Log in, ask on {page}, and try again once you were let in."
    )]
    Gated { repo: String, page: String },
    #[error(
        "There is no repository {repo} on the Hub, or it is private and your token may not see it. Check the name, or log in: mbti login."
    )]
    NoRepo { repo: String },
    #[error("{repo} has no revision {revision}. Leave it out for the newest.")]
    NoRevision { repo: String, revision: String },
    #[error(
        "\"{revision}\" can be the name of no revision, which is a branch, a tag or a commit. Leave it out for the newest."
    )]
    BadRevision { revision: String },
    #[error("\"{repo}\" is no name of a repository, which is such as user/name.")]
    BadRepo { repo: String },
    #[error(
        "{repo} is at another address than the Hub that is asked, which is {endpoint}. Give the name alone, such as \
         user/name, to ask there, or set the other address: mbti hub set --endpoint."
    )]
    RepoElsewhere { repo: String, endpoint: String },
    #[error("{repo} holds no {needed}. Choose another repository.")]
    NothingUsable { repo: String, needed: Needed },
    #[error("{repo} has no split {split}; it has {known}. Choose one of these with --split.")]
    NoSplit { repo: String, split: String, known: String },
    #[error("The Hub wants to be asked less often. Try again in {seconds} seconds.")]
    RateLimited { seconds: u64 },
    #[error("{host} cannot be reached: {reason}. Check the network, or set a mirror or a proxy.")]
    NoNetwork { host: String, reason: String },
    #[error(
        "{host} answers with the error {status}{}. {}",
        .said.as_ref().map(|said| format!(": {said}")).unwrap_or_default(),
        if may_pass(*.status) { "Try again later." } else { "It would answer so again. Check what was asked for, and the address of the mirror, if one is set." }
    )]
    Server { host: String, status: u16, said: Option<String> },
    #[error(
        "{host} answers something else than was asked for: {reason}. Check the address of the mirror, if one is set."
    )]
    BadAnswer { host: String, reason: String },
    #[error("HF_HUB_OFFLINE is set, and {what} is not in the cache. Unset it to fetch it.")]
    Offline { what: String },
    #[error("{host} takes no uploads. Set the Hub's own address, https://huggingface.co, to push.")]
    NoUploads { host: String },
    #[error(
        "{host} is not addressed by https, so that the token could be read on its way. Use https, or log out to fetch without a token."
    )]
    InsecureEndpoint { host: String },
    #[error("The setting {name} cannot be used: {value:?} {reason}.")]
    BadSetting { name: &'static str, value: String, reason: String },
    #[error(
        "{} has {free_mib} MiB free, and {needed_mib} are needed. Make room, or set HF_HOME to another disk.",
        .path.display()
    )]
    NoRoom { path: PathBuf, needed_mib: u64, free_mib: u64 },
    #[error(
        "{path} of {repo} came with another hash than the Hub tells, twice. Try again later, or another mirror."
    )]
    WrongHash { repo: String, path: String },
    #[error("{repo} was changed by somebody else meanwhile, so that nothing was written to it. Push again.")]
    Changed { repo: String },
    #[error("Stopped. What has been fetched is kept, and goes on next time.")]
    Stopped,
    #[error(
        "Stopped. The repository has all of the push or nothing of it, and large files that have arrived there are not \
         sent again."
    )]
    PushStopped,
    #[error("The keyring does not take the token: {reason}.")]
    Keyring { reason: String },
}

/// Whether a server that answers with this status may answer otherwise some time later. What is wrong with a question
/// stays wrong.
fn may_pass(status: u16) -> bool {
    match status {
        501 | 505 => false,
        408 | 409 | 423 | 425 | 429 => true,
        other => other >= 500,
    }
}

/// What a repository lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    Weights,
    Config,
    Texts,
}

impl Needed {
    /// The name under which the window's dictionaries have it.
    fn name(self) -> &'static str {
        match self {
            Needed::Weights => "weights",
            Needed::Config => "config",
            Needed::Texts => "texts",
        }
    }
}

impl std::fmt::Display for Needed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Needed::Weights => "weights in safetensors",
            Needed::Config => "config.json beside its weights, which tells what they are of",
            Needed::Texts => "file of texts in a format that is read",
        })
    }
}

/// Where a token came from: a name or a path, or the word by which the window's dictionaries have the keyring.
fn place(source: &TokenSource) -> String {
    match source {
        TokenSource::Environment { name } => name.clone(),
        TokenSource::Keyring => "keyring".to_owned(),
        TokenSource::EnvFile { path, .. }
        | TokenSource::OwnFile { path }
        | TokenSource::HuggingFaceFile { path } => path.clone(),
    }
}

/// Where a token came from, in words for the terminal.
pub fn told(source: &TokenSource) -> String {
    match source {
        TokenSource::Environment { name } => format!("the variable {name}"),
        TokenSource::EnvFile { name, path } => format!("{name} in {path}"),
        TokenSource::Keyring => "the system's keyring".to_owned(),
        TokenSource::OwnFile { path } | TokenSource::HuggingFaceFile { path } => path.clone(),
    }
}

impl Error {
    pub(crate) fn read(path: &Path, source: std::io::Error) -> Error {
        match source.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound { path: path.to_owned() },
            _ => Error::Read { path: path.to_owned(), source },
        }
    }

    /// The same for a file of a model folder, which may be a link that is not followed, or no file.
    pub(crate) fn of_file(path: &Path, source: std::io::Error) -> Error {
        match source.kind() {
            std::io::ErrorKind::InvalidInput => Error::NotAFile { path: path.to_owned(), reason: source },
            _ => Error::read(path, source),
        }
    }

    pub(crate) fn write(path: &Path, source: std::io::Error) -> Error {
        Error::Write { path: path.to_owned(), source }
    }

    pub fn problem(&self) -> Problem {
        use ProblemCode as Code;
        let new = |code, path: &Path| Problem::new(code, self).with("path", path.display());
        match self {
            Error::NotFound { path } => new(Code::NotFound, path),
            Error::Read { path, source } => new(Code::CannotRead, path).with("reason", source),
            Error::NotAFile { path, reason } => new(Code::CannotRead, path).with("reason", reason),
            Error::Write { path, source } => new(Code::CannotWrite, path).with("reason", source),
            Error::Incomplete { path, missing } => new(Code::IncompleteModel, path).with("missing", missing),
            Error::NoTokenizer { path } => new(Code::IncompleteModel, path).with("missing", "tokenizer.json"),
            Error::OtherFormat { path, found, format } => {
                new(Code::BadWeights, &path.join(found)).with("reason", format.name())
            }
            Error::Adapter { path } => new(Code::AdapterOnly, path),
            Error::Quantized { of, method, original } => {
                let code = original.as_ref().map_or(Code::QuantizedModel, |_| Code::QuantizedFrom);
                let problem = new(code, Path::new(of)).with("method", method);
                match original {
                    Some(original) => problem.with("original", original),
                    None => problem,
                }
            }
            Error::Config { path, reason } => new(Code::BadModelFile, path).with("reason", reason),
            Error::Family { path, family, .. } => new(Code::UnknownFamily, path).with("reason", family),
            Error::Weights { path, reason } => new(Code::BadWeights, path).with("reason", reason),
            Error::Shape { path, name, found, expected } => new(Code::WeightMismatch, path)
                .with("weight", name)
                .with("found", format!("{found:?}"))
                .with("expected", format!("{expected:?}")),
            _ => self.hub_problem(),
        }
    }

    fn hub_problem(&self) -> Problem {
        use ProblemCode as Code;
        let new = |code| Problem::new(code, self);
        match self {
            Error::NoToken => new(Code::NoToken),
            Error::TokenOfAnother { kept_for, endpoint } => {
                new(Code::TokenOfAnother).with("kept_for", kept_for).with("endpoint", endpoint)
            }
            Error::BadToken => new(Code::BadToken),
            Error::WrongToken { from } => new(Code::WrongToken).with("source", place(from)),
            Error::UnknownToken => new(Code::UnknownToken),
            Error::NoRight { repo } => new(Code::NoRight).with("repo", repo),
            Error::NoAccess { repo } => new(Code::NoAccess).with("repo", repo),
            Error::Gated { repo, page } => new(Code::GatedRepo).with("repo", repo).with("page", page),
            Error::NoRepo { repo } => new(Code::NoRepo).with("repo", repo),
            Error::NoRevision { repo, revision } => {
                new(Code::NoRevision).with("repo", repo).with("revision", revision)
            }
            Error::BadRevision { revision } => new(Code::BadRevision).with("revision", revision),
            Error::RepoElsewhere { repo, endpoint } => {
                new(Code::RepoElsewhere).with("repo", repo).with("endpoint", endpoint)
            }
            Error::BadRepo { repo } => new(Code::BadRepo).with("repo", repo),
            Error::NothingUsable { repo, needed } => {
                new(Code::NothingUsable).with("repo", repo).with("needed", needed.name())
            }
            Error::NoSplit { repo, split, known } => {
                new(Code::NoSplit).with("repo", repo).with("split", split).with("known", known)
            }
            Error::RateLimited { seconds } => new(Code::RateLimited).with("seconds", seconds),
            Error::NoNetwork { host, reason } => {
                new(Code::NoNetwork).with("host", host).with("reason", reason)
            }
            Error::Server { host, status, .. } => {
                let code = if may_pass(*status) { Code::ServerTrouble } else { Code::ServerRefuses };
                new(code).with("host", host).with("status", status)
            }
            Error::BadAnswer { host, .. } => new(Code::BadAnswer).with("host", host),
            Error::Offline { what } => new(Code::Offline).with("what", what),
            Error::NoUploads { host } => new(Code::NoUploads).with("host", host),
            Error::InsecureEndpoint { host } => new(Code::InsecureEndpoint).with("host", host),
            Error::BadSetting { name, value, .. } => {
                new(Code::BadHubSetting).with("name", name).with("value", value)
            }
            Error::NoRoom { path, needed_mib, free_mib } => new(Code::NoRoom)
                .with("path", path.display())
                .with("needed", needed_mib)
                .with("free", free_mib),
            Error::WrongHash { repo, path } => new(Code::WrongHash).with("repo", repo).with("path", path),
            Error::Changed { repo } => new(Code::RepoChanged).with("repo", repo),
            Error::Stopped | Error::PushStopped => new(Code::Stopped),
            // The folders' own are told above.
            _ => new(Code::Internal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_try_again_is_advised_only_where_that_may_help() {
        for (status, later) in
            [(400, false), (410, false), (413, false), (422, false), (451, false), (501, false)]
                .into_iter()
                .chain([408, 409, 423, 500, 503, 504].map(|status| (status, true)))
        {
            let error = Error::Server { host: "hub.example".into(), status, said: Some("no".into()) };
            assert_eq!(error.to_string().contains("Try again later"), later, "{error}");
            assert_eq!(error.problem().code == ProblemCode::ServerTrouble, later, "{error}");
        }
    }
}
