use std::time::Duration;

/// The longest that a rate limit is waited for; of a longer one the user is told.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How large answers may be, in bytes. More is not read.
pub(crate) mod bytes {
    /// A page of a list of files. The Hub's have a thousand files and some 300 kB.
    pub const LIST: usize = 64 << 20;
    /// What is told of a repository, with the names of all its files.
    pub const REPO: usize = 16 << 20;
    /// Anything else in JSON.
    pub const OTHER: usize = 4 << 20;
    /// What is said of a refusal.
    pub const REFUSAL: usize = 64 << 10;
}

/// How long the other side may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For one small answer, from asking to its last byte; and while a file is sent, in which nothing moves.
    pub answer: Duration,
    /// For all that it wants to be waited for in a row, at one request.
    pub waiting: Duration,
    /// For a question that takes several requests, such as what a download would cost.
    pub question: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { answer: Duration::from_secs(60), waiting: LONGEST_WAIT, question: Duration::from_secs(900) }
    }
}
