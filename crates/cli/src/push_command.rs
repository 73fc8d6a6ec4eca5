//! Pushing a run's model. What LoRA has learned is merged first, so that what is pushed loads with Transformers as it is.

use std::path::Path;

use app::{
    Token, account,
    pushing::{self, PushTarget, Pushable},
};
use indicatif::HumanBytes;
use record::{PushPlan, Pushed, TokenSource};

use crate::{Context, error::Result, hub_command, print, signals::Signals, transfer};

pub fn run(context: &Context, run: i64, target: PushTarget, token_stdin: bool) -> Result<()> {
    let given = hub_command::handed_over(token_stdin)?;
    let pushed = push(context, run, &target, given)?;
    if context.json {
        return print::json(&pushed);
    }
    print::line(&format!("Run {run} is on the Hub: {}", pushed.page))
}

/// Says what a push would send.
pub fn plan(context: &Context, run: i64, repo: &str, token_stdin: bool) -> Result<()> {
    let given = hub_command::handed_over(token_stdin)?;
    let network = account::network_with(&context.home, given)?;
    let plan = context.runtime.block_on(pushing::plan(&context.home, &network, run, repo))?;
    if context.json {
        return print::json(&plan);
    }
    let rows: Vec<Vec<String>> = rows(&plan).collect();
    print::table(&["file", "size"], &rows)?;
    print::line(&format!("All of these would be sent to {}.", plan.repo))
}

/// Says what is about to be sent, before the first byte goes.
fn announce(plan: &PushPlan) {
    print::note(&format!("Sending to {}:", plan.repo));
    rows(plan).for_each(|row| print::note(&format!("  {}", row.join("  "))));
}

fn rows(plan: &PushPlan) -> impl Iterator<Item = Vec<String>> {
    plan.files.iter().map(|file| {
        let size = file.bytes.map(|bytes| HumanBytes(bytes.unsigned_abs()).to_string());
        vec![file.path.clone(), size.unwrap_or_else(|| "known once it is merged".to_owned())]
    })
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
        async move { pushing::push(home, network, run, folder, target, &moved, announce).await }
    })?;
    pushing::pushed_is_kept(merge_into.as_deref());
    Ok(pushed)
}

fn merge(folder: &Path, merged: &Path) -> Result<()> {
    if !merged.exists() {
        let network = model::open_to_merge(folder)?;
        let notes = network.notes();
        let signals = Signals::listen();
        model::save_merged(network, merged, notes, &|| signals.count() == 0)?;
    }
    Ok(())
}
