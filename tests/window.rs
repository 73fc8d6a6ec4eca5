//! The real window, driven by WebKitWebDriver: import a file that is chosen in a dialog, start training by a
//! click, see the chart move, type a text, read a type, in both languages; and an engine that is
//! killed in mid-run. Screenshots go to the folder named by MBTI_SCREENSHOTS, if it is set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "window/driver.rs"]
mod driver;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use driver::{Dialog, Killed, disclose, engine, in_turn, open, open_advanced, write_posts};
use fantoccini::Locator;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_imports_trains_and_reads_a_type_in_both_languages() {
    in_turn(main_job()).await;
}

async fn main_job() {
    let window = open(tempfile::tempdir().unwrap()).await;
    window.choose("language", "en").await;

    // A file that has gone is told, and nothing else changes.
    window.click("nav-data").await;
    let gone = window.home.path().join("gone.csv");
    std::fs::write(&gone, "body,mbti").unwrap();
    window.choose_path("choose-file", &gone).await;
    std::fs::remove_file(&gone).unwrap();
    window.screenshot("en-chosen").await;
    window.click("import-button").await;
    assert_eq!(window.attribute("problem", "data-code").await, "not_found");
    window.screenshot("en-problem").await;

    let posts = write_posts(window.home.path());
    window.choose_path("choose-file", &posts).await;
    window.type_into("import-name", "posts").await;
    window.click("import-button").await;
    let report = window.text("import-report").await;
    assert!(report.contains("600") && report.contains('2'), "{report}");
    window.click("sample-button").await;
    window
        .wait_until("the sample in the list", async || {
            window.engine(&["datasets", "list"]).as_array().unwrap().len() == 2
        })
        .await;
    window.screenshot("en-data").await;
    window.choose("language", "zh").await;
    window.screenshot("zh-data").await;
    window.choose("language", "en").await;

    window.click("nav-train").await;
    window.choose("train-data", "posts").await;
    window.choose("train-model", "words").await;
    window.screenshot("en-train-form").await;
    open_advanced(&window).await;
    window.type_into("train-epochs", "40").await;
    window.click("start-button").await;
    let points = async || window.attribute("loss-chart", "data-points").await.parse::<u32>().unwrap_or(0);
    window.wait_until("the first points of the chart", async || points().await > 0).await;
    let first = points().await;
    window.wait_until("the chart to move", async || points().await > first).await;
    window.screenshot("en-train").await;
    window.choose("language", "zh").await;
    window.screenshot("zh-train").await;
    window.choose("language", "en").await;
    window
        .wait_until("the run's end", async || {
            window.attribute("run-status", "data-status").await == "finished"
        })
        .await;
    window.screenshot("en-train-finished").await;

    window.click("nav-runs").await;
    let row = Locator::Css("[data-testid=runs-row] button");
    window.client.wait().for_element(row).await.unwrap().click().await.unwrap();
    window.element("score-table").await;
    window.screenshot("en-runs").await;
    window.choose("language", "zh").await;
    window.screenshot("zh-runs").await;

    window.click("nav-predict").await;
    window
        .type_into("predict-text", "Stayed at home with three cups of flour; her kindness; all done early.")
        .await;
    let read = async || window.text("predict-type").await;
    window.wait_until("a type", async || read().await.trim().len() == 4).await;
    let shown = read().await.trim().to_owned();
    let told =
        window.engine(&["predict", "Stayed at home with three cups of flour; her kindness; all done early."]);
    assert_eq!(shown, told["type"].as_str().unwrap(), "window and terminal agree");
    assert_eq!(shown, "ISFJ", "what these words say in the file");
    window.screenshot("zh-predict").await;
    window.choose("language", "en").await;
    window.screenshot("en-predict").await;
    window.close().await;
}

/// The settings that most people need not see are behind a disclosure.
#[tokio::test(flavor = "multi_thread")]
async fn a_data_set_is_sampled_measured_and_exported_by_clicks_and_a_long_import_is_stopped() {
    in_turn(data_sets()).await;
}

