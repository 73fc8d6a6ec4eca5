use std::path::PathBuf;

use record::{Run, RunEvaluation, RunProgress, SplitBy, SplitMethod, UsedDevice, memory};

use crate::{
    Context,
    args::Runs,
    config_file,
    error::{Error, Result},
    folds, print, report,
    signals::Signals,
};

pub fn run(context: &Context, command: Runs) -> Result<()> {
    let Context { home, json, runtime } = context;
    match command {
        Runs::List => {
            let all = runtime.block_on(app::runs::list(home))?;
            if *json { print::json(&all) } else { print_list(&all) }
        }
        Runs::Show { id, config: true } => {
            let config = runtime.block_on(home.store.run(id))?.config;
            print::lines(config_file::write(&config)?.trim_end())
        }
        Runs::Compare { ids } => {
            let found = runtime.block_on(app::runs::compare(home, &ids))?;
            if *json { print::json(&found) } else { report::compare(&found) }
        }
        Runs::Show { id, config: false } => {
            let progress = runtime.block_on(app::runs::show(home, id, 0))?;
            if *json {
                return print::json(&progress);
            }
            print_run(&progress)?;
            let evaluated = runtime.block_on(app::evaluations::list(home, Some(id)))?;
            print_evaluated(id, &evaluated)
        }
        Runs::Stop { id, now } => {
            let stop = if now { app::runs::Stop::Now } else { app::runs::Stop::Save };
            runtime.block_on(app::runs::stop(home, id, stop))?;
            print::note(&if now {
                format!("Run {id} ends now. What was saved before is kept.")
            } else {
                format!("Run {id} ends after the step it is in. What it has learned is kept.")
            });
            Ok(())
        }
        Runs::Pause { id } => {
            runtime.block_on(app::runs::pause(home, id))?;
            print::note(&format!("Run {id} saves and waits. `mbti runs continue {id}` lets it go on."));
            Ok(())
        }
        Runs::Continue { id } => {
            runtime.block_on(app::runs::unpause(home, id))?;
            print::note(&format!("Run {id} goes on."));
            Ok(())
        }
        Runs::Merge { id, out } => merge(context, id, out),
        Runs::Remove { id } => {
            runtime.block_on(app::runs::remove(home, id))?;
            print::note(&format!("Removed run {id}."));
            Ok(())
        }
    }
}

/// Merges what a run learned by LoRA into its base model: in the run's own folder, or in a new one.
fn merge(context: &Context, id: i64, out: Option<PathBuf>) -> Result<()> {
    let (_, folder) = context.runtime.block_on(app::runs::model_folder(&context.home, Some(id)))?;
    // Nobody may be writing to the folder that is replaced.
    let lock = app::runs::lock(&context.home, id)?.ok_or(Error::NotOurs { run: id })?;
    if let Some(out) = out.as_ref().filter(|out| out.exists()) {
        return Err(Error::FolderExists { path: out.clone() });
    }
    // What is merged to be pushed is the program's own, and lies in the run's folder until it is.
    let to_push = context.home.run_folder(id).join("merged-to-push");
    if let Some(out) = out.as_ref().filter(|out| **out != to_push) {
        app::check_outside(&context.home, out)?;
    }
    // A checkpoint stays as it is, since the run may go on from it.
    let own = context.home.run_folder(id).join("model");
    let target = out.clone().unwrap_or_else(|| own.clone());
    let signals = Signals::listen();
    let goes_on = || signals.count() == 0;
    let network = model::open_to_merge(&folder)?;
    let notes = network.notes();
    match &out {
        Some(out) => model::save_merged_anew(network, out, notes, &goes_on)?,
        None => model::save_merged(network, &target, notes, &goes_on)?,
    }
    drop(signals);
    if out.is_none() && own != folder {
        context.runtime.block_on(context.home.store.set_model_folder(id, &own))?;
    }
    drop(lock);
    print::note(&format!("Run {id} is a whole model in {}.", target.display()));
    Ok(())
}

/// What a run computed on, and why not on the GPU that was found.
fn device(used: &UsedDevice) -> String {
    let UsedDevice { device, name, .. } = used;
    used.why_not()
        .map_or_else(|| format!("device {device}: {name}"), |why| format!("device {device}: {name}; {why}"))
}

fn steps(run: &Run) -> String {
    let done = run.last_step.map_or(0, |step| step.step);
    if run.config.is_cross_validation() {
        return "–".to_owned();
    }
    let total = run.total_steps.map_or_else(|| "?".to_owned(), |total| total.to_string());
    format!("{done}/{total}")
}

/// What a run has to do with a cross-validation.
fn of_folds(run: &Run) -> String {
    match (run.config.folds, run.config.fold, run.fold_of) {
        (Some(folds), None, _) => format!(" ({folds} folds)"),
        (Some(folds), Some(fold), Some(whole)) => format!(" (fold {fold} of {folds} of run {whole})"),
        (Some(folds), Some(fold), None) => format!(" (fold {fold} of {folds})"),
        (None, ..) => String::new(),
    }
}

