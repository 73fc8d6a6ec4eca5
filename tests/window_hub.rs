//! The real window and a small Hub: log in with a token from the clipboard, fetch a data set and a model, train, push;
//! and the token is neither in the page nor in anything that it has sent or received.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "window/driver.rs"]
mod driver;
mod holders;
mod tiny_models;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use driver::{in_turn, open_advanced, open_with, write_posts};
use holders::holders;
use serde_json::json;
use small_hub::{Kind, Options, Role, SmallHub, Token, Write as Put};

const TOKEN: &str = "hf_TheVerySecretTokenOfAlice";

fn small_hub() -> SmallHub {
    let options = Options { large_from: 4000, part_size: 16 << 10, ..Options::default() };
    let hub = SmallHub::start(options.token(Token::new("alice", TOKEN, Role::Write))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut files = vec![Put::bytes("README.md", "---\nlicense: mit\n---\n")];
    for entry in std::fs::read_dir(tiny_models::tiny_bert(folder.path())).unwrap().flatten() {
        files.push(Put::bytes(entry.file_name().to_str().unwrap(), std::fs::read(entry.path()).unwrap()));
    }
    hub.create(Kind::Model, "alice/tiny").unwrap();
    hub.commit(Kind::Model, "alice/tiny", "main", "A model", &files).unwrap();
    let posts = std::fs::read(write_posts(folder.path())).unwrap();
    hub.create(Kind::Dataset, "alice/texts").unwrap();
    hub.commit(Kind::Dataset, "alice/texts", "main", "Texts", &[Put::bytes("train.csv", posts)]).unwrap();
    hub
}

fn copy_to_clipboard(text: &str) {
    let mut child = Command::new("xclip")
        .args(["-selection", "clipboard"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("xclip, which scripts/setup.sh test installs");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

fn clipboard() -> String {
    let output = Command::new("xclip").args(["-selection", "clipboard", "-o"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_logs_in_fetches_trains_and_pushes_and_the_page_never_has_the_token() {
    in_turn(trip()).await;
}

async fn trip() {
    let hub = small_hub();
    let variables = [("HF_ENDPOINT", hub.url()), ("MBTI_HUB_PAUSE_MS", "10")];
    let window = open_with(tempfile::tempdir().unwrap(), &variables).await;
    window.choose("language", "en").await;
    // All that the page sends and receives from here on is written down.
    let watch = "window.seen = []; const own = window.fetch; \
         const text = (body) => typeof body === 'string' ? body : body ? new TextDecoder().decode(body) : ''; \
         const spy = async (resource, options) => { \
           window.seen.push(`${resource} ${text(options?.body)}`); \
           const answer = await own(resource, options); \
           window.seen.push(await answer.clone().text()); return answer; }; \
         window.fetch = spy; return window.fetch === spy ? 'on' : 'off';";
    let watched = window.client.execute(watch, vec![]).await.unwrap();
    assert_eq!(watched, json!("on"));

    window.click("nav-hub").await;
    copy_to_clipboard("not a token at all");
    window.click("login-button").await;
    assert_eq!(window.attribute("problem", "data-code").await, "bad_token");
    copy_to_clipboard("hf_unknown");
    window.click("login-button").await;
    window
        .wait_until("the Hub's refusal", async || {
            window.attribute("problem", "data-code").await == "unknown_token"
        })
        .await;
    window.screenshot("en-hub-refused").await;
    copy_to_clipboard(TOKEN);
    window.click("login-button").await;
    window.wait_until("the account", async || window.text("account").await.contains("alice")).await;
    assert_eq!(clipboard(), "", "nobody pastes the token elsewhere by mistake");
    window.screenshot("en-hub").await;
    window.choose("language", "zh").await;
    window.screenshot("zh-hub").await;
    window.choose("language", "en").await;

    for (kind, repo) in [("dataset", "alice/texts"), ("model", "alice/tiny")] {
        window.type_into(&format!("{kind}-repo"), repo).await;
        window.click(&format!("{kind}-plan-button")).await;
        let plan = window.text(&format!("{kind}-plan")).await;
        assert!(plan.contains(repo), "{plan}");
        window.screenshot(&format!("en-hub-plan-{kind}")).await;
        window.click(&format!("{kind}-fetch")).await;
        let command = if kind == "model" { "models" } else { "datasets" };
        window
            .wait_until("what was fetched", async || {
                let all = window.engine(&[command, "list"]);
                all.as_array()
                    .is_some_and(|all| all.iter().any(|one| repo.ends_with(one["name"].as_str().unwrap())))
            })
            .await;
    }

    window.click("nav-train").await;
    window.choose("train-data", "texts").await;
    window.choose("train-model", "tiny").await;
    open_advanced(&window).await;
    window.type_into("train-max_length", "16").await;
    window.type_into("train-push_to_hub", "alice/made").await;
    window.screenshot("en-train-push").await;
    let dialog = window.dialog_of("start-button").await;
    dialog.screenshot("en-dialog-train-push");
    dialog.agree(&window).await;
    window
        .wait_until("the push", async || {
            window.engine(&["runs", "show", "1"])["run"]["pushed"]["repo"] == "alice/made"
        })
        .await;
    let card = String::from_utf8(hub.read(Kind::Model, "alice/made", "main", "README.md").unwrap()).unwrap();
    assert!(card.contains(&format!("alice/tiny from `{}`", hub.url())), "{card}");

    // Once more by the panel of the run, from the window's own process.
    window.click("nav-runs").await;
    let row = fantoccini::Locator::Css("[data-testid=runs-row] button");
    window.client.wait().for_element(row).await.unwrap().click().await.unwrap();
    window.type_into("push-repo", "alice/again").await;
    window.screenshot("en-push").await;
    window.click("push-plan").await;
    window
        .wait_until("what is sent", async || window.text("push-list").await.contains("model.safetensors"))
        .await;
    // Whoever does not agree pushes nothing.
    let dialog = window.dialog_of("push-button").await;
    dialog.screenshot("en-dialog-push");
    dialog.close_by(&window, "Escape").await;
    window
        .wait_until("the refusal", async || window.attribute("problem", "data-code").await == "not_agreed")
        .await;
    assert!(hub.read(Kind::Model, "alice/again", "main", "model.safetensors").is_err());
    window.dialog_of("push-button").await.agree(&window).await;
    window.wait_until("the second push", async || window.text("pushed").await.contains("alice/again")).await;
    assert!(!hub.read(Kind::Model, "alice/again", "main", "model.safetensors").unwrap().is_empty());
    window.screenshot("en-pushed").await;
    window.choose("language", "zh").await;
    window.screenshot("zh-pushed").await;

    let page = "return document.documentElement.outerHTML + JSON.stringify(localStorage) \
         + JSON.stringify(sessionStorage) + window.seen.join('\\n');";
    let page = window.client.execute(page, vec![]).await.unwrap();
    let page = page.as_str().unwrap();
    assert!(page.contains("hub_login") && page.contains("push_run"), "the page's traffic was seen");
    assert!(!page.contains(TOKEN), "{page}");
    assert!(hub.log().tokens_at_storage().is_empty());
    let mut found = Vec::new();
    holders(window.home.path(), TOKEN, &mut found);
    assert_eq!(found, [window.home.path().join("secret/token").display().to_string()]);
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_environment_is_used_and_no_process_of_the_page_has_it() {
    in_turn(token_of_the_environment()).await;
}

async fn token_of_the_environment() {
    let hub = small_hub();
    let variables = [("HF_ENDPOINT", hub.url()), ("HF_TOKEN", TOKEN), ("HUGGING_FACE_HUB_TOKEN", TOKEN)];
    let window = open_with(tempfile::tempdir().unwrap(), &variables).await;
    window.choose("language", "en").await;
    window.click("nav-hub").await;
    window.click("check-button").await;
    window.wait_until("the account", async || window.text("account").await.contains("alice")).await;
    // The system keeps what a process was started with, so those that were given the token have it still.
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
        let has = read("environ").windows(TOKEN.len()).any(|part| part == TOKEN.as_bytes());
        if has { &mut with } else { &mut without }
            .push(String::from_utf8(read("comm")).unwrap().trim().to_owned());
    }
    with.retain(|name| name != "WebKitWebDriver" && name != "mbti-tuner");
    assert_eq!(with, Vec::<String>::new());
    assert!(without.iter().any(|name| name.starts_with("WebKitWeb")), "{without:?}");
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_is_agreed_to_in_a_dialog_and_gets_no_token_that_was_given_for_this_one() {
    in_turn(two_hubs()).await;
}

async fn two_hubs() {
    let (hub, other) = (small_hub(), small_hub());
    let variables = [("HF_ENDPOINT", hub.url()), ("MBTI_HUB_PAUSE_MS", "10")];
    let window = open_with(tempfile::tempdir().unwrap(), &variables).await;
    window.choose("language", "en").await;
    window.click("nav-hub").await;
    copy_to_clipboard(TOKEN);
    window.click("login-button").await;
    window.wait_until("the account", async || window.text("account").await.contains("alice")).await;

    // A proxy's password is kept and not shown. It is set in a terminal and stays as the window shows it.
    let proxy = ["--proxy", "http://me:hunter2@127.0.0.1:9"];
    window.engine(&[&["hub", "set"][..], &proxy].concat());
    window.click("nav-data").await;
    window.click("nav-hub").await;
    let set = async || window.engine(&["hub", "show"])["settings"].clone();
    let shown = window.element("hub-proxy").await.prop("value").await.unwrap();
    assert_eq!(shown.as_deref(), Some("http://me:•••@127.0.0.1:9"));
    window.screenshot("en-hub-proxy").await;
    let env_file = window.home.path().join("my.env");
    std::fs::write(&env_file, "OTHER=1\n").unwrap();
    window.choose_path("hub-choose-env_file", &env_file).await;
    let dialog = window.dialog_of("hub-save").await;
    dialog.screenshot("en-dialog-env-file");
    dialog.agree(&window).await;
    window.wait_until("what was saved", async || window.text("hub-saved").await == "Saved.").await;
    let kept = std::fs::read_to_string(window.home.path().join("hub.json")).unwrap();
    assert!(kept.contains("hunter2") && kept.contains("my.env"), "{kept}");
    assert_eq!(set().await["proxy"], "http://me:•••@127.0.0.1:9");
    window.type_into("hub-proxy", "").await;
    window.dialog_of("hub-save").await.agree(&window).await;
    window.wait_until("no proxy", async || set().await["proxy"].is_null()).await;

    // Another Hub, once not agreed to and once agreed to.
    window.choose("language", "zh").await;
    window.type_into("hub-endpoint", other.url()).await;
    let dialog = window.dialog_of("hub-save").await;
    dialog.screenshot("zh-dialog-hub");
    dialog.close_by(&window, "Escape").await;
    window
        .wait_until("the refusal", async || window.attribute("problem", "data-code").await == "not_agreed")
        .await;
    assert!(set().await["endpoint"].is_null());
    window.dialog_of("hub-save").await.agree(&window).await;
    window.wait_until("the other Hub", async || set().await["endpoint"] == other.url()).await;
    let told = window.text("kept-for").await;
    assert!(told.contains(hub.url()) && told.contains(other.url()), "{told}");
    window.screenshot("zh-hub-kept-for").await;
    window.choose("language", "en").await;
    window.screenshot("en-hub-kept-for").await;
    let answer = window.invoke("hub_account", &json!({})).await;
    assert_eq!(answer["value"]["code"], "token_of_another", "{answer}");
    assert_eq!(window.invoke("search_hub", &json!({ "kind": "model", "words": "tiny" })).await["ok"], true);
    assert!(!other.log().all().is_empty(), "the other Hub was asked");
    assert!(other.log().all().iter().all(|one| one.token.is_none()), "and got no token");
    window.close().await;
}
