use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// One part that has arrived.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) etag: String,
    pub(crate) place: PathBuf,
}

/// A large file on its way in.
#[derive(Clone)]
pub(crate) struct Upload {
    pub(crate) oid: String,
    pub(crate) size: u64,
    /// How many parts it has; `None` if it comes in one piece.
    pub(crate) parts_wanted: Option<u64>,
    pub(crate) parts: BTreeMap<u64, Part>,
}

/// Uploads under way, by the names that their addresses give them.
#[derive(Default)]
pub(crate) struct Uploads {
    begun: u64,
    pub(crate) open: HashMap<String, Upload>,
}

impl Uploads {
    pub(crate) fn begin(&mut self, oid: &str, size: u64, parts_wanted: Option<u64>) -> String {
        self.begun += 1;
        let name = format!("upload-{}-{}", std::process::id(), self.begun);
        let upload = Upload { oid: oid.to_owned(), size, parts_wanted, parts: BTreeMap::new() };
        self.open.insert(name.clone(), upload);
        name
    }
}
