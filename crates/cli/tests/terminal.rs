//! What strangers have written is shown, and a terminal obeys none of it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use common::{Engine, tiny_bert};
use serde_json::Value;
use small_hub::{Kind, Options, SmallHub, Write as Put};

/// Sets a window's title, clears the screen, by C0 and by C1, turns the direction of writing, deletes, ends a line.
const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}gpj\u{2066}\u{7f}\u{8}\u{2028}\u{85}end";
/// The same as far as a cell of CSV takes it, and a file's name.
const MARK: &str = "owned";

/// Runs a command and looks at every character that it puts out. Gives both streams.
fn shown(command: &mut Command) -> [String; 2] {
    let output = command.output().unwrap();
    let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    for text in &texts {
        let bad =
            text.chars().find(|&letter| !matches!(letter, '\n' | '\t') && record::is_unprintable(letter));
        assert_eq!(bad, None, "{:?}: {text:?}", command.get_args().collect::<Vec<_>>());
        assert!(!text.contains("panicked"), "{text}");
    }
    texts
}

struct Attacked {
    engine: Engine,
    folder: PathBuf,
}

impl Attacked {
    fn shown(&self, args: &[&str]) -> [String; 2] {
        shown(&mut self.engine.command(args))
    }

    /// A command whose output has to show what the stranger wrote, without its powers, as text and as JSON.
    fn shows(&self, args: &[&str]) {
        let texts = self.shown(args);
        assert!(texts.concat().contains(MARK), "{args:?}: {texts:?}");
        let [json, _] = self.shown(&[args, &["--json"]].concat());
        let has_it = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            contains(&value, EVIL)
        };
        assert!(json.is_empty() || json.lines().any(has_it), "{args:?}: {json}");
    }
}

fn contains(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found.contains(text),
        Value::Array(values) => values.iter().any(|value| contains(value, text)),
        Value::Object(map) => map.iter().any(|(name, value)| name.contains(text) || contains(value, text)),
        _ => false,
    }
}

/// A data set `d`, which came from a file and a folder of evil names and has evil texts, authors and columns; and a run.
fn attacked() -> Attacked {
    let engine = Engine::new();
    let folder = engine.home.path().join(format!("folder {}", EVIL.replace('/', "")));
    std::fs::create_dir(&folder).unwrap();
    let mut text = format!("who{EVIL},body{EVIL},kind{EVIL}\n");
    for n in 0..64 {
        let mbti = ["INFP", "ESTJ", "ENTP", "ISFJ"][n / 2 % 4];
        text += &format!("a{}{EVIL},\"{EVIL} text number {n} as an {mbti}{EVIL} {EVIL}\",{mbti}\n", n / 8);
    }
    text += &format!("b,a text,XXXX{EVIL}\n");
    let path = folder.join(format!("posts {EVIL}.csv"));
    std::fs::write(&path, text).unwrap();
    let mapping = format!("--map=text=body{EVIL},author=who{EVIL},type=kind{EVIL}");
    let attacked = Attacked { engine, folder };
    let path = path.to_str().unwrap();
    attacked.shows(&["datasets", "import", path, "--preview"]);
    let [_, error] = attacked.shown(&["datasets", "import", path]);
    assert!(error.starts_with("error: ") && error.contains(MARK), "{error}");
    let [report, _] = attacked.shown(&["datasets", "import", path, &mapping, "--name", "d"]);
    assert!(report.contains("64 texts") && report.contains(MARK), "{report}");
    attacked
}

