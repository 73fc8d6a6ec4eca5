use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use data::{Example, Split};
use record::{RunStatus, TrainConfig};
use train::{Inputs, Outcome};

use crate::{
    Context,
    args::TrainArgs,
    error::{Error, Result},
    print,
    recorder::Recorder,
};

pub fn run(context: &Context, args: &TrainArgs) -> Result<()> {
    let home = &context.home;
    let run = match args.run {
        Some(run) => run,
        None => context.runtime.block_on(app::runs::create(home, &args.config()))?,
    };
    let config = context.runtime.block_on(home.store.run(run))?.config;
    // The lock is held until the run is closed, so that nobody takes it for interrupted.
    let lock = app::runs::lock(home, run)?.ok_or(Error::NotOurs { run })?;
    if !context.runtime.block_on(home.store.begin_run(run))? {
        return Err(Error::NotOurs { run });
    }
    if !context.json {
        print::note(&format!(
            "Run {run}: {} learns from {}. Ctrl+C stops it and keeps what it learned.",
            config.model, config.data
        ));
    }
    let done = train_run(context, run, &config);
    let told = match &done {
        Ok(outcome) => tell(context, outcome),
        Err(error) => {
            context.runtime.block_on(home.store.fail_run(run, &error.problem()))?;
            Ok(())
        }
    };
    drop(lock);
    done?;
    told
}

/// Puts together what the run needs and trains.
fn train_run(context: &Context, run: i64, config: &TrainConfig) -> Result<Outcome> {
    let (home, runtime) = (&context.home, &context.runtime);
    let signalled = Arc::new(AtomicBool::new(false));
    let flag = signalled.clone();
    // A handler that cannot be set leaves Ctrl+C as it is, which ends the run without saving.
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).ok();

    let (examples, data_set) = runtime.block_on(app::data_sets::load(home, &config.data))?;
    let given = config.valid.as_deref();
    let given = given.map(|name| runtime.block_on(app::data_sets::load(home, name))).transpose()?;
    let valid = given.as_ref().map(|(examples, _)| examples.as_slice());
    let split = match valid {
        Some(valid) => data::split_given(&examples, valid, config.seed)?,
        None => data::split(&examples, config.validation_fraction, config.seed)?,
    };
    let run_folder = home.run_folder(run);
    write_split(&run_folder, &split)?;
    runtime.block_on(home.store.set_split(run, &split.summary))?;
    let model = runtime.block_on(home.store.model(&config.model))?;

    let inputs = Inputs {
        run,
        config,
        model_folder: &PathBuf::from(model.folder),
        run_folder: &run_folder,
        train: pick(&examples, &split.train),
        valid: pick(valid.unwrap_or(&examples), &split.valid),
        made_up: data_set.made_up,
    };
    let mut recorder = Recorder::new(context, run, config.clone(), signalled);
    let outcome = train::run(&inputs, &mut |progress| recorder.take(progress));
    // What was told before a failure belongs into the history as well.
    let flushed = recorder.flush();
    let outcome = outcome?;
    flushed?;
    // A run that was stopped before its first step tells no end of its own.
    if runtime.block_on(home.store.run(run))?.status == RunStatus::Running {
        recorder
            .take(train::Progress::Event(&record::Event::Finished(outcome.finished.clone())))
            .map_err(train::Error::Progress)?;
    }
    Ok(outcome)
}

fn pick<'a>(examples: &'a [Example], rows: &[u32]) -> Vec<&'a Example> {
    rows.iter().map(|&row| &examples[row as usize]).collect()
}

fn write_split(run_folder: &Path, split: &Split) -> Result<()> {
    let path = run_folder.join("split.json");
    let text = serde_json::to_vec(split)?;
    Ok(std::fs::write(&path, text).map_err(|source| data::Error::Write { path, source })?)
}

fn tell(context: &Context, outcome: &Outcome) -> Result<()> {
    if context.json {
        return Ok(());
    }
    let finished = &outcome.finished;
    let how = if finished.stopped { "stopped" } else { "finished" };
    print::line(&format!(
        "Run {} {how} after {} steps: {:.1} s of training, {:.0} tokens a second.",
        finished.run, finished.steps, finished.train_seconds, finished.tokens_per_second
    ))?;
    print::metrics(finished.axes.iter())?;
    if let Some(folder) = &outcome.model_folder {
        print::line(&format!("The model lies in {}", folder.display()))?;
    }
    Ok(())
}
