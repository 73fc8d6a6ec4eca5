//! Asks the engine for GPUs what it lists, in a process of its own: a driver that crashes or hangs takes that process
//! along and no other. Whatever this process has started ends with it.

use std::{
    collections::BTreeSet,
    io::Read,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use record::{Device, DeviceInfo, Unusable, one_line};
use serde_json::Value;

use super::{
    Engine,
    group::Group,
    start::{LISTING, not_started, tell_nothing_of_the_hub},
};

/// A driver that has to wake its cards takes some seconds.
pub const LIMIT: Duration = Duration::from_secs(20);

/// The most that is read of an answer, in bytes.
const MOST_BYTES: u64 = 1 << 20;
/// What is read of it at once.
const PIECE: usize = 1 << 16;
/// Lines and characters of what the engine said last that a reason quotes.
const LINES_SAID: usize = 3;
const MOST_SAID: usize = 300;
/// Characters that are kept of each text in an answer.
const MOST_TOLD: usize = 200;
/// More memory than a GPU has, in MiB: a pebibyte.
const MOST_MIB: f64 = (1_u64 << 30) as f64;
/// What was said last may come a little after the end, and somebody else may hold a pipe open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be started: {source}", .program.display())]
    Start { program: PathBuf, source: std::io::Error },
    #[error("mbti-cuda gave no answer within {} s", .0.as_secs())]
    Slow(Duration),
    #[error("mbti-cuda ended with {status}{}", if .said.is_empty() { String::new() } else { format!(": {said}") })]
    Ended { status: ExitStatus, said: String },
    #[error("the answer of mbti-cuda is no list of devices")]
    Answer,
}

impl Error {
    /// The same as what keeps a GPU from being used.
    pub fn why(&self) -> Unusable {
        let missing = match self {
            Error::Start { program, source } => return not_started(program, source),
            Error::Ended { said, .. } => missing_library(said),
            _ => None,
        };
        match missing {
            Some(library) => Unusable::LibraryMissing { library: library.to_owned() },
            None => Unusable::Failed { reason: self.to_string() },
        }
    }
}

/// The library that Linux' loader did not find: `mbti-cuda: error while loading shared libraries: NAME: cannot open shared
/// object file: No such file or directory`.
fn missing_library(said: &str) -> Option<&str> {
    let (before, _) = said.split_once(": cannot open shared object file: No such file")?;
    let (_, library) = before.rsplit_once(": ")?;
    (!library.is_empty()).then_some(library)
}

