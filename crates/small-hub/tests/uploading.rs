//! What is brought to the Hub: large files in one piece and in parts, and commits.
#![allow(clippy::unwrap_used)]

mod common;

use common::{ask, client, get_json, header, hub, send_json, sha256, weights};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use small_hub::{Kind, SmallHub};

const PREUPLOAD: &str = "/api/models/alice/small/preupload/main";
const BATCH: &str = "/alice/small.git/info/lfs/objects/batch";
const COMMIT: &str = "/api/models/alice/small/commit/main";

async fn batch(hub: &SmallHub, content: &[u8], transfers: &[&str]) -> Value {
    let body = json!({
        "operation": "upload",
        "transfers": transfers,
        "objects": [{"oid": sha256(content), "size": content.len()}],
        "hash_algo": "sha256",
    });
    let answer = send_json(hub, Method::POST, BATCH, "hf_alice", &body).await;
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

async fn put(address: &Value, content: &[u8]) -> Response {
    client().put(address.as_str().unwrap()).body(content.to_vec()).send().await.unwrap()
}

async fn commit(hub: &SmallHub, token: &str, lines: &[Value]) -> Response {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    ask(hub, Method::POST, COMMIT, token).body(body).send().await.unwrap()
}

fn head(summary: &str) -> Value {
    json!({"key": "header", "value": {"summary": summary, "description": ""}})
}

fn text(path: &str) -> Value {
    json!({"key": "file", "value": {"path": path, "content": "aGVsbG8K", "encoding": "base64"}})
}

fn paths(hub: &SmallHub) -> Vec<String> {
    let files = hub.files(Kind::Model, "alice/small", "main").unwrap();
    files.into_iter().map(|(path, _)| path).collect()
}

#[tokio::test]
async fn the_hub_says_how_each_file_is_to_come() {
    let hub = hub();
    let file = |path: &str, size: u64| json!({"path": path, "size": size, "sample": ""});
    let body = json!({
        "files": [
            file("a.txt", 10),
            file("a.bin", 10),
            file("empty.bin", 0),
            file("huge.txt", 11 << 20),
            file("run/a.log", 1),
            file("model.safetensors", 5000),
            file("README.md", 10),
        ],
        "gitIgnore": "*.log\n",
    });
    let answer: Value =
        send_json(&hub, Method::POST, PREUPLOAD, "hf_alice", &body).await.json().await.unwrap();
    let files = answer["files"].as_array().unwrap();
    let modes: Vec<&str> = files.iter().map(|file| file["uploadMode"].as_str().unwrap()).collect();
    assert_eq!(modes, ["regular", "lfs", "regular", "lfs", "regular", "lfs", "regular"]);
    let ignored: Vec<bool> = files.iter().map(|file| file["shouldIgnore"].as_bool().unwrap()).collect();
    assert_eq!(ignored, [false, false, false, false, true, false, false]);
    assert_eq!(files[0]["oid"], Value::Null);
    assert_eq!(files[5]["oid"], json!(sha256(&weights())));
    assert_eq!(files[6]["oid"].as_str().unwrap().len(), 40);
    for (token, status) in [("", 401), ("hf_reader", 403), ("hf_bob", 403)] {
        assert_eq!(send_json(&hub, Method::POST, PREUPLOAD, token, &body).await.status(), status);
    }
}

#[tokio::test]
async fn a_small_large_file_comes_in_one_piece() {
    let hub = hub();
    let content = vec![7; 900];
    let answer = batch(&hub, &content, &["basic", "multipart", "xet"]).await;
    assert_eq!(answer["transfer"], "basic");
    let actions = &answer["objects"][0]["actions"];
    assert_eq!(put(&actions["upload"]["href"], &[8; 900]).await.status(), 400);
    let verify = json!({"oid": sha256(&content), "size": 900});
    let verify_at = actions["verify"]["href"].as_str().unwrap();
    assert_eq!(send_json(&hub, Method::POST, verify_at, "hf_alice", &verify).await.status(), 404);
    assert_eq!(put(&actions["upload"]["href"], &content).await.status(), 200);
    assert_eq!(send_json(&hub, Method::POST, verify_at, "hf_alice", &verify).await.status(), 200);
    let wrong = json!({"oid": sha256(&content), "size": 901});
    assert_eq!(send_json(&hub, Method::POST, verify_at, "hf_alice", &wrong).await.status(), 400);
    assert_eq!(send_json(&hub, Method::POST, verify_at, "", &verify).await.status(), 401);

    let again = batch(&hub, &content, &["basic"]).await;
    assert!(again["objects"][0].get("actions").is_none());
    let body = json!({"operation": "download", "objects": [verify]});
    let answer: Value = send_json(&hub, Method::POST, BATCH, "", &body).await.json().await.unwrap();
    let download = answer["objects"][0]["actions"]["download"]["href"].as_str().unwrap().to_owned();
    assert_eq!(client().get(download).send().await.unwrap().bytes().await.unwrap(), content);
}

#[tokio::test]
async fn a_large_one_comes_in_parts() {
    let hub = hub();
    let content: Vec<u8> = (0..2500_u32).map(|number| (number % 241) as u8).collect();
    let answer = batch(&hub, &content, &["basic", "multipart"]).await;
    assert_eq!(answer["transfer"], "multipart");
    let upload = &answer["objects"][0]["actions"]["upload"];
    assert_eq!(upload["header"]["chunk_size"], "1000");
    let mut parts = Vec::new();
    for (number, part) in content.chunks(1000).enumerate() {
        let arrived = put(&upload["header"][(number + 1).to_string()], part).await;
        assert_eq!(arrived.status(), 200);
        parts.push(json!({"partNumber": number + 1, "etag": header(&arrived, "etag")}));
    }
    assert!(upload["header"].get("4").is_none());

    // The completion is asked for without a token, and what is wrong with it can be made right.
    let complete = upload["href"].as_str().unwrap();
    let oid = sha256(&content);
    let missing = json!({"oid": oid, "parts": parts[..2]});
    assert_eq!(send_json(&hub, Method::POST, complete, "", &missing).await.status(), 400);
    let wrong = json!({"oid": oid, "parts": [parts[0], parts[1], {"partNumber": 3, "etag": "no"}]});
    assert_eq!(send_json(&hub, Method::POST, complete, "", &wrong).await.status(), 400);
    let swapped = put(&upload["header"]["1"], &[0; 1000]).await;
    let swapped = json!({"partNumber": 1, "etag": header(&swapped, "etag")});
    let other = json!({"oid": oid, "parts": [swapped, parts[1], parts[2]]});
    assert_eq!(send_json(&hub, Method::POST, complete, "", &other).await.status(), 400);
    put(&upload["header"]["1"], &content[..1000]).await;
    let right = json!({"oid": oid, "parts": parts});
    assert_eq!(send_json(&hub, Method::POST, complete, "", &right).await.status(), 200);
    assert_eq!(send_json(&hub, Method::POST, complete, "", &right).await.status(), 200);
    assert_eq!(put(&upload["header"]["1"], b"late").await.status(), 404);
    assert_eq!(
        send_json(&hub, Method::POST, &complete.replace("Signature=", "Signature=0"), "", &right)
            .await
            .status(),
        403
    );

    let file =
        json!({"key": "lfsFile", "value": {"path": "big.bin", "algo": "sha256", "oid": oid, "size": 2500}});
    assert!(!paths(&hub).contains(&"big.bin".to_owned()));
    assert_eq!(commit(&hub, "hf_alice", &[head("Big"), file]).await.status(), 200);
    assert_eq!(hub.read(Kind::Model, "alice/small", "main", "big.bin").unwrap(), content);
    let log = hub.log().matching("PUT", "/_storage/uploads/*");
    assert_eq!(log[0].bytes_received, 1000);
    assert!(log.iter().all(|one| one.token.is_none()));
}

#[tokio::test]
async fn the_storage_wants_to_know_the_length() {
    let hub = hub();
    let answer = batch(&hub, &[1; 10], &[]).await;
    let address = answer["objects"][0]["actions"]["upload"]["href"].as_str().unwrap().to_owned();
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>(vec![1; 5]), Ok(vec![1; 5])]);
    let chunked = client().put(address).body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap();
    assert_eq!(chunked.status(), 501);
    let odd = json!({"operation": "upload", "objects": [{"oid": "../../etc", "size": 1}]});
    let answer: Value = send_json(&hub, Method::POST, BATCH, "hf_alice", &odd).await.json().await.unwrap();
    assert_eq!(answer["objects"][0]["error"]["code"], 422);
    for (token, status) in [("", 401), ("hf_reader", 403), ("hf_bob", 403)] {
        assert_eq!(send_json(&hub, Method::POST, BATCH, token, &odd).await.status(), status);
    }
}

