#![allow(clippy::unwrap_used)]
//! A Hub that lies, never ends, or wants the token to go elsewhere.

mod common;

use std::time::{Duration, Instant};

use common::{Place, TOKEN, model, noise, place, read};
use hub::{
    Error, Transfer,
    access::{Network, whoami},
    download::{DataWish, fetch, plan_data_set, plan_model, search, snapshot_offline},
    push::{Content, Upload, check_rights, push},
};
use record::{DownloadPlan, RepoKind};
use small_hub::{Fault, Kind, Listener, Role, Rule, Says, Stranger, Write, token_hash};

const SMALL: &str = "alice/small";
const INFO: &str = "/api/models/alice/small";
const TREE: &str = "/api/models/alice/small/tree/*";
const WEIGHTS: &str = "*model.safetensors";
/// More than connections hold on their way, and far less than what has no end would bring.
const ON_THE_WAY: u64 = 24 << 20;

fn with_weights(bytes: usize) -> (Place, Vec<u8>) {
    let weights = noise(bytes, 7);
    (place(Role::Write).with_model(SMALL, &model(weights.clone())), weights)
}

async fn planned(network: &Network) -> Result<DownloadPlan, Error> {
    plan_model(network, SMALL, None).await
}

async fn pushed(place: &Place, network: &Network, transfer: &Transfer) -> Result<(), Error> {
    let weights = place.folder.path().join("weights");
    std::fs::write(&weights, noise(150_000, 3)).unwrap();
    let uploads = vec![
        Upload { path: "README.md".into(), content: Content::Text("# What only the Hub is told\n".into()) },
        Upload { path: "model.safetensors".into(), content: Content::File(weights) },
    ];
    push(network, SMALL, false, uploads, "A run", &place.notes(), transfer).await.map(|_| ())
}

fn refused(answer: Result<impl Sized, Error>) -> String {
    match answer.err().unwrap() {
        Error::BadAnswer { reason, .. } => reason,
        other => unreachable!("{other}"),
    }
}

fn rewrite(path: &str, find: &str, with: &str) -> Rule {
    Rule::always(path, Fault::Rewrite { find: find.to_owned(), with: with.to_owned() })
}

#[tokio::test]
async fn the_next_page_of_a_search_or_a_list_is_asked_for_nowhere_else() {
    let (place, _) = with_weights(1000);
    let place = place.with(Kind::Dataset, "alice/small-texts", &[("a.csv", vec![1])]);
    let stranger = Stranger::start(Says::NotFound).unwrap();
    let next = Fault::NextPage { to: format!("{}/api/models?cursor=2", stranger.url()) };
    place.hub.faults().add(Rule::always("/api/*", next));
    let network = place.alice();
    for kind in [RepoKind::Model, RepoKind::Dataset] {
        assert_eq!(search(&network, kind, "small").await.unwrap().len(), 1);
    }
    assert!(refused(planned(&network).await).contains("goes on at another address"));
    assert_eq!(stranger.heard(), "", "nobody else is asked anything");
}

#[tokio::test]
async fn redirects_take_the_token_nowhere_and_what_is_sent_to_the_hub_to_nobody_else() {
    let (place, _) = with_weights(1000);
    let stranger = Stranger::start(Says::NotFound).unwrap();
    let network = place.alice();
    let away = |path: &str| Rule::always(path, Fault::Redirect { to: stranger.url().to_owned() });
    for path in ["/api/models/*", "/api/models", "/api/whoami-v2"] {
        place.hub.faults().add(away(path).method("GET"));
    }
    planned(&network).await.unwrap_err();
    search(&network, RepoKind::Model, "small").await.unwrap_err();
    whoami(&network).await.unwrap_err();
    let heard = stranger.heard();
    assert_eq!(heard.matches("GET /").count(), 3, "{heard}");
    assert!(!heard.contains(TOKEN) && !heard.to_lowercase().contains("authorization"), "{heard}");

    place.hub.faults().clear();
    for path in ["/api/repos/create", "*/preupload/*", "*/info/lfs/*", "*/commit/*"] {
        place.hub.faults().add(away(path).method("POST"));
        let reason = refused(pushed(&place, &network, &Transfer::default()).await);
        assert!(reason.contains("redirect to another host"), "{path}: {reason}");
        place.hub.faults().clear();
    }
    assert_eq!(stranger.heard(), heard, "nothing of a push has arrived there");
}

