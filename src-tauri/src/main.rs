//! The desktop program.
// Without this, Windows opens a console beside the window.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use std::{io::Write, process::ExitCode};

fn main() -> ExitCode {
    take_tokens_out_of_the_environment();
    match mbti_tuner::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(std::io::stderr(), "error: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

/// The processes of the web view inherit the environment, and what renders a page must not have a token.
#[expect(unsafe_code, reason = "the environment can be changed in no other way")]
fn take_tokens_out_of_the_environment() {
    app::hold_tokens();
    for name in app::SECRETS {
        // SAFETY: this is the first thing that the program does, so no other thread reads the environment.
        unsafe { std::env::remove_var(name) };
    }
}
