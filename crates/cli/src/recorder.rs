use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use record::{Event, GradientCheckpointing, Problem, TrainConfig, UsedDevice, memory};
use store::Told;
use train::{Progress, Wish};

use crate::{Context, print, signals::Signals, unwritten::Unwritten};

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
    unwritten: Unwritten<'a>,
    /// Whether the end of the run was told.
    ended: bool,
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
            unwritten: Unwritten::new(context, run),
            ended: false,
            last_look: Instant::now(),
            bar,
        }
    }

    /// Takes down what the run computes on.
    pub fn uses(&mut self, device: &UsedDevice) {
        self.unwritten.push(Told::Device(device.clone()));
        self.unwritten.write();
    }

    /// Takes one thing down and answers how the run is to go on. What cannot be written down now does not end it.
    pub fn take(&mut self, progress: Progress) -> Result<Wish, Problem> {
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
                let config = Box::new(self.config.clone());
                self.unwritten.push(Told::Plan { total_steps, config });
                self.unwritten.write();
                self.style("{bar:30} {pos}/{len} steps, {msg}", u64::from(total_steps));
                self.bar.set_position(u64::from(first_step));
            }
            Progress::Paused(paused) => {
                self.unwritten.push(Told::Paused(paused));
                self.unwritten.write();
                let what = if paused { "waits; `mbti runs continue` lets it go on" } else { "goes on" };
                self.note(&format!("Run {} {what}.", self.run));
            }
            Progress::Event(event) => self.event(event)?,
            Progress::Saving => self.unwritten.write_or_keep(),
            Progress::Saved(folder) => {
                let own = self.context.home.run_folder(self.run);
                let folder = folder.strip_prefix(own).unwrap_or(folder).to_owned();
                self.unwritten.push(Told::Model(folder));
                self.unwritten.write_or_keep();
            }
            Progress::Working => {}
        }
        Ok(self.look_for_a_wish())
    }

    fn event(&mut self, event: &Event) -> Result<(), Problem> {
        match event {
            Event::Step(step) => {
                self.unwritten.push(Told::Step(*step));
                self.bar.set_position(u64::from(step.step));
                let said = format!(
                    "loss {:.3}, {:.0} tokens/s, {:.0} s left",
                    step.loss, step.tokens_per_second, step.seconds_left
                );
                print::message(&self.bar, &said);
            }
            Event::Estimate(estimate) => {
                self.unwritten.push(Told::Estimate(*estimate));
                self.unwritten.write();
                let time = estimate.training_seconds.map_or_else(String::new, |seconds| {
                    let all = seconds + estimate.evaluation_seconds.unwrap_or(0.0);
                    format!(", {}", print::time(all))
                });
                let again = match estimate.checkpointing {
                    Some(GradientCheckpointing::Alternate) => ", every other layer computed again",
                    Some(GradientCheckpointing::All) => ", every layer computed again",
                    _ => "",
                };
                let at_once = estimate
                    .tokens_per_pass
                    .map_or_else(String::new, |tokens| format!(", up to {tokens} tokens at once"));
                let peak = memory(estimate.peak_mib);
                self.note(&format!("Expected: {peak} of memory{again}{at_once}{time}."));
            }
            Event::Baseline(baseline) => {
                self.unwritten.push(Told::Baseline(Box::new(baseline.clone())));
                self.unwritten.write();
                self.note(&format!("The bag of words, after {:.1} s:", baseline.seconds));
                for (axis, found) in &baseline.assessment.by_text.axes {
                    self.note(&line(*axis, &found.metrics));
                }
            }
            Event::Evaluation(evaluation) => {
                self.unwritten.push(Told::Evaluation(evaluation.clone()));
                self.unwritten.write();
                self.note(&format!("After step {}:", evaluation.step));
                for (axis, metrics) in &evaluation.axes {
                    self.note(&line(*axis, metrics));
                }
            }
            Event::Notice(notice) => {
                self.unwritten.push(Told::Notice(notice.clone()));
                self.unwritten.write();
                self.note(&notice.problem.message);
            }
            Event::Assessment(assessment) => {
                self.unwritten.push(Told::Assessment(Box::new(assessment.clone())));
            }
            // A cross-validation is no run that learns, and tells of itself.
            Event::CrossValidation(_) => {}
            Event::Finished(finished) => {
                let end = Told::Finished(finished.clone());
                self.unwritten.end(end, &self.signals).map_err(|error| error.problem())?;
                self.ended = true;
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

    /// Whether the end of the run was told.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Writes down that the run failed, after what was told before.
    pub fn fail(&mut self, problem: &Problem) {
        if !self.ended {
            // Else it is found to be interrupted, and the reason is told here.
            self.unwritten.end(Told::Failed(problem.clone()), &self.signals).ok();
        }
    }

    fn look_for_a_wish(&mut self) -> Wish {
        if self.last_look.elapsed() >= EVERY {
            // Only here is the clock set back: an evaluation writes too, and one every few steps
            // would otherwise put off the look for ever.
            self.last_look = Instant::now();
            self.unwritten.write();
            // What cannot be read now is as it was.
            let wishes = self.unwritten.wishes();
            self.wish = match wishes.map(|wishes| (wishes.stop, wishes.pause)) {
                Some((Some(store::Stop::Now), _)) => Wish::StopNow,
                Some((Some(store::Stop::Save), _)) => Wish::StopAndSave,
                Some((None, true)) => Wish::Pause,
                Some((None, false)) => Wish::GoOn,
                None => self.wish,
            };
        }
        match (self.signals.count(), self.wish) {
            (0, wish) => wish,
            (1, Wish::StopNow) | (2.., _) => Wish::StopNow,
            (1, _) => Wish::StopAndSave,
        }
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
