//! What the window can ask of the Hugging Face Hub. No token passes through here to the page: one is taken from the
//! clipboard, and what is answered tells only where it is and whose.

use app::{
    Transfer, account, apart,
    downloads::{self, HubData},
    pushing::{self, PushTarget},
};
use record::{
    Account, CatalogueModel, DownloadPlan, FoundRepo, HubSettings, HubState, ImportReport, LoggedIn,
    LoggedOut, Model, PushPlan, Pushed, RepoKind, WorkProgress,
};
use tauri::{State, ipc::Channel};

use crate::{
    Shell, clipboard,
    commands::{Answer, told},
    data_commands::tell,
};

#[tauri::command]
pub async fn hub_state(shell: State<'_, Shell>) -> Answer<HubState> {
    // A keyring may take its time.
    apart(&shell.home, async |home| account::state(&home)).await.map_err(told)
}

#[tauri::command]
pub async fn set_hub_settings(shell: State<'_, Shell>, settings: HubSettings) -> Answer<()> {
    apart(&shell.home, async move |home| account::set_settings(&home, &settings)).await.map_err(told)
}

#[tauri::command]
pub async fn hub_account(shell: State<'_, Shell>) -> Answer<Account> {
    apart(&shell.home, async |home| Ok(account::whoami(&home).await?.1)).await.map_err(told)
}

#[tauri::command]
pub async fn hub_login(shell: State<'_, Shell>) -> Answer<LoggedIn> {
    let login = async |home| {
        let token = clipboard::read();
        let (found, _) = account::login(&home, &token).await?;
        clipboard::clear_of(&token);
        Ok(found)
    };
    apart(&shell.home, login).await.map_err(told)
}

#[tauri::command]
pub async fn hub_logout(shell: State<'_, Shell>) -> Answer<LoggedOut> {
    apart(&shell.home, async |home| account::logout(&home)).await.map_err(told)
}

#[tauri::command]
pub fn catalogue() -> Vec<CatalogueModel> {
    downloads::catalogue()
}

#[tauri::command]
pub async fn search_hub(shell: State<'_, Shell>, kind: RepoKind, words: String) -> Answer<Vec<FoundRepo>> {
    apart(&shell.home, async move |home| downloads::search(&home, kind, &words).await).await.map_err(told)
}

#[tauri::command]
pub async fn plan_model(shell: State<'_, Shell>, repo: String) -> Answer<DownloadPlan> {
    apart(&shell.home, async move |home| downloads::plan_model(&home, &repo, None).await).await.map_err(told)
}

#[tauri::command]
pub async fn plan_data_set(shell: State<'_, Shell>, repo: String, split: String) -> Answer<DownloadPlan> {
    let wanted = HubData { repo, split: Some(split), ..HubData::default() };
    apart(&shell.home, async move |home| downloads::plan_data_set(&home, &wanted).await).await.map_err(told)
}

#[tauri::command]
pub async fn fetch_model(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    repo: String,
    commit: String,
    name: Option<String>,
) -> Answer<Model> {
    let fetch = async move |home, mut watch: app::Watch| {
        let transfer = Transfer::default();
        let add =
            downloads::add_model(&home, &repo, Some(&commit), name.as_deref(), &transfer, |_| (), |_| Ok(()));
        watch.transfer(&transfer, add).await
    };
    shell.works.follow(&shell.home, work, tell(progress), fetch).await.map_err(told)
}

#[tauri::command]
pub async fn fetch_data_set(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    repo: String,
    commit: String,
    split: String,
    name: Option<String>,
) -> Answer<ImportReport> {
    let wanted = HubData { repo, revision: Some(commit), split: Some(split), ..HubData::default() };
    let fetch = async move |home, mut watch: app::Watch| {
        downloads::name_is_free(&home, &wanted, name.as_deref()).await?;
        let transfer = Transfer::default();
        let fetched =
            watch.transfer(&transfer, downloads::fetch_data_set(&home, &wanted, &transfer, |_| ())).await?;
        let options = app::ImportOptions::default();
        downloads::import(&home, &wanted, &fetched, name.as_deref(), &options, |at| watch.tell(at)).await
    };
    shell.works.follow(&shell.home, work, tell(progress), fetch).await.map_err(told)
}

#[tauri::command]
pub async fn plan_push(shell: State<'_, Shell>, run: i64, repo: String) -> Answer<PushPlan> {
    apart(&shell.home, async move |home| pushing::plan_run(&home, run, &repo).await).await.map_err(told)
}

#[tauri::command]
pub async fn push_run(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    run: i64,
    repo: String,
    private: bool,
) -> Answer<Pushed> {
    let target = PushTarget { repo, private };
    let push = async move |home, mut watch: app::Watch| {
        let transfer = Transfer::default();
        watch.transfer(&transfer, pushing::push_run(&home, run, &target, &transfer)).await
    };
    shell.works.follow(&shell.home, work, tell(progress), push).await.map_err(told)
}
