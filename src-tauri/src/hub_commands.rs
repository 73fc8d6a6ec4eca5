//! What the window can ask of the Hugging Face Hub. No token passes through here to the page: one is taken from the
//! clipboard, and what is answered tells only where it is and whose.

use app::{
    Transfer, account, apart,
    downloads::{self, HubData},
    pushing::{self, PushTarget},
};
use record::{
    Account, CatalogueModel, DownloadPlan, FileChoice, FoundRepo, HubChange, HubSettings, HubState,
    ImportReport, LoggedIn, LoggedOut, Model, Problem, ProblemCode, PushPlan, Pushed, RepoKind, WorkProgress,
};
use tauri::{AppHandle, State, ipc::Channel};

use crate::{
    Shell,
    answer::{Answer, told},
    chosen::Purpose,
    clipboard,
    consent::{self, Language},
    data_commands::tell,
};

#[tauri::command]
pub async fn hub_state(shell: State<'_, Shell>) -> Answer<HubState> {
    // A keyring may take its time.
    apart(&shell.home, async |home| account::state(&home)).await.map_err(told)
}

/// Changes the way to the Hub, once the user has agreed to it in a dialog of the system's: the token and all that is
/// fetched go that way then.
#[tauri::command]
pub async fn set_hub_settings(
    window: AppHandle,
    shell: State<'_, Shell>,
    change: HubChange,
    language: Language,
) -> Answer<()> {
    let old = account::settings(&shell.home).map_err(told)?;
    let file = |choice: FileChoice, old: Option<String>| match choice {
        FileChoice::Keep => Ok(old),
        FileChoice::Clear => Ok(None),
        FileChoice::Chosen { handle } => {
            shell.chosen.path(handle, Purpose::Setting).map(|path| Some(path.display().to_string()))
        }
    };
    let HubChange { endpoint, proxy, env_file, ca_file } = change;
    let env_file = file(env_file, old.env_file)?;
    let ca_file = file(ca_file, old.ca_file)?;
    let wanted = HubSettings { endpoint, proxy, env_file, ca_file };
    let change = async move |home| account::change(&home, &wanted);
    let change = apart(&shell.home, change).await.map_err(told)?;
    let Some(question) = consent::other_way(language, &change) else { return Ok(()) };
    consent::ask(&window, &shell.questions, question).await?;
    // What was agreed to is what is kept, whatever has been set meanwhile.
    apart(&shell.home, async move |home| account::set_settings(&home, &change.new)).await.map_err(told)
}

/// Asks whether a model is to be uploaded with the user's token, now (with its run's number) or when a run has ended, and
/// gives the address that was agreed to.
pub(crate) async fn agree_to_push(
    window: &AppHandle,
    shell: &Shell,
    language: Language,
    repo: &str,
    private: bool,
    run: Option<i64>,
) -> Answer<String> {
    // The very name is asked for, and nothing that some other part would read as one, such as an address.
    if !record::is_repo_name(repo) {
        let repo = record::one_line(repo);
        let message = format!("\"{repo}\" is no name of a repository, which is such as user/name.");
        return Err(Problem::new(ProblemCode::BadRepo, message).with("repo", repo));
    }
    let access = async |home: app::Home| {
        // Without a token there is nothing to agree to.
        account::token(&home)?;
        account::access(&home)
    };
    let access = apart(&shell.home, access).await.map_err(told)?;
    let question = consent::push(language, &access.endpoint, repo, private, run);
    consent::ask(window, &shell.questions, question).await?;
    Ok(access.endpoint)
}

#[tauri::command]
pub async fn hub_account(shell: State<'_, Shell>) -> Answer<Account> {
    apart(&shell.home, async |home| Ok(account::whoami(&home).await?.1)).await.map_err(told)
}

#[tauri::command]
pub async fn hub_login(shell: State<'_, Shell>) -> Answer<LoggedIn> {
    let login = async |home| {
        let token = clipboard::read();
        // A word that is no token may be a password, and the page alone says when this happens. Tokens of another kind
        // are taken by `mbti login`.
        if !token.trim().starts_with("hf_") {
            return Err(account::no_token_of_the_hub());
        }
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
#[allow(clippy::too_many_arguments)]
pub async fn push_run(
    window: AppHandle,
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    run: i64,
    repo: String,
    private: bool,
    language: Language,
) -> Answer<Pushed> {
    // What cannot be pushed is not asked about.
    let of = repo.clone();
    apart(&shell.home, async move |home| pushing::plan_run(&home, run, &of).await).await.map_err(told)?;
    let agreed = agree_to_push(&window, &shell, language, &repo, private, Some(run)).await?;
    let target = PushTarget { repo, private };
    let push = async move |home: app::Home, mut watch: app::Watch| {
        let transfer = Transfer::default();
        // It goes where was agreed to, whatever has been set meanwhile.
        account::is_still(&home, &agreed)?;
        watch.transfer(&transfer, pushing::push_run(&home, run, &target, &transfer)).await
    };
    shell.works.follow(&shell.home, work, tell(progress), push).await.map_err(told)
}