async fn data_sets() {
    let window = open(tempfile::tempdir().unwrap()).await;
    window.choose("language", "en").await;
    window.click("nav-data").await;
    let known = async || window.engine(&["datasets", "list"]).as_array().map_or(0, Vec::len);

    // A long import tells how far it is, and the window answers meanwhile.
    let large = window.home.path().join("large.csv");
    let row = |n: usize| format!("a{},{n} {},ENFP\n", n / 9, "went out with friends and danced ".repeat(6));
    std::fs::write(&large, (0..600_000).fold("author,body,mbti\n".to_owned(), |all, n| all + &row(n)))
        .unwrap();
    window.choose_path("choose-file", &large).await;
    window.click("import-button").await;
    window.wait_until("progress", async || window.text("work-told").await.contains("texts kept")).await;
    window.screenshot("en-importing").await;
    window.click("work-stop").await;
    let status = async || window.text("work-status").await;
    window.wait_until("the stop", async || status().await.contains("nothing of it was kept")).await;
    window.screenshot("en-stopped").await;
    assert_eq!(known().await, 0);
    assert_eq!(std::fs::read_dir(window.home.path().join("datasets")).unwrap().count(), 0);

    let posts = write_posts(window.home.path());
    // Some of the texts name their type.
    let text = std::fs::read_to_string(&posts).unwrap().replace("quiet evening", "quiet evening of an INFP");
    std::fs::write(&posts, text).unwrap();
    window.choose_path("choose-file", &posts).await;
    window.click("import-button").await;
    window.wait_until("the import", async || known().await == 1).await;
    window.element("lengths-chart").await;
    window.element("author-texts").await;

    window.click("leaks-button").await;
    assert!(window.text("leaks-share").await.contains("120"), "a fifth of 600");
    window.click("leaks-alone-button").await;
    let alone = window.text("leaks-alone").await;
    assert!(alone.contains("E/I") && alone.contains("J/P"), "{alone}");

    disclose(&window, "sample-panel").await;
    window.type_into("sample-percent", "25").await;
    window.type_into("sample-seed", "7").await;
    window.type_into("sample-name", "few").await;
    window.screenshot("en-sample").await;
    window.click("sample-part-button").await;
    let shown = async || window.attribute("data-set-detail", "data-name").await;
    window.wait_until("the sample", async || shown().await == "few").await;
    let few = window.engine(&["datasets", "show", "few"]);
    assert_eq!(few["data_set"]["examples"], 150);
    assert_eq!(few["recipe"]["steps"], json!([{ "kind": "sample", "fraction": 0.25, "seed": 7 }]));

    let out = window.home.path().join("few.jsonl");
    disclose(&window, "export-panel").await;
    window.choose("export-format", "jsonl").await;
    window.choose_path("export-button", &out).await;
    window.wait_until("the export", async || window.text("exported").await.contains("few.jsonl")).await;
    window.screenshot("en-export").await;
    let written = std::fs::read_to_string(&out).unwrap();
    let first: Value = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    assert_eq!((written.lines().count(), &first["body"]), (150, &few["samples"][0]["text"]));
    // The dialog asks whether the file is to be replaced, and whatever is answered, it is not.
    let dialog = window.dialog_of("export-button").await;
    dialog.replace(&window, &out).await;
    assert_eq!(window.attribute("problem", "data-code").await, "file_exists");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), written, "it stays as it is");

    disclose(&window, "split-panel").await;
    window.choose("split-into", "folds").await;
    window.type_into("split-folds", "3").await;
    window.choose("language", "zh").await;
    window.screenshot("zh-folds").await;
    window.click("split-button").await;
    window.wait_until("three pairs", async || known().await == 8).await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_leaves_the_window_alive_and_the_next_run_works() {
    in_turn(killed_engine()).await;
}

