//! The real window, driven by WebKitWebDriver, for the tests that use it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, wd::Capabilities};
use serde_json::{Value, json};

/// WebKitWebDriver with one window of the program, both ended when this is dropped.
pub struct Window {
    pub client: Client,
    driver: Child,
    pub home: tempfile::TempDir,
}

impl Drop for Window {
    fn drop(&mut self) {
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

/// A process that ends with the test, however that ends.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The program and its engine are built into one folder, as a bundle has them.
pub fn engine() -> PathBuf {
    let engine = Path::new(env!("CARGO_BIN_EXE_mbti-tuner")).with_file_name("mbti");
    assert!(engine.exists(), "build the engine first, as `cargo test --workspace` does");
    engine
}

/// One window at a time: three at once take so long on two cores that they time out.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Gives a test its turn and a limit, so that a window that hangs does not hang the tests.
pub async fn in_turn(test: impl Future<Output = ()>) {
    let _turn = ONE_AT_A_TIME.lock().await;
    tokio::time::timeout(Duration::from_secs(240), test)
        .await
        .expect("the window answers within four minutes");
}

pub async fn open(home: tempfile::TempDir) -> Window {
    open_with(home, &[]).await
}

/// Opens a window with these in its environment.
pub async fn open_with(home: tempfile::TempDir, variables: &[(&str, &str)]) -> Window {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let driver = Command::new("WebKitWebDriver")
        .args([format!("--port={port}"), "--host=127.0.0.1".into()])
        // wry opens a window to automation only when it is asked to by these.
        .env("TAURI_AUTOMATION", "true")
        .env("TAURI_WEBVIEW_AUTOMATION", "true")
        .env("MBTI_HOME", home.path())
        .env("LC_ALL", "C.UTF-8")
        // Whoever runs the tests may be logged in, and that is none of their business.
        .env("HF_HOME", home.path().join("hugging-face"))
        .env_remove("HF_TOKEN")
        .env_remove("HF_HUB_TOKEN")
        .env("MBTI_KEYRING", "off")
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("WebKitWebDriver, from the package webkit2gtk-driver; run the tests by `make test`");
    let options = json!({ "binary": env!("CARGO_BIN_EXE_mbti-tuner") });
    let capabilities: Capabilities = [("webkitgtk:browserOptions".to_owned(), options)].into_iter().collect();
    let begin = Instant::now();
    let client = loop {
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        match builder.capabilities(capabilities.clone()).connect(&format!("http://127.0.0.1:{port}")).await {
            Ok(client) => break client,
            Err(error) => assert!(begin.elapsed() < Duration::from_secs(60), "no window: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    Window { client, driver, home }
}

/// A dialog of the system's. WebKitWebDriver does not see it, so that it is answered by keys, as by a person.
pub struct Dialog(String);

impl Dialog {
    /// All windows that are shown now.
    pub fn all() -> Vec<String> {
        let found = xdotool(&["search", "--onlyvisible", "--name", "."]);
        found.lines().map(str::to_owned).collect()
    }

    pub fn keys(&self, keys: &[&str]) {
        xdotool(&["windowfocus", "--sync", &self.0]);
        xdotool(&[&["key", "--clearmodifiers", "--delay", "60"][..], keys].concat());
    }

    fn type_path(&self, path: &Path) {
        // The field for a whole path, which a dialog for a new file shows from the beginning.
        self.keys(&["ctrl+l", "ctrl+a"]);
        xdotool(&["type", "--clearmodifiers", "--delay", "25", path.to_str().unwrap()]);
    }

    /// Chooses a file for writing that is there already, and agrees to its being replaced.
    pub async fn replace(self, window: &Window, path: &Path) {
        self.type_path(path);
        // Typing brings up a list of names, which a first click closes; Return would choose from it. The question has no
        // name by which it could be looked for, and stands in the middle.
        let (mut clicked, mut clicks): (Option<Instant>, usize) = (None, 0);
        window
            .wait_until("the dialog to close", async || {
                if !Dialog::all().contains(&self.0) {
                    return true;
                }
                if clicked.is_none_or(|clicked| clicked.elapsed() > Duration::from_secs(2)) {
                    if clicks % 3 < 2 {
                        // The button that saves, in the lower right corner.
                        self.click_at(|width, height| [width - 44, height - 24]);
                    } else {
                        self.screenshot("en-dialog-replace");
                        self.click_at(|width, height| [width / 2 + 130, height / 2 + 56]);
                    }
                    (clicked, clicks) = (Some(Instant::now()), clicks + 1);
                }
                false
            })
            .await;
        assert!(clicks > 2, "the dialog asks before it names a file that is there");
    }

    /// Presses a key until the dialog is gone.
    pub async fn close_by(self, window: &Window, key: &str) {
        let mut pressed: Option<Instant> = None;
        window
            .wait_until("the dialog to close", async || {
                if !Dialog::all().contains(&self.0) {
                    return true;
                }
                if pressed.is_none_or(|pressed| pressed.elapsed() > Duration::from_secs(5)) {
                    self.keys(&[key]);
                    pressed = Some(Instant::now());
                }
                false
            })
            .await;
    }

    /// Clicks at the place that is found from the dialog's width and height.
    fn click_at(&self, place: impl Fn(i32, i32) -> [i32; 2]) {
        let geometry = xdotool(&["getwindowgeometry", "--shell", &self.0]);
        let of = |name: &str| -> i32 {
            let value = geometry.lines().find_map(|line| line.strip_prefix(name));
            value.and_then(|value| value.strip_prefix('=')).unwrap().parse().unwrap()
        };
        let [x, y] = place(of("WIDTH"), of("HEIGHT")).map(|place| place.to_string());
        xdotool(&["mousemove", "--window", &self.0, &x, &y, "click", "1"]);
    }

    /// Clicks on the button that agrees, which is the left one of two.
    pub async fn agree(self, window: &Window) {
        self.click_at(|width, height| [width / 4, height - 24]);
        window.wait_until("the dialog to close", async || !Dialog::all().contains(&self.0)).await;
    }

    /// A picture of the whole screen, as the window's own has no dialogs in it.
    pub fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("MBTI_SCREENSHOTS") else { return };
        std::fs::create_dir_all(&folder).unwrap();
        let path = Path::new(&folder).join(format!("{name}.png"));
        Command::new("import").args(["-window", "root"]).arg(path).status().ok();
    }
}

fn xdotool(args: &[&str]) -> String {
    let output = Command::new("xdotool").args(args).output();
    let output = output.expect("xdotool, which scripts/setup.sh test installs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Window {
    pub async fn element(&self, id: &str) -> Element {
        let selector = format!("[data-testid=\"{id}\"]");
        let found =
            self.client.wait().at_most(Duration::from_secs(30)).for_element(Locator::Css(&selector)).await;
        match found {
            Ok(element) => element,
            Err(error) => {
                self.screenshot("failed").await;
                panic!("{id}: {error}")
            }
        }
    }

    pub async fn click(&self, id: &str) {
        self.element(id).await.click().await.unwrap_or_else(|error| panic!("{id}: {error}"));
    }

    pub async fn type_into(&self, id: &str, text: &str) {
        let element = self.element(id).await;
        if text.is_empty() {
            // As a person does it: all is marked and removed. The driver's own clearing is seen by the page only with
            // the keys that follow it.
            const CONTROL_A_AND_BACKSPACE: &str = "\u{E009}a\u{E000}\u{E003}";
            element.send_keys(CONTROL_A_AND_BACKSPACE).await.unwrap();
        } else {
            element.clear().await.unwrap();
            element.send_keys(text).await.unwrap();
        }
    }

    /// Chooses in a drop-down list. A click on it would open a menu of the toolkit's, which
    /// WebKitWebDriver cannot reach, so that the choice is made as the menu would make it.
    pub async fn choose(&self, id: &str, value: &str) {
        let select = serde_json::to_value(self.element(id).await).unwrap();
        let script = "const [select, value] = arguments; select.value = value; \
             for (const name of ['input', 'change']) select.dispatchEvent(new Event(name, { bubbles: true })); \
             return select.value;";
        let chosen = self.client.execute(script, vec![select, json!(value)]).await.unwrap();
        assert_eq!(chosen, json!(value), "{id} has this choice");
    }

    /// Chooses a file or folder in the system's own dialog, which a button opens.
    pub async fn choose_path(&self, button: &str, path: &Path) {
        let dialog = self.dialog_of(button).await;
        dialog.type_path(path);
        dialog.close_by(self, "Return").await;
    }

    /// Calls a command as a page that was taken over would, past all of ours: `{ ok, value }`.
    pub async fn invoke(&self, command: &str, arguments: &Value) -> Value {
        let script = "const [command, given, done] = arguments; \
             window.__TAURI_INTERNALS__.invoke(command, given) \
             .then((value) => done({ ok: true, value }), (value) => done({ ok: false, value }));";
        self.client.execute_async(script, vec![json!(command), arguments.clone()]).await.unwrap()
    }

    /// The same without waiting for the answer, which [`Window::later`] gives when it is there.
    pub async fn invoke_later(&self, command: &str, arguments: &Value) {
        let script = "const [command, given] = arguments; window.later = null; \
             window.__TAURI_INTERNALS__.invoke(command, given) \
             .then((value) => (window.later = { ok: true, value }), (value) => (window.later = { ok: false, value }));";
        self.client.execute(script, vec![json!(command), arguments.clone()]).await.unwrap();
    }

    pub async fn later(&self) -> Value {
        self.client.execute("return window.later;", vec![]).await.unwrap()
    }

    /// Clicks on what makes the program ask in a dialog of the system's, and gives that.
    pub async fn dialog_of(&self, button: &str) -> Dialog {
        let before = Dialog::all();
        self.click(button).await;
        self.new_dialog(&before).await
    }

    pub async fn new_dialog(&self, before: &[String]) -> Dialog {
        let mut found = None;
        self.wait_until("the system's dialog", async || {
            found = Dialog::all().into_iter().find(|window| !before.contains(window));
            found.is_some()
        })
        .await;
        let dialog = Dialog(found.unwrap());
        // One that has only just come up takes no answer, as nobody can have read it.
        tokio::time::sleep(Duration::from_secs(1)).await;
        dialog
    }

    pub async fn attribute(&self, id: &str, name: &str) -> String {
        // An element that is drawn anew in between is looked for again.
        for _ in 0..5 {
            if let Ok(Some(value)) = self.element(id).await.attr(name).await {
                return value;
            }
        }
        String::new()
    }

    pub async fn text(&self, id: &str) -> String {
        self.element(id).await.text().await.unwrap_or_default()
    }

    pub async fn wait_until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let begin = Instant::now();
        while !holds().await {
            if begin.elapsed() > Duration::from_secs(120) {
                self.screenshot("failed").await;
                panic!("waited two minutes for {what}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("MBTI_SCREENSHOTS") else { return };
        std::fs::create_dir_all(&folder).unwrap();
        // A window that hangs would hang this too, and hide what the test has to say.
        let picture = tokio::time::timeout(Duration::from_secs(20), self.client.screenshot()).await;
        let Ok(Ok(picture)) = picture else { return };
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
    }

    pub fn engine(&self, args: &[&str]) -> Value {
        let output = Command::new(engine())
            .arg("--home")
            .arg(self.home.path())
            .args(args)
            .arg("--json")
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    pub async fn close(self) {
        self.client.clone().close().await.ok();
    }
}

/// A file with texts that tell their types a little, in quotes and over several lines.
pub fn write_posts(folder: &Path) -> PathBuf {
    let mut text = "author,body,mbti,E-I,N-S,F-T,J-P\n".to_owned();
    for n in 0..600 {
        let (mbti, letters, words) = [
            ("INFP", "I,N,F,P", "quiet evening, a dream, how she felt, whatever comes"),
            ("ESTJ", "E,S,T,J", "great party, two bolts, the cost, a list for tomorrow"),
            ("ENTP", "E,N,T,P", "talked to everyone, what if, the argument, last minute"),
            ("ISFJ", "I,S,F,J", "stayed at home, three cups of flour, her kindness, done early"),
        ][n / 3 % 4];
        text += &format!("author-{},\"Post {n}:\n{words}\",{mbti},{letters}\n", n / 3);
    }
    text += "author-x,,INFP,I,N,F,P\nauthor-y,something,ABCD,I,N,F,P\n";
    let path = folder.join("posts.csv");
    std::fs::write(&path, text).unwrap();
    path
}

pub async fn open_advanced(window: &Window) {
    disclose(window, "advanced").await;
}

/// Opens what is folded away.
pub async fn disclose(window: &Window, id: &str) {
    if window.element(id).await.attr("open").await.unwrap().is_none() {
        let summary = format!("[data-testid={id}] > summary");
        window.client.find(Locator::Css(&summary)).await.unwrap().click().await.unwrap();
    }
}
