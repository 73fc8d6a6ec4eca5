//! The engine as a script would use it.
#![allow(dead_code, unused_imports, clippy::unwrap_used, clippy::panic)]

#[path = "../../../../tests/tiny_models/mod.rs"]
mod tiny_models;

pub mod scikit_learn;

use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

pub use tiny_models::{letters_tokenizer, tiny_bert};

pub struct Engine {
    pub home: tempfile::TempDir,
}

impl Engine {
    pub fn new() -> Engine {
        Engine { home: tempfile::tempdir().unwrap() }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        // Tests that are carried to another machine have the engine beside them.
        let engine = std::env::var_os("MBTI_TEST_ENGINE");
        let mut command = Command::new(engine.unwrap_or_else(|| env!("CARGO_BIN_EXE_mbti").into()));
        command.arg("--home").arg(self.home.path()).args(args).stdin(Stdio::null());
        // Whoever runs the tests may be logged in; that is none of their business, and no keyring is to open a window.
        for name in
            ["HF_TOKEN", "HF_HUB_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN_PATH", "HF_HUB_CACHE"]
        {
            command.env_remove(name);
        }
        command.env("MBTI_KEYRING", "off").env("HF_HOME", self.home.path().join("hugging-face"));
        command
    }

    pub fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Standard output of a command that has to succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "mbti {args:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.ok(&[args, &["--json"]].concat())).unwrap()
    }

    /// The lines of `train --json`.
    pub fn events(&self, args: &[&str]) -> Vec<Value> {
        let text = self.ok(&[args, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The message of a command that has to fail, with exit code 1 and nothing on standard output.
    pub fn fails(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "mbti {args:?} ends with {}: {error}", output.status);
        assert!(error.starts_with("error: ") || error.contains("\nerror: "), "{error}");
        assert!(!error.contains("panicked"), "{error}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        error
    }

    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Imports a small file with texts of four types by eight authors.
    pub fn import_small(&self, name: &str) {
        let mut text = "author,body,mbti\n".to_owned();
        for n in 0..64 {
            let mbti = ["INFP", "ESTJ", "ENTP", "ISFJ"][n / 2 % 4];
            text += &format!("a{},\"text number {n} about {mbti:.2}\",{mbti}\n", n / 8);
        }
        let path = self.file(&format!("{name}.csv"), text);
        self.ok(&["datasets", "import", path.to_str().unwrap(), "--name", name]);
    }

    pub fn status(&self, run: i64) -> String {
        let shown = self.json(&["runs", "show", &run.to_string()]);
        shown["run"]["status"].as_str().unwrap().to_owned()
    }
}

/// Texts of letters, no two alike, by authors who keep to their type and write four texts each.
pub fn letters(engine: &Engine, name: &str, authors: std::ops::Range<u64>) {
    let mut text = "author,body,mbti\n".to_owned();
    for author in authors {
        let mbti = ["INFP", "ESTJ", "ENTP", "ISFJ"][author as usize % 4];
        for number in 0..4 {
            let mut state = author * 1_000_003 + number;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 33
            };
            // Words, so that the bag of words has some; the first tells the type now and then.
            let mut words: Vec<String> =
                (0..8).map(|_| (0..5).map(|_| char::from(b'a' + (next() % 26) as u8)).collect()).collect();
            if number < 3 {
                words.push(mbti.to_lowercase().replace(['i', 'e'], "q"));
            }
            text += &format!("{name}{author},{},{mbti}\n", words.join(" "));
        }
    }
    let path = engine.file(&format!("{name}.csv"), text);
    engine.ok(&["datasets", "import", path.to_str().unwrap(), "--name", name]);
}

/// Waits until something holds, for at most a minute, and says what was waited for.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "waited a minute for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
