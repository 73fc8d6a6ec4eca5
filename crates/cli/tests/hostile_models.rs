//! Model folders that nobody made in good faith, and adding and removing that are cut off: each ends in a clear
//! message or with nothing left, and nothing of the user's is taken along.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    fs::File,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
};

use common::{Engine, tiny_bert, wait_until};

const SECRET: &str = "a-secret-that-nobody-may-have-5f1c9";

/// Runs a command with at most 2 GiB of addresses and a minute of computing.
fn limited(engine: &Engine, args: &[&str]) -> Output {
    let command = engine.command(args);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -v 2097152; ulimit -t 60; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.output().unwrap()
}

/// The message of an adding that has to fail, and of which nothing may be left.
fn refused(engine: &Engine, folder: &Path) -> String {
    let output = limited(engine, &["models", "add", folder.to_str().unwrap(), "--name", "mine"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}: {} {error}", folder.display(), output.status);
    assert!(error.contains("error: ") && !error.contains("panicked"), "{error}");
    assert_eq!(names_in(&engine.home.path().join("models")), ["words"], "{error}");
    error
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn models_of(engine: &Engine) -> Vec<String> {
    let all = engine.json(&["models", "list"]);
    all.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect()
}

/// Every file in a folder and below, links not followed.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn no_file_outside_a_model_folder_is_taken_along_by_a_link_in_it() {
    let engine = Engine::new();
    let outside = tempfile::tempdir().unwrap();
    let key = outside.path().join("id_ed25519");
    std::fs::write(&key, SECRET).unwrap();
    for name in [
        "LICENSE",
        "README.md",
        "NOTICE",
        "vocab.txt",
        "merges.txt",
        "tokenizer_config.json",
        "added_tokens.json",
        "spiece.model",
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    ] {
        for target in [key.as_path(), Path::new("/proc/self/environ")] {
            let folder = tempfile::tempdir().unwrap();
            let model = tiny_bert(folder.path());
            std::fs::remove_file(model.join(name)).ok();
            symlink(target, model.join(name)).unwrap();
            let error = refused(&engine, &model);
            assert!(error.contains(name) && error.contains("outside the folder"), "{name}: {error}");
        }
    }
    // By way of the folder that holds the language model.
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tiny_bert(outside.path());
    std::fs::write(elsewhere.join("LICENSE"), SECRET).unwrap();
    symlink(&elsewhere, folder.path().join("0_Transformer")).unwrap();
    std::fs::write(
        folder.path().join("modules.json"),
        r#"[{"idx": 0, "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]"#,
    )
    .unwrap();
    assert!(refused(&engine, folder.path()).contains("0_Transformer"));
    let has_it = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes())
    };
    let found: Vec<PathBuf> = files_below(engine.home.path()).into_iter().filter(has_it).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn links_within_a_folder_and_into_its_own_cache_are_followed() {
    let engine = Engine::new();
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("models--me--mine");
    let snapshot = cache.join("snapshots/c0ffee");
    std::fs::create_dir_all(&snapshot).unwrap();
    let made = tiny_bert(root.path());
    std::fs::rename(&made, cache.join("blobs")).unwrap();
    for name in names_in(&cache.join("blobs")) {
        symlink(Path::new("../../blobs").join(&name), snapshot.join(&name)).unwrap();
    }
    std::fs::write(snapshot.join("LICENCE-of-mine"), "mine").unwrap();
    symlink("LICENCE-of-mine", snapshot.join("LICENSE")).unwrap();
    engine.ok(&["models", "add", snapshot.to_str().unwrap(), "--name", "cached"]);
    let added = engine.home.path().join("models/cached");
    assert_eq!(std::fs::read_to_string(added.join("LICENSE")).unwrap(), "mine");
    assert!(files_below(&added).len() >= 4, "what was copied are files");
}

