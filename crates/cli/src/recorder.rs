use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use record::{Event, Problem, Step, TrainConfig};
use train::Progress;

use crate::{Context, error::Error, print};

/// Steps are written to the history so often, and stops looked for, rather than at each step.
const EVERY: Duration = Duration::from_millis(200);

/// Takes down what a run tells: into the history, as lines of JSON, and on a progress bar.
pub struct Recorder<'a> {
    context: &'a Context,
    run: i64,
    /// Set by Ctrl+C and by the system's wish that the process end.
    signalled: Arc<AtomicBool>,
    stop: bool,
    config: TrainConfig,
    unwritten: Vec<Step>,
    last_look: Instant,
    bar: ProgressBar,
}

impl<'a> Recorder<'a> {
    pub fn new(
        context: &'a Context,
        run: i64,
        config: TrainConfig,
        signalled: Arc<AtomicBool>,
    ) -> Recorder<'a> {
        let bar = ProgressBar::new(0);
        Recorder {
            context,
            run,
            signalled,
            stop: false,
            config,
            unwritten: Vec::new(),
            last_look: Instant::now(),
            bar,
        }
    }

    /// Takes one thing down and answers whether the run is to go on.
    pub fn take(&mut self, progress: Progress) -> Result<bool, Problem> {
        self.try_take(progress).map_err(|error| error.problem())
    }

    fn try_take(&mut self, progress: Progress) -> Result<bool, Error> {
        let (store, runtime) = (&self.context.home.store, &self.context.runtime);
        match progress {
            Progress::Loaded { report, trainable } => {
                for sentence in report.sentences() {
                    print::note(&sentence);
                }
                print::note(&format!("{trainable} weights learn."));
            }
            Progress::Tokenizing { done, total } => {
                self.style("tokens {bar:30} {pos}/{len} texts", total as u64);
                self.bar.set_position(done as u64);
            }
            Progress::Begin { total_steps, learning_rate } => {
                self.config.learning_rate = Some(learning_rate);
                runtime.block_on(store.set_plan(self.run, total_steps, &self.config))?;
                self.style("{bar:30} {pos}/{len} steps, {msg}", u64::from(total_steps));
                self.bar.set_position(0);
            }
            Progress::Event(event) => self.event(event)?,
            Progress::Saved(folder) => {
                self.flush()?;
                runtime.block_on(store.set_model_folder(self.run, folder))?;
            }
            Progress::Working => {}
        }
        self.look_for_a_stop()
    }

    fn event(&mut self, event: &Event) -> Result<(), Error> {
        match event {
            Event::Step(step) => {
                self.unwritten.push(*step);
                self.bar.set_position(u64::from(step.step));
                self.bar.set_message(format!(
                    "loss {:.3}, {:.0} tokens/s, {:.0} s left",
                    step.loss, step.tokens_per_second, step.seconds_left
                ));
            }
            Event::Evaluation(evaluation) => {
                self.flush()?;
                let (store, runtime) = (&self.context.home.store, &self.context.runtime);
                runtime.block_on(store.add_evaluation(self.run, evaluation))?;
                if !self.context.json {
                    self.bar.suspend(|| {
                        print::note(&format!("After step {}:", evaluation.step));
                        for (axis, metrics) in &evaluation.axes {
                            let value =
                                |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
                            let [accuracy, majority] =
                                [metrics.accuracy, metrics.majority_accuracy].map(value);
                            print::note(&format!("  {axis}  accuracy {accuracy}, majority {majority}"));
                        }
                    });
                }
            }
            Event::Finished(finished) => {
                self.flush()?;
                let (store, runtime) = (&self.context.home.store, &self.context.runtime);
                runtime.block_on(store.finish_run(finished))?;
                self.bar.finish_and_clear();
            }
        }
        if self.context.json { print::json(event) } else { Ok(()) }
    }

    /// Writes down the steps that are not written yet.
    pub fn flush(&mut self) -> Result<(), Error> {
        let (store, runtime) = (&self.context.home.store, &self.context.runtime);
        runtime.block_on(store.add_steps(self.run, &self.unwritten))?;
        self.unwritten.clear();
        Ok(())
    }

    fn look_for_a_stop(&mut self) -> Result<bool, Error> {
        if self.last_look.elapsed() >= EVERY {
            // Only here is the clock set back: an evaluation writes too, and one every few steps
            // would otherwise put off the look for ever.
            self.last_look = Instant::now();
            self.flush()?;
            let (store, runtime) = (&self.context.home.store, &self.context.runtime);
            self.stop |= runtime.block_on(store.stop_requested(self.run))?;
        }
        self.stop |= self.signalled.load(Ordering::Relaxed);
        Ok(!self.stop)
    }

    fn style(&self, template: &str, length: u64) {
        self.bar.set_length(length);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}
