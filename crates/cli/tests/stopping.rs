//! Ctrl+C: the first ends what goes on in good order, the second ends the program whatever it is doing.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    io::Write,
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use common::{Engine, tiny_bert, wait_until};
use small_hub::{Fault, Kind, Options, Rule, SmallHub, Write as Put};

fn signal(child: &Child, name: &str) {
    Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .stderr(Stdio::null())
        .status()
        .unwrap();
}

/// The end of a program that was asked to end.
fn end(mut child: Child) -> (Option<i32>, String) {
    wait_until("the program's end", || child.try_wait().unwrap().is_some());
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let error = String::from_utf8(stderr).unwrap();
    assert!(!error.contains("panicked"), "{error}");
    (status.code(), error)
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn the_first_signal_ends_whatever_waits_for_a_hub_that_never_answers() {
    let engine = Engine::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    for (args, name, code) in [
        (&["models", "add", "alice/tiny"][..], "INT", 130),
        (&["models", "add", "alice/tiny", "--plan"], "INT", 130),
        (&["models", "add", "alice/tiny", "--json"], "TERM", 143),
        (&["datasets", "import", "alice/texts"], "INT", 130),
        (&["datasets", "import", "alice/texts", "--plan"], "TERM", 143),
        (&["models", "search", "tiny"], "INT", 130),
        (&["datasets", "search", "texts"], "INT", 130),
        (&["whoami"], "INT", 130),
        (&["push", "1", "alice/made"], "INT", 130),
    ] {
        let mut command = engine.command(args);
        command.env("HF_ENDPOINT", &address).env("HF_TOKEN", "hf_Token");
        let child = spawn(command);
        let connection = silent.accept().unwrap();
        // What is asked for may be read or not: it is not answered.
        signal(&child, name);
        let (found, error) = end(child);
        assert_eq!(found, Some(code), "{args:?}: {error}");
        assert!(error.contains("Stopped"), "{args:?}: {error}");
        drop(connection);
    }
}

#[test]
fn planning_stops_at_any_answer_of_the_hub_and_nothing_is_left_of_it() {
    let engine = Engine::new();
    let hub = SmallHub::start(Options::default()).unwrap();
    hub.create(Kind::Dataset, "alice/texts").unwrap();
    let files = [
        Put::bytes("README.md", "---\nlicense: mit\n---\n"),
        Put::bytes("train.csv", "body,mbti\na b,INFP\n"),
    ];
    hub.commit(Kind::Dataset, "alice/texts", "main", "Texts", &files).unwrap();
    for fault in [Fault::Silence, Fault::Stall { after: 3 }, Fault::Slow { bytes_per_second: 1 }] {
        for skip in 0..3 {
            hub.faults().clear();
            hub.faults().add(Rule::always("/*", fault.clone()).skip(skip));
            let asked = hub.log().all().len();
            let mut command = engine.command(&["datasets", "import", "alice/texts"]);
            command.env("HF_ENDPOINT", hub.url());
            let child = spawn(command);
            wait_until("the request that gets no answer", || hub.log().all().len() > asked + skip as usize);
            signal(&child, "INT");
            let (code, error) = end(child);
            assert_eq!(code, Some(130), "{fault:?} {skip}: {error}");
            assert!(error.contains("Stopped"), "{fault:?} {skip}: {error}");
        }
    }
    assert_eq!(engine.json(&["datasets", "list"]).as_array().unwrap().len(), 0);
}

#[test]
fn a_prompt_and_a_read_of_standard_input_end_at_the_first_signal() {
    let engine = Engine::new();
    engine.import_small("d");
    engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "2"]);
    for args in [&["login"][..], &["predict"], &["predict", "--lines"]] {
        let mut command = engine.command(args);
        command.stdin(Stdio::piped());
        let mut child = spawn(command);
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"half a li").unwrap();
        // It may be that it has not begun to read, which makes no difference.
        std::thread::sleep(Duration::from_millis(300));
        signal(&child, "INT");
        let (code, error) = end(child);
        assert_eq!(code, Some(130), "{args:?}: {error}");
        drop(input);
    }
}

/// A pipe that takes nothing more. Whoever writes to it waits for ever.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut filler = writer.try_clone().unwrap();
    std::thread::spawn(move || while filler.write_all(&[b'x'; 4096]).is_ok() {});
    std::thread::sleep(Duration::from_millis(500));
    (reader, writer)
}