#[test]
fn pipes_and_devices_in_a_model_folder_neither_hang_nor_fill_the_memory() {
    let engine = Engine::new();
    for name in
        ["config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json", "vocab.txt"]
    {
        for device in ["pipe", "/dev/zero", "large"] {
            let folder = tempfile::tempdir().unwrap();
            let model = tiny_bert(folder.path());
            if name.ends_with("index.json") {
                std::fs::remove_file(model.join("model.safetensors")).unwrap();
            }
            let path = model.join(name);
            std::fs::remove_file(&path).ok();
            match device {
                "pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
                // As long as a device, on paper.
                "large" => File::create(&path).unwrap().set_len(1 << 40).unwrap(),
                device => symlink(device, &path).unwrap(),
            }
            let error = refused(&engine, &model);
            assert!(error.contains(name), "{name}, {device}: {error}");
        }
    }
}

#[test]
fn a_tokenizer_that_multiplies_texts_is_refused_before_it_meets_one() {
    let engine = Engine::new();
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_bert(folder.path());
    let sound = std::fs::read_to_string(model.join("tokenizer.json")).unwrap();
    let sequence =
        |rule: String| format!(r#"{{"type": "Sequence", "normalizers": [{}]}}"#, vec![rule; 40].join(","));
    let doubling = r#"{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}"#.to_owned();
    let by_regex = r#"{"type": "Replace", "pattern": {"Regex": "(?=.)"}, "content": "aa"}"#.to_owned();
    let unreadable = r#"{"type": "Precompiled", "precompiled_charsmap": "AAAA"}"#.to_owned();
    for rule in [doubling, by_regex, unreadable, r#"{"type": "ByteLevel"}"#.to_owned()] {
        let hostile = sound.replace(r#"{"type": "Lowercase"}"#, &sequence(rule.clone()));
        assert_ne!(hostile, sound);
        std::fs::write(model.join("tokenizer.json"), hostile).unwrap();
        let error = refused(&engine, &model);
        assert!(error.contains("tokenizer.json"), "{rule}: {error}");
    }
    std::fs::write(model.join("tokenizer.json"), sound).unwrap();
    engine.ok(&["models", "add", model.to_str().unwrap()]);
}

#[test]
fn two_that_add_one_name_at_once_leave_one_whole_model_and_a_true_record() {
    let engine = Engine::new();
    engine.ok(&["models", "list"]);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let sources = folders.each_ref().map(|folder| tiny_bert(folder.path()));
    // Each of its own notes, so that a mixture would show.
    let notes = [["LICENSE", "NOTICE", "vocab.txt"], ["LICENSE.md", "README.md", "merges.txt"]];
    for ((source, names), mark) in sources.iter().zip(notes).zip(["first", "second"]) {
        for name in names {
            std::fs::write(source.join(name), mark).unwrap();
        }
    }
    for round in 0..6 {
        let start = |source: &PathBuf, name: &str| -> Child {
            let mut command = engine.command(&["models", "add", source.to_str().unwrap(), "--name", name]);
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
        };
        let (mut first, mut second) = (start(&sources[0], "same"), start(&sources[1], "Same"));
        let done = [first.wait().unwrap().success(), second.wait().unwrap().success()];
        assert_eq!(done.iter().filter(|done| **done).count(), 1, "round {round}: {done:?}");
        let winner = &sources[usize::from(done[1])];
        let name = if done[0] { "same" } else { "Same" };
        let place = engine.home.path().join("models").join(name);
        assert_eq!(names_in(&place), names_in(winner), "round {round}");
        assert_eq!(names_in(&engine.home.path().join("models")).len(), 2);
        assert_eq!(models_of(&engine), [name, "words"]);
        engine.ok(&["models", "remove", "same"]);
        assert_eq!(names_in(&engine.home.path().join("models")), ["words"]);
    }
}

/// A folder that takes a while to copy and no room where it lies.
fn long_to_copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"model_type": "words"}"#).unwrap();
    File::create(folder.path().join("model.safetensors")).unwrap().set_len(4 << 30).unwrap();
    folder
}

