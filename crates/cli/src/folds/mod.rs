//! Cross-validation: a run for each part of the authors, one after another, each in a process of its own, and then one
//! judgement on all their answers.

mod pool;
mod show;

use std::process::Stdio;

use record::{CrossValidation, Event, Finished, FoldFigures, Run, RunStatus, TrainConfig};
use store::{Stop, Told, Wishes};

use crate::{
    Context, device, engine_process,
    error::{Error, Result},
    print,
    signals::Signals,
};

pub use show::{cross_validation, folds};

/// Refuses what would fail in some fold, or for want of a device, before anything is trained.
pub fn check(context: &Context, config: &TrainConfig) -> Result<()> {
    config.check_together()?;
    device::check(context, std::slice::from_ref(config))?;
    let (table, _) = context.runtime.block_on(app::data_sets::open(&context.home, &config.data))?;
    data::check_folds(&table.labels, config)?;
    for fold in 1..=config.folds.unwrap_or(0) {
        let split = data::split_for(&table.labels, None, &config.of_fold(fold))?;
        let train = data::Part { table: &table, rows: &split.train };
        train::class_weights(config.class_weights, &train.types(), &config.axes)?;
    }
    Ok(())
}

/// Takes up a cross-validation that is written down. One that was `checked` in vain has failed.
pub fn begin(context: &Context, run: i64, checked: Result<()>) -> Result<()> {
    let (home, runtime) = (&context.home, &context.runtime);
    let lock = app::runs::lock(home, run)?.ok_or(Error::NotOurs { run })?;
    if !runtime.block_on(home.store.begin_run(run))? {
        return Err(Error::NotOurs { run });
    }
    let whole = runtime.block_on(home.store.run(run))?;
    if !context.json && checked.is_ok() {
        let TrainConfig { model, data, folds, .. } = &whole.config;
        print::note(&format!(
            "Run {run}: a cross-validation of {model} on {data} in {} folds. Ctrl+C stops it and keeps what was learned.",
            folds.unwrap_or(0)
        ));
    }
    let done = checked.and_then(|()| work(context, &whole, None));
    close(context, run, &done);
    drop(lock);
    done
}

/// Goes on with a cross-validation that ended early: with the fold that was interrupted, on another device where one is
/// given, and with those that were not begun. Whoever calls it holds the run.
pub fn resume(context: &Context, whole: &Run, device: Option<&str>) -> Result<()> {
    let run = whole.id;
    if !context.runtime.block_on(context.home.store.resume_run(run, 0))? {
        return Err(Error::NotOurs { run });
    }
    if !context.json {
        print::note(&format!("The cross-validation {run} goes on."));
    }
    let done = work(context, whole, device);
    close(context, run, &done);
    done
}

/// Writes down how a cross-validation failed. One that a fold ended is as that fold is.
fn close(context: &Context, run: i64, done: &Result<()>) {
    let store = &context.home.store;
    match done {
        Ok(()) => {}
        Err(Error::FoldEnded { status: RunStatus::Interrupted, .. }) => {
            context.runtime.block_on(store.interrupt_run(run)).ok();
        }
        // Where the history takes no writing it is found to be interrupted at the next look.
        Err(error) => {
            context.runtime.block_on(store.write_down(run, &[Told::Failed(error.problem())])).ok();
        }
    }
}

fn work(context: &Context, whole: &Run, device: Option<&str>) -> Result<()> {
    let mut whole = whole.clone();
    if let Some(device) = device {
        whole.config.set("device", device)?;
    }
    let (home, runtime) = (&context.home, &context.runtime);
    let signals = Signals::for_run();
    let mut stopped = false;
    for fold in 1..=whole.config.folds.unwrap_or(0) {
        if !one(context, &whole, fold, device, &signals)? {
            stopped = true;
            break;
        }
    }
    let folds = runtime.block_on(home.store.folds(whole.id))?;
    let found = if stopped { None } else { Some(pool::pool(context, &whole, &folds)?) };
    let finished = finished(&whole, &folds, found.as_ref());
    let found_and_end = found.iter().map(|found| Told::CrossValidation(Box::new(found.clone())));
    let told: Vec<Told> = found_and_end.chain([Told::Finished(finished.clone())]).collect();
    runtime.block_on(home.store.write_down(whole.id, &told))?;
    match found {
        Some(found) if context.json => {
            print::json(&Event::CrossValidation(Box::new(found)))?;
            print::json(&Event::Finished(finished))
        }
        None if context.json => print::json(&Event::Finished(finished)),
        Some(found) => show::cross_validation(&found, &whole.config),
        None => print::line(&format!(
            "The cross-validation is stopped. `mbti train --resume {}` goes on with it.",
            whole.id
        )),
    }
}

