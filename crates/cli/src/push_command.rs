//! Pushing a run's model. What LoRA has learned is merged first, so that what is pushed loads with Transformers as it is.

use std::path::Path;

use app::{
    Token, account,
    pushing::{self, PushTarget, Pushable},
};
use record::{Pushed, TokenSource};

use crate::{Context, error::Result, hub_command, print, transfer};

pub fn run(context: &Context, run: i64, target: PushTarget, token_stdin: bool) -> Result<()> {
    let given = hub_command::handed_over(token_stdin)?;
    let pushed = push(context, run, &target, given)?;
    if context.json {
        return print::json(&pushed);
    }
    print::line(&format!("Run {run} is on the Hub: {}", pushed.page))
}

/// Asks whether one may push there, which is asked before anything is trained.
pub fn check(context: &Context, repo: &str, given: Option<(Token, TokenSource)>) -> Result<()> {
    let network = account::network_with(&context.home, given)?;
    context.runtime.block_on(pushing::check_rights(&network, repo))?;
    Ok(())
}

pub fn push(
    context: &Context,
    run: i64,
    target: &PushTarget,
    given: Option<(Token, TokenSource)>,
) -> Result<Pushed> {
    let Context { home, runtime, .. } = context;
    let network = account::network_with(home, given)?;
    // Before gigabytes are merged.
    let target = runtime.block_on(target.checked(&network))?;
    let Pushable { folder, merge_into } = runtime.block_on(pushing::pushable(home, run))?;
    let folder = match &merge_into {
        Some(merged) => {
            merge(&folder, merged)?;
            merged
        }
        None => &folder,
    };
    let pushed = transfer::follow(context, |moved| {
        let (network, target) = (&network, &target);
        async move { pushing::push(home, network, run, folder, target, &moved).await }
    })?;
    pushing::pushed_is_kept(merge_into.as_deref());
    Ok(pushed)
}

fn merge(folder: &Path, merged: &Path) -> Result<()> {
    if !merged.exists() {
        let network = model::open(folder)?;
        let notes = network.notes();
        model::save_merged(network, merged, notes)?;
    }
    Ok(())
}