#[test]
fn texts_names_and_paths_of_strangers_reach_a_terminal_without_their_powers() {
    let attacked = attacked();
    let engine = &attacked.engine;
    attacked.shows(&["datasets", "show", "d"]);
    attacked.shown(&["datasets", "list"]);
    attacked.shown(&["datasets", "clean", "d", "--to", "clean", "--recommended", "--near-duplicates=none"]);
    attacked.shown(&["datasets", "clean", "d", "--to", "cut", "--cut-at", "20", "--invisible"]);
    attacked.shown(&["datasets", "leaks", "d"]);
    attacked.shown(&["datasets", "sample", "d", "--to", "part", "--fraction", "0.5"]);
    attacked.shown(&["datasets", "split", "d"]);
    let export = attacked.folder.join("out.csv");
    let export = export.to_str().unwrap();
    let [_, said] = attacked.shown(&["datasets", "export", "d", export]);
    assert!(said.contains("Wrote 64 texts") && said.contains(MARK), "{said}");
    // What is written to a file is the user's data, as it is.
    assert!(std::fs::read_to_string(export).unwrap().contains(EVIL));
    let [_, said] = attacked.shown(&["datasets", "export", "d", export]);
    assert!(said.starts_with("error: "), "{said}");

    let model = attacked.folder.join("model");
    std::fs::rename(tiny_bert(engine.home.path()), &model).unwrap();
    let model = model.to_str().unwrap();
    attacked.shown(&["models", "add", model, "--name", "tiny"]);
    let config = Path::new(model).join("config.json");
    let sound = std::fs::read_to_string(&config).unwrap();
    let family = serde_json::to_string(&format!("t5{EVIL}")).unwrap();
    std::fs::write(&config, sound.replace("\"bert\"", &family)).unwrap();
    let [_, error] = attacked.shown(&["models", "add", model, "--name", "other"]);
    assert!(error.contains(MARK), "{error}");
    std::fs::write(&config, format!("{{\"{EVIL}\"")).unwrap();
    attacked.shown(&["models", "add", model, "--name", "other"]);
    std::fs::remove_file(&config).unwrap();
    attacked.shows(&["models", "add", model, "--name", "other"]);
    attacked.shown(&["models", "list"]);

    let [_, said] = attacked.shown(&[
        "train",
        "--data",
        "d",
        "--model",
        "tiny",
        "--max-steps",
        "2",
        "--max-length",
        "16",
    ]);
    assert!(said.contains("Run 1"), "{said}");
    attacked.shown(&["train", "--data", "d", "--model", "words", "--max-steps", "2", "--json"]);
    for args in [&["runs", "list"][..], &["runs", "show", "1"], &["runs", "show", "1", "--config"]] {
        attacked.shown(args);
        attacked.shown(&[args, &["--json"]].concat());
    }
    attacked.shown(&["runs", "compare", "1", "2"]);
    attacked.shown(&["predict", "--run", "2", EVIL]);
    attacked.shown(&["predict", "--run", "2", EVIL, "--json"]);
}

#[test]
fn what_is_given_on_the_command_line_is_quoted_without_its_powers() {
    let attacked = attacked();
    let absent = attacked.folder.join("absent.toml");
    let absent = absent.to_str().unwrap();
    let settings = attacked.folder.join("settings.toml");
    std::fs::write(&settings, format!("# {EVIL}\nlerning{EVIL}_rate = 1\n")).unwrap();
    for args in [
        &["datasets", "show", EVIL][..],
        &["datasets", "import", absent],
        &["datasets", "import", absent, "--name", EVIL],
        &["datasets", "import", absent, "--map", EVIL],
        &["datasets", "import", absent, "--encoding", EVIL],
        &["datasets", "import", absent, "--delimiter", EVIL],
        &["datasets", "sample", "d", "--to", EVIL, "--fraction", "0.5"],
        &["datasets", "sample", "d", "--to", "e", "--fraction", EVIL],
        &["datasets", "clean", "d", "--to", "e", "--urls", EVIL],
        &["datasets", "clean", "d", "--to", "e", "--languages", EVIL],
        &["datasets", "remove", EVIL],
        &["models", "add", absent],
        &["models", "remove", EVIL],
        &["train", "--data", EVIL, "--model", "words"],
        &["train", "--data", "d", "--model", EVIL],
        &["train", "--data", "d", "--model", "words", "--seed", EVIL],
        &["train", "--data", "d", "--model", "words", "--sweep", EVIL],
        &["train", "--data", "d", "--model", "words", "--push-to-hub", EVIL],
        &["train", "--data", "d", "--model", "words", "--lora-target-modules", EVIL],
        &["train", "--config", absent],
        &["train", "--config", settings.to_str().unwrap()],
        &["train", "--preset", EVIL],
        &["runs", "show", EVIL],
        &["push", "1", EVIL],
        &["hub", "set", "--endpoint", EVIL],
        &["hub", "set", "--proxy", EVIL],
        &[EVIL],
        &[&format!("--{EVIL}")],
    ] {
        let [out, error] = attacked.shown(args);
        assert!(out.is_empty() && error.contains("error: "), "{args:?}: {out} {error}");
    }
    // A home of such a name, which is none, and a program that was started by such a name.
    let home = attacked.folder.join("posts");
    std::fs::write(&home, "a file").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mbti"));
    command.arg("--home").arg(home.join("x")).args(["runs", "list"]);
    let [_, error] = shown(&mut command);
    assert!(error.contains(MARK), "{error}");
    for args in [&["--help"][..], &["--version"], &["train"], &["runs", "x"], &[]] {
        shown(Command::new(env!("CARGO_BIN_EXE_mbti")).arg0(EVIL).args(args));
    }
}

