//! The small Hub as a program, for scripts: it says where it is in one line of JSON and runs until it is ended.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use small_hub::{Options, Role, Scope, SmallHub, Token};

/// A small, honest stand-in for the Hugging Face Hub, for tests.
///
/// It prints one line of JSON: {"url": ..., "storage": ...}. Set HF_ENDPOINT to the url. POST /_faults sets what shall
/// go wrong, GET /_log says what was asked.
#[derive(Parser)]
#[command(name = "small-hub")]
struct Arguments {
    /// Keep repositories in this folder, and begin with those that are in it
    #[arg(long)]
    folder: Option<PathBuf>,
    /// A token as NAME:TOKEN:ROLE. ROLE is read, write, or fineGrained=PERMISSION,PERMISSION on NAME's repositories
    #[arg(long = "token", value_name = "NAME:TOKEN:ROLE", value_parser = token)]
    tokens: Vec<Token>,
    /// Give out large files from a second listener that is called by this name, such as localhost
    #[arg(long, value_name = "NAME")]
    storage_host: Option<String>,
    /// Listen on this port and not on any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Take large files of more bytes in parts of so many
    #[arg(long, value_name = "BYTES")]
    part_size: Option<u64>,
    /// Let signed addresses expire after so many seconds
    #[arg(long, value_name = "SECONDS")]
    signed_for: Option<u64>,
    /// Answer with a redirect for small files too, as the Hub does lately
    #[arg(long)]
    resolve_cache: bool,
}

fn token(text: &str) -> Result<Token, String> {
    let mut parts = text.splitn(3, ':');
    let (Some(name), Some(token), Some(role)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("a token is written as NAME:TOKEN:ROLE".to_owned());
    };
    let role = match role.split_once('=').unwrap_or((role, "")) {
        ("read", "") => Role::Read,
        ("write", "") => Role::Write,
        ("fineGrained", permissions) => Role::FineGrained(vec![Scope {
            on: "user".to_owned(),
            name: name.to_owned(),
            permissions: permissions.split(',').map(str::to_owned).collect(),
        }]),
        _ => {
            return Err(format!("{role} is no role: it is read, write or fineGrained=PERMISSION,PERMISSION"));
        }
    };
    Ok(Token::new(name, token, role))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let defaults = Options::default();
    let options = Options {
        folder: arguments.folder,
        tokens: arguments.tokens,
        storage_host: arguments.storage_host,
        port: arguments.port,
        part_size: arguments.part_size.unwrap_or(defaults.part_size).max(1),
        signed_for: arguments.signed_for.map_or(defaults.signed_for, Duration::from_secs),
        resolve_cache: arguments.resolve_cache,
        ..defaults
    };
    let hub = match SmallHub::start(options) {
        Ok(hub) => hub,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    // Its folder goes with it, so that a signal has to end it by way of this function.
    let (send, ended) = mpsc::channel();
    if let Err(error) = ctrlc::set_handler(move || {
        let _ = send.send(());
    }) {
        eprintln!("Signals cannot be waited for: {error}");
        return ExitCode::FAILURE;
    }
    println!("{}", serde_json::json!({"url": hub.url(), "storage": hub.storage_url()}));
    let _ = ended.recv();
    drop(hub);
    ExitCode::SUCCESS
}
