//! Fetching files: several at once, each from where it was left, each counted only when its hash is right.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use record::{DownloadPlan, RemoteFile};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE,
    },
};

use super::{
    apart,
    cache::{InPlace, RepoCache},
    listing::file_url,
    matches,
    plan::sum,
};
use crate::{
    access::{Network, passes, waits},
    error::{Error, Result},
    shown::shown,
    transfer::Transfer,
};

/// Files at once; more would only share one line.
const AT_ONCE: usize = 4;
/// Attempts in a row that bring a file no further than it has been, after which it is given up.
const FRUITLESS: u32 = 6;
/// Times that a file is begun anew because the server sends no rest of it, or none that fits.
const RESTARTS: u32 = 5;
/// Times that a whole file is fetched anew because its hash was wrong.
const ANEW: u32 = 1;

/// Fetches what a plan names, and gives the folder of the snapshot. Stopped or cut off it keeps what has come, and
/// goes on there the next time. `more` is what the caller needs on the cache's disk besides, in bytes.
pub async fn fetch(
    network: &Network,
    plan: &DownloadPlan,
    transfer: &Transfer,
    more: i64,
) -> Result<PathBuf> {
    transfer.or_stop(all(network, plan, transfer, more)).await?
}

async fn all(network: &Network, plan: &DownloadPlan, transfer: &Transfer, more: i64) -> Result<PathBuf> {
    let cache = RepoCache::new(&network.cache, plan.kind, &plan.repo);
    let bytes = sum(network, &plan.repo, &plan.files)?;
    transfer.expect(bytes);
    room(&network.cache, bytes.saturating_sub(plan.bytes_here.max(0)).saturating_add(more))?;
    let mut missing = Vec::new();
    for file in &plan.files {
        if !is_linked(network, &cache, plan, file).await? {
            missing.push(file);
        }
    }
    let each = plan.files.iter().map(|file| one(network, &cache, plan, file, transfer));
    stream::iter(each).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    for file in missing {
        cache.link(&plan.commit, file)?;
    }
    if let Some(revision) = &plan.revision {
        cache.set_revision(revision, &plan.commit)?;
    }
    Ok(cache.snapshot(&plan.commit))
}

/// Whether the snapshot has a file already. A commit's files never change, so that one with another content means that
/// somebody lies, now or before; then nothing is touched.
async fn is_linked(
    network: &Network,
    cache: &RepoCache,
    plan: &DownloadPlan,
    file: &RemoteFile,
) -> Result<bool> {
    let other = match cache.in_place(&plan.commit, file)? {
        InPlace::Nothing => return Ok(false),
        InPlace::Linked => return Ok(true),
        InPlace::Other => cache.snapshot(&plan.commit).join(&file.path),
    };
    match is_right(&other, file).await {
        Ok(true) => Ok(true),
        Err(Error::Stopped) => Err(Error::Stopped),
        // Another content, or a link to what is gone.
        _ => Err(Error::BadAnswer {
            host: network.host(),
            reason: format!(
                "it tells of another content of {} in commit {} of {} than the cache has from before, in {}",
                shown(&file.path),
                plan.commit,
                plan.repo,
                other.display()
            ),
        }),
    }
}

/// Whether a disk has so many bytes left, with some to spare for what else goes on.
fn room(folder: &Path, bytes: i64) -> Result<()> {
    const SPARE_MIB: u64 = 100;
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(folder);
    let free_mib = fs4::available_space(there).map_err(|error| Error::read(there, error))? >> 20;
    let needed_mib = (u64::try_from(bytes).unwrap_or(0) >> 20).saturating_add(SPARE_MIB);
    // A few small files need no room to spare.
    if bytes > 1 << 20 && needed_mib > free_mib {
        return Err(Error::NoRoom { path: folder.to_owned(), needed_mib, free_mib });
    }
    Ok(())
}

