use std::path::{Path, PathBuf};

use app::{Token, pushing::PushTarget};
use data::{Part, Split, Table};
use record::{DataSet, Event, Notice, Problem, ProblemCode, RunStatus, TokenSource, TrainConfig, UsedDevice};
use train::{Checkpoint, Inputs, Outcome, Progress, Wish};

use crate::{
    Context,
    args::TrainArgs,
    device,
    error::{Error, Result},
    folds, hub_command, models, print, push_command,
    recorder::Recorder,
    report,
    signals::Signals,
    sweep,
};

pub fn run(context: &Context, args: &TrainArgs) -> Result<()> {
    let (home, runtime) = (&context.home, &context.runtime);
    // What is handed over on standard input stays there for the engine that may take this one's place.
    let token = || hub_command::handed_over(args.token_stdin);
    if let Some(run) = args.resume {
        let device = args.settings.given().find(|(name, _)| *name == "device").map(|(_, device)| device);
        return resume(context, run, device, &token);
    }
    if let Some(run) = args.run {
        let config = runtime.block_on(home.store.run(run))?.config;
        if config.is_cross_validation() {
            return folds::begin(context, run, folds::check(context, &config));
        }
        // It is written down already, and one whose device cannot be used has failed.
        let device = match device::decide(context, &config) {
            // Whoever started this engine finds the run still queued, and why.
            Err(error @ Error::NoEngine { .. }) => return Err(error),
            decided => decided,
        };
        return begin(context, run, device, token()?);
    }
    let config = args.config()?;
    if args.estimate {
        return estimate(context, &config);
    }
    if !args.sweep.is_empty() {
        // Each of its runs has an engine of its own, which decides on its device.
        return sweep::run(context, &config, &args.sweep);
    }
    if config.is_cross_validation() {
        folds::check(context, &config)?;
        return folds::begin(context, runtime.block_on(app::runs::create(home, &config))?, Ok(()));
    }
    let device = device::decide(context, &config)?;
    let given = token()?;
    // A run that could not be pushed is not even written down.
    if let Some(repo) = &config.push_to_hub {
        push_command::check(context, repo, given.clone())?;
    }
    begin(context, runtime.block_on(app::runs::create(home, &config))?, Ok(device), given)
}

/// A token that was handed over, and where it is from.
type Given = Option<(Token, TokenSource)>;

/// Takes up a run that is written down. One whose device cannot be used has failed.
fn begin(context: &Context, run: i64, device: Result<UsedDevice>, given: Given) -> Result<()> {
    let (home, runtime) = (&context.home, &context.runtime);
    let config = runtime.block_on(home.store.run(run))?.config;
    // The lock is held until the run is closed, so that nobody takes it for interrupted.
    let lock = app::runs::lock(home, run)?.ok_or(Error::NotOurs { run })?;
    if !runtime.block_on(home.store.begin_run(run))? {
        return Err(Error::NotOurs { run });
    }
    if !context.json && device.is_ok() {
        print::note(&format!(
            "Run {run}: {} learns from {}. Ctrl+C stops it and keeps what it learned.",
            config.model, config.data
        ));
    }
    let done = work(context, run, &config, device, None, given);
    drop(lock);
    done
}