#[tokio::test]
async fn an_address_that_leads_away_and_back_or_has_a_password_in_it_gets_no_other_token() {
    let (place, _) = with_weights(1000);
    let other = common::place(Role::Read);
    let network = place.alice();
    let to = |url: &str| Fault::Redirect { to: url.to_owned() };
    place.hub.faults().add(Rule::once(INFO, to(other.hub.url())));
    other.hub.faults().add(Rule::always(INFO, to(place.hub.url())));
    planned(&network).await.unwrap();
    let seen: Vec<_> = place.hub.log().matching("GET", INFO).into_iter().map(|asked| asked.token).collect();
    assert_eq!(seen, [Some(token_hash(TOKEN)), None], "what somebody else sends us to is asked without");

    place.hub.log().clear();
    place.hub.faults().add(Rule::once(INFO, to(&place.hub.url().replace("//", "//me:word@"))));
    planned(&network).await.unwrap();
    let seen: Vec<_> = place.hub.log().matching("GET", INFO).into_iter().map(|asked| asked.token).collect();
    assert_eq!(seen, [Some(token_hash(TOKEN)), Some(token_hash(TOKEN))]);
}

#[tokio::test]
async fn where_files_are_uploaded_to_gets_neither_the_token_nor_a_password() {
    let (place, _) = with_weights(1000);
    let stranger = Stranger::start(Says::NotFound).unwrap();
    let storage = place.hub.storage_url().to_owned();
    let batch = "*/info/lfs/objects/batch";
    place.hub.faults().add(rewrite(batch, &storage, &stranger.url().replace("//", "//me:word@")));
    pushed(&place, &place.alice(), &Transfer::default()).await.unwrap_err();
    let heard = stranger.heard();
    assert!(heard.contains("PUT /"), "{heard:?}");
    assert!(!heard.contains(TOKEN) && !heard.to_lowercase().contains("authorization"));

    // Nor does anything else take its place where it belongs.
    place.hub.faults().clear();
    place.hub.log().clear();
    let headers =
        r#""verify":{"header":{"Authorization":"Bearer hf_other","Cookie":"a=b","Host":"evil.example"},"#;
    place.hub.faults().add(rewrite(batch, r#""verify":{"#, headers));
    pushed(&place, &place.alice(), &Transfer::default()).await.unwrap();
    let verified = place.hub.log().matching("POST", "*verify*");
    assert!(!verified.is_empty() && place.hub.log().tokens_at_storage().is_empty());
    for asked in verified {
        assert_eq!(asked.token, Some(token_hash(TOKEN)));
        assert!(asked.host.is_some_and(|host| place.hub.url().ends_with(&host)));
    }
}

/// Does as a stranger all that can be done as one; run by the next test, in a process with an environment of its own.
#[tokio::test]
#[ignore = "part of the next test"]
async fn a_stranger_looks_around() {
    let place = place(Role::Read);
    let network = place.way_to(&std::env::var("A_HUB").unwrap(), None, &[]);
    assert_eq!(search(&network, RepoKind::Model, "small").await.unwrap().len(), 1);
    search(&network, RepoKind::Dataset, "small").await.unwrap();
    let plan = planned(&network).await.unwrap();
    fetch(&network, &plan, &Transfer::default(), 0).await.unwrap();
    assert!(matches!(whoami(&network).await, Err(Error::NoToken)));
    assert!(matches!(pushed(&place, &network, &Transfer::default()).await, Err(Error::NoToken)));
}

#[test]
fn who_was_given_no_token_sends_none_whatever_the_environment_and_the_users_files_have() {
    let (place, _) = with_weights(1000);
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("token"), TOKEN).unwrap();
    let path = home.path().join("token").display().to_string();
    for (name, value) in
        [("HF_TOKEN", TOKEN), ("HF_TOKEN_PATH", &path), ("HF_HOME", home.path().to_str().unwrap())]
    {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "a_stranger_looks_around", "--ignored"]);
        for name in ["HF_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_DISABLE_IMPLICIT_TOKEN"] {
            command.env_remove(name);
        }
        let done = command.env("A_HUB", place.hub.url()).env(name, value).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
    }
    let log = place.hub.log().all();
    assert!(log.len() > 9 && log.iter().all(|asked| asked.token.is_none()), "{log:?}");
}

