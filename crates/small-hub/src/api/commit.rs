use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;

use super::Asked;
use super::refusal::{Answer, Refusal};
use crate::repos::put_pointer;
use crate::repos::{Change, NewCommit};

/// The longest line. Large files come through the storage, and small ones are no longer than this.
const LONGEST_LINE: usize = 64 << 20;

/// One line of a commit.
#[derive(Deserialize)]
#[serde(tag = "key", content = "value", rename_all = "camelCase")]
enum Line {
    #[serde(rename_all = "camelCase")]
    Header {
        summary: String,
        #[serde(default)]
        description: String,
        parent_commit: Option<String>,
    },
    File {
        path: String,
        content: String,
        encoding: Option<String>,
    },
    LfsFile {
        path: String,
        oid: String,
        size: Option<u64>,
    },
    DeletedFile {
        path: String,
    },
    DeletedFolder {
        path: String,
    },
}

/// POST /api/{kind}/{id}/commit/{revision}, lines of JSON: 200 with the commit, 400 for lines that cannot be
/// understood or a large file that was not brought, 401, 403 (also for pull requests, which the small Hub does not
/// take), 404 for a revision or a file to delete that is not there, 412 if `parentCommit` is not the newest.
/// `create_commit` and hf-hub's rely on it. Nothing of it can be seen before all of it is there.
pub(crate) async fn commit(asked: &Asked, body: Body) -> Answer {
    let author = asked.writer()?.user.clone();
    if asked.query.flag("create_pr") {
        return Err(Refusal::forbidden("The small Hub takes no pull requests."));
    }
    asked.with_commit(|_, _| Ok(()))?;
    let mut gathered = Gathered { header: None, changes: Vec::new() };
    let mut pieces = body.into_data_stream();
    let mut line: Vec<u8> = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece =
            piece.map_err(|error| Refusal::bad_request(&format!("The commit breaks off: {error}")))?;
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            if line.len() > LONGEST_LINE {
                return Err(Refusal::new(
                    413,
                    "A file is too large for a commit; upload it as a large file.",
                ));
            }
            if line.ends_with(b"\n") {
                gathered.take(asked, &line)?;
                line.clear();
            }
        }
    }
    gathered.take(asked, &line)?;
    let (title, description, parent) =
        gathered.header.ok_or_else(|| Refusal::bad_request("The commit has no header."))?;
    let new = NewCommit { author, title, description, parent };
    let id = asked.hub.commit(asked.kind, &asked.id, asked.revision(), new, gathered.changes)?;
    let url = format!("{}/{}{}/commit/{id}", asked.hub.url, asked.kind.prefix(), asked.id);
    Ok(super::json(&json!({"success": true, "commitOid": id, "commitUrl": url, "hookOutput": ""})))
}

struct Gathered {
    header: Option<(String, String, Option<String>)>,
    changes: Vec<Change>,
}

impl Gathered {
    /// Takes one line; contents go to the disk at once, so that no more than one is in memory.
    fn take(&mut self, asked: &Asked, line: &[u8]) -> Result<(), Refusal> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let line: Line = serde_json::from_slice(line).map_err(|error| {
            Refusal::bad_request(&format!("A line of the commit is not known here: {error}"))
        })?;
        let change = match line {
            Line::Header { summary, description, parent_commit } => {
                self.header = Some((summary, description, parent_commit));
                return Ok(());
            }
            Line::File { path, content, encoding } => {
                let content = match encoding.as_deref() {
                    Some("base64") => STANDARD
                        .decode(content)
                        .map_err(|error| Refusal::bad_request(&format!("{path} is no base64: {error}")))?,
                    _ => content.into_bytes(),
                };
                let oid = asked.hub.storage.keep_blob(&content).map_err(Refusal::broken)?;
                Change::Put { path: good_path(path)?, oid, size: content.len() as u64, lfs: None }
            }
            Line::LfsFile { path, oid, size } => {
                let there = asked.hub.storage.has_large(&oid);
                let there = there.filter(|there| size.is_none_or(|size| size == *there));
                let there = there.ok_or_else(|| {
                    let text = "Your push was rejected because an LFS pointer pointed to a file that does not exist. \
                                Offending file: - ";
                    Refusal::bad_request(&format!("{text}{path}"))
                })?;
                put_pointer(&good_path(path)?, oid, there)
            }
            Line::DeletedFile { path } => Change::Delete { path },
            Line::DeletedFolder { path } => Change::DeleteFolder { path },
        };
        self.changes.push(change);
        Ok(())
    }
}

fn good_path(path: String) -> Result<String, Refusal> {
    let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part == ".git";
    if path.split('/').any(bad) {
        return Err(Refusal::bad_request(&format!("{path} is no path for a file")));
    }
    Ok(path)
}