/// Goes on with a run that ended early, or that waits; on another device where one is given.
fn resume(
    context: &Context,
    run: i64,
    device: Option<&str>,
    token: &dyn Fn() -> Result<Given>,
) -> Result<()> {
    let (home, runtime) = (&context.home, &context.runtime);
    runtime.block_on(app::runs::reconcile(home))?;
    let found = runtime.block_on(home.store.run(run))?;
    if found.status.is_active() && (found.paused || found.pause_requested) {
        runtime.block_on(app::runs::unpause(home, run))?;
        print::note(&format!("Run {run} goes on in the process that has it."));
        return Ok(());
    }
    if found.status == RunStatus::Finished {
        return Err(Error::Finished { run });
    }
    // What cannot be resumed is told before a device is chosen for it.
    let lock = app::runs::lock(home, run)?.ok_or(Error::NotOurs { run })?;
    if found.status.is_active() {
        return Err(Error::NotOurs { run });
    }
    if !app::runs::is_resumable(home, &found) {
        return Err(train::Error::NothingToResume { run }.into());
    }
    if found.config.is_cross_validation() {
        // Each of its folds has an engine of its own, which decides on its device.
        let done = folds::resume(context, &found, device);
        drop(lock);
        return done;
    }
    let mut config = found.config;
    if let Some(device) = device {
        config.set("device", device)?;
    }
    let device = device::decide(context, &config)?;
    let given = token()?;
    let checkpoint = train::newest_checkpoint(run, &home.run_folder(run))?;
    let step = checkpoint.step;
    if !runtime.block_on(home.store.resume_run(run, step))? {
        return Err(Error::NotOurs { run });
    }
    if !context.json {
        print::note(&format!("Run {run} goes on after step {step}."));
    }
    let done = work(context, run, &config, Ok(device), Some(checkpoint), given);
    drop(lock);
    done
}

/// Trains and closes the run in the history, however it ends.
fn work(
    context: &Context,
    run: i64,
    config: &TrainConfig,
    device: Result<UsedDevice>,
    resume: Option<Checkpoint>,
    given: Given,
) -> Result<()> {
    let done = device.and_then(|device| {
        may_push(context, config, &given)?;
        train_run(context, run, config, &device, resume)
    });
    match &done {
        // When nobody reads what came of it the run has ended well all the same.
        Ok(outcome) => tell(context, outcome).ok(),
        Err(error) => {
            // On a full disk the history cannot be written either; the run is then found to be
            // interrupted at the next look, and the reason is told here.
            context.runtime.block_on(context.home.store.fail_run(run, &error.problem())).ok()
        }
    };
    let outcome = done?;
    match &config.push_to_hub {
        Some(repo) if !outcome.finished.stopped => push(context, run, repo, config, given),
        _ => Ok(()),
    }
}

/// Asks whether the model may be pushed, before hours are spent on it.
fn may_push(context: &Context, config: &TrainConfig, given: &Given) -> Result<()> {
    match &config.push_to_hub {
        Some(repo) => push_command::check(context, repo, given.clone()),
        None => Ok(()),
    }
}

/// Pushes what was trained. The run is finished whatever comes of it; a failure is told in its history.
fn push(context: &Context, run: i64, repo: &str, config: &TrainConfig, given: Given) -> Result<()> {
    let target = PushTarget { repo: repo.to_owned(), private: config.hub_private_repo };
    match push_command::push(context, run, &target, given) {
        Ok(pushed) if context.json => print::json(&pushed),
        Ok(pushed) => print::line(&format!("It is on the Hub: {}", pushed.page)),
        Err(error) => {
            let step =
                context.runtime.block_on(context.home.store.run(run))?.last_step.map_or(0, |last| last.step);
            let notice = Notice { step, problem: error.problem() };
            context.runtime.block_on(context.home.store.add_notice(run, &notice)).ok();
            print::note(&format!("The model is kept; `mbti push {run} {repo}` tries again."));
            Err(error)
        }
    }
}

/// The texts of a run.
struct Texts {
    table: Table,
    valid: Option<Table>,
    data_set: DataSet,
    split: Split,
}

fn read_texts(context: &Context, config: &TrainConfig) -> Result<Texts> {
    let (home, runtime) = (&context.home, &context.runtime);
    let (table, data_set) = runtime.block_on(app::data_sets::open(home, &config.data))?;
    let valid = config.valid.as_deref();
    let valid = valid.map(|name| runtime.block_on(app::data_sets::open(home, name))).transpose()?;
    let (valid, of_valid) = valid.map(|(table, data_set)| (table, data_set.fingerprint)).unzip();
    let split = data::split_for(&table.labels, valid.as_ref().map(|valid| &valid.labels), config)?;
    let split = Split { fingerprints: [data_set.fingerprint.clone(), of_valid.flatten()], ..split };
    Ok(Texts { table, valid, data_set, split })
}