#[tokio::test]
async fn commits_add_and_delete() {
    let hub = hub();
    let lines = [
        head("First"),
        text("new/hello.txt"),
        json!({"key": "deletedFile", "value": {"path": "README.md"}}),
        json!({"key": "deletedFolder", "value": {"path": "sub/"}}),
    ];
    let answer: Value = commit(&hub, "hf_alice", &lines).await.json().await.unwrap();
    assert_eq!(paths(&hub), [".gitattributes", "model.safetensors", "new/hello.txt"]);
    assert_eq!(hub.read(Kind::Model, "alice/small", "main", "new/hello.txt").unwrap(), b"hello\n");
    let id = answer["commitOid"].as_str().unwrap();
    assert_eq!(answer["commitUrl"], format!("{}/alice/small/commit/{id}", hub.url()));
    let newest = hub.commits(Kind::Model, "alice/small", "main").unwrap()[0].clone();
    assert_eq!((newest.id.as_str(), newest.title.as_str(), newest.author.as_str()), (id, "First", "alice"));
    let blob = &newest.files["new/hello.txt"].oid;
    assert_eq!(blob, "ce013625030ba8dba906f756967f9e9ca394464a");
    let listed = get_json(&hub, "/api/models/alice/small/commits/main", "").await;
    assert_eq!(listed[0]["title"], "First");
    assert_eq!(listed[0]["parents"][0], listed[1]["id"]);
}

