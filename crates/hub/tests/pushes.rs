#![allow(clippy::unwrap_used)]
//! Pushing to a small Hub that does what can go wrong.

mod common;

use common::{Numbers, Place, TOKEN, noise, place};
use hub::{
    Error, Transfer,
    access::Network,
    push::{Content, Pushed, Upload, check_rights, push},
};
use small_hub::{Fault, Kind, Listener, Role, Rule, Write};

const REPO: &str = "alice/made";

fn uploads(place: &Place, weights: &[u8]) -> Vec<Upload> {
    let path = place.folder.path().join("model.safetensors");
    std::fs::write(&path, weights).unwrap();
    let config = place.folder.path().join("config.json");
    std::fs::write(&config, "{}").unwrap();
    vec![
        Upload { path: "README.md".into(), content: Content::Text("# A card\n".into()) },
        Upload { path: "config.json".into(), content: Content::File(config) },
        Upload { path: "model.safetensors".into(), content: Content::File(path) },
    ]
}

async fn pushed(
    network: &Network,
    place: &Place,
    weights: &[u8],
    transfer: &Transfer,
) -> Result<Pushed, Error> {
    push(network, REPO, false, uploads(place, weights), "A run", &place.notes(), transfer).await
}

fn content(place: &Place, path: &str) -> Vec<u8> {
    place.hub.read(Kind::Model, REPO, "main", path).unwrap()
}

fn commits(place: &Place) -> usize {
    place.hub.commits(Kind::Model, REPO, "main").unwrap().len()
}

#[tokio::test]
async fn a_push_makes_the_repository_and_one_commit_and_a_second_one_changes_nothing() {
    let place = place(Role::Write);
    let (network, transfer, weights) = (place.alice(), Transfer::default(), noise(2_500_000, 1));
    check_rights(&network, REPO).await.unwrap();
    let done = pushed(&network, &place, &weights, &transfer).await.unwrap();
    assert!(done.page.ends_with("/alice/made") && !done.was_there);
    assert_eq!(content(&place, "model.safetensors"), weights);
    assert_eq!(content(&place, "README.md"), b"# A card\n");
    let moved = transfer.progress();
    assert_eq!((moved.bytes_done, moved.bytes_again), (moved.bytes_total, 0));
    let made = commits(&place);
    assert!(place.hub.log().tokens_at_storage().is_empty());
    assert!(
        place
            .hub
            .log()
            .all()
            .iter()
            .any(|asked| asked.listener == Listener::Storage && asked.method == "PUT")
    );
    assert!(
        std::fs::read_dir(place.notes()).map_or(0, Iterator::count) == 0,
        "no signed address is left behind"
    );

    place.hub.log().clear();
    check_rights(&network, REPO).await.unwrap();
    let again = pushed(&network, &place, &weights, &Transfer::default()).await.unwrap();
    assert!(again.was_there && again.commit == done.commit);
    assert_eq!(commits(&place), made);
    assert!(place.hub.log().matching("PUT", "*").is_empty());
}

#[tokio::test]
async fn a_small_file_and_one_in_a_single_part_arrive_as_well_and_old_shards_go() {
    let place = place(Role::Write).with_model(
        REPO,
        &[
            ("model-00001-of-00002.safetensors", noise(9, 1)),
            ("model.safetensors.index.json", vec![b'{', b'}']),
        ],
    );
    let weights = noise(200_000, 2);
    pushed(&place.alice(), &place, &weights, &Transfer::default()).await.unwrap();
    assert_eq!(content(&place, "model.safetensors"), weights);
    let files = place.hub.files(Kind::Model, REPO, "main").unwrap();
    let mut names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    names.retain(|name| *name != ".gitattributes");
    assert_eq!(names, ["README.md", "config.json", "model.safetensors"]);
}

