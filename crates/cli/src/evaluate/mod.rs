//! `mbti evaluate`: finished runs on any data set.

mod args;
mod compare;
mod judge;
mod overlap;
mod show;
mod watch;

pub use args::EvaluateArgs;
pub use judge::beside_words;
pub use show::{judged as show_judged, texts};

use crate::{
    Context,
    error::{Error, Result},
    print,
};

pub fn run(context: &Context, args: &EvaluateArgs) -> Result<()> {
    match (args.run, &args.data, &args.compare[..]) {
        (Some(run), Some(data), _) => {
            let found = judge::judge(context, run, data, args.progress_stderr)?;
            if context.json { print::json(&found) } else { show::evaluation(&found) }
        }
        (None, Some(data), &[first, second]) => {
            let (found, knew_all) = compare::compare(context, [first, second], data, args.seed)?;
            match found.found.texts {
                _ if context.json => print::json(&found),
                0 => Err(Error::NothingToCompare { why: show::nothing_left(&found, knew_all) }),
                _ => show::comparison(&found),
            }
        }
        (run, ..) => {
            let all = context.runtime.block_on(app::evaluations::list(&context.home, run))?;
            match run {
                _ if context.json => print::json(&all),
                Some(run) => show::list(run, &all),
                None => {
                    let data_sets = context.runtime.block_on(app::data_sets::list(&context.home))?;
                    show::table(&all, &data_sets)
                }
            }
        }
    }
}

/// The logits of some texts, of those of all: `[texts, axes]`.
fn logits_of_rows(logits: &[f64], axes: usize, rows: impl Iterator<Item = usize>) -> Vec<f64> {
    rows.flat_map(|row| logits.iter().skip(row * axes).take(axes).copied()).collect()
}