/// Fetches one file, unless it is there.
async fn one(
    network: &Network,
    cache: &RepoCache,
    plan: &DownloadPlan,
    file: &RemoteFile,
    transfer: &Transfer,
) -> Result<()> {
    let (blob, part) = (cache.blob(file), cache.incomplete(file));
    let _lock = cache.lock(file, transfer).await?;
    let folder = blob.parent().unwrap_or(&blob);
    std::fs::create_dir_all(folder).map_err(|error| Error::write(folder, error))?;
    if blob.exists() {
        if is_right(&blob, file).await? {
            transfer.spare(file.bytes);
            return Ok(());
        }
        // Torn by a crash, or by a disk: what is wrong must not stay under this name.
        std::fs::remove_file(&blob).map_err(|error| Error::write(&blob, error))?;
    }
    if std::fs::symlink_metadata(&part).is_ok_and(|about| !about.is_file()) {
        // Whatever it leads to is not to be written to.
        std::fs::remove_file(&part).map_err(|error| Error::write(&part, error))?;
    }
    let url = file_url(network, plan.kind, &plan.repo, &plan.commit, &file.path);
    transfer.spare(length(&part).min(file.bytes));
    for anew in 0..=ANEW {
        // The second time, all of it has come once.
        let state = State { etag: None, restarts: 0, lost: if anew > 0 { file.bytes } else { 0 } };
        gather(network, &url, &plan.repo, file, &part, state, transfer).await?;
        if is_right(&part, file).await? {
            return place(&part, &blob).map_err(|error| Error::write(&blob, error));
        }
        if anew < ANEW {
            std::fs::remove_file(&part).map_err(|error| Error::write(&part, error))?;
            transfer.take_back(file.bytes);
        }
    }
    std::fs::remove_file(&part).ok();
    Err(Error::WrongHash { repo: plan.repo.clone(), path: shown(&file.path) })
}

fn place(part: &Path, blob: &Path) -> std::io::Result<()> {
    File::open(part)?.sync_all()?;
    std::fs::rename(part, blob)
}

fn length(path: &Path) -> i64 {
    std::fs::metadata(path).map_or(0, |about| i64::try_from(about.len()).unwrap_or(i64::MAX))
}

/// Hashing a large file takes seconds, in which other files are to come on.
async fn is_right(path: &Path, file: &RemoteFile) -> Result<bool> {
    let (path, file) = (path.to_owned(), file.clone());
    apart(move |given_up| matches(&path, &file, given_up)).await
}

/// Brings a file to its full length, over as many connections as it takes.
async fn gather(
    network: &Network,
    url: &Url,
    repo: &str,
    file: &RemoteFile,
    part: &Path,
    mut state: State,
    transfer: &Transfer,
) -> Result<()> {
    let (mut fruitless, mut waited) = (0, Duration::ZERO);
    let mut most = length(part).min(file.bytes);
    loop {
        let before = length(part);
        if before == file.bytes {
            if before == 0 {
                // Of an empty file nothing has to come, and so nothing has made it.
                let made = File::options().create(true).append(true).open(part);
                made.map_err(|error| Error::write(part, error))?;
            }
            return Ok(());
        }
        if before > file.bytes {
            std::fs::remove_file(part).map_err(|error| Error::write(part, error))?;
            continue;
        }
        let piece = piece(network, url, repo, before, file, part, &mut state, transfer).await;
        let error = match piece {
            Ok(()) => continue,
            Err(error) if passes(&error) => error,
            Err(error) => return Err(error),
        };
        // One that begins anew and comes no further has brought nothing, however much it sends.
        if length(part) > most {
            most = length(part);
            (fruitless, waited) = (0, Duration::ZERO);
        } else {
            fruitless += 1;
        }
        let time = match &error {
            Error::RateLimited { seconds } => Duration::from_secs(*seconds),
            // A connection that was cut after bringing something is made again at once.
            _ if fruitless == 0 => Duration::ZERO,
            _ => network.wait_after(&error, fruitless),
        };
        waited += time;
        if fruitless >= FRUITLESS || waited > network.limits.waiting {
            return Err(error);
        }
        if state.restarts > RESTARTS {
            let reason = format!("it begins {} of {repo} anew again and again", shown(&file.path));
            return Err(Error::BadAnswer { host: network.host(), reason });
        }
        waits(&error, time);
        transfer.wait(time).await?;
    }
}

/// What is known of the other side from one connection to the next.
struct State {
    /// The storage's own name for what it serves, by which it tells whether the rest still belongs to the beginning.
    etag: Option<HeaderValue>,
    restarts: u32,
    /// Bytes that had come and are to travel once more.
    lost: i64,
}

