use std::path::PathBuf;

pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong beneath the small Hub, or with what a test asks of it directly.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("The small Hub cannot listen: {0}. Choose another port.")]
    Listen(std::io::Error),
    #[error("{} cannot be read or written: {source}. Check the folder and the room on the disk.", .path.display())]
    Disk { path: PathBuf, source: std::io::Error },
    #[error("{} is not what the small Hub has written: {source}. Choose another folder.", .path.display())]
    Kept { path: PathBuf, source: serde_json::Error },
    /// The same refusal that a client would get, asked for from Rust.
    #[error("The small Hub refuses with {status}: {message}")]
    Refused { status: u16, message: String },
}

impl Error {
    pub(crate) fn disk(path: impl Into<PathBuf>, source: std::io::Error) -> Error {
        Error::Disk { path: path.into(), source }
    }
}
