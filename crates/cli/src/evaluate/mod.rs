//! `mbti evaluate`: finished runs on any data set.

mod args;
mod compare;
mod judge;
mod overlap;
mod show;
mod watch;

pub use args::EvaluateArgs;

use crate::{Context, error::Result, print};

pub fn run(context: &Context, args: &EvaluateArgs) -> Result<()> {
    match (args.run, &args.data, &args.compare[..]) {
        (Some(run), Some(data), _) => {
            let found = judge::judge(context, run, data, args.progress_stderr)?;
            if context.json { print::json(&found) } else { show::evaluation(&found) }
        }
        (None, Some(data), &[first, second]) => {
            let found = compare::compare(context, [first, second], data, args.seed)?;
            if context.json { print::json(&found) } else { show::comparison(&found) }
        }
        (run, ..) => {
            let all = context.runtime.block_on(app::evaluations::list(&context.home, run))?;
            match run {
                _ if context.json => print::json(&all),
                Some(run) => show::list(run, &all),
                None => show::table(&all),
            }
        }
    }
}