async fn killed_engine() {
    let window = open(tempfile::tempdir().unwrap()).await;
    window.choose("language", "en").await;
    window.click("nav-data").await;
    window.click("sample-button").await;
    window
        .wait_until("the sample", async || {
            window.engine(&["datasets", "list"]).as_array().unwrap().len() == 1
        })
        .await;
    window.click("nav-train").await;
    window.choose("train-data", "made-up-sample").await;
    window.choose("train-model", "words").await;
    open_advanced(&window).await;
    window.type_into("train-epochs", "500").await;
    window.click("start-button").await;
    let points = async || window.attribute("loss-chart", "data-points").await.parse::<u32>().unwrap_or(0);
    window.wait_until("the chart", async || points().await > 0).await;
    let steps = window.engine(&["runs", "show", "1"])["steps"].as_array().unwrap().len();
    assert!(steps > 0);
    let pattern = format!("{} train --run 1", window.home.path().display());
    assert!(Command::new("pkill").args(["-KILL", "-f", &pattern]).status().unwrap().success());
    window
        .wait_until("the interruption to show", async || {
            window.attribute("run-status", "data-status").await == "interrupted"
        })
        .await;
    window.screenshot("en-interrupted").await;
    let shown = window.engine(&["runs", "show", "1"]);
    assert_eq!(shown["run"]["status"], "interrupted");
    assert!(shown["steps"].as_array().unwrap().len() >= steps);

    // The window is alive: the next run is started in it, and stopped in it.
    window.click("nav-data").await;
    window.click("nav-train").await;
    window.choose("train-model", "words").await;
    open_advanced(&window).await;
    window.type_into("train-epochs", "500").await;
    window.click("start-button").await;
    window
        .wait_until("the second run", async || {
            window.attribute("run-status", "data-status").await == "running"
        })
        .await;
    window.wait_until("its chart", async || points().await > 0).await;
    window.click("stop-button").await;
    window
        .wait_until("its end", async || window.attribute("run-status", "data-status").await == "stopped")
        .await;
    assert_eq!(window.engine(&["runs", "list"])[0]["status"], "stopped");
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_started_in_a_terminal_appears_in_the_window_and_outlives_it() {
    in_turn(terminal_run()).await;
}

async fn terminal_run() {
    let window = open(tempfile::tempdir().unwrap()).await;
    window.engine(&["datasets", "import", "--sample"]);
    let run = Command::new(engine())
        .arg("--home")
        .arg(window.home.path())
        .args(["train", "--data", "made-up-sample", "--model", "words", "--epochs", "500"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut run = Killed(run);
    window.click("nav-train").await;
    let points = async || window.attribute("loss-chart", "data-points").await.parse::<u32>().unwrap_or(0);
    window.wait_until("the terminal's run in the window", async || points().await > 0).await;
    window.client.clone().close().await.ok();
    let before = window.engine(&["runs", "show", "1"])["steps"].as_array().unwrap().len();
    window
        .wait_until("steps after the window was closed", async || {
            window.engine(&["runs", "show", "1"])["steps"].as_array().unwrap().len() > before
        })
        .await;
    assert!(run.0.try_wait().unwrap().is_none(), "the run goes on without a window");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_learns_by_lora_in_half_precision_and_is_merged_by_clicks() {
    in_turn(adapter()).await;
}

async fn adapter() {
    let window = open(tempfile::tempdir().unwrap()).await;
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/reference/fixtures/families/bert-all/model");
    window.engine(&["models", "add", model, "--name", "tiny"]);
    window.engine(&["datasets", "import", "--sample"]);
    window.click("nav-data").await;
    window.click("nav-train").await;
    window.choose("train-data", "made-up-sample").await;
    window.choose("train-model", "tiny").await;
    open_advanced(&window).await;
    window.choose("train-trainable", "lora").await;
    window.choose("train-dtype", "bf16").await;
    window.type_into("train-lora_rank", "2").await;
    window.type_into("train-max-steps", "6").await;
    window.choose("train-gradient_checkpointing", "all").await;
    window.screenshot("en-lora-form").await;
    window.choose("language", "zh").await;
    window.screenshot("zh-lora-form").await;
    window.choose("language", "en").await;
    window.click("start-button").await;
    window
        .wait_until("the run's end", async || {
            window.attribute("run-status", "data-status").await == "finished"
        })
        .await;
    let run = &window.engine(&["runs", "show", "1"])["run"];
    assert_eq!(
        (&run["config"]["trainable"], &run["config"]["dtype"], &run["config"]["gradient_checkpointing"]),
        (&json!("lora"), &json!("bf16"), &json!("all"))
    );
    let folder = PathBuf::from(run["model_folder"].as_str().unwrap());
    assert!(folder.join("adapter_model.safetensors").exists());

    window.click("nav-runs").await;
    let row = Locator::Css("[data-testid=runs-row] button");
    window.client.wait().for_element(row).await.unwrap().click().await.unwrap();
    window.element("run-adapter").await;
    window.screenshot("en-adapter").await;
    window.choose("language", "zh").await;
    window.screenshot("zh-adapter").await;
    window.click("run-merge").await;
    let adapter = Locator::Css("[data-testid=run-adapter]");
    window.wait_until("the merged model", async || window.client.find(adapter).await.is_err()).await;
    assert!(folder.join("model.safetensors").exists() && !folder.join("adapter_config.json").exists());

    window.click("nav-predict").await;
    window.type_into("predict-text", "A merged model has a type, too.").await;
    let read = async || window.text("predict-type").await;
    window.wait_until("a type", async || read().await.trim().len() == 4).await;
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_taken_over_opens_no_file_goes_nowhere_and_changes_no_way_to_the_hub() {
    in_turn(taken_over()).await;
}

async fn taken_over() {
    let window = open(tempfile::tempdir().unwrap()).await;
    window.choose("language", "en").await;
    let secret = window.home.path().join("secret.csv");
    std::fs::write(&secret, "body,mbti\nnobody may read this,INFP\n").unwrap();
    let planted = window.home.path().join("planted");
    let [secret, planted_text] = [&secret, &planted].map(|path| path.to_str().unwrap());

    // A command takes no path, and no handle that no dialog has given.
    let other = json!({ "work": 1, "progress": "__CHANNEL__:1", "name": "made-up-sample", "mapping": null });
    let with = |more: Value| {
        let mut all = other.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    window.engine(&["datasets", "import", "--sample"]);
    for (command, arguments) in [
        ("preview_import", json!({ "path": secret })),
        ("preview_import", json!({ "handle": secret })),
        ("preview_import", json!({ "handle": 1 })),
        ("import_data_set", with(json!({ "path": secret }))),
        ("import_data_set", with(json!({ "handle": 1 }))),
        ("add_model", json!({ "path": "/etc", "name": "x" })),
        ("add_model", json!({ "handle": 1, "name": "x" })),
        ("export_data_set", with(json!({ "path": planted_text, "format": "csv", "safeCells": false }))),
        ("export_data_set", with(json!({ "handle": 1, "format": "csv", "safeCells": false }))),
        ("plugin:dialog|open", json!({ "options": {} })),
        ("plugin:dialog|message", json!({ "message": "x" })),
        (
            "plugin:event|listen",
            json!({ "event": "tauri://drag-drop", "target": { "kind": "Any" }, "handler": 1 }),
        ),
        ("plugin:window|create", json!({ "options": { "label": "x", "url": "http://127.0.0.1" } })),
        ("plugin:webview|create_webview_window", json!({ "options": { "label": "x" } })),
        ("plugin:fs|read_file", json!({ "path": secret })),
        ("plugin:shell|open", json!({ "path": secret })),
    ] {
        let answer = window.invoke(command, &arguments).await;
        assert_eq!(answer["ok"], false, "{command} {arguments}: {answer}");
        assert!(!answer.to_string().contains("nobody may read"), "{answer}");
    }
    assert!(!planted.exists());
    assert_eq!(window.engine(&["datasets", "list"]).as_array().unwrap().len(), 1);

    // What was chosen for one thing serves for no other.
    window.click("nav-data").await;
    window.choose_path("choose-file", Path::new(secret)).await;
    window.wait_until("the choice", async || window.attribute("import-path", "title").await == secret).await;
    assert_eq!(window.invoke("preview_import", &json!({ "handle": 1 })).await["ok"], true);
    let answer = window.invoke("add_model", &json!({ "handle": 1, "name": "x" })).await;
    assert_eq!(answer["value"]["code"], "not_chosen", "{answer}");

    // A name that is suggested for a new file is nothing but a name.
    let before = Dialog::all();
    window.invoke_later("pick_new_file", &json!({ "name": "../../a\u{0}b" })).await;
    window.new_dialog(&before).await.close_by(&window, "Escape").await;
    window
        .wait_until("no choice", async || window.later().await == json!({ "ok": true, "value": null }))
        .await;

    // Another way to the Hub is asked for in a dialog that the page cannot answer.
    let file = json!({ "kind": "keep" });
    let change =
        json!({ "endpoint": "https://evil.example", "proxy": null, "env_file": file, "ca_file": file });
    let before = Dialog::all();
    let arguments = json!({ "change": change, "language": "en" });
    window.invoke_later("set_hub_settings", &arguments).await;
    let dialog = window.new_dialog(&before).await;
    dialog.screenshot("en-dialog-hub");
    // There is one question at a time.
    assert_eq!(window.invoke("set_hub_settings", &arguments).await["value"]["code"], "not_agreed");
    dialog.close_by(&window, "Escape").await;
    window.wait_until("the refusal", async || window.later().await["value"]["code"] == "not_agreed").await;
    assert!(!window.home.path().join("hub.json").exists());

    // The page stays where it is, and nothing arrives anywhere else.
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let address = format!("http://{}/", elsewhere.local_addr().unwrap());
    for script in [
        "location.href = arguments[0]",
        "location.replace(arguments[0])",
        "window.opened = window.open(arguments[0]) === null ? 'no' : 'yes'",
        "document.body.insertAdjacentHTML('beforeend', `<a id=out target=_blank href=${arguments[0]}>x</a>`); out.click()",
        "document.body.insertAdjacentHTML('beforeend', `<a id=out2 href=${arguments[0]}>x</a>`); out2.click()",
        "document.body.insertAdjacentHTML('beforeend', `<form id=f method=post action=${arguments[0]}></form>`); f.submit()",
        "document.body.insertAdjacentHTML('beforeend', `<iframe src=${arguments[0]}></iframe>`)",
        "document.body.insertAdjacentHTML('beforeend', `<img src=${arguments[0]}>`)",
        "document.head.insertAdjacentHTML('beforeend', `<meta http-equiv=refresh content='0;url=${arguments[0]}'>`)",
        "fetch(arguments[0], { mode: 'no-cors' }).catch(() => {})",
        "navigator.sendBeacon(arguments[0], 'x')",
        "new WebSocket(arguments[0].replace('http', 'ws'))",
        "location.href = 'file:///etc/passwd'",
        "location.href = 'data:text/html,x'",
    ] {
        // A script that is refused may throw, which is well.
        window.client.execute(script, vec![json!(address)]).await.ok();
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let arrived = elsewhere.accept().map(|_| ());
    assert_eq!(arrived.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "something arrived");
    let here = window.client.execute("return location.origin + ' ' + window.opened", vec![]).await.unwrap();
    assert_eq!(here, json!("tauri://localhost no"));
    assert_eq!(window.client.windows().await.unwrap().len(), 1);
    window.click("nav-train").await;
    window.element("train-data").await;
    window.close().await;
}
