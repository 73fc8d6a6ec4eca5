//! The way to the Hub in a terminal: logging in and out, settings, searching. No token is ever printed.

use std::io::{IsTerminal, Read};

use app::{Token, account};
use record::{Account, HubAccess, HubSettings, RepoKind, TokenRole, TokenSource};

use crate::{Context, args::HubCommand, error::Result, input, print};

/// The first line of standard input, without showing it where that is a terminal.
fn read_token() -> Result<zeroize::Zeroizing<String>> {
    let input = std::io::stdin();
    if input.is_terminal() {
        return Ok(zeroize::Zeroizing::new(rpassword::prompt_password("Token (it is not shown): ")?));
    }
    // As long as a line can be, since what is moved would leave a copy behind.
    let mut line = zeroize::Zeroizing::new(Vec::with_capacity(2 * input::LONGEST_TOKEN_LINE));
    let mut start = input.lock().take(input::LONGEST_TOKEN_LINE as u64 + 1);
    input::read_line(&mut start, input::LONGEST_TOKEN_LINE, &mut line)?;
    // What is no text, or too long for a token, is refused as none.
    Ok(zeroize::Zeroizing::new(String::from_utf8_lossy(&line).into_owned()))
}

/// A token that whoever started this engine hands over, with what it is bound to or without.
pub fn handed_over(token_stdin: bool) -> Result<Option<(Token, TokenSource)>> {
    if !token_stdin {
        return Ok(None);
    }
    let token = Token::from_line(&read_token()?).map_err(app::Error::from)?;
    // Where it was found, the program knows that handed it over.
    Ok(Some((token, TokenSource::Keyring)))
}

pub fn login(context: &Context) -> Result<()> {
    let Context { home, json, runtime } = context;
    if std::io::stdin().is_terminal() {
        print::note("Make a token at https://huggingface.co/settings/tokens; to push, one that may write.");
    }
    let token = read_token()?;
    let (found, kept) = runtime.block_on(account::login(home, &token))?;
    match kept {
        app::Kept::Keyring => print::note("The token is kept in the system's keyring."),
        app::Kept::File { path, reason } => print::note(&format!(
            "No keyring takes the token ({reason}), so that it is kept in {}, which only you may read.",
            path.display()
        )),
    }
    // What the environment says goes first, which would surprise whoever has just logged in.
    if let Some(source @ (TokenSource::Environment { .. } | TokenSource::EnvFile { .. })) = &found.used {
        print::note(&format!("But the token from {} goes before it.", app::told(source)));
    }
    if *json { print::json(&found) } else { print_account(&found.account) }
}

pub fn logout(context: &Context) -> Result<()> {
    let record::LoggedOut { was, left } = account::logout(&context.home)?;
    print::note(if was { "The token is forgotten here." } else { "No token was kept here." });
    if let Some(source) = left {
        print::note(&format!("One is still found: from {}.", app::told(&source)));
    }
    print::note("It is valid until it is revoked at https://huggingface.co/settings/tokens.");
    Ok(())
}

pub fn whoami(context: &Context) -> Result<()> {
    let Context { home, json, runtime } = context;
    let (access, found) = runtime.block_on(account::whoami(home))?;
    if *json {
        return print::json(&serde_json::json!({ "access": access, "account": found }));
    }
    print_access(&access)?;
    print_account(&found)
}

fn print_account(account: &Account) -> Result<()> {
    print::line(&format!("account: {}", account.name))?;
    let role = match account.role {
        Some(TokenRole::Read) => "may read",
        Some(TokenRole::Write) => "may read and write",
        Some(TokenRole::FineGrained) => "may do what it was given",
        None => "of unknown rights",
    };
    print::line(&format!("token: {}, {role}", account.token_name.as_deref().unwrap_or("without a name")))?;
    let places =
        if account.writes_to.is_empty() { "nowhere".to_owned() } else { account.writes_to.join(", ") };
    print::line(&format!("may push to: {places}"))
}

fn print_access(access: &HubAccess) -> Result<()> {
    let offline = if access.offline { " (HF_HUB_OFFLINE is set: nothing is fetched)" } else { "" };
    print::line(&format!("address: {}{offline}", access.endpoint))?;
    let token = access.token.as_ref().map_or_else(|| "none".to_owned(), app::told);
    print::line(&format!("token from: {token}"))
}

pub fn run(context: &Context, command: HubCommand) -> Result<()> {
    let Context { home, json, .. } = context;
    if let HubCommand::Set { endpoint, env_file, proxy, ca_file } = command {
        let old = account::settings(home)?;
        // A path means the same from whatever folder the program is started.
        let absolute = |path: String| match path.trim() {
            "" => path,
            given => {
                std::path::absolute(given).map_or_else(|_| path.clone(), |path| path.display().to_string())
            }
        };
        account::set_settings(
            home,
            &HubSettings {
                endpoint: endpoint.or(old.endpoint),
                env_file: env_file.map(absolute).or(old.env_file),
                proxy: proxy.or(old.proxy),
                ca_file: ca_file.map(absolute).or(old.ca_file),
            },
        )?;
    }
    let access = account::access(home)?;
    // What is shown has no password in it.
    let record::HubState { settings, kept_for, .. } = account::state(home)?;
    if *json {
        let shown = serde_json::json!({ "settings": settings, "access": access, "kept_for": kept_for });
        return print::json(&shown);
    }
    print_access(&access)?;
    if let Some(kept_for) = kept_for {
        print::line(&format!("a token is kept for {kept_for}, and goes nowhere else"))?;
    }
    let HubSettings { env_file, proxy, ca_file, .. } = settings;
    for (name, value) in [("env_file", env_file), ("proxy", proxy), ("ca_file", ca_file)] {
        if let Some(value) = value {
            print::line(&format!("{name}: {value}"))?;
        }
    }
    Ok(())
}

pub fn search(context: &Context, kind: RepoKind, words: &str) -> Result<()> {
    let found = context.runtime.block_on(app::downloads::search(&context.home, kind, words))?;
    if context.json {
        return print::json(&found);
    }
    let count = |count: Option<i64>| print::or_dash(count.map(|count| count.to_string()));
    let rows: Vec<Vec<String>> = found
        .into_iter()
        .map(|repo| {
            let gated = if repo.gated { "ask on its page first" } else { "" };
            vec![
                repo.repo,
                repo.family.unwrap_or_default(),
                count(repo.downloads),
                count(repo.likes),
                gated.into(),
            ]
        })
        .collect();
    print::table(&["repository", "family", "downloads", "likes", ""], &rows)
}
