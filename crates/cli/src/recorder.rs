use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use record::{Event, Problem, Step, TrainConfig};
use train::{Progress, Wish};

use crate::{Context, error::Error, print, signals::Signals};

/// Steps are written to the history so often, and stops looked for, rather than at each step.
const EVERY: Duration = Duration::from_millis(200);

/// Takes down what a run tells: into the history, as lines of JSON, and on a progress bar.
pub struct Recorder<'a> {
    context: &'a Context,
    run: i64,
    signals: Signals,
    /// What was wished at the last look into the history.
    wish: Wish,
    /// Whether somebody still reads standard output.
    is_read: bool,
    config: TrainConfig,
    unwritten: Vec<Step>,
    last_look: Instant,
    bar: ProgressBar,
}

impl<'a> Recorder<'a> {
    pub fn new(context: &'a Context, run: i64, config: TrainConfig, signals: Signals) -> Recorder<'a> {
        let bar = print::bar("");
        Recorder {
            context,
            run,
            signals,
            wish: Wish::GoOn,
            is_read: true,
            config,
            unwritten: Vec::new(),
            last_look: Instant::now(),
            bar,
        }
    }

    /// Takes one thing down and answers how the run is to go on.
    pub fn take(&mut self, progress: Progress) -> Result<Wish, Problem> {
        self.try_take(progress).map_err(|error| error.problem())
    }

    fn try_take(&mut self, progress: Progress) -> Result<Wish, Error> {
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
            Progress::Baseline { done, total } => {
                self.style("words {bar:30} {pos}/{len} steps", u64::from(total));
                self.bar.set_position(u64::from(done));
            }
            Progress::Begin { total_steps, first_step, learning_rate } => {
                self.config.learning_rate = Some(learning_rate);
                runtime.block_on(store.set_plan(self.run, total_steps, &self.config))?;
                self.style("{bar:30} {pos}/{len} steps, {msg}", u64::from(total_steps));
                self.bar.set_position(u64::from(first_step));
            }
            Progress::Paused(paused) => {
                self.flush()?;
                runtime.block_on(store.set_paused(self.run, paused))?;
                let what = if paused { "waits; `mbti runs continue` lets it go on" } else { "goes on" };
                self.note(&format!("Run {} {what}.", self.run));
            }
            Progress::Event(event) => self.event(event)?,
            Progress::Saved(folder) => {
                self.flush()?;
                runtime.block_on(store.set_model_folder(self.run, folder))?;
            }
            Progress::Working => {}
        }
        self.look_for_a_wish()
    }

    fn event(&mut self, event: &Event) -> Result<(), Error> {
        let Context { home, runtime, .. } = self.context;
        let store = &home.store;
        match event {
            Event::Step(step) => {
                self.unwritten.push(*step);
                self.bar.set_position(u64::from(step.step));
                let said = format!(
                    "loss {:.3}, {:.0} tokens/s, {:.0} s left",
                    step.loss, step.tokens_per_second, step.seconds_left
                );
                print::message(&self.bar, &said);
            }
            Event::Estimate(estimate) => {
                self.flush()?;
                runtime.block_on(store.set_estimate(self.run, estimate))?;
                let time = estimate.training_seconds.map_or_else(String::new, |seconds| {
                    let all = seconds + estimate.evaluation_seconds.unwrap_or(0.0);
                    format!(", {:.1} minutes", all / 60.0)
                });
                self.note(&format!("Expected: {:.0} MiB of memory{time}.", estimate.peak_mib));
            }
            Event::Baseline(baseline) => {
                runtime.block_on(store.set_baseline(self.run, baseline))?;
                self.note(&format!("The bag of words, after {:.1} s:", baseline.seconds));
                for (axis, found) in &baseline.assessment.by_text.axes {
                    self.note(&line(*axis, &found.metrics));
                }
            }
            Event::Evaluation(evaluation) => {
                self.flush()?;
                runtime.block_on(store.add_evaluation(self.run, evaluation))?;
                self.note(&format!("After step {}:", evaluation.step));
                for (axis, metrics) in &evaluation.axes {
                    self.note(&line(*axis, metrics));
                }
            }
            Event::Notice(notice) => {
                self.flush()?;
                runtime.block_on(store.add_notice(self.run, notice))?;
                self.note(&notice.problem.message);
            }
            Event::Assessment(assessment) => {
                runtime.block_on(store.set_assessment(self.run, assessment))?;
            }
            Event::Finished(finished) => {
                self.flush()?;
                runtime.block_on(store.finish_run(finished))?;
                self.bar.finish_and_clear();
            }
        }
        if self.context.json && self.is_read {
            // A reader that went away ends no run.
            self.is_read = print::json(event).is_ok();
        }
        Ok(())
    }

    /// A message above the progress bar, where a person reads.
    fn note(&self, text: &str) {
        if !self.context.json {
            self.bar.suspend(|| print::note(text));
        }
    }

    /// Writes down the steps that are not written yet.
    pub fn flush(&mut self) -> Result<(), Error> {
        let (store, runtime) = (&self.context.home.store, &self.context.runtime);
        runtime.block_on(store.add_steps(self.run, &self.unwritten))?;
        self.unwritten.clear();
        Ok(())
    }

    fn look_for_a_wish(&mut self) -> Result<Wish, Error> {
        if self.last_look.elapsed() >= EVERY {
            // Only here is the clock set back: an evaluation writes too, and one every few steps
            // would otherwise put off the look for ever.
            self.last_look = Instant::now();
            self.flush()?;
            let (store, runtime) = (&self.context.home.store, &self.context.runtime);
            let wishes = runtime.block_on(store.wishes(self.run))?;
            self.wish = match (wishes.stop, wishes.pause) {
                (Some(store::Stop::Now), _) => Wish::StopNow,
                (Some(store::Stop::Save), _) => Wish::StopAndSave,
                (None, true) => Wish::Pause,
                (None, false) => Wish::GoOn,
            };
        }
        Ok(match (self.signals.count(), self.wish) {
            (0, wish) => wish,
            (1, Wish::StopNow) | (2.., _) => Wish::StopNow,
            (1, _) => Wish::StopAndSave,
        })
    }

    fn style(&self, template: &str, length: u64) {
        self.bar.set_length(length);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}

fn line(axis: mbti::Axis, metrics: &record::AxisMetrics) -> String {
    let [accuracy, majority, balanced] =
        [metrics.accuracy, metrics.majority_accuracy, metrics.balanced_accuracy].map(print::number);
    format!("  {axis}  accuracy {accuracy}, majority {majority}, balanced accuracy {balanced}")
}
