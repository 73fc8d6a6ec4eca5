//! The engine: the binary `mbti`. Results go to standard output, all else to standard error.
#![deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro, clippy::disallowed_methods)]

mod args;
mod config_file;
mod datasets;
mod device;
mod devices;
mod engine_process;
mod error;
mod evaluate;
mod folds;
mod gpu;
mod hub_command;
mod input;
mod leaks;
mod models;
mod predict_command;
mod print;
mod push_command;
mod recorder;
mod report;
mod runs;
mod settings;
mod signals;
mod sweep;
mod train_command;
mod transfer;
mod unwritten;
mod work_bar;

use std::process::ExitCode;

use app::{Home, pushing::PushTarget};
use clap::Parser;
use tokio::runtime::Runtime;

use args::{Cli, Command};
use error::Result;

/// What every command works with. The runtime is for the history; training is on this thread.
pub struct Context {
    pub home: Home,
    pub json: bool,
    pub runtime: Runtime,
}

fn main() -> ExitCode {
    print::panics_too();
    signals::listen();
    app::account::tell_of_waits(transfer::told_to_wait);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            print::parser_says(&error);
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let (json, problem_stderr) = (cli.json, cli.problem_stderr);
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads any more, as after `mbti runs list | head`: no error, but no success.
        Err(error::Error::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        // Ctrl+C at a prompt, which the terminal hands over as a key.
        Err(error::Error::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {
            print::note("Stopped.");
            ExitCode::from(signals::exit_code().unwrap_or(130))
        }
        Err(error) => {
            print::error(&error);
            if problem_stderr {
                print::json_beside(&serde_json::json!({ "problem": error.problem() }));
            }
            if json {
                // Whoever reads lines of JSON gets the problem as the last of them; that nobody reads is no new error.
                print::json(&serde_json::json!({ "problem": error.problem() })).ok();
            }
            signals::exit_code().map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    if let Command::Devices = cli.command {
        return devices::run(cli.json);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = app::locate(cli.home)?;
    let home = runtime.block_on(Home::open(&folder))?;
    if !home.unrecorded.is_none() {
        print::note(&unrecorded(home.unrecorded));
    }
    let context = Context { home, json: cli.json, runtime };
    let done = match cli.command {
        Command::Datasets(command) => datasets::run(&context, command),
        Command::Models(command) => models::run(&context, command),
        Command::Train(args) => train_command::run(&context, &args),
        Command::Runs(command) => runs::run(&context, command),
        Command::Evaluate(args) => evaluate::run(&context, &args),
        Command::Predict(args) => predict_command::run(&context, &args),
        // Answered above, with no home.
        Command::Devices => Ok(()),
        Command::Login => hub_command::login(&context),
        Command::Logout => hub_command::logout(&context),
        Command::Whoami => hub_command::whoami(&context),
        Command::Hub(command) => hub_command::run(&context, command),
        Command::Push { run, repo, plan: true, token_stdin, .. } => {
            push_command::plan(&context, run, &repo, token_stdin)
        }
        Command::Push { run, repo, private, token_stdin, .. } => {
            push_command::run(&context, run, PushTarget { repo, private }, token_stdin)
        }
    };
    let Context { home, runtime, .. } = context;
    for passed_over in home.store.passed_over() {
        print::note(&passed_over);
    }
    runtime.block_on(home.store.close());
    done
}

/// What to do where the history was lost, and nothing else.
fn unrecorded(found: app::Unrecorded) -> String {
    let app::Unrecorded { data_sets, models, runs } = found;
    format!(
        "The history was not there and is a new one. Beside it lie folders that it does not know, and that stay as they \
         are: of data sets {data_sets}, of models {models}, of runs {runs}. If you have the old history, close the \
         program, move history.sqlite and the files whose names begin so away, and put the old ones there. Else import \
         a data set's examples.parquet, or add a model's folder, under another name."
    )
}
