#![allow(clippy::unwrap_used)]
//! Downloads from a small Hub that does what can go wrong.

mod common;

use std::sync::Arc;

use common::{Numbers, Place, TOKEN, model, noise, place, read};
use hub::{
    Error, Transfer,
    access::{Network, whoami},
    download::{DataWish, fetch, plan_data_set, plan_model, search, snapshot_offline},
};
use record::{DownloadPlan, RepoKind, TokenRole};
use small_hub::{Fault, Gated, Kind, Listener, Role, Rule, Scope, Write};

const WEIGHTS: &str = "*model.safetensors";

async fn fetched(
    network: &Network,
    plan: &DownloadPlan,
) -> Result<(std::path::PathBuf, record::TransferProgress), Error> {
    let transfer = Transfer::default();
    let folder = fetch(network, plan, &transfer, 0).await?;
    Ok((folder, transfer.progress()))
}

fn with_weights(bytes: usize) -> (Place, Vec<u8>) {
    let weights = noise(bytes, 7);
    (place(Role::Write).with_model("alice/small", &model(weights.clone())), weights)
}

#[tokio::test]
async fn a_plan_names_what_is_needed_and_what_of_it_is_here_and_a_fetch_brings_it() {
    let (place, weights) = with_weights(300_000);
    let network = place.stranger();
    let plan = plan_model(&network, "alice/small", None).await.unwrap();
    let mut names: Vec<&str> = plan.files.iter().map(|file| file.path.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["README.md", "config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!((plan.licence.as_deref(), plan.gated, plan.bytes_here), (Some("mit"), false, 0));
    let (folder, moved) = fetched(&network, &plan).await.unwrap();
    assert_eq!(read(&folder, "model.safetensors"), weights);
    assert_eq!((moved.bytes_done, moved.bytes_total, moved.bytes_again), (plan.bytes, plan.bytes, 0));
    assert!(folder.ends_with(format!("models--alice--small/snapshots/{}", plan.commit)));
    let blob = std::fs::read_link(folder.join("model.safetensors")).unwrap();
    assert!(blob.starts_with("../../blobs"), "{}", blob.display());

    place.hub.log().clear();
    let again = plan_model(&network, "alice/small", None).await.unwrap();
    assert_eq!(again.bytes_here, again.bytes);
    fetched(&network, &again).await.unwrap();
    assert!(place.hub.log().matching("GET", "*/resolve/*").is_empty(), "what is here is not fetched again");
    let (commit, offline) = snapshot_offline(&place.cache(), RepoKind::Model, "alice/small", None).unwrap();
    assert_eq!((commit, offline), (plan.commit, folder));
}

#[tokio::test]
async fn a_quantized_model_is_refused_before_a_byte_of_it_is_fetched() {
    let (place, _) = with_weights(1000);
    let network = place.stranger();
    let config = br#"{"model_type": "phi3", "quantization_config": {"quant_method": "awq"}}"#;
    let card = b"---\nbase_model: alice/whole\n---\n";
    let files = [Write::bytes("config.json", config.to_vec()), Write::bytes("README.md", card.to_vec())];
    place.hub.commit(Kind::Model, "alice/small", "main", "Fewer bits", &files).unwrap();
    let error = plan_model(&network, "alice/small", None).await.unwrap_err();
    assert!(error.to_string().contains("awq") && error.to_string().contains("alice/whole"), "{error}");
    assert!(place.hub.log().matching("GET", "*/resolve/*").is_empty());
}

#[tokio::test]
async fn a_file_with_nothing_in_it_is_fetched_as_one() {
    let (place, _) = with_weights(1000);
    let network = place.stranger();
    let empty = Write::bytes("LICENSE", Vec::new());
    place.hub.commit(Kind::Model, "alice/small", "main", "A licence", &[empty]).unwrap();
    for _ in 0..2 {
        let plan = plan_model(&network, "alice/small", None).await.unwrap();
        let (folder, _) = fetched(&network, &plan).await.unwrap();
        assert_eq!(read(&folder, "LICENSE"), b"");
    }
}

#[tokio::test]
async fn a_revision_is_pinned_to_its_commit() {
    let (place, weights) = with_weights(200_000);
    let network = place.stranger();
    let first = plan_model(&network, "alice/small", None).await.unwrap();
    let newer = Write::bytes("model.safetensors", noise(200_000, 8));
    place.hub.commit(Kind::Model, "alice/small", "main", "Newer", &[newer]).unwrap();
    let (folder, _) = fetched(&network, &first).await.unwrap();
    assert_eq!(read(&folder, "model.safetensors"), weights, "what was planned is what comes");
    let second = plan_model(&network, "alice/small", None).await.unwrap();
    assert_ne!(second.commit, first.commit);
    let old = plan_model(&network, "alice/small", Some(&first.commit)).await.unwrap();
    assert_eq!(old.files, first.files);
    let error = plan_model(&network, "alice/small", Some("v9")).await.unwrap_err();
    assert!(matches!(error, Error::NoRevision { .. }), "{error}");
}

/// What a fault costs, and that the file is right all the same.
async fn survives(fault: Rule) -> record::TransferProgress {
    let (place, weights) = with_weights(2_000_000);
    let network = place.stranger();
    let plan = plan_model(&network, "alice/small", None).await.unwrap();
    place.hub.faults().add(fault.clone());
    let (folder, moved) =
        fetched(&network, &plan).await.unwrap_or_else(|error| unreachable!("{fault:?}: {error}"));
    assert_eq!(read(&folder, "model.safetensors"), weights, "{fault:?}");
    assert!(place.hub.faults().left().is_empty(), "{fault:?} was met");
    assert_eq!(moved.bytes_done, moved.bytes_total, "{fault:?}");
    moved
}

#[tokio::test]
async fn whatever_goes_wrong_on_the_way_the_file_is_right_in_the_end() {
    let storage = |fault: Fault| Rule::once(WEIGHTS, fault).at(Listener::Storage);
    for (fault, again) in [
        (storage(Fault::Cut { after: 700_000 }), 0),
        (storage(Fault::Stall { after: 700_000 }), 0),
        (storage(Fault::Cut { after: 0 }).times(3), 0),
        (storage(Fault::WrongBytes { at: 5000, count: 3 }), 2_000_000),
        (storage(Fault::Status { status: 500, retry_after: None }).times(2), 0),
        (storage(Fault::Status { status: 503, retry_after: None }), 0),
        (Rule::once("*/resolve/*safetensors", Fault::Status { status: 429, retry_after: Some(1) }), 0),
        (Rule::once("/api/models/alice/small/tree/*", Fault::Status { status: 502, retry_after: None }), 0),
        (storage(Fault::Slow { bytes_per_second: 2_000_000 }), 0),
    ] {
        if fault.path.contains("tree") {
            let (place, _) = with_weights(1000);
            place.hub.faults().add(fault);
            plan_model(&place.stranger(), "alice/small", None).await.unwrap();
            continue;
        }
        let moved = survives(fault.clone()).await;
        assert_eq!(moved.bytes_again, again, "{fault:?}");
    }
}

#[tokio::test]
async fn a_server_that_overhears_ranges_or_refuses_them_costs_only_what_was_there() {
    for fault in [Fault::IgnoreRange, Fault::RangeRefused] {
        let (place, weights) = with_weights(2_000_000);
        let network = place.stranger();
        let plan = plan_model(&network, "alice/small", None).await.unwrap();
        let cut = Rule::once(WEIGHTS, Fault::Cut { after: 700_000 }).at(Listener::Storage);
        place.hub.faults().add(cut);
        place.hub.faults().add(Rule::once(WEIGHTS, fault.clone()).at(Listener::Storage));
        let (folder, moved) = fetched(&network, &plan).await.unwrap();
        assert_eq!(read(&folder, "model.safetensors"), weights);
        assert!((1..=700_000).contains(&moved.bytes_again), "{fault:?}: {}", moved.bytes_again);
        assert_eq!(moved.bytes_done, moved.bytes_total);
    }
}

#[tokio::test]
async fn a_file_that_stays_wrong_is_refused_and_not_kept() {
    let (place, _) = with_weights(300_000);
    let network = place.stranger();
    let plan = plan_model(&network, "alice/small", None).await.unwrap();
    place.hub.faults().add(Rule::always(WEIGHTS, Fault::WrongBytes { at: 9, count: 1 }));
    let error = fetched(&network, &plan).await.unwrap_err();
    assert!(matches!(&error, Error::WrongHash { path, .. } if path == "model.safetensors"), "{error}");
    let blobs = place.cache().join("models--alice--small/blobs");
    let hash = &plan.files.iter().find(|file| file.path == "model.safetensors").unwrap().hash;
    assert!(!blobs.join(hash).exists() && !blobs.join(format!("{hash}.incomplete")).exists());
    place.hub.faults().clear();
    fetched(&network, &plan).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_torn_in_the_cache_is_fetched_anew() {
    let (place, weights) = with_weights(300_000);
    let network = place.stranger();
    let plan = plan_model(&network, "alice/small", None).await.unwrap();
    let (folder, _) = fetched(&network, &plan).await.unwrap();
    let mut torn = weights.clone();
    torn[100] ^= 1;
    std::fs::write(folder.join("model.safetensors").canonicalize().unwrap(), torn).unwrap();
    fetched(&network, &plan).await.unwrap();
    assert_eq!(read(&folder, "model.safetensors"), weights);
}

#[tokio::test]
async fn the_token_goes_to_the_hub_and_never_to_the_storage_or_another_host() {
    let (place, _) = with_weights(300_000);
    let network = place.alice();
    let plan = plan_model(&network, "alice/small", None).await.unwrap();
    fetched(&network, &plan).await.unwrap();
    let log = place.hub.log();
    assert!(log.matching("GET", "*/resolve/*").iter().all(|asked| asked.token.is_some()));
    assert!(log.all().iter().any(|asked| asked.listener == Listener::Storage));
    assert!(log.tokens_at_storage().is_empty());

    // A Hub that sends whoever asks it elsewhere.
    let elsewhere = common::place(Role::Read).with_model("alice/small", &model(noise(300_000, 7)));
    place
        .hub
        .faults()
        .add(Rule::always("*/resolve/*", Fault::Redirect { to: elsewhere.hub.url().to_owned() }));
    place.hub.faults().add(Rule::always("/api/*", Fault::Redirect { to: elsewhere.hub.url().to_owned() }));
    std::fs::remove_dir_all(place.cache()).unwrap();
    fetched(&network, &plan).await.ok();
    plan_model(&network, "alice/small", None).await.ok();
    whoami(&network).await.ok();
    let asked = elsewhere.hub.log().all();
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|asked| asked.token.is_none()), "{asked:?}");
}

#[tokio::test]
async fn errors_name_the_way_out() {
    let (place, _) = with_weights(1000);
    let hub = &place.hub;
    hub.create(Kind::Model, "alice/hidden").unwrap();
    hub.set_private(Kind::Model, "alice/hidden", true).unwrap();
    hub.create(Kind::Model, "them/gated").unwrap();
    hub.commit(Kind::Model, "them/gated", "main", "x", &[Write::bytes("config.json", "{}")]).unwrap();
    hub.set_gated(Kind::Model, "them/gated", Gated::Manual, &[]).unwrap();
    let plan = async |network: &Network, repo: &str| plan_model(network, repo, None).await.unwrap_err();
    for network in [place.stranger(), place.alice()] {
        let error = plan(&network, "alice/none").await;
        assert!(matches!(error, Error::NoRepo { .. }), "{error}");
    }
    let error = plan(&place.stranger(), "alice/hidden").await;
    assert!(matches!(error, Error::NoRepo { .. }), "{error}");
    let error = plan(&place.alice(), "alice/hidden").await;
    assert!(matches!(error, Error::NothingUsable { .. }), "{error}");
    let wrong = place.way(Some("hf_wrong"), &[]);
    let error = whoami(&wrong).await.unwrap_err();
    assert!(matches!(error, Error::WrongToken { .. }), "{error}");
    assert!(matches!(whoami(&place.stranger()).await, Err(Error::NoToken)));

    // The list of a gated repository is open, its files are not.
    hub.commit(Kind::Model, "them/gated", "main", "x", &[Write::bytes("model.safetensors", noise(2000, 1))])
        .unwrap();
    for network in [place.stranger(), place.alice()] {
        let plan = plan_model(&network, "them/gated", None).await.unwrap();
        assert!(plan.gated);
        let error = fetched(&network, &plan).await.unwrap_err();
        assert!(matches!(&error, Error::Gated { page, .. } if page.ends_with("/them/gated")), "{error}");
    }

    hub.faults().add(Rule::always("*", Fault::Status { status: 429, retry_after: Some(3000) }));
    let error = plan(&place.stranger(), "alice/small").await;
    assert!(matches!(error, Error::RateLimited { seconds: 3000 }), "{error}");
    hub.faults().clear();
    hub.faults().add(Rule::always("*", Fault::Status { status: 403, retry_after: None }));
    let error = plan(&place.alice(), "alice/small").await;
    assert!(matches!(error, Error::NoAccess { .. }) && error.to_string().contains("read"), "{error}");
    hub.faults().clear();
    hub.faults().add(Rule::always("*", Fault::Status { status: 500, retry_after: None }));
    let error = plan(&place.stranger(), "alice/small").await;
    assert!(matches!(error, Error::Server { status: 500, .. }), "{error}");

    let offline = place.way(None, &[("HF_HUB_OFFLINE", "1")]);
    assert!(matches!(plan(&offline, "alice/small").await, Error::Offline { .. }));
    let (url, variables) = (place.hub.url().to_owned(), |_: &str| None::<String>);
    drop(place);
    let settings = record::HubSettings { endpoint: Some(url), ..Default::default() };
    let gone = hub::access::connect(&settings, &variables, None).unwrap();
    let error = plan(&gone, "alice/small").await;
    assert!(matches!(&error, Error::NoNetwork { host, .. } if host.starts_with("127.0.0.1:")), "{error}");
}

#[tokio::test]
async fn whose_a_token_is_and_what_it_may_do_is_told() {
    let place = place(Role::Write);
    let found = whoami(&place.alice()).await.unwrap();
    assert_eq!((found.name.as_str(), found.role), ("alice", Some(TokenRole::Write)));
    assert_eq!(found.writes_to, ["alice", "us"]);
    let scope = |name: &str, permission: &str| Scope {
        on: "model".into(),
        name: name.into(),
        permissions: vec![permission.into()],
    };
    let scopes = vec![scope("alice/x", "repo.write"), scope("alice/y", "repo.content.read")];
    place.hub.add_token(small_hub::Token::new("alice", "hf_fine", Role::FineGrained(scopes)));
    let found = whoami(&place.way(Some("hf_fine"), &[])).await.unwrap();
    assert_eq!((found.role, found.writes_to), (Some(TokenRole::FineGrained), vec!["alice/x".to_owned()]));
    place.hub.add_token(small_hub::Token::new("alice", "hf_read", Role::Read));
    assert!(whoami(&place.way(Some("hf_read"), &[])).await.unwrap().writes_to.is_empty());
}

#[tokio::test]
async fn a_stopped_download_ends_at_once_and_goes_on_where_it_was() {
    let (place, weights) = with_weights(3_000_000);
    let network = place.stranger();
    let plan = plan_model(&network, "alice/small", None).await.unwrap();
    place.hub.faults().add(Rule::once(WEIGHTS, Fault::Stall { after: 1_000_000 }).at(Listener::Storage));
    let transfer = Arc::new(Transfer::default());
    let work = fetch(&network, &plan, &transfer, 0);
    let stopper = async {
        while transfer.progress().bytes_done < 1_000_000 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        transfer.stop();
    };
    let (done, ()) = tokio::join!(work, stopper);
    assert!(matches!(done, Err(Error::Stopped)), "{done:?}");
    place.hub.log().clear();
    let (folder, moved) = fetched(&network, &plan).await.unwrap();
    assert_eq!(read(&folder, "model.safetensors"), weights);
    assert_eq!(moved.bytes_again, 0);
    let ranges = place.hub.log().all().into_iter().filter(|asked| asked.listener == Listener::Storage);
    assert!(ranges.filter_map(|asked| asked.range).any(|range| range == "bytes=1000000-"));
}

#[tokio::test]
async fn two_processes_at_once_spoil_nothing_and_fetch_a_file_once() {
    let (place, weights) = with_weights(3_000_000);
    let plan = plan_model(&place.stranger(), "alice/small", None).await.unwrap();
    place.hub.log().clear();
    let (one, two) = (place.stranger(), place.stranger());
    let (one, two) = tokio::join!(fetched(&one, &plan), fetched(&two, &plan));
    assert_eq!(read(&one.unwrap().0, "model.safetensors"), weights);
    assert_eq!(read(&two.unwrap().0, "model.safetensors"), weights);
    let storage =
        place.hub.log().all().into_iter().filter(|asked| asked.listener == Listener::Storage).count();
    assert_eq!(storage, 1);
}

#[tokio::test]
async fn a_download_that_is_cut_two_hundred_times_is_right_and_repeats_nothing() {
    let (place, weights) = with_weights(50_000_000);
    let network = place.stranger();
    let plan = plan_model(&network, "alice/small", None).await.unwrap();
    let mut numbers = Numbers(2026);
    for _ in 0..200 {
        let cut = Fault::Cut { after: 1 + numbers.below(240_000) };
        place.hub.faults().add(Rule::once(WEIGHTS, cut).at(Listener::Storage));
    }
    let (folder, moved) = fetched(&network, &plan).await.unwrap();
    assert!(place.hub.faults().left().is_empty());
    assert!(read(&folder, "model.safetensors") == weights, "the bytes are the same");
    println!("200 cuts of a download of 50 MB: {} bytes travelled again", moved.bytes_again);
    assert_eq!(moved.bytes_again, 0);
}

#[tokio::test]
async fn a_full_disk_is_told_before_anything_is_fetched() {
    let (place, _) = with_weights(1000);
    let network = place.stranger();
    let plan = plan_model(&network, "alice/small", None).await.unwrap();
    let error = fetch(&network, &plan, &Transfer::default(), i64::MAX / 2).await.unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
    assert!(place.hub.log().matching("GET", "*/resolve/*").is_empty());
}

#[tokio::test]
async fn the_files_of_a_split_are_found_in_the_repository_or_in_its_converted_branch() {
    let rows = b"author,body,mbti\na,text,INFP\n".to_vec();
    let place = place(Role::Read)
        .with(Kind::Dataset, "alice/texts", &[("train.csv", rows.clone()), ("test.csv", rows.clone())])
        .with(Kind::Dataset, "alice/script", &[("load.py", rows.clone())]);
    let network = place.stranger();
    let plan = async |repo: &str, split: &str| {
        let wish = DataWish { config: None, split, endings: &["csv", "parquet"] };
        plan_data_set(&network, repo, None, &wish).await
    };
    let found = plan("alice/texts", "test").await.unwrap();
    assert_eq!(found.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["test.csv"]);
    let (folder, _) = fetched(&network, &found).await.unwrap();
    assert_eq!(read(&folder, "test.csv"), rows);
    let error = plan("alice/texts", "dev").await.unwrap_err();
    assert!(matches!(&error, Error::NoSplit { known, .. } if known == "test, train"), "{error}");
    let error = plan("alice/script", "train").await.unwrap_err();
    assert!(matches!(error, Error::NothingUsable { .. }), "{error}");
    let parquet = Write::bytes("default/train/0000.parquet", noise(1000, 3));
    place.hub.commit(Kind::Dataset, "alice/script", "refs/convert/parquet", "Converted", &[parquet]).unwrap();
    let found = plan("alice/script", "train").await.unwrap();
    assert_eq!(found.files[0].path, "default/train/0000.parquet");
    let (folder, _) = fetched(&network, &found).await.unwrap();
    assert_eq!(read(&folder, "default/train/0000.parquet"), noise(1000, 3));
}

#[tokio::test]
async fn repositories_are_found_by_name() {
    let (place, _) = with_weights(1000);
    let place = place.with(Kind::Dataset, "alice/small-texts", &[("a.csv", vec![1])]);
    let names = async |kind| {
        let found = search(&place.stranger(), kind, "small").await.unwrap();
        found.into_iter().map(|repo| repo.repo).collect::<Vec<_>>()
    };
    assert_eq!(names(RepoKind::Model).await, ["alice/small"]);
    assert_eq!(names(RepoKind::Dataset).await, ["alice/small-texts"]);
    assert!(search(&place.stranger(), RepoKind::Model, "nothing-like-it").await.unwrap().is_empty());
}

#[tokio::test]
async fn no_error_and_no_debug_text_has_the_token() {
    let (place, _) = with_weights(1000);
    let network = place.alice();
    place.hub.revoke_token(TOKEN);
    let error = whoami(&network).await.unwrap_err();
    assert!(!format!("{error} {error:?} {network:?} {:?}", error.problem()).contains(TOKEN));
}