#[tokio::test]
async fn whatever_goes_wrong_on_the_way_all_of_it_arrives_in_one_commit() {
    let put = |fault: Fault| Rule::once("*", fault).method("PUT").at(Listener::Storage);
    let post = |path: &str, fault: Fault| Rule::once(path, fault).method("POST");
    let trouble = || Fault::Status { status: 503, retry_after: None };
    for rule in [
        put(Fault::CutUpload { after: 300_000 }),
        put(trouble()).times(3),
        put(Fault::LoseAnswer),
        put(Fault::Status { status: 429, retry_after: Some(1) }),
        post("*/preupload/*", trouble()),
        post("*/info/lfs/objects/batch", Fault::LoseAnswer),
        post("*complete*", trouble()),
        post("*verify*", trouble()),
        post("*/commit/*", trouble()),
        post("*/commit/*", Fault::LoseAnswer),
        post("/api/repos/create", trouble()),
    ] {
        let place = place(Role::Write);
        place.hub.faults().add(rule.clone());
        let weights = noise(2_500_000, 3);
        let done = pushed(&place.alice(), &place, &weights, &Transfer::default()).await;
        let done = done.unwrap_or_else(|error| unreachable!("{rule:?}: {error}"));
        assert!(place.hub.faults().left().is_empty(), "{rule:?} was met");
        assert_eq!(content(&place, "model.safetensors"), weights, "{rule:?}");
        let commits = place.hub.commits(Kind::Model, REPO, "main").unwrap();
        let ours = commits.iter().filter(|commit| commit.title == "A run").count();
        assert_eq!((ours, commits[0].id == done.commit), (1, true), "{rule:?}");
    }
}

#[tokio::test]
async fn a_part_that_takes_longer_than_an_answer_may_be_waited_for_arrives_at_its_first_attempt() {
    let place = place(Role::Write);
    // An answer is waited for a second here, and the first part takes more than two.
    let slow = Fault::SlowUpload { bytes_per_second: 500_000 };
    place.hub.faults().add(Rule::once("*", slow).method("PUT").at(Listener::Storage));
    let (transfer, weights) = (Transfer::default(), noise(1_500_000, 3));
    pushed(&place.alice(), &place, &weights, &transfer).await.unwrap();
    assert!(place.hub.faults().left().is_empty() && content(&place, "model.safetensors") == weights);
    assert_eq!(transfer.progress().bytes_again, 0);
}

#[tokio::test]
async fn a_part_in_which_nothing_moves_is_sent_again() {
    let place = place(Role::Write);
    place.hub.faults().add(Rule::once("*", Fault::Silence).method("PUT").at(Listener::Storage));
    let mut way = place.alice();
    way.limits.answer = std::time::Duration::from_secs(1);
    let weights = noise(1_500_000, 3);
    pushed(&way, &place, &weights, &Transfer::default()).await.unwrap();
    assert!(place.hub.faults().left().is_empty() && content(&place, "model.safetensors") == weights);
}