fn print_list(all: &[Run]) -> Result<()> {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|run| {
            let seconds =
                run.train_seconds.map_or_else(|| "–".to_owned(), |seconds| format!("{seconds:.0} s"));
            vec![
                run.id.to_string(),
                format!("{}{}", run.status.name(), if run.collapse.is_empty() { "" } else { " !" }),
                run.config.model.clone(),
                format!("{}{}", run.config.data, of_folds(run)),
                steps(run),
                seconds,
                run.created_at.clone(),
            ]
        })
        .collect();
    print::table(&["id", "status", "model", "data", "steps", "training", "created"], &rows)?;
    all.iter().filter_map(mark).try_for_each(|mark| print::line(&mark))
}

/// What the mark of a run that goes nowhere means: the notices as far as they say what, without numbers and advice.
fn mark(run: &Run) -> Option<String> {
    let what: Vec<&str> =
        run.collapse.iter().filter_map(|problem| problem.message.split(": ").next()).collect();
    let id = run.id;
    (!what.is_empty()).then(|| format!("! run {id}: {}. `mbti runs show {id}` says more", what.join(". ")))
}

/// The data sets that a run was evaluated on.
fn print_evaluated(run: i64, all: &[RunEvaluation]) -> Result<()> {
    if all.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = all.iter().map(|found| &found.data[..]).collect();
    print::line(&format!("evaluated on {}: `mbti evaluate {run}` shows what was found", names.join(", ")))
}

fn print_run(progress: &RunProgress) -> Result<()> {
    let run = &progress.run;
    let waits = if run.paused { ", waits" } else { "" };
    print::line(&format!("Run {}: {}{waits}, steps {}", run.id, run.status.name(), steps(run)))?;
    if let (Some(whole), Some(fold), Some(folds)) = (run.fold_of, run.config.fold, run.config.folds) {
        print::line(&format!("fold {fold} of {folds} of the cross-validation {whole}"))?;
    }
    if let Some(failure) = &run.failure {
        print::line(&format!("Reason: {}", failure.message))?;
    }
    print::line(&format!("model {}, data {}, seed {}", run.config.model, run.config.data, run.config.seed))?;
    if let Some(used) = &run.used_device {
        print::line(&device(used))?;
    }
    if let Some(split) = &run.split {
        let method = match (split.method, run.config.split_by) {
            (SplitMethod::ByAuthor, _) => "held out by author",
            (SplitMethod::ByText, SplitBy::Text) => "held out by text, as asked for",
            (SplitMethod::ByText, SplitBy::Author) => "held out by text, since no authors are named",
            (SplitMethod::Given, _) => "a validation set of its own",
        };
        print::line(&format!(
            "{} training texts, {} to validate ({method})",
            split.train_examples, split.valid_examples
        ))?;
        if split.shared_authors > 0 {
            let shared = split.shared_authors;
            print::line(&format!(
                "Beware: {shared} authors stand on both sides, which flatters the metrics."
            ))?;
        }
    }
    if run.made_up {
        print::line("It learned from made-up texts: its metrics say nothing about people.")?;
    }
    if let (Some(seconds), Some(speed)) = (run.train_seconds, run.tokens_per_second) {
        print::line(&format!("{seconds:.1} s of training, {speed:.0} tokens a second"))?;
    }
    if let Some(folder) = &run.model_folder {
        print::line(&format!("model folder: {folder}"))?;
    }
    let peak = run.peak_rss_mib.map(|peak| format!("{} at most", memory(peak)));
    let expected = run.estimate.map(|estimate| format!("{} expected", memory(estimate.peak_mib)));
    let told: Vec<String> = expected.into_iter().chain(peak).collect();
    if !told.is_empty() {
        print::line(&format!("memory: {}", told.join(", ")))?;
    }
    if let Some(estimate) = &run.estimate {
        // Both without evaluations; the time of a run that ended early is that of fewer steps.
        if let Some(expected) = estimate.training_seconds {
            let taken = run.train_seconds.map_or_else(|| "–".to_owned(), |taken| format!("{taken:.1} s"));
            print::line(&format!("training: {expected:.1} s expected, {taken} taken"))?;
        }
    }
    if let Some(best) = run.best_step {
        print::line(&format!("kept are the weights of step {best}, whose evaluation was the best"))?;
    }
    for notice in &progress.notices {
        let when =
            if notice.step == 0 { "at first".to_owned() } else { format!("after step {}", notice.step) };
        print::line(&format!("{when}: {}", notice.problem.message))?;
    }
    if progress.resumable {
        print::line(&format!("`mbti train --resume {}` goes on with it", run.id))?;
    }
    folds::folds(&progress.folds, run.config.folds.unwrap_or(0))?;
    if let Some(found) = &run.cross_validation {
        return folds::cross_validation(found, &run.config);
    }
    report::assessment(run)?;
    for evaluation in &progress.evaluations {
        print::heading(&format!("After step {}:", evaluation.step))?;
        print::metrics(evaluation.axes.iter())?;
    }
    Ok(())
}