/// One connection: asks for what is missing and writes what comes.
#[expect(clippy::too_many_arguments, reason = "each is one thing that a connection needs to know")]
async fn piece(
    network: &Network,
    url: &Url,
    repo: &str,
    before: i64,
    file: &RemoteFile,
    part: &Path,
    state: &mut State,
    transfer: &Transfer,
) -> Result<()> {
    network.online(repo)?;
    let known = state.etag.clone();
    let shape = |request: reqwest::RequestBuilder| {
        // Packed on its way, a range would be one of something else.
        let mut request = request.header(ACCEPT_ENCODING, "identity");
        if before > 0 {
            request = request.header(RANGE, format!("bytes={before}-"));
            if let Some(etag) = &known {
                request = request.header(IF_RANGE, etag);
            }
        }
        request
    };
    let answer = transfer.or_stop(network.send_once(&Method::GET, url, &shape)).await??;
    let start = match answer.status() {
        StatusCode::PARTIAL_CONTENT if starts_at(&answer, before) => before,
        // The server ignores ranges, or has something else now: from the beginning.
        StatusCode::OK => 0,
        status @ (StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT) if before == 0 => {
            let reason = format!(
                "of {} of {repo}, of which it was asked for the whole, it sends no beginning (status {})",
                shown(&file.path),
                status.as_u16()
            );
            return Err(Error::BadAnswer { host: network.host(), reason });
        }
        StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT => {
            std::fs::remove_file(part).map_err(|error| Error::write(part, error))?;
            transfer.take_back(before);
            state.lost += before;
            state.etag = None;
            state.restarts += 1;
            return Err(Error::Server { host: network.host(), status: 503, said: None });
        }
        StatusCode::NOT_FOUND if is_of_the_file(&answer) => {
            let reason = format!("it lists {} of {repo}, and does not have it", shown(&file.path));
            return Err(Error::BadAnswer { host: network.host(), reason });
        }
        _ => return Err(network.refused(&Method::GET, answer, repo).await),
    };
    if let Some(rest) = length_of(&answer).filter(|rest| start.checked_add(*rest) != Some(file.bytes)) {
        let (path, bytes) = (shown(&file.path), file.bytes);
        let reason =
            format!("it would send {rest} bytes of {path} from {start} on, and lists the file with {bytes}");
        return Err(Error::BadAnswer { host: network.host(), reason });
    }
    let strong = answer.headers().get(ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/"));
    state.etag = strong.cloned();
    state.restarts += u32::from(start < before);
    write(answer, url, start, before, file, part, &mut state.lost, network, transfer).await
}

/// Whether it is a file that is not there, rather than its repository or the commit.
fn is_of_the_file(answer: &Response) -> bool {
    let code = answer.headers().get("x-error-code");
    code.is_none_or(|code| code == "EntryNotFound")
}

/// How many bytes an answer is to bring, where it says so and they are those of the file.
fn length_of(answer: &Response) -> Option<i64> {
    let headers = answer.headers();
    let packed = headers.get(CONTENT_ENCODING).is_some_and(|packed| packed != "identity");
    headers.get(CONTENT_LENGTH).filter(|_| !packed)?.to_str().ok()?.parse().ok()
}

/// Whether a part of a file begins where it was asked to.
fn starts_at(answer: &Response, offset: i64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<i64>().ok());
    first == Some(offset)
}

#[expect(clippy::too_many_arguments, reason = "what `piece` has found out")]
async fn write(
    mut answer: Response,
    url: &Url,
    start: i64,
    before: i64,
    file: &RemoteFile,
    part: &Path,
    lost: &mut i64,
    network: &Network,
    transfer: &Transfer,
) -> Result<()> {
    let failed = |error| Error::write(part, error);
    let mut out = File::options().create(true).truncate(false).write(true).open(part).map_err(failed)?;
    let offset = u64::try_from(start).unwrap_or(0);
    out.set_len(offset).map_err(failed)?;
    out.seek(SeekFrom::Start(offset)).map_err(failed)?;
    if start < before {
        transfer.take_back(before - start);
        *lost += before - start;
    }
    let mut at = start;
    while let Some(bytes) =
        transfer.or_stop(answer.chunk()).await?.map_err(|error| network.unreachable(url, &error))?
    {
        at += bytes.len() as i64;
        if at > file.bytes {
            return Err(Error::BadAnswer {
                host: network.host(),
                reason: format!("it sends more of {} than the file has", shown(&file.path)),
            });
        }
        out.write_all(&bytes).map_err(failed)?;
        transfer.advance(bytes.len() as i64);
        let again = (*lost).min(bytes.len() as i64);
        transfer.came_again(again);
        *lost -= again;
    }
    if at < file.bytes {
        let reason = "the connection was cut".to_owned();
        return Err(Error::NoNetwork { host: network.host(), reason });
    }
    Ok(())
}