impl Texts {
    fn inputs<'a>(&'a self, run: i64, config: &'a TrainConfig, folders: &'a Folders) -> Inputs<'a> {
        Inputs {
            run,
            config,
            model_folder: &folders.model,
            run_folder: &folders.run,
            words_folder: folders.words.as_deref(),
            train: Part { table: &self.table, rows: &self.split.train },
            valid: Part { table: self.valid.as_ref().unwrap_or(&self.table), rows: &self.split.valid },
            made_up: self.data_set.made_up,
            resume: None,
        }
    }
}

struct Folders {
    model: PathBuf,
    run: PathBuf,
    /// That of the built-in bag of words, unless it is the model itself.
    words: Option<PathBuf>,
}

fn folders(context: &Context, run: i64, config: &TrainConfig) -> Result<Folders> {
    let (home, runtime) = (&context.home, &context.runtime);
    let model = PathBuf::from(runtime.block_on(home.store.model(&config.model))?.folder);
    let words = models::built_in_words(context)?.filter(|words| *words != model);
    Ok(Folders { model, run: home.run_folder(run), words })
}

/// Puts together what the run needs and trains.
fn train_run(
    context: &Context,
    run: i64,
    config: &TrainConfig,
    device: &UsedDevice,
    resume: Option<Checkpoint>,
) -> Result<Outcome> {
    let (home, runtime) = (&context.home, &context.runtime);
    let signals = Signals::for_run();
    let folders = folders(context, run, config)?;
    let texts = read_texts(context, config)?;
    write_split(&folders.run, &texts.split)?;
    runtime.block_on(home.store.set_split(run, &texts.split.summary))?;

    // The history keeps what was asked for, which may be any device.
    let before = runtime.block_on(home.store.run(run))?.used_device;
    let mut recorder = Recorder::new(context, run, config.clone(), signals);
    recorder.uses(device);
    let config = &on(config, device)?;
    let inputs = Inputs { resume, ..texts.inputs(run, config, &folders) };
    match (&inputs.resume, before) {
        (Some(checkpoint), Some(before)) => tell_change(&before, device, checkpoint.step, &mut recorder)?,
        (Some(_), None) => {}
        (None, _) => tell_leaks(&texts.split, &inputs, &mut recorder)?,
    }
    let outcome = match train::run(&inputs, &mut |progress| recorder.take(progress)) {
        Ok(outcome) => outcome,
        Err(error) => {
            // What was told before a failure belongs into the history as well.
            recorder.fail(&error.problem());
            return Err(error.into());
        }
    };
    // A run that was stopped before its first step tells no end of its own.
    if !recorder.has_ended() {
        recorder
            .take(Progress::Event(&record::Event::Finished(outcome.finished.clone())))
            .map_err(train::Error::Progress)?;
    }
    Ok(outcome)
}

/// The settings with the device that was decided on.
fn on(config: &TrainConfig, device: &UsedDevice) -> Result<TrainConfig> {
    let mut config = config.clone();
    config.set("device", &device.device)?;
    Ok(config)
}

/// Notes that a run is resumed on another device: its record has room for the one that it computes on now.
fn tell_change(before: &UsedDevice, now: &UsedDevice, step: u32, recorder: &mut Recorder) -> Result<()> {
    if (&before.device, &before.name) == (&now.device, &now.name) {
        return Ok(());
    }
    let [from, to] = [before, now].map(|used| format!("{} ({})", used.name, used.device));
    let message = format!("From here on the run computes on {to}. Before, it computed on {from}.");
    let problem = Problem::new(ProblemCode::DeviceChanged, message).with("from", from).with("to", to);
    recorder
        .take(Progress::Event(&Event::Notice(Notice { step, problem })))
        .map_err(train::Error::Progress)?;
    Ok(())
}

/// Texts of a split that are looked at for leaks before a run; of more, `mbti datasets leaks` tells.
const LOOKED_AT: usize = 300_000;
/// The share of validation texts from which on a leak is told of.
const TOLD_FROM: f64 = 0.05;