/// The GPUs that the engine lists, or why it cannot.
pub fn ask(engine: &Engine, limit: Duration) -> Result<Vec<DeviceInfo>, Error> {
    let mut command = engine.command(LISTING);
    command.args(["devices", "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    tell_nothing_of_the_hub(&mut command);
    let until = Instant::now() + limit;
    let mut group = Group::start(&mut command)
        .map_err(|source| Error::Start { program: engine.program.clone(), source })?;
    let (answer, said) = (read(group.child.stdout.take()), read(group.child.stderr.take()));
    let status = group.end_by(until).ok_or(Error::Slow(limit))?;
    if !status.success() {
        return Err(Error::Ended { status, said: last_lines(&String::from_utf8_lossy(&all_of(&said))) });
    }
    let mut answer: Value = serde_json::from_slice(&all_of(&answer)).map_err(|_| Error::Answer)?;
    tidy(&mut answer);
    let Value::Array(answer) = answer else { return Err(Error::Answer) };
    let mut devices = answer.into_iter().map(device).collect::<Result<Vec<_>, _>>()?;
    // The processor is known here.
    devices.retain(|device| device.device != "cpu");
    devices.iter_mut().for_each(believe);
    if are_gpus(&devices) { Ok(devices) } else { Err(Error::Answer) }
}

/// One device of an answer. One that is described otherwise than here hides no other: it cannot be used.
fn device(told: Value) -> Result<DeviceInfo, Error> {
    let text = |field: &str| told.get(field).and_then(Value::as_str).map(str::to_owned);
    let (device, name) = (text("device"), text("name").unwrap_or_default());
    serde_json::from_value(told).or_else(|error| {
        let reason = format!("mbti-cuda describes it in a way that mbti does not know ({error})");
        let unusable = Some(Unusable::Failed { reason });
        Ok(DeviceInfo {
            device: device.ok_or(Error::Answer)?,
            name,
            memory_mib: None,
            free_mib: None,
            unusable,
        })
    })
}

/// Leaves of every text what can be shown in a line.
fn tidy(answer: &mut Value) {
    match answer {
        Value::String(text) => *text = one_line(text).chars().take(MOST_TOLD).collect(),
        Value::Array(all) => all.iter_mut().for_each(tidy),
        Value::Object(all) => all.values_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Leaves of a GPU's memory what can be true.
fn believe(gpu: &mut DeviceInfo) {
    let most = gpu.memory_mib.unwrap_or(MOST_MIB).min(MOST_MIB);
    gpu.memory_mib = gpu.memory_mib.filter(|mib| (0.0..=MOST_MIB).contains(mib));
    gpu.free_mib = gpu.free_mib.filter(|mib| (0.0..=most).contains(mib));
}

/// Whether these are named as GPUs are, each otherwise than all others.
fn are_gpus(devices: &[DeviceInfo]) -> bool {
    let mut names = BTreeSet::new();
    devices.iter().all(|device| {
        let number = device.device.parse().ok().filter(|parsed| matches!(parsed, Device::Cuda(_)));
        // "cuda:01" is no name that a GPU has.
        number.is_some_and(|number| number.to_string() == device.device) && names.insert(&device.device)
    })
}

/// Reads a pipe on a thread, piece by piece, since nobody waits for its end: what has left the group may hold it open.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut pipe = pipe.map(|pipe| pipe.take(MOST_BYTES));
        let mut piece = vec![0; PIECE];
        while let Some(length) = pipe.as_mut().and_then(|pipe| pipe.read(&mut piece).ok())
            && length > 0
            && send.send(piece.get(..length).unwrap_or_default().to_vec()).is_ok()
        {}
    });
    receive
}

/// What was read of a pipe whose writer has ended: all until its end, or until nobody has the time to wait for that.
fn all_of(pieces: &Receiver<Vec<u8>>) -> Vec<u8> {
    let until = Instant::now() + LAST_WORDS;
    let next = || pieces.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    std::iter::from_fn(next).flatten().collect()
}

/// The last lines that say something, in one.
fn last_lines(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix("error: ").unwrap_or(line)).collect();
    let last = lines.get(lines.len().saturating_sub(LINES_SAID)..).unwrap_or_default();
    one_line(&last.join("; ")).chars().take(MOST_SAID).collect()
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::scripted::engine, *};

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
        // What it has left behind ends with it, and the answer is whole.
        let found = ask(&engine(folder.path(), "sleep 600 &\necho '[]'"), Duration::from_secs(60));
        assert!(matches!(&found, Ok(none) if none.is_empty()), "{found:?}");
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn what_an_engine_has_started_ends_at_the_limit_too() {
        let folder = tempfile::tempdir().unwrap();
        let script = "sleep 600 & echo $! >\"$(dirname \"$0\")/child\"; sleep 600";
        let child = folder.path().join("child");
        let engine = engine(folder.path(), script);
        // A busy machine may take long to start a script.
        let mut limit = Duration::from_millis(300);
        while std::fs::read_to_string(&child).unwrap_or_default().is_empty() {
            assert!(limit < Duration::from_secs(60), "the script was never started");
            assert!(matches!(ask(&engine, limit), Err(Error::Slow(_))));
            limit *= 2;
        }
        let child = std::fs::read_to_string(child).unwrap();
        let runs = || is_running(child.trim());
        let begun = Instant::now();
        while runs() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{child} goes on");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether a process is there and no zombie.
    fn is_running(process: &str) -> bool {
        let state = std::process::Command::new("ps").args(["-o", "stat=", "-p", process]).output().unwrap();
        let state = String::from_utf8(state.stdout).unwrap();
        !matches!(state.trim().chars().next(), None | Some('Z'))
    }

    #[test]
    fn a_list_with_a_name_that_no_gpu_has_or_with_one_twice_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let listed = |names: &[&str]| {
            let card = |name| {
                format!(r#"{{"device":"{name}","name":"A","memory_mib":1,"free_mib":1,"unusable":null}}"#)
            };
            let cards: Vec<String> = names.iter().map(card).collect();
            ask(&engine(folder.path(), &format!("echo '[{}]'", cards.join(","))), LIMIT)
        };
        assert_eq!(listed(&["cpu", "cuda:0", "cuda:10"]).unwrap().len(), 2);
        for wrong in [
            &["cuda:x"][..],
            &["cuda:"],
            &["cuda"],
            &["cuda:01"],
            &["cuda:-1"],
            &["cuda:99999999999"],
            &["auto"],
            &["rm -rf"],
            &[""],
            &["cuda:0", "cuda:1", "cuda:0"],
        ] {
            assert!(matches!(listed(wrong), Err(Error::Answer)), "{wrong:?}");
        }
    }

    #[test]
    fn a_daemon_that_holds_the_output_open_delays_a_whole_answer_by_little() {
        let folder = tempfile::tempdir().unwrap();
        // It has left the group, and so outlives this.
        let script = format!(
            "cd \"$(dirname \"$0\")\"\nsetsid sh -c 'echo $$ >new; mv new daemon; exec sleep 30' &\n\
             while [ ! -e daemon ]; do sleep 0.01; done\ncat <<'END'\n{CARDS}\nEND"
        );
        let begun = Instant::now();
        let found = ask(&engine(folder.path(), &script), Duration::from_secs(25)).unwrap();
        assert_eq!(found.len(), 2);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        let daemon = std::fs::read_to_string(folder.path().join("daemon")).unwrap();
        std::process::Command::new("kill").arg(daemon.trim()).status().unwrap();
    }

    #[test]
    fn texts_of_a_list_are_short_and_in_one_line_and_memory_that_cannot_be_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("A\u{202e}\u{1b}[2J{}", "x".repeat(180_000));
        let reason = format!("error:\nerror: {}", "y".repeat(480_000));
        let listed = |memory: Value, free: Value| {
            let unusable = serde_json::json!({"kind": "failed", "reason": reason});
            let card = serde_json::json!([{"device": "cuda:0", "name": name, "memory_mib": memory, "free_mib": free,
                "unusable": unusable}]);
            std::fs::write(folder.path().join("list"), card.to_string()).unwrap();
            ask(&engine(folder.path(), "cat \"$(dirname \"$0\")/list\""), LIMIT).unwrap().remove(0)
        };
        let card = listed(8192.0.into(), 100.0.into());
        assert!(card.name.starts_with("A\u{FFFD}\u{FFFD}[2Jxxx") && card.name.chars().count() == MOST_TOLD);
        let Some(Unusable::Failed { reason }) = card.unusable else { unreachable!() };
        assert!(reason.starts_with("error:\u{FFFD}error: yyy") && reason.chars().count() == MOST_TOLD);
        assert_eq!((card.memory_mib, card.free_mib), (Some(8192.0), Some(100.0)));
        let huge = 17_592_186_044_416.0; // 2^64 bytes in MiB
        for (memory, free, kept) in [
            (8192.0, -5.0, (Some(8192.0), None)),
            (8192.0, huge, (Some(8192.0), None)),
            (8192.0, 8192.5, (Some(8192.0), None)),
            (8192.0, 8192.0, (Some(8192.0), Some(8192.0))),
            (-1.0, 5.0, (None, None)),
            (huge, 5.0, (None, Some(5.0))),
            (1e300, 1e300, (None, None)),
        ] {
            let card = listed(memory.into(), free.into());
            assert_eq!((card.memory_mib, card.free_mib), kept, "{memory} {free}");
        }
        assert_eq!(listed(Value::Null, 5.0.into()).free_mib, Some(5.0));
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
        let words = "printf 'one\\ntwo\\n\\nerror: three\\n  four\\n\\n' >&2\nexit 1";
        let found = ask(&engine(folder.path(), words), LIMIT).unwrap_err().to_string();
        assert!(found.ends_with("exit status: 1: two; three; four"), "{found}");
        assert_eq!(last_lines(&"x".repeat(1000)).len(), MOST_SAID);
    }

    #[test]
    fn a_card_that_is_described_in_a_new_way_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let card = |device: &str, memory: Value, unusable: Value| serde_json::json!({"device": device, "name": "A", "memory_mib": memory, "free_mib": 1, "unusable": unusable});
        let list = Value::Array(vec![
            card("cuda:0", 1.into(), serde_json::json!({"kind": "on_fire", "since": 3})),
            card("cuda:1", "a lot".into(), Value::Null),
            card("cuda:2", 1.into(), Value::Null),
        ]);
        let found = ask(&engine(folder.path(), &format!("echo '{list}'")), LIMIT).unwrap();
        assert_eq!(found[0].unusable, Some(Unusable::Failed { reason: "on_fire".into() }));
        assert!(
            matches!(&found[1].unusable, Some(Unusable::Failed { reason }) if reason.contains("does not know"))
        );
        assert_eq!((&found[1].device[..], &found[1].name[..]), ("cuda:1", "A"));
        assert_eq!(found[2].unusable, None);
    }

    #[test]
    fn an_engine_that_is_no_program_is_said_to_be_none() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path(), "echo '[]'");
        std::fs::set_permissions(&engine.program, std::fs::Permissions::from_mode(0o644)).unwrap();
        let path = engine.program.display().to_string();
        assert_eq!(ask(&engine, LIMIT).unwrap_err().why(), Unusable::NotExecutable { path });
    }

    #[test]
    fn the_library_that_the_loader_did_not_find_is_named_and_no_other_line_is_taken_for_its() {
        let line = "mbti-cuda: error while loading shared libraries: libcurand.so.10: cannot open shared object file: No \
                    such file or directory";
        assert_eq!(missing_library(line), Some("libcurand.so.10"));
        let denied = "x: error while loading shared libraries: libcurand.so.10: cannot open shared object file: Permission \
                      denied";
        for other in
            ["", "x: undefined symbol: cuNew", denied, ": cannot open shared object file: No such file"]
        {
            assert_eq!(missing_library(other), None, "{other}");
        }
    }
}
