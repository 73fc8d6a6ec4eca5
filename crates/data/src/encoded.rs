use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use memmap2::Mmap;

use crate::{Error, error::Result};

/// One text as ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct One {
    pub ids: Vec<u32>,
    pub tokens: u32,
    pub truncated: bool,
}

/// Many texts as ids, laid one after another.
#[derive(Debug)]
pub struct Encoded {
    ids: Ids,
    /// Where each text begins, and after the last one the number of all ids.
    offsets: Vec<usize>,
    tokens: Vec<u32>,
}

#[derive(Debug)]
enum Ids {
    Memory(Vec<u32>),
    /// A file of which only those pages are in memory that are looked at.
    File {
        path: PathBuf,
        map: Option<Mmap>,
    },
}

impl Default for Encoded {
    fn default() -> Self {
        Encoded { ids: Ids::Memory(Vec::new()), offsets: vec![0], tokens: Vec::new() }
    }
}

impl Encoded {
    /// The ids in a file of native 32-bit numbers, with where each text begins in it, and after the last
    /// one how many ids there are.
    pub(crate) fn mapped(path: &Path, offsets: Vec<usize>, tokens: Vec<u32>) -> Result<Encoded> {
        let wrong =
            |reason: &str| Error::Damaged { path: path.to_owned(), line: 0, reason: reason.to_owned() };
        let file = files::open_regular(path).map_err(|error| Error::read(path, error))?;
        let length = file.metadata().map_err(|error| Error::read(path, error))?.len();
        let wanted = offsets.last().copied().unwrap_or(0);
        if length < 4 * wanted as u64 || !offsets.is_sorted() || offsets.len() != tokens.len() + 1 {
            return Err(wrong("it is shorter than it should be"));
        }
        // An empty file cannot be mapped.
        let map =
            if wanted == 0 { None } else { Some(map(&file).map_err(|error| Error::read(path, error))?) };
        if map.as_ref().is_some_and(|map| bytemuck::try_cast_slice::<u8, u32>(&map[..4 * wanted]).is_err()) {
            return Err(wrong("it does not hold whole numbers"));
        }
        Ok(Encoded { ids: Ids::File { path: path.to_owned(), map }, offsets, tokens })
    }

    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many ids the model reads for this text.
    pub fn length(&self, text: usize) -> usize {
        self.offsets[text + 1] - self.offsets[text]
    }

    /// The ids that the model reads for this text.
    pub fn ids(&self, text: usize) -> &[u32] {
        let (from, to) = (self.offsets[text], self.offsets[text + 1]);
        match &self.ids {
            Ids::Memory(ids) => &ids[from..to],
            // That all of it can be read as numbers was seen when it was mapped.
            Ids::File { map, .. } => map
                .as_ref()
                .and_then(|map| bytemuck::try_cast_slice(map.get(4 * from..4 * to)?).ok())
                .unwrap_or_default(),
        }
    }

    /// Tokens (or words, for `words`) of this text: what throughput is counted in.
    pub fn tokens(&self, text: usize) -> u32 {
        self.tokens[text]
    }

    pub(crate) fn push(&mut self, one: &One) {
        if let Ids::Memory(ids) = &mut self.ids {
            ids.extend_from_slice(&one.ids);
            self.offsets.push(ids.len());
            self.tokens.push(one.tokens);
        }
    }

    /// Hands over where the texts begin and then all ids, as bytes, piece by piece: what tells these
    /// texts from others. A file is read for it rather than looked at, so that it is not in memory.
    pub fn visit(&self, mut f: impl FnMut(&[u8])) -> Result<()> {
        self.offsets.iter().for_each(|&offset| f(&(offset as u64).to_le_bytes()));
        match &self.ids {
            Ids::Memory(ids) => f(bytemuck::cast_slice(ids)),
            Ids::File { path, .. } => {
                let wanted = 4 * self.offsets.last().copied().unwrap_or(0) as u64;
                let file = files::open_regular(path).map_err(|error| Error::read(path, error))?;
                let mut file = file.take(wanted);
                let mut piece = vec![0; 1 << 20];
                loop {
                    match file.read(&mut piece).map_err(|error| Error::read(path, error))? {
                        0 => break,
                        read => f(&piece[..read]),
                    }
                }
            }
        }
        Ok(())
    }
}

#[allow(unsafe_code)]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the file lies in a folder of the program's own, is written to by nobody once it is whole,
    // and whoever removes it leaves what is mapped as it is.
    unsafe { Mmap::map(file) }
}
