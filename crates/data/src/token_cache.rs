//! Tokens that were made once, in the data set's folder, so that the next run with the same texts, the
//! same tokenizer and the same length has them at once.
//!
//! A cache is two files that only grow: the ids, and for each text where it ends among them and how many
//! tokens it has. What a process that ended had written is gone on with.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{Encoded, Error, One, Table, Tokenizer, encode_one, error::Result, tokenize::PIECE};

const FOLDER: &str = "tokens";
const IDS: &str = "ids.bin";
const TEXTS: &str = "texts.bin";
const LOCK: &str = "lock";
/// Bytes of one text in `TEXTS`: where it ends, in 64 bits, and its tokens, in 32.
const TEXT: usize = 12;
/// Caches that a data set keeps, and how many bytes besides the newest; of more the oldest go.
const KEPT: usize = 8;
const KEPT_BYTES: u64 = 2 << 30;
/// Bytes of ids after which they are brought to the disk, before what says that they are there.
const SYNCED: usize = 64 << 20;
/// Bytes of text after which a piece is made into tokens, however few texts they are.
const PIECE_BYTES: usize = 16 << 20;
/// How often it is looked whether another process is done with the same tokens.
const POLL: Duration = Duration::from_millis(200);

/// The texts of these rows as ids, on all cores, in their order. `progress` hears how many are done after
/// each piece of the work and may end it by answering `false`, which gives `None`.
///
/// Of a data set in a folder they are kept there in a file, out of which they are read; no more than a
/// piece of the texts is in memory.
pub fn encode_rows(
    table: &Table,
    rows: &[u32],
    tokenizer: &Tokenizer,
    max_length: usize,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Option<Encoded>> {
    let Some(folder) = table.folder() else {
        let mut encoded = Encoded::default();
        let whole = by_pieces(table, rows, 0, tokenizer, max_length, |ones| {
            ones.iter().for_each(|one| encoded.push(one));
            Ok(progress(encoded.len()))
        })?;
        return Ok(whole.then_some(encoded));
    };
    let folder = folder.join(FOLDER).join(key(rows, tokenizer, max_length));
    std::fs::create_dir_all(&folder).map_err(|error| Error::write(&folder, error))?;
    let lock = create(&folder.join(LOCK))?;
    // Another process that makes the same tokens makes them for this one too.
    while lock.try_lock().is_err() {
        if !progress(0) {
            return Ok(None);
        }
        std::thread::sleep(POLL);
    }
    // It counts as used just now.
    lock.set_modified(SystemTime::now()).ok();
    let mut cache = Cache::open(&folder, rows.len())?;
    if cache.texts() == 0 {
        remove_old_ones(&folder);
    }
    let done = cache.texts();
    let whole = done == rows.len()
        || by_pieces(table, rows, done, tokenizer, max_length, |ones| {
            cache.append(ones)?;
            Ok(progress(cache.texts()))
        })?;
    cache.sync()?;
    if whole { cache.finish().map(Some) } else { Ok(None) }
}

/// Hands the rows from number `first` on to `keep` as ids, piece by piece, until it answers `false`.
fn by_pieces(
    table: &Table,
    rows: &[u32],
    first: usize,
    tokenizer: &Tokenizer,
    max_length: usize,
    mut keep: impl FnMut(&[One]) -> Result<bool>,
) -> Result<bool> {
    let (mut piece, mut bytes): (Vec<String>, usize) = (Vec::with_capacity(PIECE), 0);
    let mut encode = |piece: &mut Vec<String>| {
        let ones: Vec<One> =
            piece.par_iter().map(|text| encode_one(tokenizer, text, max_length)).collect::<Result<_>>()?;
        piece.clear();
        keep(&ones)
    };
    let whole = table.texts(&rows[first..], |_, text| {
        bytes += text.len();
        piece.push(text.to_owned());
        if piece.len() < PIECE && bytes < PIECE_BYTES {
            return Ok(true);
        }
        bytes = 0;
        encode(&mut piece)
    })?;
    if whole && !piece.is_empty() { encode(&mut piece) } else { Ok(whole) }
}

/// What the tokens depend on, besides the data set, which never changes.
fn key(rows: &[u32], tokenizer: &Tokenizer, max_length: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(tokenizer.digest());
    hash.update((max_length as u64).to_le_bytes());
    rows.iter().for_each(|row| hash.update(row.to_le_bytes()));
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn create(path: &Path) -> Result<File> {
    files::open_own(path).map_err(|error| Error::write(path, error))
}

/// Removes those that were used longest ago, as far as nobody is at work on them.
fn remove_old_ones(kept: &Path) {
    let Some(Ok(entries)) = kept.parent().map(std::fs::read_dir) else { return };
    let used = |path: &Path| std::fs::metadata(path.join(LOCK)).and_then(|about| about.modified()).ok();
    // A link to a folder is none of ours.
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut all: Vec<PathBuf> = folders.map(|entry| entry.path()).filter(|path| path != kept).collect();
    all.sort_by_key(|path| std::cmp::Reverse(used(path)));
    let bytes = |path: &Path| std::fs::metadata(path.join(IDS)).map_or(0, |about| about.len());
    let mut kept_bytes = 0;
    for (place, old) in all.iter().enumerate() {
        kept_bytes += bytes(old);
        if place < KEPT - 1 && kept_bytes <= KEPT_BYTES {
            continue;
        }
        if create(&old.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            std::fs::remove_dir_all(old).ok();
        }
    }
}

struct Cache {
    folder: PathBuf,
    ids: File,
    texts: File,
    offsets: Vec<usize>,
    tokens: Vec<u32>,
    unsynced: usize,
    /// What tells of texts whose ids may not be on the disk yet.
    pending: Vec<u8>,
}

impl Cache {
    /// Opens what is there, as far as it is whole, to go on behind it.
    fn open(folder: &Path, most: usize) -> Result<Cache> {
        let (ids, texts) = (create(&folder.join(IDS))?, create(&folder.join(TEXTS))?);
        let (ids_path, texts_path) = (folder.join(IDS), folder.join(TEXTS));
        let length = ids.metadata().map_err(|error| Error::read(&ids_path, error))?.len();
        let (mut offsets, mut tokens) = (vec![0], Vec::new());
        let mut reader = BufReader::new(&texts);
        let mut text = [0; TEXT];
        while tokens.len() < most && reader.read_exact(&mut text).is_ok() {
            let (end, count) = text.split_at(8);
            let [end, count] =
                [end, count].map(|bytes| bytes.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)));
            if end.saturating_mul(4) > length || (end as usize) < offsets.last().copied().unwrap_or(0) {
                break;
            }
            offsets.push(end as usize);
            tokens.push(count as u32);
        }
        let mut cache = Cache {
            folder: folder.to_owned(),
            ids,
            texts,
            offsets,
            tokens,
            unsynced: 0,
            pending: Vec::new(),
        };
        let (end, count) = (4 * cache.end() as u64, (TEXT * cache.texts()) as u64);
        for (file, path, length) in [(&mut cache.ids, &ids_path, end), (&mut cache.texts, &texts_path, count)]
        {
            let cut = file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length)));
            cut.map_err(|error| Error::write(path, error))?;
        }
        Ok(cache)
    }

    fn texts(&self) -> usize {
        self.tokens.len()
    }

    fn end(&self) -> usize {
        self.offsets.last().copied().unwrap_or(0)
    }

    fn append(&mut self, ones: &[One]) -> Result<()> {
        let mut ids = Vec::new();
        for one in ones {
            ids.extend_from_slice(&one.ids);
            let end = self.end() + one.ids.len();
            self.offsets.push(end);
            self.tokens.push(one.tokens);
            self.pending.extend_from_slice(&(end as u64).to_le_bytes());
            self.pending.extend_from_slice(&one.tokens.to_le_bytes());
        }
        let written = self.ids.write_all(bytemuck::cast_slice(&ids));
        written.map_err(|error| Error::write(&self.folder.join(IDS), error))?;
        self.unsynced += 4 * ids.len();
        if self.unsynced > SYNCED { self.sync() } else { Ok(()) }
    }

    /// Brings the ids to the disk, and then says that they are there.
    fn sync(&mut self) -> Result<()> {
        self.ids.sync_data().map_err(|error| Error::write(&self.folder.join(IDS), error))?;
        let told = self.texts.write_all(&self.pending);
        told.map_err(|error| Error::write(&self.folder.join(TEXTS), error))?;
        self.pending.clear();
        self.unsynced = 0;
        Ok(())
    }

    fn finish(self) -> Result<Encoded> {
        Encoded::mapped(&self.folder.join(IDS), self.offsets, self.tokens)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Example, Stored, save};

    fn table(texts: usize) -> (tempfile::TempDir, Table, Table) {
        let examples: Vec<Example> = (0..texts)
            .map(|n| Example {
                author: None,
                text: format!("text number {n} has {} words", ["few", "no", "many"][n % 3]),
                mbti: "INFP".parse().unwrap(),
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        save(folder.path(), |keep| {
            examples.iter().cloned().try_for_each(keep)?;
            Ok(Stored::default())
        })
        .unwrap();
        let stored = Table::open(folder.path()).unwrap();
        (folder, stored, Table::of(examples))
    }

    fn all(encoded: &Encoded) -> Vec<(Vec<u32>, u32)> {
        (0..encoded.len()).map(|text| (encoded.ids(text).to_vec(), encoded.tokens(text))).collect()
    }

    fn caches(folder: &tempfile::TempDir) -> usize {
        std::fs::read_dir(folder.path().join(FOLDER)).unwrap().count()
    }

    #[test]
    fn tokens_out_of_the_file_are_those_made_in_memory_and_are_made_once() {
        let (folder, stored, memory) = table(2500);
        let rows: Vec<u32> = (0..2500).step_by(2).collect();
        let encode = |table: &Table, made: &mut usize| {
            encode_rows(table, &rows, &Tokenizer::Ngrams, 9, |done| {
                *made = done;
                true
            })
            .unwrap()
            .unwrap()
        };
        let (mut first, mut second) = (0, 0);
        let expected = all(&encode(&memory, &mut 0));
        let found = encode(&stored, &mut first);
        assert_eq!(all(&found), expected);
        assert_eq!(all(&encode(&stored, &mut second)), expected);
        assert_eq!((first, second), (1250, 0));
        let hash = |encoded: &Encoded| {
            let mut hash = Sha256::new();
            encoded.visit(|bytes| hash.update(bytes)).unwrap();
            hash.finalize()
        };
        assert_eq!(hash(&found), hash(&encode(&memory, &mut 0)));
        let others = encode_rows(&stored, &rows[1..], &Tokenizer::Ngrams, 9, |_| true).unwrap().unwrap();
        assert_eq!(all(&others), expected[1..]);
        assert_eq!(caches(&folder), 2);
    }

    #[test]
    fn what_was_broken_off_anywhere_is_gone_on_with() {
        let (folder, stored, memory) = table(3000);
        let rows = stored.rows();
        let expected = all(&encode_rows(&memory, &rows, &Tokenizer::Ngrams, 9, |_| true).unwrap().unwrap());
        assert!(encode_rows(&stored, &rows, &Tokenizer::Ngrams, 9, |done| done < 2000).unwrap().is_none());
        let cache = folder.path().join(FOLDER).join(key(&rows, &Tokenizer::Ngrams, 9));
        for (file, cut) in [(IDS, 0), (IDS, 3), (TEXTS, 5), (TEXTS, 13), (IDS, 4000)] {
            let file = File::options().write(true).open(cache.join(file)).unwrap();
            file.set_len(file.metadata().unwrap().len() - cut).unwrap();
            let mut first = None;
            let found = encode_rows(&stored, &rows, &Tokenizer::Ngrams, 9, |done| {
                first.get_or_insert(done);
                true
            });
            assert_eq!(all(&found.unwrap().unwrap()), expected);
            assert!(first.is_none_or(|first| first > 1024), "{first:?}");
        }
    }

    #[test]
    fn no_more_caches_are_kept_than_are_wanted() {
        let (folder, stored, _) = table(50);
        for length in 1..15 {
            encode_rows(&stored, &stored.rows(), &Tokenizer::Ngrams, length, |_| true).unwrap().unwrap();
        }
        assert_eq!(caches(&folder), KEPT);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_a_cache_s_file_is_refused_and_what_it_leads_to_stays() {
        let (folder, stored, _) = table(50);
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "abc").unwrap();
        for file in [IDS, TEXTS, LOCK] {
            let cache = folder.path().join(FOLDER).join(key(&stored.rows(), &Tokenizer::Ngrams, 9));
            std::fs::create_dir_all(&cache).unwrap();
            std::os::unix::fs::symlink(&precious, cache.join(file)).unwrap();
            let error = encode_rows(&stored, &stored.rows(), &Tokenizer::Ngrams, 9, |_| true).unwrap_err();
            assert!(matches!(&error, Error::Write { path, .. } if path.ends_with(file)), "{error}");
            assert_eq!(std::fs::read(&precious).unwrap(), b"abc");
            std::fs::remove_dir_all(&cache).unwrap();
        }
    }

    #[test]
    fn an_empty_choice_of_rows_has_no_tokens() {
        let (_folder, stored, _) = table(5);
        assert!(encode_rows(&stored, &[], &Tokenizer::Ngrams, 9, |_| true).unwrap().unwrap().is_empty());
    }
}