/// Says before a run begins that its metrics will flatter, where its split leaks.
fn tell_leaks(split: &Split, inputs: &Inputs, recorder: &mut Recorder) -> Result<()> {
    if inputs.train.len() + inputs.valid.len() > LOOKED_AT {
        return Ok(());
    }
    let mut wish = Ok(Wish::GoOn);
    let found = data::leaks(split.summary.clone(), inputs.train, inputs.valid, |_| {
        wish = recorder.take(Progress::Working);
        matches!(wish, Ok(Wish::GoOn | Wish::Pause))
    })?;
    wish.map_err(train::Error::Progress)?;
    // Where it was stopped the run finds that out by itself.
    let Some(leaks) = found.filter(|leaks| leaks.share() >= TOLD_FROM) else { return Ok(()) };
    let share = format!("{:.0}", 100.0 * leaks.share());
    let duplicates = leaks.exact_duplicates + leaks.near_duplicates;
    let (authors, named, texts) =
        (leaks.texts_of_shared_authors, leaks.own_type_named, leaks.split.valid_examples);
    let message = format!(
        "{share} % of the {texts} validation texts can be known without having learned anything about types, so that the \
         metrics will flatter: {authors} are by authors who are learned from too, {duplicates} are learned from nearly \
         word by word, {named} name their author's own type. Split by author, or clean the data set first."
    );
    let problem = Problem::new(ProblemCode::SplitLeaks, message)
        .with("share", share)
        .with("texts", texts)
        .with("authors", authors)
        .with("duplicates", duplicates)
        .with("named", named);
    recorder
        .take(Progress::Event(&Event::Notice(Notice { step: 0, problem })))
        .map_err(train::Error::Progress)?;
    Ok(())
}

/// Tells what a run would need, and writes nothing.
fn estimate(context: &Context, config: &TrainConfig) -> Result<()> {
    let mut found = try_estimate(context, config)?;
    if config.is_cross_validation() {
        found = found.repeated(config.folds.unwrap_or(1));
    }
    if context.json { print::json(&Event::Estimate(found)) } else { report::estimate(&found) }
}

fn try_estimate(context: &Context, config: &TrainConfig) -> Result<record::Estimate> {
    let used_device = device::decide(context, config)?;
    if context.json {
        print::json(&serde_json::json!({ "used_device": used_device }))?;
    }
    let config = &on(config, &used_device)?;
    let folders = Folders { words: None, ..folders(context, 0, config)? };
    let texts = read_texts(context, config)?;
    let inputs = texts.inputs(0, config, &folders);
    Ok(train::estimate(&inputs, &mut |_| Ok(Wish::GoOn))?)
}

fn write_split(run_folder: &Path, split: &Split) -> Result<()> {
    let path = run_folder.join("split.json");
    let text = serde_json::to_vec(split)?;
    let written = files::replace(&path, &text, files::Access::Owner);
    Ok(written.map_err(|source| data::Error::Write { path, source })?)
}

fn tell(context: &Context, outcome: &Outcome) -> Result<()> {
    if context.json {
        return Ok(());
    }
    let finished = &outcome.finished;
    let run = context.runtime.block_on(context.home.store.run(finished.run))?;
    let how = match (finished.stopped, finished.stopped_early) {
        (true, _) => "stopped",
        (false, true) => "ended, as its evaluations became no better,",
        (false, false) => "finished",
    };
    print::line(&format!(
        "Run {} {how} after {} steps: {:.1} s of training, {:.0} tokens a second.",
        finished.run, finished.steps, finished.train_seconds, finished.tokens_per_second
    ))?;
    if let Some(best) = finished.best_step {
        print::line(&format!("Kept are the weights of step {best}, whose evaluation was the best."))?;
    }
    report::assessment(&run)?;
    if finished.stopped {
        let id = finished.run;
        print::line(&format!("`mbti train --resume {id}` goes on with it."))?;
    }
    if let Some(folder) = &outcome.model_folder {
        print::line(&format!("The model lies in {}", folder.display()))?;
    }
    Ok(())
}
