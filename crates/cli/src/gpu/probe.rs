//! Asks the engine for GPUs what it lists, in a process of its own: a driver that crashes or hangs takes that process
//! along and no other.

use std::{
    io::Read,
    process::{Child, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use record::{DeviceInfo, one_line};

use super::Engine;

/// A driver that has to wake its cards takes some seconds.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The most that is read of an answer, in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// Characters of what the engine said that a reason quotes.
const MOST_SAID: usize = 300;
/// How often it is looked whether the engine has ended.
const LOOK: Duration = Duration::from_millis(10);
/// What was said last may come a little after the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("mbti-cuda cannot be started: {0}")]
    Start(std::io::Error),
    #[error("mbti-cuda gave no answer within {} s", .0.as_secs())]
    Slow(Duration),
    #[error("mbti-cuda ended with {status}{}", if .said.is_empty() { String::new() } else { format!(": {said}") })]
    Ended { status: ExitStatus, said: String },
    #[error("the answer of mbti-cuda is no list of devices")]
    Answer,
}

impl Error {
    /// Whether the loader found no function in a library that the engine calls: the library is too old.
    pub fn is_old_library(&self) -> bool {
        matches!(self, Error::Ended { said, .. } if said.contains("undefined symbol"))
    }
}

/// The GPUs that the engine lists, or why it cannot.
pub fn ask(engine: &Engine, limit: Duration) -> Result<Vec<DeviceInfo>, Error> {
    let mut command = engine.command("devices");
    command.args(["devices", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A token is none of its business.
    command.env_remove("HF_TOKEN").env_remove("HF_HUB_TOKEN");
    let until = Instant::now() + limit;
    let mut child = command.spawn().map_err(Error::Start)?;
    let (answer, said) = (read(child.stdout.take()), read(child.stderr.take()));
    let Some(status) = wait(&mut child, until) else {
        end(child);
        return Err(Error::Slow(limit));
    };
    if !status.success() {
        let said = said.recv_timeout(LAST_WORDS).unwrap_or_default();
        return Err(Error::Ended { status, said: last_line(&String::from_utf8_lossy(&said)) });
    }
    let left = until.saturating_duration_since(Instant::now()).max(LAST_WORDS);
    let answer = answer.recv_timeout(left).map_err(|_| Error::Slow(limit))?;
    let devices: Vec<DeviceInfo> = serde_json::from_slice(&answer).map_err(|_| Error::Answer)?;
    Ok(devices.into_iter().filter(|device| device.device.starts_with("cuda:")).collect())
}

/// Reads a pipe on a thread, which nobody waits for longer than he wants to: a grandchild may hold the pipe open.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            pipe.take(MOST_BYTES).read_to_end(&mut bytes).ok();
        }
        send.send(bytes).ok();
    });
    receive
}

fn wait(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => thread::sleep(LOOK),
            _ => return None,
        }
    }
}

/// Ends a process. One that hangs in the driver ends when the driver lets it, which nobody waits for.
fn end(mut child: Child) {
    child.kill().ok();
    thread::spawn(move || child.wait());
}

fn last_line(said: &str) -> String {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    one_line(line.strip_prefix("error: ").unwrap_or(line)).chars().take(MOST_SAID).collect()
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::scripted::engine, *};
    use record::Unusable;

    const CARDS: &str = r#"[{"device":"cpu","name":"p","memory_mib":1,"free_mib":1,"unusable":null},
        {"device":"cuda:0","name":"Card A","memory_mib":8192,"free_mib":8000,"unusable":null},
        {"device":"cuda:1","name":"Card B","memory_mib":4096,"free_mib":null,
         "unusable":{"kind":"old_card","capability":"7.5"}}]"#;

    #[test]
    fn an_engine_that_lists_two_cards_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let script = format!("[ \"$*\" = 'devices --json' ] || exit 1\ncat <<'END'\n{CARDS}\nEND");
        let found = ask(&engine(folder.path(), &script), LIMIT).unwrap();
        let names: Vec<_> = found.iter().map(|card| (&card.device[..], &card.name[..])).collect();
        assert_eq!(names, [("cuda:0", "Card A"), ("cuda:1", "Card B")]);
        assert_eq!(found[0].free_mib, Some(8000.0));
        assert_eq!(found[1].unusable, Some(Unusable::OldCard { capability: "7.5".into() }));
    }

    #[test]
    fn an_engine_that_hangs_is_given_up_at_the_limit_also_where_a_child_of_it_keeps_its_output_open() {
        let folder = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        // The script's own child keeps the pipe open when the script is gone.
        let found = ask(&engine(folder.path(), "sleep 60\necho '[]'"), Duration::from_millis(300));
        assert!(matches!(found, Err(Error::Slow(_))), "{found:?}");
        let found = ask(&engine(folder.path(), "sleep 60 &\necho '[]'"), Duration::from_millis(300));
        assert!(matches!(found, Err(Error::Slow(_))), "{found:?}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn an_engine_that_prints_something_else_gives_no_list() {
        let folder = tempfile::tempdir().unwrap();
        for script in ["echo Segmentation", "printf '[{\"device\":1}]'", "true", "printf '{}'"] {
            let found = ask(&engine(folder.path(), script), LIMIT);
            assert!(matches!(found, Err(Error::Answer)), "{script}: {found:?}");
        }
    }

    #[test]
    fn an_engine_without_end_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let found = ask(&engine(folder.path(), "yes '[]'"), Duration::from_secs(5));
        // What nobody reads any more ends it, or the limit does.
        assert!(found.is_err(), "{found:?}");
    }

    #[test]
    fn an_engine_that_crashes_leaves_its_last_words_and_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let found = ask(&engine(folder.path(), "kill -SEGV $$"), LIMIT).unwrap_err().to_string();
        assert!(found.contains("signal: 11"), "{found}");
        let words = "echo 'error: CUDA_ERROR_UNKNOWN\u{1b}[2J' >&2\nexit 1";
        let found = ask(&engine(folder.path(), words), LIMIT).unwrap_err().to_string();
        assert!(found.ends_with("exit status: 1: CUDA_ERROR_UNKNOWN\u{FFFD}[2J"), "{found}");
        let words = "echo 'mbti-cuda: symbol lookup error: mbti-cuda: undefined symbol: cuNew' >&2\nexit 127";
        assert!(ask(&engine(folder.path(), words), LIMIT).unwrap_err().is_old_library());
    }
}