#[tokio::test]
async fn answers_without_an_end_are_read_no_further_than_their_limit() {
    let (place, _) = with_weights(1000);
    let network = place.alice();
    let endless = |path: &str| Rule::always(path, Fault::Endless { status: 200 });
    let sent = |path: &str| place.hub.log().matching("", path).iter().map(|one| one.bytes_sent).sum::<u64>();
    for (path, limit) in
        [("/api/whoami-v2", 4 << 20), ("/api/models", 4 << 20), (INFO, 16 << 20), (TREE, 64 << 20)]
    {
        place.hub.log().clear();
        place.hub.faults().add(endless(path));
        let reason = match path {
            "/api/whoami-v2" => refused(whoami(&network).await),
            "/api/models" => refused(search(&network, RepoKind::Model, "small").await),
            _ => refused(planned(&network).await),
        };
        assert!(reason.contains("it sends more than"), "{path}: {reason}");
        let sent = sent(path);
        assert!((limit..limit + ON_THE_WAY).contains(&sent), "{path}: {sent}");
        place.hub.faults().clear();
    }
}

#[tokio::test]
async fn refusals_without_an_end_are_read_no_further_than_their_limit() {
    let (place, _) = with_weights(1000);
    let network = place.alice();
    let plan = planned(&network).await.unwrap();
    for status in [404, 500] {
        place.hub.faults().add(Rule::always("*", Fault::Endless { status }));
        place.hub.log().clear();
        let begun = Instant::now();
        whoami(&network).await.unwrap_err();
        planned(&network).await.unwrap_err();
        search(&network, RepoKind::Model, "small").await.unwrap_err();
        fetch(&network, &plan, &Transfer::default(), 0).await.unwrap_err();
        check_rights(&network, "alice/new").await.unwrap_err();
        pushed(&place, &network, &Transfer::default()).await.unwrap_err();
        for asked in place.hub.log().all() {
            assert!(asked.bytes_sent < ON_THE_WAY, "{asked:?}");
        }
        assert!(begun.elapsed() < Duration::from_secs(300));
        place.hub.faults().clear();
    }
}

#[tokio::test]
async fn headers_without_an_end_are_refused() {
    let (place, _) = with_weights(1000);
    let stranger = Stranger::start(Says::EndlessHeaders).unwrap();
    let network = place.way_to(stranger.url(), Some(TOKEN), &[]);
    whoami(&network).await.unwrap_err();
    planned(&network).await.unwrap_err();
    // Ten attempts.
    assert!(stranger.sent() < 10 * ON_THE_WAY, "{}", stranger.sent());
    place.hub.faults().add(Rule::always("*", Fault::LongHeaders { bytes: 8 << 20 }));
    whoami(&place.alice()).await.unwrap_err();
    planned(&place.alice()).await.unwrap_err();
}

