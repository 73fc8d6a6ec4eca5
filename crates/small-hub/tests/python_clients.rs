//! The Hub's own Python clients, unchanged, against the small Hub: tests/hub/python_clients.py.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use sha2::Digest as _;
use small_hub::{Kind, Options, Role, Scope, SmallHub, Token, Write};

fn start() -> SmallHub {
    let permissions = vec!["repo.write".to_owned()];
    let scope = Scope { on: "user".to_owned(), name: "alice".to_owned(), permissions };
    let options = Options { part_size: 1_000_000, page_size: 3, ..Options::default() }
        .token(Token::new("alice", "hf_alice", Role::Write))
        .token(Token::new("alice", "hf_reader", Role::Read))
        .token(Token::new("alice", "hf_fine", Role::FineGrained(vec![scope])))
        .token(Token::new("bob", "hf_bob", Role::Write));
    SmallHub::start(options).unwrap()
}

/// Runs a part of the script with a cache folder of its own, where there is a Python for it.
fn run(part: &str, disable_xet: bool) {
    let Some(python) = std::env::var_os("MBTI_HUB_PYTHON") else {
        // Not by eprintln!, which is caught in a test that passes: nobody shall take this for a test that ran.
        let text = "Passed over: MBTI_HUB_PYTHON names no Python with huggingface_hub; scripts/hub-python.sh makes one.";
        let _ = writeln!(std::io::stderr(), "{text}");
        return;
    };
    let hub = start();
    hub.create(Kind::Model, "alice/given").unwrap();
    let given = [Write::bytes("big.bin", large(25_000_000)), Write::bytes("config.json", "{}")];
    hub.commit(Kind::Model, "alice/given", "main", "Files", &given).unwrap();
    hub.create(Kind::Model, "alice/py-disabled").unwrap();
    hub.set_disabled(Kind::Model, "alice/py-disabled", true).unwrap();

    let home = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/hub/python_clients.py");
    let mut command = Command::new(python);
    command.arg(script).arg(part).env("HF_ENDPOINT", hub.url()).env("HF_HOME", home.path());
    command.env("HF_HUB_DISABLE_PROGRESS_BARS", "1").env("HF_HUB_DISABLE_TELEMETRY", "1");
    command.env_remove("HF_TOKEN").env_remove("HF_HUB_DISABLE_XET").env_remove("HF_HUB_OFFLINE");
    if disable_xet {
        command.env("HF_HUB_DISABLE_XET", "1");
    }
    let status = command.status().unwrap();
    assert!(status.success(), "the Python clients do not agree: {status}");
    let strays = hub.log().tokens_at_storage();
    assert!(strays.is_empty(), "a token came to the storage: {strays:?}");
}

/// The same bytes as the script's function of this name makes.
fn large(size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 16384);
    let mut number = 0_u64;
    while bytes.len() < size {
        bytes.extend_from_slice(&sha2::Sha256::digest(format!("{size} {number}")).repeat(512));
        number += 1;
    }
    bytes.truncate(size);
    bytes
}

#[test]
fn the_clients_work_unchanged() {
    run("all", true);
}

/// Uploads of a client with hf_xet go to Xet and nowhere else, but downloads follow what the answer says.
#[test]
fn downloads_need_no_xet() {
    run("downloads", false);
}