#[tokio::test]
async fn a_commit_is_all_or_nothing() {
    let hub = hub();
    let before = hub.commits(Kind::Model, "alice/small", "main").unwrap();
    let stale = json!({"key": "header", "value": {"summary": "Late", "parentCommit": before[1].id}});
    let absent = json!({"key": "lfsFile", "value": {"path": "x.bin", "oid": sha256(b"absent"), "size": 6}});
    for (token, lines, status) in [
        ("hf_alice", vec![stale, text("a")], 412),
        ("hf_alice", vec![head("x"), text("a"), absent], 400),
        (
            "hf_alice",
            vec![head("x"), text("a"), json!({"key": "deletedFile", "value": {"path": "none"}})],
            404,
        ),
        ("hf_alice", vec![head("x"), text("a"), json!({"key": "unheard", "value": {}})], 400),
        ("hf_alice", vec![head("x"), text("../a")], 400),
        ("hf_alice", vec![text("a")], 400),
        ("", vec![head("x"), text("a")], 401),
        ("hf_reader", vec![head("x"), text("a")], 403),
        ("hf_bob", vec![head("x"), text("a")], 403),
    ] {
        assert_eq!(commit(&hub, token, &lines).await.status(), status, "{lines:?}");
    }
    let body = format!("{}\n{}\n", head("x"), text("a"));
    let pull_request =
        ask(&hub, Method::POST, &format!("{COMMIT}?create_pr=1"), "hf_alice").body(body.clone());
    assert_eq!(pull_request.send().await.unwrap().status(), 403);
    let nowhere = ask(&hub, Method::POST, "/api/models/alice/small/commit/none", "hf_alice").body(body);
    assert_eq!(nowhere.send().await.unwrap().status(), 404);
    assert_eq!(hub.commits(Kind::Model, "alice/small", "main").unwrap(), before);

    let right = json!({"key": "header", "value": {"summary": "In time", "parentCommit": before[0].id}});
    assert_eq!(commit(&hub, "hf_alice", &[right, text("a")]).await.status(), 200);
}

#[tokio::test]
async fn branches_and_tags_point_to_commits() {
    let hub = hub();
    let first = hub.commits(Kind::Model, "alice/small", "main").unwrap()[1].id.clone();
    let branch = "/api/models/alice/small/branch/try%2Fthis";
    let start = json!({"startingPoint": first});
    assert_eq!(send_json(&hub, Method::POST, branch, "hf_bob", &start).await.status(), 403);
    assert_eq!(send_json(&hub, Method::POST, branch, "hf_alice", &start).await.status(), 200);
    assert_eq!(send_json(&hub, Method::POST, branch, "hf_alice", &start).await.status(), 409);
    let tag = "/api/models/alice/small/tag/main";
    assert_eq!(send_json(&hub, Method::POST, tag, "hf_alice", &json!({"tag": "v1"})).await.status(), 200);
    let refs = get_json(&hub, "/api/models/alice/small/refs", "").await;
    assert_eq!(
        refs["branches"][1],
        json!({"name": "try/this", "ref": "refs/heads/try/this", "targetCommit": first})
    );
    assert_eq!(refs["tags"][0]["name"], "v1");
    let about = get_json(&hub, "/api/models/alice/small/revision/try%2Fthis", "").await;
    assert_eq!(about["sha"], json!(first));
    for (path, status) in [(branch, 200), (branch, 404), ("/api/models/alice/small/branch/main", 403)] {
        assert_eq!(ask(&hub, Method::DELETE, path, "hf_alice").send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn cards_are_looked_at() {
    let hub = &hub();
    let ask = |content: &'static str| async move {
        let body = json!({"content": content, "repoType": "model"});
        send_json(hub, Method::POST, "/api/validate-yaml", "", &body).await.json::<Value>().await.unwrap()
    };
    assert_eq!(ask("---\nlicense: mit\n---\n").await, json!({"errors": [], "warnings": []}));
    assert_eq!(ask("# Bare\n").await["warnings"].as_array().unwrap().len(), 1);
}
