//! What can be read of the Hub: who one is, repositories, their trees and files.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{ask, get, get_json, header, hub, hub_with, options, send_json, sha256, signed, weights};
use reqwest::Method;
use serde_json::json;
use small_hub::{Gated, Kind, Listener, Options, Role, Scope, SmallHub, Token, Write, token_hash};

#[tokio::test]
async fn a_token_says_who_one_is() {
    let permissions = vec!["repo.content.read".to_owned()];
    let scope = Scope { on: "model".to_owned(), name: "alice/small".to_owned(), permissions };
    let hub = hub_with(options().token(Token::new("bob", "hf_fine", Role::FineGrained(vec![scope]))));
    let alice = get_json(&hub, "/api/whoami-v2", "hf_alice").await;
    assert_eq!(alice["name"], "alice");
    assert_eq!(alice["orgs"][0]["name"], "team");
    assert_eq!(alice["auth"]["accessToken"]["role"], "write");
    let fine = get_json(&hub, "/api/whoami-v2", "hf_fine").await;
    let scoped = &fine["auth"]["accessToken"]["fineGrained"]["scoped"][0];
    assert_eq!(scoped["entity"]["name"], "alice/small");
    assert_eq!(scoped["permissions"], json!(["repo.content.read"]));

    let unknown = get(&hub, "/api/whoami-v2", "hf_nobody").await;
    assert_eq!(unknown.status(), 401);
    assert_eq!(header(&unknown, "x-error-message"), "Invalid credentials in Authorization header");
    assert_eq!(get(&hub, "/api/whoami-v2", "").await.status(), 401);

    // The fine-grained token opens this one repository and writes nothing.
    hub.set_private(Kind::Model, "alice/small", true).unwrap();
    assert_eq!(get(&hub, "/api/models/alice/small", "hf_bob").await.status(), 404);
    assert_eq!(get(&hub, "/api/models/alice/small", "hf_fine").await.status(), 200);
    let preupload = json!({"files": []});
    let path = "/api/models/alice/small/preupload/main";
    assert_eq!(send_json(&hub, Method::POST, path, "hf_fine", &preupload).await.status(), 403);
    assert_eq!(send_json(&hub, Method::POST, path, "hf_alice", &preupload).await.status(), 200);
    hub.revoke_token("hf_alice");
    assert_eq!(send_json(&hub, Method::POST, path, "hf_alice", &preupload).await.status(), 401);
}

#[tokio::test]
async fn repositories_are_created_and_deleted() {
    let hub = hub();
    let create = |name: &'static str, organization: Option<&'static str>| json!({"name": name, "organization": organization, "private": true});
    let path = "/api/repos/create";
    let made = send_json(&hub, Method::POST, path, "hf_alice", &create("new", None)).await;
    assert_eq!(made.status(), 200);
    let made: serde_json::Value = made.json().await.unwrap();
    assert_eq!(made["url"], format!("{}/alice/new", hub.url()));
    assert_eq!(get_json(&hub, "/api/models/alice/new", "hf_alice").await["private"], true);
    assert_eq!(
        send_json(&hub, Method::POST, path, "hf_alice", &create("new", Some("team"))).await.status(),
        200
    );

    let again = send_json(&hub, Method::POST, path, "hf_alice", &create("NEW", None)).await;
    assert_eq!(again.status(), 409);
    for (token, body, status) in [
        ("", create("x", None), 401),
        ("hf_reader", create("x", None), 403),
        ("hf_alice", create("x", Some("bob")), 403),
        ("hf_alice", create("no spaces", None), 400),
        ("hf_alice", json!({"name": "x", "type": "space"}), 400),
        ("hf_alice", json!(["no object"]), 400),
    ] {
        assert_eq!(send_json(&hub, Method::POST, path, token, &body).await.status(), status, "{body}");
    }

    let path = "/api/repos/delete";
    let body = json!({"name": "new", "organization": "alice"});
    assert_eq!(send_json(&hub, Method::DELETE, path, "hf_bob", &body).await.status(), 404);
    assert_eq!(send_json(&hub, Method::DELETE, path, "hf_reader", &body).await.status(), 403);
    assert_eq!(send_json(&hub, Method::DELETE, path, "hf_alice", &body).await.status(), 200);
    assert_eq!(send_json(&hub, Method::DELETE, path, "hf_alice", &body).await.status(), 404);
}

