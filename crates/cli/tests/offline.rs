//! What was fetched before, without a network.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use common::Engine;
use small_hub::{Kind, Options, SmallHub, Write};

fn table(words: &str) -> String {
    let rows = (0..8).map(|n| format!("a{n},\"{words} number {n}, said so\",{}\n", ["INFP", "ESTJ"][n % 2]));
    format!("author,body,mbti\n{}", rows.collect::<String>())
}

/// The folder of the repository, wherever in the home the cache of this Hub lies.
fn repository(folder: &Path) -> Option<PathBuf> {
    let folders = || std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| path.ends_with("datasets--alice--texts") && path.join("snapshots").is_dir();
    folders().find(is_it).or_else(|| {
        folders().filter(|path| path.is_dir() && !path.is_symlink()).find_map(|path| repository(&path))
    })
}

#[test]
fn a_data_set_that_was_fetched_gives_the_same_rows_offline_split_by_split() {
    let hub = SmallHub::start(Options::default()).unwrap();
    hub.create(Kind::Dataset, "alice/texts").unwrap();
    // Which file is which split only the card tells, and of the three one is never fetched.
    let card = "---\nlicense: mit\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: x/1.csv\n  \
                - split: test\n    path: x/2.csv\n  - split: validation\n    path: x/3.csv\n---\n";
    let files = [
        Write::bytes("README.md", card),
        Write::bytes("x/1.csv", table("to learn from")),
        Write::bytes("x/2.csv", table("to test by")),
        Write::bytes("x/3.csv", table("never fetched")),
    ];
    hub.commit(Kind::Dataset, "alice/texts", "main", "Texts", &files).unwrap();
    let engine = Engine::new();
    let import = |split: &str, name: &str, is_offline: bool| -> Output {
        let args = ["datasets", "import", "alice/texts", "--split", split, "--name", name, "--json"];
        let mut command = engine.command(&args);
        command.env("HF_ENDPOINT", hub.url()).env("MBTI_HUB_PAUSE_MS", "5");
        if is_offline {
            command.env("HF_HUB_OFFLINE", "1");
        }
        command.output().unwrap()
    };
    let exported = |name: &str| {
        let path = engine.home.path().join(format!("{name}.csv"));
        engine.ok(&["datasets", "export", name, path.to_str().unwrap()]);
        std::fs::read_to_string(path).unwrap()
    };
    let mut exported_before = String::new();
    for split in ["train", "test"] {
        let [online, offline] = [false, true].map(|is_offline| {
            let name = format!("{split}-{is_offline}");
            let done = import(split, &name, is_offline);
            assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
            (serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap(), exported(&name))
        });
        assert_eq!(online.1, offline.1);
        assert!(online.1.contains(if split == "train" { "to learn from" } else { "to test by" }));
        assert_eq!(online.0["data_set"]["source"], offline.0["data_set"]["source"]);
        exported_before = online.1;
    }
    // A snapshot that others have fetched has the card, and no note of what was chosen.
    let repository = repository(engine.home.path()).unwrap();
    std::fs::remove_dir_all(repository.join(".mbti")).unwrap();
    let snapshot = std::fs::read_dir(repository.join("snapshots")).unwrap().flatten().next().unwrap().path();
    std::fs::write(snapshot.join("README.md"), card).unwrap();
    let done = import("test", "by-card", true);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(exported("by-card"), exported_before);
    hub.log().clear();
    let refused = import("validation", "more", true);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && error.contains("alice/texts"), "{error}");
    assert!(hub.log().all().is_empty(), "nothing was asked for");
}