// A server that never stops talking leaves a single thread little time for anything else.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_answer_has_to_be_whole_within_its_time() {
    let (place, _) = with_weights(1000);
    place.hub.faults().add(Rule::always("/api/*", Fault::Slow { bytes_per_second: 20 }));
    let talker = Stranger::start(Says::EndlessContinue).unwrap();
    for url in [place.hub.url(), talker.url()] {
        let mut network = place.way_to(url, Some(TOKEN), &[]);
        network.limits.answer = Duration::from_millis(300);
        for error in [
            planned(&network).await.unwrap_err(),
            whoami(&network).await.unwrap_err(),
            search(&network, RepoKind::Model, "small").await.unwrap_err(),
            check_rights(&network, SMALL).await.unwrap_err(),
        ] {
            assert!(matches!(&error, Error::NoNetwork { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn a_question_and_all_waiting_that_the_hub_asks_for_have_an_end() {
    let (place, _) = with_weights(1000);
    let mut network = place.alice();
    assert_eq!(network.limits.waiting, Duration::from_secs(300), "in all, and not at each of five attempts");
    let busy = Fault::Status { status: 429, retry_after: Some(1) };
    place.hub.faults().add(Rule::always("*", busy));
    network.limits.waiting = Duration::from_millis(1500);
    let error = planned(&network).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { seconds: 1 }), "{error}");
    assert_eq!(place.hub.log().all().len(), 2, "one second was waited, and no other");

    network.limits.waiting = Duration::from_secs(300);
    network.limits.question = Duration::from_millis(1500);
    let begun = Instant::now();
    let error = planned(&network).await.unwrap_err();
    assert!(
        matches!(error, Error::NoNetwork { .. }) && begun.elapsed() >= network.limits.question,
        "{error}"
    );

    // Pages that go round in a ring.
    place.hub.faults().clear();
    let plan = planned(&place.alice()).await.unwrap();
    let ring = format!("{}{}?recursive=true", place.hub.url(), TREE.replace('*', &plan.commit));
    place.hub.faults().add(Rule::always(TREE, Fault::NextPage { to: ring }));
    assert!(refused(planned(&place.alice()).await).contains("more than 200 pages"));
}

#[tokio::test]
async fn planning_and_pushing_can_be_stopped_at_any_point() {
    let (place, _) = with_weights(1000);
    let network = place.alice();
    let stopped = async |transfer: &Transfer, path: &str| {
        while place.hub.log().matching("", path).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        transfer.stop();
    };
    let busy = || Fault::Status { status: 429, retry_after: Some(200) };
    for (path, fault) in
        [(INFO, Fault::Silence), (TREE, Fault::Slow { bytes_per_second: 20 }), (TREE, busy())]
    {
        place.hub.log().clear();
        place.hub.faults().add(Rule::always(path, fault.clone()));
        let transfer = Transfer::default();
        let (done, ()) = tokio::join!(transfer.or_stop(planned(&network)), stopped(&transfer, path));
        assert!(matches!(done, Err(Error::Stopped | Error::PushStopped)), "{fault:?}");
        place.hub.faults().clear();
    }
    for path in ["/api/repos/create", INFO, TREE, "*/preupload/*", "*/info/lfs/*", "*/commit/*"] {
        place.hub.log().clear();
        place.hub.faults().add(Rule::always(path, busy()));
        let transfer = Transfer::default();
        let (done, ()) = tokio::join!(pushed(&place, &network, &transfer), stopped(&transfer, path));
        assert!(matches!(done, Err(Error::Stopped | Error::PushStopped)), "{path}: {done:?}");
        place.hub.faults().clear();
    }
}

#[tokio::test]
async fn sizes_that_cannot_be_are_refused_by_name() {
    let (place, _) = with_weights(300_000);
    for size in ["9223372036854775807", "-1", "4611686018427387904"] {
        place.hub.faults().add(rewrite(TREE, r#""size":300000"#, &format!(r#""size":{size}"#)));
        let reason = refused(planned(&place.stranger()).await);
        assert!(reason.contains("model.safetensors") && reason.contains(SMALL), "{reason}");
        place.hub.faults().clear();
    }
    // What is no number of bytes at all is no list.
    place.hub.faults().add(rewrite(TREE, r#""size":300000"#, r#""size":92233720368547758080"#));
    refused(planned(&place.stranger()).await);
    // A plan that was made up somewhere else is no better.
    place.hub.faults().clear();
    let network = place.stranger();
    let mut plan = planned(&network).await.unwrap();
    plan.files.iter_mut().for_each(|file| file.bytes = i64::MAX);
    assert!(refused(fetch(&network, &plan, &Transfer::default(), 0).await).contains("cannot be as large"));
    assert!(place.hub.log().matching("GET", "*/resolve/*").is_empty());
}

#[tokio::test]
async fn a_file_that_is_longer_than_was_said_is_cut_off() {
    let (place, _) = with_weights(1_000_000);
    let network = place.stranger();
    let plan = planned(&network).await.unwrap();
    // It does not say how much it will send.
    place.hub.faults().add(Rule::always(WEIGHTS, Fault::Endless { status: 200 }).at(Listener::Storage));
    let reason = refused(fetch(&network, &plan, &Transfer::default(), 0).await);
    assert!(reason.contains("sends more of model.safetensors"), "{reason}");
    let log = place.hub.log().all();
    let sent: u64 =
        log.iter().filter(|one| one.listener == Listener::Storage).map(|one| one.bytes_sent).sum();
    assert!(sent < ON_THE_WAY, "{sent}");
    let blobs = std::fs::read_dir(place.cache().join("models--alice--small/blobs")).unwrap();
    assert!(blobs.flatten().all(|blob| blob.metadata().unwrap().len() <= 1_000_000));
}

#[tokio::test]
async fn a_download_that_begins_anew_again_and_again_ends() {
    let (place, _) = with_weights(2_000_000);
    let network = place.stranger();
    let plan = planned(&network).await.unwrap();
    let at_storage = |rule: Rule| place.hub.faults().add(rule.at(Listener::Storage));
    for kind in 0..2 {
        std::fs::remove_dir_all(place.cache()).ok();
        place.hub.log().clear();
        match kind {
            // 200, a part, 416, and all again.
            0 => {
                at_storage(Rule::always(WEIGHTS, Fault::RangeRefused));
                at_storage(Rule::always(WEIGHTS, Fault::Cut { after: 100_000 }));
            }
            // The same, a little more each time.
            _ => {
                for count in 1..200 {
                    at_storage(Rule::once(WEIGHTS, Fault::RangeRefused));
                    at_storage(Rule::once(WEIGHTS, Fault::Cut { after: 1000 * count }));
                }
            }
        }
        let transfer = Transfer::default();
        fetch(&network, &plan, &transfer, 0).await.unwrap_err();
        let asked = place.hub.log().all().into_iter().filter(|one| one.listener == Listener::Storage).count();
        assert!(asked <= 20, "{kind}: {asked} requests");
        place.hub.faults().clear();
    }
}

#[tokio::test]
async fn a_known_commit_with_other_content_is_refused_and_changes_nothing() {
    let (place, weights) = with_weights(300_000);
    let network = place.stranger();
    let plan = planned(&network).await.unwrap();
    let folder = fetch(&network, &plan, &Transfer::default(), 0).await.unwrap();
    let other = noise(300_000, 8);
    let newer = Write::bytes("model.safetensors", other);
    let commit = place.hub.commit(Kind::Model, SMALL, "main", "Newer", &[newer]).unwrap();
    // The Hub says that the new content is the old commit's.
    for path in [INFO, "/api/models/alice/small/revision/*"] {
        place.hub.faults().add(rewrite(path, &commit, &plan.commit));
    }
    let hash = |plan: &DownloadPlan| {
        plan.files.iter().find(|file| file.path == "model.safetensors").unwrap().hash.clone()
    };
    let newest = place.hub.files(Kind::Model, SMALL, "main").unwrap();
    let there = newest.iter().find(|(path, _)| path == "model.safetensors").unwrap().1.lfs.clone().unwrap();
    place.hub.faults().add(rewrite(TREE, &hash(&plan), &there));
    let lie = planned(&network).await.unwrap();
    assert_eq!((&lie.commit, hash(&lie)), (&plan.commit, there));
    place.hub.log().clear();
    let reason = refused(fetch(&network, &lie, &Transfer::default(), 0).await);
    assert!(reason.contains("another content of model.safetensors"), "{reason}");
    assert!(place.hub.log().matching("GET", "*/resolve/*").is_empty(), "nothing was fetched");
    assert_eq!(read(&folder, "model.safetensors"), weights);
    // Nor is a commit another one.
    place.hub.faults().clear();
    place.hub.faults().add(rewrite("/api/models/alice/small/revision/*", &plan.commit, &commit));
    let pinned = plan_model(&network, SMALL, Some(&plan.commit)).await;
    assert!(refused(pinned).contains("another commit"));
}

#[tokio::test]
async fn what_a_snapshot_has_without_a_link_stays_if_its_content_is_right() {
    let (place, weights) = with_weights(300_000);
    let network = place.stranger();
    let plan = planned(&network).await.unwrap();
    let folder = fetch(&network, &plan, &Transfer::default(), 0).await.unwrap();
    let file = folder.join("model.safetensors");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &weights).unwrap();
    fetch(&network, &plan, &Transfer::default(), 0).await.unwrap();
    assert!(std::fs::symlink_metadata(&file).unwrap().is_file());
    std::fs::write(&file, "mine").unwrap();
    refused(fetch(&network, &plan, &Transfer::default(), 0).await);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
}

#[tokio::test]
async fn another_hub_than_the_default_one_has_a_cache_of_its_own() {
    let (place, _) = with_weights(1000);
    let network = place.stranger();
    let own = place.way_to("https://huggingface.co", None, &[]);
    assert_eq!(own.cache, place.shared_cache());
    assert_eq!(network.cache.parent(), Some(place.shared_cache().join("other-endpoints").as_path()));
    // What Python or we have fetched from the Hub itself, by the very same names.
    let plan = planned(&network).await.unwrap();
    let theirs = place.shared_cache().join("models--alice--small");
    let snapshot = theirs.join("snapshots").join(&plan.commit);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(theirs.join("refs")).unwrap();
    std::fs::write(snapshot.join("model.safetensors"), "theirs").unwrap();
    std::fs::write(theirs.join("refs/main"), "0".repeat(40)).unwrap();
    let folder = fetch(&network, &plan, &Transfer::default(), 0).await.unwrap();
    assert!(folder.starts_with(&network.cache));
    assert_eq!(read(&snapshot, "model.safetensors"), b"theirs");
    assert_eq!(read(&theirs, "refs/main"), "0".repeat(40).as_bytes());
    assert_eq!(std::fs::read_dir(&theirs).unwrap().count(), 2);
    // Without a network each has its own, too.
    assert!(snapshot_offline(&own.cache, RepoKind::Model, SMALL, None).is_none());
    assert_eq!(snapshot_offline(&network.cache, RepoKind::Model, SMALL, None), Some((plan.commit, folder)));
}

#[tokio::test]
async fn the_cache_notes_a_commit_only_under_what_was_asked_for() {
    let (place, _) = with_weights(1000);
    let place = place.with(Kind::Dataset, "alice/script", &[("load.py", vec![1])]);
    let parquet = Write::bytes("default/train/0000.parquet", noise(1000, 3));
    place.hub.commit(Kind::Dataset, "alice/script", "refs/convert/parquet", "Converted", &[parquet]).unwrap();
    let network = place.stranger();
    let notes = |repo: &str| {
        let mut found = Vec::new();
        let mut folders = vec![network.cache.join(repo).join("refs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let is_folder = entry.path().is_dir();
                if is_folder { folders.push(entry.path()) } else { found.push(entry.path()) }
            }
        }
        let root = network.cache.join(repo);
        found.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect::<Vec<_>>()
    };
    let first = planned(&network).await.unwrap();
    let pinned = plan_model(&network, SMALL, Some(&first.commit)).await.unwrap();
    fetch(&network, &pinned, &Transfer::default(), 0).await.unwrap();
    assert!(notes("models--alice--small").is_empty(), "a commit is its own name");
    fetch(&network, &first, &Transfer::default(), 0).await.unwrap();
    assert_eq!(notes("models--alice--small"), ["refs/main"]);

    let wish = DataWish { config: None, split: "train", endings: &["csv", "parquet"] };
    let plan = plan_data_set(&network, "alice/script", None, &wish).await.unwrap();
    let folder = fetch(&network, &plan, &Transfer::default(), 0).await.unwrap();
    assert_eq!(notes("datasets--alice--script"), ["refs/refs/convert/parquet"]);
    let offline = snapshot_offline(&network.cache, RepoKind::Dataset, "alice/script", None);
    assert_eq!(offline, Some((plan.commit, folder)));
}

#[tokio::test]
async fn texts_of_the_hub_reach_nobody_with_their_escape_codes() {
    const EVIL: &str = r#"\u001b[2J\u202ex\n\u009b31m"#;
    let rows = b"author,body,mbti\na,text,INFP\n".to_vec();
    let card = b"---\nlicense: mit\nconfigs:\n- config_name: odd\n  data_files: train.csv\n---\n".to_vec();
    let (place, _) = with_weights(1000);
    let place = place.with(Kind::Dataset, "alice/texts", &[("train.csv", rows), ("README.md", card)]);
    let network = place.alice();
    let faults = place.hub.faults();
    let clean = |text: String| {
        assert!(text.contains('\u{fffd}') || text.contains("ufffd"), "{text}");
        assert_eq!(record::one_line(&text), text);
    };
    let config = format!(r#""id":"alice/small","config":{{"model_type":"{EVIL}"}}"#);
    faults.add(rewrite("/api/models", r#""id":"alice/small""#, &config));
    clean(search(&network, RepoKind::Model, "small").await.unwrap()[0].family.clone().unwrap());
    faults.clear();
    faults.add(rewrite("/api/models", r#""id":"alice/small""#, &format!(r#""id":"alice/{EVIL}""#)));
    assert!(search(&network, RepoKind::Model, "small").await.unwrap().is_empty(), "that is no name");
    faults.clear();
    faults.add(rewrite(INFO, r#""license":"mit""#, &format!(r#""license":"mit{EVIL}""#)));
    clean(planned(&network).await.unwrap().licence.unwrap());
    faults.clear();
    faults.add(rewrite("/api/whoami-v2", r#""name":"alice""#, &format!(r#""name":"{EVIL}""#)));
    let account = whoami(&network).await.unwrap();
    clean(account.name);
    faults.clear();
    faults.add(rewrite("/api/datasets/alice/texts", r#""odd""#, &format!(r#""{EVIL}""#)));
    let wish = DataWish { config: Some("none"), split: "train", endings: &["csv"] };
    let error = plan_data_set(&network, "alice/texts", None, &wish).await.unwrap_err();
    clean(error.to_string());
    faults.clear();
    faults.add(rewrite(TREE, r#""path":"README.md""#, &format!(r#""path":"{EVIL}README.md""#)));
    let plan = planned(&network).await.unwrap();
    assert!(plan.files.iter().all(|file| !file.path.contains("README.md")), "that is no name of a file");
}

#[tokio::test]
async fn the_token_is_taken_out_of_whatever_sends_it_back() {
    let written: String = TOKEN.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    for token in [TOKEN, &written, &TOKEN.to_lowercase()] {
        let (place, _) = with_weights(1000);
        let network = place.alice();
        place.hub.faults().add(rewrite(INFO, "\"mit\"", &format!("\"mit {token}\"")));
        place.hub.faults().add(rewrite(TREE, "README.md", token));
        place.hub.faults().add(rewrite("/api/models", SMALL, &format!("alice/{token}")));
        place.hub.faults().add(rewrite("/api/whoami-v2", "\"alice\"", &format!("\"{token}\"")));
        let plan = planned(&network).await.unwrap();
        let found = search(&network, RepoKind::Model, "small").await.unwrap();
        let account = whoami(&network).await.unwrap();
        let told = format!("{plan:?} {found:?} {account:?}");
        assert!(!told.to_lowercase().contains(&TOKEN.to_lowercase()), "{told}");
        assert_eq!((plan.licence.as_deref(), account.name.as_str()), (Some("mit …"), "…"));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_file_is_named_and_not_taken_for_a_full_disk() {
    for status in [416, 206] {
        let (place, _) = with_weights(300_000);
        let network = place.stranger();
        let plan = planned(&network).await.unwrap();
        place
            .hub
            .faults()
            .add(Rule::always(WEIGHTS, Fault::Status { status, retry_after: None }).at(Listener::Storage));
        let transfer = Transfer::default();
        let reason = refused(fetch(&network, &plan, &transfer, 0).await);
        assert!(reason.contains("it sends no beginning") && reason.contains(&status.to_string()), "{reason}");
        // Nor where there is a beginning, and every rest is refused.
        place.hub.faults().clear();
        place.hub.faults().add(Rule::once(WEIGHTS, Fault::Cut { after: 100_000 }).at(Listener::Storage));
        place
            .hub
            .faults()
            .add(Rule::always(WEIGHTS, Fault::Status { status, retry_after: None }).at(Listener::Storage));
        let reason = refused(fetch(&network, &plan, &transfer, 0).await);
        assert!(reason.contains("it sends no beginning"), "{reason}");
        assert_eq!(transfer.progress().bytes_again, 0, "nothing came for the second time");
    }
}

#[tokio::test]
async fn a_listed_file_that_is_not_there_is_no_absent_repository() {
    let (place, _) = with_weights(300_000);
    let network = place.stranger();
    let plan = planned(&network).await.unwrap();
    place
        .hub
        .faults()
        .add(Rule::always("*/resolve/*safetensors", Fault::Status { status: 404, retry_after: None }));
    let reason = refused(fetch(&network, &plan, &Transfer::default(), 0).await);
    assert!(reason.contains("lists model.safetensors of alice/small, and does not have it"), "{reason}");
}

#[tokio::test]
async fn a_file_of_another_length_than_the_listed_one_is_refused_before_it_comes() {
    for (drip, size) in
        [(Fault::Slow { bytes_per_second: 1 }, 200_000), (Fault::Slow { bytes_per_second: 1 }, 400_000)]
    {
        let (place, _) = with_weights(300_000);
        place.hub.faults().add(rewrite(TREE, "300000", &size.to_string()));
        let network = place.stranger();
        let plan = planned(&network).await.unwrap();
        place.hub.faults().add(Rule::always(WEIGHTS, drip).at(Listener::Storage));
        let begun = Instant::now();
        let reason = refused(fetch(&network, &plan, &Transfer::default(), 0).await);
        assert!(
            reason.contains("300000 bytes of model.safetensors") && reason.contains(&size.to_string()),
            "{reason}"
        );
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn another_repository_than_was_asked_for_is_refused_unless_it_was_renamed() {
    let (place, _) = with_weights(1000);
    let place = place.with_model("bob/new", &model(noise(1000, 3)));
    let network = place.stranger();
    place.hub.faults().add(rewrite(INFO, r#""id":"alice/small""#, r#""id":"bob/new""#));
    assert!(refused(planned(&network).await).contains("asked for alice/small, it tells of bob/new"));
    place.hub.faults().clear();
    place.hub.faults().add(rewrite(INFO, r#""id":"alice/small""#, r#""id":"Alice/Small""#));
    assert_eq!(planned(&network).await.unwrap().renamed, None);
    place.hub.faults().clear();
    // As the Hub does with repositories that were renamed.
    let commit = place.hub.commits(Kind::Model, "bob/new", "main").unwrap()[0].id.clone();
    let moved = Fault::Redirect { to: format!("{}/api/models/bob/new/tree/{commit}?from=", place.hub.url()) };
    let renamed = Fault::Redirect { to: format!("{}/api/models/bob/new?from=", place.hub.url()) };
    place.hub.faults().add(Rule::always(INFO, renamed));
    place.hub.faults().add(Rule::always(TREE, moved));
    let plan = planned(&network).await.unwrap();
    assert_eq!((plan.repo.as_str(), plan.renamed.as_deref()), (SMALL, Some("bob/new")));
    assert_eq!(plan.commit, commit);
}

#[tokio::test]
async fn what_can_be_no_revision_is_not_asked_for() {
    let (place, _) = with_weights(1000);
    let network = place.stranger();
    place.hub.log().clear();
    let long = "a".repeat(2000);
    for revision in [
        "", ".", "..", "a/../b", "/main", "main/", "a//b", "a/.b", "a\u{1b}b", "a b", "a\\b", "HEAD~1", &long,
    ] {
        let error = plan_model(&network, SMALL, Some(revision)).await.unwrap_err();
        assert!(matches!(error, Error::BadRevision { .. }), "{revision}: {error}");
    }
    assert!(place.hub.log().all().is_empty());
    for revision in ["main", "refs/pr/1", "v1.0"] {
        let found = plan_model(&network, SMALL, Some(revision)).await;
        assert!(matches!(found, Ok(_) | Err(Error::NoRevision { .. })), "{revision}: {found:?}");
    }
}