/// Begins to add a model, and comes back when some of it is copied.
fn begin_to_add(engine: &Engine, source: &Path) -> Child {
    let child =
        engine.command(&["models", "add", source.to_str().unwrap(), "--name", "long"]).spawn().unwrap();
    let models = engine.home.path().join("models");
    wait_until("the copying", || {
        let begun = |name: &String| {
            let copy = models.join(name).join("model.safetensors");
            name.starts_with(".new-") && copy.metadata().is_ok_and(|about| about.len() > 0)
        };
        names_in(&models).iter().any(begun)
    });
    child
}

#[test]
fn ctrl_c_stops_the_copying_of_a_model_and_leaves_nothing() {
    let engine = Engine::new();
    let source = long_to_copy();
    let mut child = begin_to_add(&engine, source.path());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(130), "{ended}");
    assert_eq!(names_in(&engine.home.path().join("models")), ["words"]);
    assert_eq!(models_of(&engine), ["words"]);
}

#[test]
fn what_a_killed_adding_has_left_goes_at_the_next_start() {
    let engine = Engine::new();
    let source = long_to_copy();
    let mut child = begin_to_add(&engine, source.path());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(models_of(&engine), ["words"]);
    assert_eq!(names_in(&engine.home.path().join("models")), ["words"]);
}

#[test]
fn names_that_another_system_refuses_are_refused_here() {
    let engine = Engine::new();
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_bert(folder.path());
    for name in ["con", "AUX.txt", "lpt1", "com².x", &"𠀀".repeat(80), &"微".repeat(80)] {
        let error = engine.fails(&["models", "add", model.to_str().unwrap(), "--name", name]);
        assert!(error.contains("cannot be a name"), "{name}: {error}");
    }
    let long = "微".repeat(66);
    engine.ok(&["models", "add", model.to_str().unwrap(), "--name", &long]);
    engine.ok(&["models", "remove", &long]);
}

#[test]
fn what_a_push_would_send_is_told_without_a_network_and_a_link_among_it_is_refused() {
    let engine = Engine::new();
    engine.import_small("small");
    let folder = tempfile::tempdir().unwrap();
    let model = tiny_bert(folder.path());
    std::fs::write(model.join("LICENSE"), "as it was").unwrap();
    engine.ok(&["models", "add", model.to_str().unwrap()]);
    let short = ["--epochs", "1", "--max-steps", "1", "--max-length", "8"];
    let train = ["train", "--model", "tiny-bert", "--data", "small"];
    engine.ok(&[&train[..], &short].concat());
    let plan = engine.json(&["push", "1", "me/made", "--plan"]);
    assert_eq!(plan["repo"], "me/made");
    let sent = |plan: &serde_json::Value| -> Vec<String> {
        let files = plan["files"].as_array().unwrap();
        files.iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
    };
    let names = ["LICENSE", "config.json", "model.safetensors", "tokenizer.json", "README.md"];
    assert_eq!(sent(&plan), names);
    assert!(
        plan["files"].as_array().unwrap().iter().all(|file| file["bytes"].as_i64().is_some_and(|n| n > 0))
    );
    let shown = engine.ok(&["push", "1", "me/made", "--plan"]);
    assert!(names.iter().all(|name| shown.contains(name)) && shown.contains("me/made"), "{shown}");

    // Of an adapter it is said without merging it.
    engine.ok(&[&train[..], &short, &["--trainable", "lora"]].concat());
    let plan = engine.json(&["push", "2", "me/made", "--plan"]);
    assert_eq!(sent(&plan).len(), names.len(), "{plan}");
    assert!(!engine.home.path().join("runs/2/merged-to-push").exists());

    let licence = engine.home.path().join("runs/1/model/LICENSE");
    std::fs::remove_file(&licence).unwrap();
    symlink("/proc/self/environ", &licence).unwrap();
    for plan in [&["--plan"][..], &[]] {
        let mut command = engine.command(&[&["push", "1", "me/made"], plan].concat());
        let output =
            command.env("HF_ENDPOINT", "http://127.0.0.1:9").env("HF_TOKEN", "hf_test").output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(plan.is_empty() || error.contains("LICENSE is not taken"), "{error}");
    }
}
