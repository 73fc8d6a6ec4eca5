//! The small Hub as a program.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Program, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_small-hub"));
    let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Program(child), serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn it_says_where_it_is_and_takes_faults() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let arguments = [
        "--folder",
        folder,
        "--storage-host",
        "localhost",
        "--token",
        "alice:hf_a:write",
        "--token",
        "bob:hf_b:read",
    ];
    let client = reqwest::Client::new();
    {
        let (_program, about) = start(&arguments);
        let url = about["url"].as_str().unwrap();
        assert!(about["storage"].as_str().unwrap().starts_with("http://localhost:"));
        let create =
            client.post(format!("{url}/api/repos/create")).bearer_auth("hf_a").json(&json!({"name": "x"}));
        assert_eq!(create.send().await.unwrap().status(), 200);
        let rule = json!({"path": "/api/*", "times": 1, "fault": {"kind": "status", "status": 503}});
        let rules: Value =
            client.post(format!("{url}/_faults")).json(&rule).send().await.unwrap().json().await.unwrap();
        assert_eq!(rules[0]["fault"], json!({"kind": "status", "status": 503, "retry_after": null}));
        let bad = client.post(format!("{url}/_faults")).json(&json!({"path": "*"})).send().await.unwrap();
        assert_eq!(bad.status(), 400);
        for status in [503, 200] {
            let answer = client.get(format!("{url}/api/whoami-v2")).bearer_auth("hf_b").send().await.unwrap();
            assert_eq!(answer.status(), status);
        }
        client.delete(format!("{url}/_faults")).send().await.unwrap();
        let log: Value = client.get(format!("{url}/_log")).send().await.unwrap().json().await.unwrap();
        assert_eq!(log.as_array().unwrap().len(), 3);
        assert_eq!((&log[1]["status"], &log[1]["listener"]), (&json!(503), &json!("hub")));
        client.delete(format!("{url}/_log")).send().await.unwrap();
        let log: Value = client.get(format!("{url}/_log")).send().await.unwrap().json().await.unwrap();
        assert_eq!(log, json!([]));
    }
    let (_program, about) = start(&arguments);
    let found =
        client.get(format!("{}/api/models/alice/x", about["url"].as_str().unwrap())).send().await.unwrap();
    assert_eq!(found.status(), 200);
}

#[test]
fn a_bad_token_is_explained() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_small-hub")).args(["--token", "alice:hf_a:owner"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("owner is no role"));
}