#[tokio::test]
async fn a_repository_is_described() {
    let hub = hub();
    let about = get_json(&hub, "/api/models/alice/small", "").await;
    let newest = hub.commits(Kind::Model, "alice/small", "main").unwrap()[0].clone();
    assert_eq!(about["sha"], json!(newest.id));
    assert_eq!(about["pipeline_tag"], "text-classification");
    assert_eq!(about["cardData"]["license"], "mit");
    for tag in ["mbti", "license:mit", "safetensors"] {
        assert!(about["tags"].as_array().unwrap().contains(&json!(tag)), "{tag}");
    }
    let names: Vec<&str> =
        about["siblings"].as_array().unwrap().iter().map(|one| one["rfilename"].as_str().unwrap()).collect();
    assert_eq!(names, [".gitattributes", "README.md", "model.safetensors", "sub/config.json"]);
    assert!(about["siblings"][0].get("size").is_none());

    let blobs = get_json(&hub, "/api/models/alice/small/revision/main?blobs=true", "").await;
    assert_eq!(blobs["siblings"][2]["lfs"]["sha256"], json!(sha256(&weights())));
    assert_eq!(blobs["siblings"][2]["size"], 5000);
    let short = get_json(&hub, "/api/models/alice/small?expand=sha&expand=gated", "").await;
    let keys: Vec<&String> = short.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["_id", "gated", "id", "sha"]);
    let first = &newest.parents[0];
    let old = get_json(&hub, &format!("/api/models/alice/small/revision/{first}"), "").await;
    assert_eq!(old["siblings"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn repositories_are_found_by_name() {
    let hub = hub();
    for name in ["bob/mbti-one", "bob/mbti-two", "alice/mbti-secret"] {
        hub.create(Kind::Dataset, name).unwrap();
    }
    hub.set_private(Kind::Dataset, "alice/mbti-secret", true).unwrap();
    let ids = |found: serde_json::Value| -> Vec<String> {
        found.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let found = get_json(&hub, "/api/datasets?search=MBTI", "hf_bob").await;
    assert_eq!(ids(found), ["bob/mbti-one", "bob/mbti-two"]);
    let found = get_json(&hub, "/api/datasets?search=mbti&author=alice&full=True", "hf_alice").await;
    assert_eq!(found[0]["siblings"][0]["rfilename"], ".gitattributes");
    let found = get_json(&hub, "/api/models?filter=license:mit&pipeline_tag=text-classification", "").await;
    assert_eq!(ids(found), ["alice/small"]);
    assert!(ids(get_json(&hub, "/api/models?filter=license:gpl", "").await).is_empty());

    let page = get(&hub, "/api/datasets?limit=1", "").await;
    let link = header(&page, "link");
    assert_eq!(ids(page.json().await.unwrap()), ["bob/mbti-one"]);
    let next = link.trim_start_matches('<').split('>').next().unwrap().to_owned();
    let page = get(&hub, &next, "").await;
    assert_eq!(header(&page, "link"), "");
    assert_eq!(ids(page.json().await.unwrap()), ["bob/mbti-two"]);
}

#[tokio::test]
async fn trees_come_in_pages() {
    let hub = hub_with(Options { page_size: 2, ..options() });
    let path = "/api/models/alice/small/tree/main";
    let mut names = Vec::new();
    let mut next = format!("{path}?recursive=true&expand=false");
    while !next.is_empty() {
        let page = get(&hub, &next, "").await;
        next = header(&page, "link").trim_start_matches('<').split('>').next().unwrap().to_owned();
        let page: serde_json::Value = page.json().await.unwrap();
        assert!(page.as_array().unwrap().len() <= 2);
        names.extend(page.as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap().to_owned()));
    }
    assert_eq!(names, [".gitattributes", "README.md", "model.safetensors", "sub", "sub/config.json"]);

    let inside = get_json(&hub, &format!("{path}/sub?expand=True"), "").await;
    assert_eq!(inside[0]["path"], "sub/config.json");
    assert_eq!(inside[0]["type"], "file");
    assert_eq!(inside[0]["lastCommit"]["title"], "Weights");
    let missing = get(&hub, &format!("{path}/none"), "").await;
    assert_eq!(
        (missing.status().as_u16(), header(&missing, "x-error-code").as_str()),
        (404, "EntryNotFound")
    );
    let missing = get(&hub, "/api/models/alice/small/tree/none", "").await;
    assert_eq!(
        (missing.status().as_u16(), header(&missing, "x-error-code").as_str()),
        (404, "RevisionNotFound")
    );

    let path = "/api/models/alice/small/paths-info/main";
    let body = json!({"paths": ["model.safetensors", "sub", "none"], "expand": true});
    let found: serde_json::Value = send_json(&hub, Method::POST, path, "", &body).await.json().await.unwrap();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["lfs"]["oid"], json!(sha256(&weights())));
    assert_eq!(found[1]["type"], "directory");
    let form = ask(&hub, Method::POST, path, "").body("paths=README.md&paths=sub%2Fconfig.json&expand=False");
    let found: serde_json::Value = form.send().await.unwrap().json().await.unwrap();
    assert_eq!(found[1]["path"], "sub/config.json");
}

#[tokio::test]
async fn small_files_come_from_the_hub() {
    let hub = hub();
    let path = "/alice/small/resolve/main/README.md";
    let head = ask(&hub, Method::HEAD, path, "").send().await.unwrap();
    let etag = header(&head, "etag");
    assert_eq!(etag.trim_matches('"'), hub.files(Kind::Model, "alice/small", "main").unwrap()[1].1.oid);
    assert_eq!(header(&head, "content-length"), common::CARD.len().to_string());
    assert_eq!(
        header(&head, "x-repo-commit"),
        hub.commits(Kind::Model, "alice/small", "main").unwrap()[0].id
    );
    assert_eq!(header(&head, "accept-ranges"), "bytes");
    assert!(!header(&head, "x-request-id").is_empty());
    assert_eq!(get(&hub, path, "").await.text().await.unwrap(), common::CARD);

    let part = ask(&hub, Method::GET, path, "").header("range", "bytes=4-10").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(header(&part, "content-range"), format!("bytes 4-10/{}", common::CARD.len()));
    assert_eq!(part.text().await.unwrap(), common::CARD[4..11]);
    let with_tag = |tag: &str| {
        ask(&hub, Method::GET, path, "").header("range", "bytes=4-").header("if-range", tag.to_owned()).send()
    };
    assert_eq!(with_tag(&etag).await.unwrap().status(), 206);
    assert_eq!(with_tag("\"another\"").await.unwrap().status(), 200);
    let behind = ask(&hub, Method::GET, path, "").header("range", "bytes=9999-").send().await.unwrap();
    assert_eq!(behind.status(), 416);
    assert_eq!(header(&behind, "content-range"), format!("bytes */{}", common::CARD.len()));
}

#[tokio::test]
async fn large_files_come_from_the_storage() {
    let hub = hub();
    let path = "/alice/small/resolve/main/model.safetensors";
    for method in [Method::HEAD, Method::GET] {
        let answer = ask(&hub, method, path, "hf_alice").send().await.unwrap();
        assert_eq!(answer.status(), 302);
        assert_eq!(header(&answer, "x-linked-etag"), format!("\"{}\"", sha256(&weights())));
        assert_eq!(header(&answer, "x-linked-size"), "5000");
        assert!(header(&answer, "location").starts_with(&format!("{}/", hub.storage_url())));
        assert!(answer.headers().keys().all(|name| !name.as_str().starts_with("x-xet")));
    }
    assert!(hub.storage_url().starts_with("http://localhost:"));
    let address = signed(&hub).await;
    let whole = get(&hub, &address, "").await;
    let etag = header(&whole, "etag");
    assert_ne!(etag.trim_matches('"'), sha256(&weights()));
    assert!(header(&whole, "content-disposition").contains("model.safetensors"));
    assert_eq!(whole.bytes().await.unwrap(), weights());
    let part = ask(&hub, Method::GET, &address, "").header("range", "bytes=4000-").header("if-range", etag);
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), weights()[4000..]);

    // The storage takes no notice of a token, but the log does.
    assert!(hub.log().tokens_at_storage().is_empty());
    assert_eq!(get(&hub, &address, "hf_alice").await.status(), 200);
    assert_eq!(hub.log().tokens_at_storage()[0].token, Some(token_hash("hf_alice")));
    let forged = address.replace("Expires=", "Expires=9");
    assert_eq!(get(&hub, &forged, "").await.status(), 403);
}

