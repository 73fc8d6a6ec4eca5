//! What the format's crate reads of a file: the pages that were walked before, and nothing else. It takes the memory
//! that their headers say, but some packings write on behind it; those are unpacked to nowhere first, and counted.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom},
    sync::Arc,
};

use bytes::Bytes;
use parquet::{
    errors::{ParquetError, Result},
    file::reader::{ChunkReader, Length},
};

use super::thrift::Outcome;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Brotli,
    Lz4,
    /// None, or one that is unpacked into the room that there is.
    Bounded,
}

/// A page's bytes without its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) packing: Packing,
    pub(super) length: u64,
    /// Bytes at its beginning that are not packed.
    pub(super) levels: u64,
    /// What the rest comes to, by its header.
    pub(super) unpacked: u64,
}

impl Body {
    fn check(&self, bytes: &[u8]) -> Outcome<()> {
        let packed = bytes.get(self.levels as usize..).unwrap_or_default();
        match self.packing {
            Packing::Bounded => Ok(()),
            Packing::Gzip => self.count(flate2::read::MultiGzDecoder::new(packed)),
            // A window of up to a gigabyte, which the standard has not.
            Packing::Brotli if packed.first().is_some_and(|first| first & 0x7f == 0x11) => {
                Err("a page is packed by no standard brotli".to_owned())
            }
            Packing::Brotli => self.count(brotli::Decompressor::new(packed, 1 << 16)),
            Packing::Lz4 => self.count(lz4_flex::frame::FrameDecoder::new(packed)),
        }
    }

    /// What is no sound packing is left to the format's crate, which tells it.
    fn count(&self, mut unpacked: impl Read) -> Outcome<()> {
        let (mut buffer, mut sum) = (vec![0; 1 << 16], 0);
        while let Ok(read @ 1..) = unpacked.read(&mut buffer) {
            sum += read as u64;
            if sum > self.unpacked {
                return Err("a page unpacks to more than it says".to_owned());
            }
        }
        Ok(())
    }
}

/// A file of which only pages can be read that are known.
pub(super) struct Walked {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) bodies: Arc<HashMap<u64, Body>>,
}

impl Length for Walked {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Walked {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::with_capacity(512, file))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let found = self.bodies.get(&start).filter(|body| body.length == length as u64);
        let body = found.ok_or_else(|| ParquetError::General("it contradicts itself".to_owned()))?;
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(length);
        file.take(body.length).read_to_end(&mut bytes)?;
        if bytes.len() != length {
            return Err(ParquetError::EOF("it ends in the middle of a page".to_owned()));
        }
        body.check(&bytes).map_err(ParquetError::General)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn a_page_that_unpacks_to_more_than_it_says_is_refused_without_taking_memory_for_it() {
        let zeros = vec![0; 3 << 20];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&zeros).unwrap();
        let mut packed = Vec::new();
        brotli::CompressorWriter::new(&mut packed, 4096, 9, 22).write_all(&zeros).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&zeros).unwrap();
        for (packing, bytes) in [
            (Packing::Gzip, gzip.finish().unwrap()),
            (Packing::Brotli, packed),
            (Packing::Lz4, lz4.finish().unwrap()),
        ] {
            let bytes = [&[1, 2, 3][..], &bytes].concat();
            let body =
                |unpacked| Body { packing, length: bytes.len() as u64, levels: 3, unpacked }.check(&bytes);
            assert_eq!(body(3 << 20), Ok(()), "{packing:?}");
            assert!(body((3 << 20) - 1).is_err(), "{packing:?}");
        }
    }
}
