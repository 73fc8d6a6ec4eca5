use std::path::PathBuf;
use std::time::Duration;

use crate::people::Token;

/// How the small Hub is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where repositories stay after the end; without one they are in a folder that goes with the small Hub.
    pub folder: Option<PathBuf>,
    pub tokens: Vec<Token>,
    /// The Hub's port; 0 for any that is free.
    pub port: u16,
    /// The storage is a second listener and called by this name, such as "localhost"; without one it is the
    /// Hub's own listener.
    pub storage_host: Option<String>,
    /// Files of more bytes are large whatever they are called. The Hub's limit is 10 MiB.
    pub large_from: u64,
    /// Large files of more bytes come in parts of so many bytes.
    pub part_size: u64,
    /// How long a signed address is good.
    pub signed_for: Duration,
    /// Entries on one page of a tree, if the client asks for no other number. The Hub's are 1,000.
    pub page_size: usize,
    /// As the Hub does lately: `resolve` of a small file answers with 307 to `/api/resolve-cache`.
    pub resolve_cache: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            folder: None,
            tokens: Vec::new(),
            port: 0,
            storage_host: Some("localhost".to_owned()),
            large_from: 10 << 20,
            part_size: 16 << 20,
            signed_for: Duration::from_secs(3600),
            page_size: 1000,
            resolve_cache: false,
        }
    }
}

impl Options {
    pub fn token(mut self, token: Token) -> Options {
        self.tokens.push(token);
        self
    }
}