#[test]
fn the_second_signal_ends_a_download_that_is_held_up_and_heeds_none() {
    let engine = Engine::new();
    let hub = SmallHub::start(Options::default()).unwrap();
    hub.create(Kind::Dataset, "alice/texts").unwrap();
    hub.commit(
        Kind::Dataset,
        "alice/texts",
        "main",
        "Texts",
        &[Put::bytes("train.csv", "body,mbti\na b,INFP\n")],
    )
    .unwrap();
    let (reader, writer) = full_pipe();
    let mut command = engine.command(&["datasets", "import", "alice/texts"]);
    // It says what it is about to fetch, and nobody lets it.
    let mut child =
        command.env("HF_ENDPOINT", hub.url()).stderr(writer).stdout(Stdio::null()).spawn().unwrap();
    drop(command);
    wait_until("the plan", || !hub.log().all().is_empty());
    std::thread::sleep(Duration::from_secs(2));
    signal(&child, "INT");
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "the first signal is heeded by nobody here");
    signal(&child, "INT");
    wait_until("the end", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(reader);
}

#[test]
fn the_second_signal_ends_a_run_that_is_held_up_and_its_checkpoints_stay() {
    let engine = Engine::new();
    engine.import_small("d");
    let folder = tiny_bert(engine.home.path());
    engine.ok(&["models", "add", folder.to_str().unwrap(), "--name", "tiny"]);
    let (reader, writer) = std::io::pipe().unwrap();
    let args =
        ["train", "--data", "d", "--model", "tiny", "--max-steps", "1000000", "--eval-steps", "10", "--json"];
    let mut command = engine.command(&args);
    let mut child = command.stdout(writer).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    // Nobody reads the lines that it writes, so that it comes to stand once the pipe is full.
    let steps = || {
        let shown = engine.json(&["runs", "show", "1"]);
        shown["steps"].as_array().and_then(|steps| steps.last()?["step"].as_u64()).unwrap_or(0)
    };
    wait_until("the run", || engine.output(&["runs", "show", "1"]).status.success() && steps() > 20);
    let mut before = 0;
    wait_until("its coming to stand", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = steps();
        let stands = now == before;
        before = now;
        stands
    });
    signal(&child, "INT");
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "the first signal is heeded by nobody here");
    signal(&child, "INT");
    wait_until("the end", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(reader);
    let shown = engine.json(&["runs", "show", "1"]);
    assert_eq!(shown["run"]["status"], "interrupted");
    assert_eq!(shown["resumable"], true);
}

#[test]
fn work_on_texts_ends_at_the_first_signal_and_leaves_nothing() {
    let engine = Engine::new();
    let mut text = "author,body,mbti\n".to_owned();
    for n in 0..200_000u32 {
        let mbti = ["INFP", "ESTJ", "ENTP", "ISFJ"][n as usize / 2 % 4];
        text += &format!(
            "a{},text number {n} about {} and {},{mbti}\n",
            n / 8,
            n.wrapping_mul(2_654_435_761),
            n % 977
        );
    }
    let path = engine.file("large.csv", text);
    let path = path.to_str().unwrap();
    let out = engine.home.path().join("out.csv");
    let list = || engine.json(&["datasets", "list"]).as_array().unwrap().len();
    let folders = || {
        let entries = std::fs::read_dir(engine.home.path().join("datasets")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    for (args, before) in [
        (&["datasets", "import", path, "--name", "d"][..], 0),
        (&["datasets", "clean", "d", "--to", "e", "--recommended"], 1),
        (&["datasets", "sample", "d", "--to", "e", "--fraction", "0.9"], 1),
        (&["datasets", "split", "d"], 1),
        (&["datasets", "leaks", "d"], 1),
        (&["datasets", "export", "d", out.to_str().unwrap()], 1),
    ] {
        if before == 1 && list() == 0 {
            engine.ok(&["datasets", "import", path, "--name", "d"]);
        }
        let child = spawn(engine.command(args));
        std::thread::sleep(Duration::from_millis(250));
        signal(&child, "INT");
        let (code, error) = end(child);
        // On a fast machine it may have ended before, the cleaning by an error, since it keeps none of these texts.
        if code == Some(0) || error.contains("There are only 0 texts") {
            eprintln!("{args:?} had ended before it was stopped");
            for name in ["e", "d-train", "d-valid"] {
                engine.output(&["datasets", "remove", name]);
            }
            std::fs::remove_file(&out).ok();
            continue;
        }
        assert_eq!(code, Some(130), "{args:?}: {error}");
        assert_eq!(list(), before, "{args:?}");
        assert_eq!(folders().len(), before, "{args:?}: {:?}", folders());
        assert!(!out.exists(), "{args:?}");
    }
}
