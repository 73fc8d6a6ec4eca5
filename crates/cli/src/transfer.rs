//! Downloads and uploads in a terminal: what they will cost, how far they are, and Ctrl+C.

use std::{sync::Arc, time::Duration};

use app::Transfer;
use indicatif::{HumanBytes, ProgressBar};
use record::DownloadPlan;

use crate::{Context, error::Result, print, signals::Signals};

const LOOK: Duration = Duration::from_millis(200);

/// Does work that moves bytes, shows how far it is, and stops it at the first signal.
pub fn follow<T, E, W>(context: &Context, work: impl FnOnce(Arc<Transfer>) -> W) -> Result<T>
where
    W: Future<Output = std::result::Result<T, E>>,
    crate::error::Error: From<E>,
{
    let transfer = Arc::new(Transfer::default());
    let signals = Signals::listen();
    let shown = "{bar:24} {bytes} of {total_bytes}, {msg}";
    let bar = if context.json { print::hidden_bar() } else { print::bar(shown) };
    let done = context.runtime.block_on(async {
        let work = work(transfer.clone());
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(LOOK) => show(&bar, &transfer),
            }
            if signals.count() > 0 {
                transfer.stop();
            }
        }
    });
    bar.finish_and_clear();
    let moved = transfer.progress();
    if moved.bytes_again > 0 {
        let again = HumanBytes(moved.bytes_again.unsigned_abs());
        print::note(&format!("{again} had to travel twice, as the connection was cut or a file came wrong."));
    }
    Ok(done?)
}

fn show(bar: &ProgressBar, transfer: &Transfer) {
    let moved = transfer.progress();
    bar.set_length(moved.bytes_total.unsigned_abs());
    bar.set_position(moved.bytes_done.max(0).unsigned_abs());
    let said = match (moved.waiting_seconds, moved.seconds_left) {
        (Some(seconds), _) if seconds >= 2.0 => format!("waiting {seconds:.0} s, as the Hub asks"),
        (_, Some(seconds)) => {
            format!("{} left", indicatif::HumanDuration(Duration::from_secs_f64(seconds.min(1e9))))
        }
        _ => String::new(),
    };
    print::message(bar, &said);
}

/// Says that nothing moves because the Hub wants it so.
pub fn told_to_wait(time: Duration) {
    print::note(&format!("The Hub wants to be asked less often. Waiting {} s.", time.as_secs()));
}

/// Says what is about to be fetched, before it is.
pub fn announce(plan: &DownloadPlan) {
    let bytes = |count: i64| HumanBytes(count.unsigned_abs()).to_string();
    let (files, licence) = (plan.files.len(), plan.licence.as_deref().unwrap_or("none is named"));
    let (all, here) = (bytes(plan.bytes), bytes(plan.bytes_here));
    print::note(&format!(
        "Fetching {files} files of {}: {all}, of which {here} are here. Licence: {licence}.",
        plan.repo
    ));
}

/// What a download would bring and cost.
pub fn print_plan(plan: &DownloadPlan) -> Result<()> {
    let bytes = |count: i64| HumanBytes(count.unsigned_abs()).to_string();
    let rows: Vec<Vec<String>> =
        plan.files.iter().map(|file| vec![file.path.clone(), bytes(file.bytes)]).collect();
    print::table(&["file", "size"], &rows)?;
    let licence = plan.licence.as_deref().unwrap_or("none is named");
    let gated = if plan.gated { "; its owner wants to be asked on its page first" } else { "" };
    print::line(&format!(
        "{} at {}: {}, of which {} are here. Licence: {licence}{gated}.",
        plan.repo,
        plan.commit.get(..12).unwrap_or(&plan.commit),
        bytes(plan.bytes),
        bytes(plan.bytes_here)
    ))
}
