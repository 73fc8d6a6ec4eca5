//! Reading what is a regular file, and no more of it than there should be.

use std::{
    fs::File,
    io::{Error, ErrorKind, Read, Result},
    path::Path,
};

/// The most that a file of JSON may hold: far beyond any config or index, well within memory.
pub const JSON_LIMIT: u64 = 64 << 20;

/// Opens a file for reading, links followed, and refuses whatever is not a regular file. To open a named pipe
/// this way does not wait for somebody to write to it.
pub fn open_regular(path: &Path) -> Result<File> {
    let mut options = File::options();
    options.read(true);
    // Without it, opening a pipe waits, and opening a device may do something.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path)?;
    refuse_irregular(&file)?;
    Ok(file)
}

/// Refuses what was opened and is no regular file.
pub(crate) fn refuse_irregular(file: &File) -> Result<()> {
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(Error::new(ErrorKind::IsADirectory, "it is a folder"));
    }
    if !about.is_file() {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            "it is a pipe, socket or device, not a regular file",
        ));
    }
    Ok(())
}

/// Opens a file of our own for reading and writing, which is made where there is none. A link in its place is refused,
/// since what it leads to is not ours, and so is whatever else is not a regular file.
pub fn open_own(path: &Path) -> Result<File> {
    let link = || Error::new(ErrorKind::InvalidInput, "it is a link where a file is expected");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY,
    );
    #[cfg(not(unix))]
    if std::fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink()) {
        return Err(link());
    }
    let file = options.open(path).map_err(|error| {
        let is_link = std::fs::symlink_metadata(path).is_ok_and(|about| about.is_symlink());
        if is_link { link() } else { error }
    })?;
    refuse_irregular(&file)?;
    Ok(file)
}

/// The bytes of a regular file that has at most `limit` of them.
pub fn read_limited(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = file.metadata()?.len();
    if length > limit {
        return Err(too_large(limit));
    }
    // Files in /proc have no length and may grow while they are read.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large(limit)) } else { Ok(bytes) }
}

pub(crate) fn too_large(limit: u64) -> Error {
    Error::new(ErrorKind::FileTooLarge, format!("it has more than the {limit} bytes that are expected"))
}

/// The same as text.
pub fn read_text_limited(path: &Path, limit: u64) -> Result<String> {
    String::from_utf8(read_limited(path, limit)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit_and_refused_past_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_limited(&path, 5).unwrap(), b"12345");
        assert_eq!(read_limited(&path, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(read_text_limited(&path, 9).unwrap(), "12345");
        std::fs::write(&path, [0xff]).unwrap();
        assert_eq!(read_text_limited(&path, 9).unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(open_regular(folder.path()).unwrap_err().kind(), ErrorKind::IsADirectory);
        assert_eq!(open_regular(&folder.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_without_waiting_also_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        let link = folder.path().join("config.json");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe.as_path(), &link, Path::new("/dev/zero")] {
            let error = read_limited(path, JSON_LIMIT).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{}: {error}", path.display());
        }
        assert_eq!(open_own(&pipe).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_of_our_own_is_made_or_kept_and_a_link_in_its_place_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for _ in 0..2 {
            std::io::Write::write_all(&mut open_own(&at("lock")).unwrap(), b"ab").unwrap();
        }
        assert_eq!(std::fs::read(at("lock")).unwrap(), b"ab");
        std::fs::write(at("precious"), "x").unwrap();
        for (link, to) in [("a", "precious"), ("b", "not-there")] {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
            assert_eq!(open_own(&at(link)).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert!(!at("not-there").exists());
    }
}