#[test]
fn what_a_repository_says_of_itself_is_shown_without_its_powers() {
    let engine = Engine::new();
    let hub = SmallHub::start(Options::default()).unwrap();
    let card = format!("---\nlicense: mit{EVIL}\n---\n");
    let folder = tempfile::tempdir().unwrap();
    let mut files = vec![Put::bytes("README.md", card.clone())];
    for entry in std::fs::read_dir(tiny_bert(folder.path())).unwrap().flatten() {
        files.push(Put::bytes(entry.file_name().to_str().unwrap(), std::fs::read(entry.path()).unwrap()));
    }
    hub.create(Kind::Model, "alice/tiny").unwrap();
    hub.commit(Kind::Model, "alice/tiny", "main", "A model", &files).unwrap();
    hub.create(Kind::Dataset, "alice/texts").unwrap();
    let texts =
        format!("author,body,mbti\na,{EVIL} text,INFP\nb,{EVIL} words,ESTJ{EVIL}\nc,more words,ENTP\n");
    let files = [Put::bytes("README.md", card), Put::bytes("train.csv", texts)];
    hub.commit(Kind::Dataset, "alice/texts", "main", EVIL, &files).unwrap();
    let shown = |args: &[&str]| shown(engine.command(args).env("HF_ENDPOINT", hub.url()));
    for json in [&[][..], &["--json"]] {
        for args in [
            &["models", "add", "alice/tiny", "--plan"][..],
            &["models", "add", "alice/tiny"],
            &["models", "list"],
            &["datasets", "import", "alice/texts", "--plan"],
            &["datasets", "import", "alice/texts"],
            &["datasets", "import", "alice/texts", "--revision", EVIL, "--name", "x"],
            &["datasets", "import", "alice/texts", "--split", EVIL, "--name", "x"],
            &["datasets", "import", "alice/texts", "--subset", EVIL, "--name", "x"],
            &["datasets", "show", "texts"],
            &["models", "search", EVIL],
            &["models", "search", "tiny"],
            &["datasets", "search", "texts"],
            &["whoami"],
        ] {
            let texts = shown(&[args, json].concat()).concat();
            if args.contains(&"--plan") {
                assert!(texts.contains(MARK), "{args:?}: {texts}");
            }
        }
    }
}

#[test]
fn json_and_lines_read_back_what_was_written_to_the_last_character() {
    let attacked = attacked();
    let [json, _] = attacked.shown(&["datasets", "show", "d", "--json"]);
    let detail: Value = serde_json::from_str(&json).unwrap();
    assert!(detail["data_set"]["source"].as_str().unwrap().contains(EVIL));
    attacked.engine.ok(&["train", "--data", "d", "--model", "words", "--max-steps", "2"]);
    let mut command = attacked.engine.command(&["predict", "--lines"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{EVIL}\n\n{{\"text\": 1, \"{EVIL}\": 2}}\n").as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.chars().all(|letter| letter == '\n' || !record::is_unprintable(letter)), "{text:?}");
    assert_eq!(text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 3);
}

#[test]
fn a_terminal_gets_no_other_sequences_than_those_of_our_own_bars() {
    let attacked = attacked();
    let available =
        Command::new("script").arg("--version").output().is_ok_and(|found| found.status.success());
    if !available {
        eprintln!("There is no program script here; passed over.");
        return;
    }
    for args in [
        &["datasets", "show", "d"][..],
        &["datasets", "leaks", "d"],
        &["datasets", "clean", "d", "--to", "e", "--recommended"],
        &["datasets", "show", EVIL],
        &["train", "--data", "d", "--model", "words", "--max-steps", "2"],
        &[EVIL],
    ] {
        let command = attacked.engine.command(args);
        let quoted = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''")));
        let line = quoted.collect::<Vec<_>>().join(" ");
        let mut terminal = Command::new("script");
        terminal.args(["-q", "-e", "-c", &line, "/dev/null"]).stdin(Stdio::null());
        terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = terminal.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let quotes = args.contains(&"show");
        assert!(text.contains(MARK) || !quotes, "{args:?}: {text:?}");
        // Bars go to the line's beginning, up, and clear lines; the parser's help has colours.
        let mut rest = text.as_str();
        while let Some((at, letter)) = rest
            .char_indices()
            .find(|&(_, letter)| !matches!(letter, '\n' | '\t' | '\r') && record::is_unprintable(letter))
        {
            let sequence = &rest[at..];
            let own = ["\u{1b}[2K", "\u{1b}[1A", "\u{1b}[0K", "\u{1b}[K"]
                .into_iter()
                .find(|own| sequence.starts_with(own));
            let own = own.unwrap_or_else(|| panic!("{args:?}: {letter:?} in {sequence:?}"));
            rest = &sequence[own.len()..];
        }
    }
}
