//! The names that git gives to contents, folders and commits, made as git makes them, so that a client that
//! computes one itself comes to the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// One file of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Git's id of what git keeps: the content, or the pointer to it.
    pub oid: String,
    /// Of the content.
    pub size: u64,
    /// The content's SHA-256 where git keeps only a pointer.
    pub lfs: Option<String>,
    /// The commit that last changed it.
    pub commit: String,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn object_id(kind: &str, content: &[u8]) -> [u8; 20] {
    let mut hash = Sha1::new();
    hash.update(format!("{kind} {}\0", content.len()));
    hash.update(content);
    hash.finalize().into()
}

/// What `git hash-object` says of the content.
pub(crate) fn blob_id(content: &[u8]) -> String {
    hex(&object_id("blob", content))
}

/// What git keeps in place of a large file, to the last byte.
pub(crate) fn lfs_pointer(sha256: &str, size: u64) -> String {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n")
}

#[derive(Default)]
struct Folder {
    files: BTreeMap<String, String>,
    folders: BTreeMap<String, Folder>,
}

/// The ids of all folders by their paths; the whole tree's stands under the empty path.
pub(crate) fn tree_ids(files: &BTreeMap<String, Entry>) -> BTreeMap<String, String> {
    let mut root = Folder::default();
    for (path, entry) in files {
        let mut folder = &mut root;
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_some() {
                folder = folder.folders.entry(part.to_owned()).or_default();
            } else {
                folder.files.insert(part.to_owned(), entry.oid.clone());
            }
        }
    }
    let mut ids = BTreeMap::new();
    name_folder(&root, "", &mut ids);
    ids
}

fn name_folder(folder: &Folder, path: &str, ids: &mut BTreeMap<String, String>) -> [u8; 20] {
    // Git sorts folders as if their names ended with a slash.
    let mut lines: Vec<(String, &str, &str, Vec<u8>)> = Vec::new();
    for (name, oid) in &folder.files {
        lines.push((name.clone(), "100644", name, unhex(oid)));
    }
    for (name, inner) in &folder.folders {
        let inner_path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let id = name_folder(inner, &inner_path, ids);
        lines.push((format!("{name}/"), "40000", name, id.to_vec()));
    }
    lines.sort();
    let mut content = Vec::new();
    for (_, mode, name, id) in lines {
        content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        content.extend_from_slice(&id);
    }
    let id = object_id("tree", &content);
    ids.insert(path.to_owned(), hex(&id));
    id
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).filter_map(|at| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()).collect()
}

/// The id of a commit whose author and committer are the same person at the same second.
pub(crate) fn commit_id(tree: &str, parents: &[String], author: &str, seconds: i64, message: &str) -> String {
    let person = format!("{author} <{author}@users.noreply.example> {seconds} +0000");
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    let content = format!("tree {tree}\n{parents}author {person}\ncommitter {person}\n\n{message}\n");
    hex(&object_id("commit", content.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> Entry {
        Entry { oid: blob_id(content), size: content.len() as u64, lfs: None, commit: String::new() }
    }

    #[test]
    fn ids_are_those_of_git() {
        assert_eq!(blob_id(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(tree_ids(&BTreeMap::new())[""], "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }

    /// The ids are what `git write-tree` says of the same files; "a" and "a.txt" are there because git's order
    /// of them is another than that of their names.
    #[test]
    fn folders_are_sorted_as_git_sorts_them() {
        let files = BTreeMap::from([
            ("a/b.txt".to_owned(), file(b"one\n")),
            ("a.txt".to_owned(), file(b"two\n")),
            ("a/c/d.txt".to_owned(), file(b"three\n")),
        ]);
        let ids = tree_ids(&files);
        assert_eq!(ids[""], "f071855a48f9a60fe71f3e5de75c3c1245cea710");
        assert_eq!(ids["a"], "5627d7b4867b04f847f6e7b49b148c22b6224053");
    }
}