/// Trains one fold, or what is left of it; `false` where it was stopped.
fn one(context: &Context, whole: &Run, fold: u32, device: Option<&str>, signals: &Signals) -> Result<bool> {
    let (home, runtime) = (&context.home, &context.runtime);
    let folds = runtime.block_on(home.store.folds(whole.id))?;
    let known = folds.into_iter().rev().find(|known| known.config.fold == Some(fold));
    if known.as_ref().is_some_and(|known| known.status == RunStatus::Finished) {
        return Ok(true);
    }
    if wished(context, whole.id, signals).stop.is_some() {
        return Ok(false);
    }
    let mut command = engine_process::train(context)?;
    let (run, _queued) = match known {
        Some(known) if known.status.is_active() => return Err(Error::NotOurs { run: known.id }),
        Some(known) if app::runs::is_resumable(home, &known) => {
            command.arg("--resume").arg(known.id.to_string());
            if let Some(device) = device {
                command.arg("--device").arg(device);
            }
            (known.id, None)
        }
        lost => {
            // It ended before anything of it was saved.
            if let Some(lost) = lost {
                runtime.block_on(app::runs::remove(home, lost.id))?;
            }
            let run = runtime.block_on(app::cross_validations::add_fold(home, whole, fold))?;
            command.arg("--run").arg(run.to_string());
            // Held until its engine has it, so that nobody takes it for left alone.
            (run, app::runs::queue_lock(home, run)?)
        }
    };
    if !context.json {
        print::note(&format!("Fold {fold} of {}, run {run}:", whole.config.folds.unwrap_or(0)));
        // What it says at its end is said by the judgement on all folds.
        command.stdout(Stdio::null());
    }
    let mut was_paused = false;
    let listen = || {
        let wishes = wished(context, whole.id, signals);
        if wishes.pause || was_paused {
            was_paused = tell_of_a_pause(context, whole.id, run);
        }
        wishes
    };
    let engine = command.spawn()?;
    engine_process::wait(context, run, engine, listen)?;
    // One whose engine is gone without a word is marked by this.
    runtime.block_on(app::runs::reconcile(home))?;
    let found = runtime.block_on(home.store.run(run))?;
    match (found.status, found.failure) {
        (RunStatus::Finished, _) => Ok(true),
        (RunStatus::Stopped, _) => Ok(false),
        (status, Some(failure)) => {
            if !context.json {
                print::note(&format!("Fold {fold}, run {run}: {}.", status.name()));
            }
            Err(Error::Problem(failure))
        }
        (status, None) => Err(Error::FoldEnded { run: whole.id, fold, fold_run: run, status }),
    }
}

/// What the signals and the history ask of a cross-validation. What cannot be read now is no wish.
fn wished(context: &Context, run: i64, signals: &Signals) -> Wishes {
    let told = context.runtime.block_on(context.home.store.wishes(run)).unwrap_or_default();
    let stop: Option<Stop> = told.stop.max(engine_process::stop_by(signals));
    Wishes { stop, ..told }
}

/// A cross-validation waits while its fold does; whether it does.
fn tell_of_a_pause(context: &Context, run: i64, fold: i64) -> bool {
    let store = &context.home.store;
    let paused = context.runtime.block_on(store.run(fold)).is_ok_and(|fold| fold.paused);
    context.runtime.block_on(store.set_paused(run, paused)).ok();
    paused
}

/// The end of a cross-validation, by its folds; one that has found nothing was stopped.
fn finished(whole: &Run, folds: &[Run], found: Option<&CrossValidation>) -> Finished {
    let seconds: f64 = folds.iter().filter_map(|fold| fold.train_seconds).sum();
    let tokens = folds.iter().filter_map(|fold| Some(fold.train_seconds? * fold.tokens_per_second?));
    let most = |of: fn(&Run) -> Option<f64>| folds.iter().filter_map(of).reduce(f64::max);
    Finished {
        run: whole.id,
        steps: folds.iter().filter_map(|fold| fold.last_step).map(|last| last.step).sum(),
        stopped: found.is_none(),
        train_seconds: seconds,
        tokens_per_second: tokens.sum::<f64>() / seconds.max(1e-9),
        samples_per_second: folds
            .iter()
            .filter_map(|fold| Some(fold.train_seconds? * fold.last_step?.samples_per_second))
            .sum::<f64>()
            / seconds.max(1e-9),
        peak_rss_mib: most(|fold| fold.peak_rss_mib),
        optimizer_mib: most(|fold| fold.optimizer_mib).unwrap_or(0.0),
        best_step: None,
        stopped_early: false,
        axes: found.map(|found| FoldFigures::from(&found.pooled.model.by_text).axes).unwrap_or_default(),
    }
}