#[tokio::test]
async fn what_fails_for_good_leaves_the_repository_as_it_was() {
    let forever = |path: &str, method: &str, status: u16| {
        Rule::always(path, Fault::Status { status, retry_after: None }).method(method)
    };
    for rule in
        [forever("*", "PUT", 500), forever("*/commit/*", "POST", 500), forever("*complete*", "POST", 500)]
    {
        let place = place(Role::Write).with_model(REPO, &[("model.safetensors", noise(150_000, 9))]);
        let before = (commits(&place), content(&place, "model.safetensors"));
        place.hub.faults().add(rule.clone());
        let error =
            pushed(&place.alice(), &place, &noise(2_500_000, 3), &Transfer::default()).await.unwrap_err();
        assert!(matches!(error, Error::Server { status: 500, .. }), "{rule:?}: {error}");
        assert_eq!((commits(&place), content(&place, "model.safetensors")), before, "{rule:?}");
        place.hub.faults().clear();
        pushed(&place.alice(), &place, &noise(2_500_000, 3), &Transfer::default()).await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_two_hundred_times_arrives_and_sends_only_the_cut_parts_again() {
    let place = place(Role::Write);
    let weights = noise(50_000_000, 4);
    let mut numbers = Numbers(2026);
    for _ in 0..200 {
        let cut = Fault::CutUpload { after: numbers.below(1 << 20) };
        place.hub.faults().add(Rule::once("*", cut).method("PUT").at(Listener::Storage));
    }
    let (mut attempts, mut again) = (0, 0);
    loop {
        attempts += 1;
        let transfer = Transfer::default();
        // What has arrived is written down, so that each attempt goes on where the last one ended.
        let done = pushed(&place.alice(), &place, &weights, &transfer).await;
        again += transfer.progress().bytes_again;
        match done {
            Ok(_) => break,
            Err(Error::NoNetwork { .. }) if attempts < 200 => {}
            Err(error) => unreachable!("attempt {attempts}: {error}"),
        }
    }
    assert!(place.hub.faults().left().is_empty());
    assert!(content(&place, "model.safetensors") == weights, "the bytes are the same");
    println!("200 cuts of an upload of 50 MB: {again} bytes travelled again, {attempts} attempts");
    assert!(again <= 200 << 20);
    let whole =
        place.hub.log().all().into_iter().filter(|asked| asked.method == "PUT" && asked.status == Some(200));
    assert_eq!(whole.count(), 48, "each part has arrived once");
}

#[tokio::test]
async fn an_upload_goes_on_after_a_crash_and_begins_anew_where_its_addresses_are_stale() {
    for stale in [false, true] {
        let place = place(Role::Write);
        let weights = noise(5_000_000, 5);
        // Two parts arrive, and then nothing more.
        let dead = Rule::always("*", Fault::Status { status: 500, retry_after: None });
        place.hub.faults().add(dead.method("PUT").skip(2));
        pushed(&place.alice(), &place, &weights, &Transfer::default()).await.unwrap_err();
        assert_eq!(std::fs::read_dir(place.notes()).unwrap().count(), 1);
        place.hub.faults().clear();
        if stale {
            let gone = Rule::once("*", Fault::Status { status: 403, retry_after: None });
            place.hub.faults().add(gone.method("PUT"));
        }
        place.hub.log().clear();
        pushed(&place.alice(), &place, &weights, &Transfer::default()).await.unwrap();
        assert_eq!(content(&place, "model.safetensors"), weights);
        let puts = place.hub.log().matching("PUT", "*");
        let arrived = puts.iter().filter(|put| put.status == Some(200)).count();
        if stale {
            assert!(arrived >= 5, "all five parts anew: {arrived}");
        } else {
            assert_eq!(arrived, 3, "the parts that were missing");
        }
    }
}

#[tokio::test]
async fn an_upload_that_was_begun_goes_on_at_its_own_repository_alone() {
    const OTHER: &str = "alice/another";
    let place = place(Role::Write);
    let weights = noise(5_000_000, 5);
    let dead = Rule::always("*", Fault::Status { status: 500, retry_after: None });
    place.hub.faults().add(dead.method("PUT").skip(2));
    pushed(&place.alice(), &place, &weights, &Transfer::default()).await.unwrap_err();
    place.hub.faults().clear();
    place.hub.log().clear();
    let uploads = uploads(&place, &weights);
    let transfer = Transfer::default();
    push(&place.alice(), OTHER, false, uploads, "A run", &place.notes(), &transfer).await.unwrap();
    assert_eq!(place.hub.read(Kind::Model, OTHER, "main", "model.safetensors").unwrap(), weights);
    let puts = place.hub.log().matching("PUT", "*");
    assert_eq!(puts.iter().filter(|put| put.status == Some(200)).count(), 5, "all five parts go there");
}

#[tokio::test]
async fn who_may_not_push_is_told_before_anything_is_sent() {
    let place = place(Role::Write);
    place.hub.add_token(small_hub::Token::new("bob", "hf_bob", Role::Read));
    place.hub.add_token(small_hub::Token::new("carol", "hf_carol", Role::Write));
    place.hub.create(Kind::Model, REPO).unwrap();
    let check =
        async |token: Option<&str>, repo: &str| check_rights(&place.way(token, &[]), repo).await.unwrap_err();
    assert!(matches!(check(None, REPO).await, Error::NoToken));
    assert!(matches!(check(Some("hf_bob"), "bob/x").await, Error::NoRight { .. }));
    assert!(matches!(check(Some("hf_carol"), REPO).await, Error::NoRight { .. }));
    assert!(matches!(check(Some("hf_unknown"), REPO).await, Error::WrongToken { .. }));
    let before = place.hub.log().matching("POST", "*").len();
    check_rights(&place.alice(), "us/new").await.unwrap();
    assert_eq!(place.hub.log().matching("POST", "/api/repos/create").len(), 0, "nothing is made by asking");
    assert!(place.hub.log().matching("POST", "*").len() >= before);
    // A mirror that only serves.
    for path in ["/api/repos/create", "*/preupload/*"] {
        place.hub.faults().add(Rule::always(path, Fault::Status { status: 405, retry_after: None }));
    }
    let error = check(Some(TOKEN), REPO).await;
    assert!(matches!(error, Error::NoUploads { .. }), "{error}");
    let error = pushed(&place.alice(), &place, b"x", &Transfer::default()).await.unwrap_err();
    assert!(matches!(error, Error::NoUploads { .. }), "{error}");
}

#[tokio::test]
async fn a_commit_of_somebody_else_in_between_is_not_overwritten() {
    let place = place(Role::Write).with_model(REPO, &[("a.txt", vec![1])]);
    let network = place.alice();
    let slow = Rule::once("*", Fault::Status { status: 429, retry_after: Some(1) });
    place.hub.faults().add(slow.method("PUT"));
    let transfer = Transfer::default();
    let weights = noise(2_500_000, 6);
    let work = pushed(&network, &place, &weights, &transfer);
    let meddler = async {
        while place.hub.log().matching("PUT", "*").is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        place.hub.commit(Kind::Model, REPO, "main", "Theirs", &[Write::bytes("b.txt", "b")]).unwrap();
    };
    let (done, ()) = tokio::join!(work, meddler);
    assert!(matches!(done, Err(Error::Changed { .. })), "{done:?}");
    assert_eq!(place.hub.commits(Kind::Model, REPO, "main").unwrap()[0].title, "Theirs");
    pushed(&network, &place, &weights, &Transfer::default()).await.unwrap();
    assert_eq!(content(&place, "b.txt"), b"b");
}

#[tokio::test]
async fn a_stopped_push_ends_at_once_and_goes_on_later() {
    let place = place(Role::Write);
    let network = place.alice();
    place.hub.faults().add(Rule::once("*", Fault::Silence).method("PUT").skip(1));
    let transfer = Transfer::default();
    let weights = noise(4_000_000, 6);
    let work = pushed(&network, &place, &weights, &transfer);
    let stopper = async {
        while place.hub.log().matching("PUT", "*").len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        transfer.stop();
    };
    let (done, ()) = tokio::join!(work, stopper);
    let told = done.unwrap_err();
    assert!(matches!(told, Error::PushStopped) && !told.to_string().contains("fetched"), "{told}");
    assert_eq!(told.problem().code, record::ProblemCode::Stopped, "the window takes it for what was wished");
    pushed(&network, &place, &weights, &Transfer::default()).await.unwrap();
    assert_eq!(content(&place, "model.safetensors"), weights);
}

#[tokio::test]
async fn a_large_file_never_goes_within_the_commit_whatever_the_hub_says() {
    let place = place(Role::Write);
    let regular = Fault::Rewrite { find: "\"lfs\"".into(), with: "\"regular\"".into() };
    place.hub.faults().add(Rule::always("*/preupload/*", regular));
    let weights = noise(9 << 20, 8);
    pushed(&place.alice(), &place, &weights, &Transfer::default()).await.unwrap();
    assert!(content(&place, "model.safetensors") == weights);
    let committed = place.hub.log().matching("POST", "*/commit/*");
    assert!(committed.iter().all(|asked| asked.bytes_received < 10_000), "{committed:?}");
}

#[tokio::test]
async fn only_what_was_sent_a_second_time_is_said_to_have_travelled_twice() {
    for (status, times, again) in [(403, 1, 0..=0), (503, 100, 1..=5 * 200_000), (503, 1, 1..=200_000)] {
        let place = place(Role::Write);
        let refused =
            Rule::always("*", Fault::Status { status, retry_after: None }).method("PUT").times(times);
        place.hub.faults().add(refused);
        let transfer = Transfer::default();
        let done = pushed(&place.alice(), &place, &noise(200_000, 8), &transfer).await;
        assert_eq!(done.is_ok(), times == 1 && status == 503, "{done:?}");
        let moved = transfer.progress();
        assert!(again.contains(&moved.bytes_again), "{status}, {times} times: {}", moved.bytes_again);
    }
}

#[tokio::test]
async fn a_redirect_of_an_upload_is_named() {
    let place = place(Role::Write);
    let away = Fault::Redirect { to: "http://127.0.0.1:9".into() };
    place.hub.faults().add(Rule::always("*", away).method("PUT"));
    let error = pushed(&place.alice(), &place, &noise(200_000, 8), &Transfer::default()).await.unwrap_err();
    assert!(error.to_string().contains("the storage redirects an upload"), "{error}");
    assert_eq!(place.hub.log().matching("PUT", "*").len(), 1, "nothing is sent again");
}