#[tokio::test]
async fn signed_addresses_expire() {
    let hub = hub_with(Options { signed_for: Duration::from_millis(300), ..options() });
    let address = signed(&hub).await;
    assert_eq!(get(&hub, &address, "").await.status(), 200);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let late = get(&hub, &address, "").await;
    assert_eq!(late.status(), 403);
    assert_eq!(header(&late, "x-error-message"), "Request has expired");
    assert_eq!(get(&hub, &signed(&hub).await, "").await.status(), 200);
}

#[tokio::test]
async fn one_listener_may_be_both() {
    let hub = hub_with(Options { storage_host: None, ..options() });
    assert_eq!(hub.url(), hub.storage_url());
    assert_eq!(get(&hub, &signed(&hub).await, "").await.bytes().await.unwrap(), weights());
    assert!(hub.log().all().iter().all(|one| one.listener == Listener::Hub));
}

#[tokio::test]
async fn small_files_may_be_redirected_too() {
    let hub = hub_with(Options { resolve_cache: true, ..options() });
    let answer = get(&hub, "/alice/small/resolve/main/sub/config.json", "").await;
    assert_eq!(answer.status(), 307);
    assert!(!header(&answer, "x-linked-etag").is_empty());
    let place = header(&answer, "location");
    assert!(place.starts_with("/api/resolve-cache/models/alice/small/"), "{place}");
    assert_eq!(get(&hub, &place, "").await.text().await.unwrap(), r#"{"model_type": "bert"}"#);
}

#[tokio::test]
async fn refusals_say_why() {
    let hub = hub();
    for name in ["alice/private", "alice/gated", "alice/disabled"] {
        hub.create(Kind::Dataset, name).unwrap();
    }
    hub.set_private(Kind::Dataset, "alice/private", true).unwrap();
    hub.set_gated(Kind::Dataset, "alice/gated", Gated::Manual, &["bob"]).unwrap();
    hub.set_disabled(Kind::Dataset, "alice/disabled", true).unwrap();
    let file = |id: &str| format!("/datasets/{id}/resolve/main/.gitattributes");
    hub.add_token(Token::new("carol", "hf_carol", Role::Read));
    for (path, token, status, code) in [
        (file("alice/private"), "", 401, ""),
        (file("alice/private"), "hf_bob", 404, "RepoNotFound"),
        (file("alice/private"), "hf_reader", 200, ""),
        (file("alice/missing"), "", 401, ""),
        (file("alice/missing"), "hf_bob", 404, "RepoNotFound"),
        (file("alice/gated"), "", 401, "GatedRepo"),
        (file("alice/gated"), "hf_unknown", 401, "GatedRepo"),
        (file("alice/gated"), "hf_carol", 403, "GatedRepo"),
        (file("alice/gated"), "hf_bob", 200, ""),
        ("/api/datasets/alice/gated".to_owned(), "", 200, ""),
        ("/api/datasets/alice/gated/auth-check".to_owned(), "hf_carol", 403, "GatedRepo"),
        ("/api/datasets/alice/gated/auth-check".to_owned(), "hf_bob", 200, ""),
        (file("alice/disabled"), "hf_alice", 403, "DisabledRepo"),
        ("/alice/small/resolve/none/README.md".to_owned(), "", 404, "RevisionNotFound"),
        ("/alice/small/resolve/main/none".to_owned(), "", 404, "EntryNotFound"),
        ("/alice/small/resolve/main/README.md".to_owned(), "hf_unknown", 401, ""),
        ("/api/models/alice/small/xet-write-token/main".to_owned(), "hf_alice", 404, ""),
        ("/api/models/alice/small/unheard-of".to_owned(), "", 404, ""),
        ("/somewhere/else".to_owned(), "", 404, ""),
    ] {
        let answer = get(&hub, &path, token).await;
        assert_eq!(answer.status(), status, "{path} {token}");
        assert_eq!(header(&answer, "x-error-code"), code, "{path} {token}");
        assert_eq!(header(&answer, "x-error-message").is_empty(), status == 200, "{path} {token}");
        assert!(!header(&answer, "x-request-id").is_empty());
    }
    let missing = get(&hub, "/alice/small/resolve/main/none", "").await;
    assert!(!header(&missing, "x-repo-commit").is_empty());
    let disabled = get(&hub, &file("alice/disabled"), "").await;
    assert_eq!(header(&disabled, "x-error-message"), "Access to this resource is disabled.");
    let other = get(&hub, "/Alice/SMALL/resolve/main/README.md", "").await;
    assert_eq!(other.status(), 307);
    assert_eq!(header(&other, "location"), "/alice/small/resolve/main/README.md");
    assert_eq!(
        header(&get(&hub, "/api/models/Alice/small", "").await, "location"),
        "/api/models/alice/small"
    );
}

#[tokio::test]
async fn settings_change_who_may_read() {
    let hub = hub();
    let path = "/api/models/alice/small/settings";
    let body = json!({"private": false, "gated": "auto"});
    assert_eq!(send_json(&hub, Method::PUT, path, "hf_bob", &body).await.status(), 403);
    assert_eq!(send_json(&hub, Method::PUT, path, "hf_alice", &json!({"gated": 3})).await.status(), 400);
    assert_eq!(send_json(&hub, Method::PUT, path, "hf_alice", &body).await.status(), 200);
    assert_eq!(get_json(&hub, "/api/models/alice/small", "").await["gated"], "auto");
    let file = "/alice/small/resolve/main/README.md";
    assert_eq!(get(&hub, file, "hf_bob").await.status(), 403);
    let grant = "/api/models/alice/small/user-access-request/grant";
    assert_eq!(send_json(&hub, Method::POST, grant, "hf_alice", &json!({"user": "bob"})).await.status(), 200);
    assert_eq!(get(&hub, file, "hf_bob").await.status(), 200);
}

#[tokio::test]
async fn a_conversion_has_a_branch_of_its_own() {
    let hub = hub();
    hub.create(Kind::Dataset, "alice/texts").unwrap();
    assert_eq!(get(&hub, "/api/datasets/alice/texts/parquet", "").await.status(), 404);
    let file = [Write::bytes("default/train/0000.parquet", "PAR1")];
    let commit = hub.commit(Kind::Dataset, "alice/texts", "refs/convert/parquet", "Convert", &file).unwrap();
    let base = format!("{}/api/datasets/alice/texts/parquet/default/train", hub.url());
    let listed = get_json(&hub, "/api/datasets/alice/texts/parquet", "").await;
    assert_eq!(listed, json!({"default": {"train": [format!("{base}/0.parquet")]}}));
    assert_eq!(
        get_json(&hub, "/api/datasets/alice/texts/parquet/default/train", "").await,
        listed["default"]["train"]
    );
    let sent = get(&hub, &format!("{base}/0.parquet"), "").await;
    assert_eq!(sent.status(), 302);
    let large = get(&hub, &header(&sent, "location"), "").await;
    assert_eq!(get(&hub, &header(&large, "location"), "").await.text().await.unwrap(), "PAR1");
    let tree =
        get_json(&hub, "/api/datasets/alice/texts/tree/refs%2Fconvert%2Fparquet?recursive=true", "").await;
    assert_eq!(tree[2]["path"], "default/train/0000.parquet");
    let refs = get_json(&hub, "/api/datasets/alice/texts/refs?include_prs=1", "").await;
    assert_eq!(
        refs["converts"][0],
        json!({"name": "parquet", "ref": "refs/convert/parquet", "targetCommit": commit})
    );
    assert_eq!(refs["branches"].as_array().unwrap().len(), 1);
    assert_eq!(refs["pullRequests"], json!([]));
}

#[tokio::test]
async fn a_folder_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { folder: Some(folder.path().to_owned()), ..options() };
    let before = hub_with(options()).files(Kind::Model, "alice/small", "main").unwrap();
    let hub = SmallHub::start(options()).unwrap();
    assert_eq!(hub.files(Kind::Model, "alice/small", "main").unwrap(), before);
    assert_eq!(hub.read(Kind::Model, "alice/small", "main", "model.safetensors").unwrap(), weights());
    assert_eq!(get(&hub, &signed(&hub).await, "").await.bytes().await.unwrap(), weights());
}
