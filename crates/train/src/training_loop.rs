use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use compute::Backend;
use model::Products;
use record::{Dtype, Estimate, Evaluation, Event, Finished, Metric, Problem, ProblemCode, Step};
use serde_json::{Map, Value, json};

use crate::{
    AnswersOf, Error, Inputs, Outcome, Progress, Wish,
    batching::{Group, Plan, groups, halved, plan},
    checkpoint::{self, Checkpoint, State},
    collapse,
    error::Result,
    estimate,
    evaluate::{Answers, ValidationSet, evaluate},
    fold_answers,
    learner::{Learned, Learner},
    memory::{held_mib, peak_mib},
    passes,
    prepare::Ready,
    progress::{Tell, notice},
    schedule,
};

/// How often a run that waits asks whether to go on.
const POLL: Duration = Duration::from_millis(200);

/// What goes round: the learner, and how far and how fast it has come.
pub(crate) struct TrainingLoop<'a, B: Backend> {
    inputs: &'a Inputs<'a>,
    learner: Learner<'a, B>,
    valid: ValidationSet,
    plan: Plan,
    learning_rate: f64,
    course: collapse::Course,
    max_length: usize,
    eval_steps: u32,
    state: State,
    /// Time and tokens of the steps of this process, without evaluations and saving.
    time: Duration,
    tokens: u64,
    /// Time that the last evaluation took, with the checkpoint after it.
    evaluation_time: Option<Duration>,
    /// Seconds that an evaluation was expected to take before the first one.
    expected_evaluation: f64,
    /// What the newest checkpoint on the disk says.
    saved: Option<State>,
}

/// Why the steps ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    LastStep,
    /// Its evaluations became no better.
    Early,
    Saved,
    Now,
}

impl<'a, B: Backend> TrainingLoop<'a, B> {
    pub(crate) fn new(inputs: &'a Inputs<'a>, ready: Ready<'a, B>) -> Result<TrainingLoop<'a, B>> {
        let config = inputs.config;
        let Ready { mut learner, valid, max_length, texts } = ready;
        let begun = inputs.resume.as_ref().map(|found| checkpoint::state(inputs.run_folder, found.step));
        let passes = passes::chosen(inputs, &learner, begun.transpose()?.map(|state| state.tokens_per_pass))?;
        let tokens_per_pass = passes.tokens_per_pass;
        (learner.checkpointing, learner.tokens_per_pass) = (passes.checkpointing, tokens_per_pass.tokens());
        let plan = plan(&learner.set.encoded, config, learner.tokens_per_pass).map_err(Error::Progress)?;
        // Before anything is measured, so that it counts.
        learner.make_room(plan.most_passes)?;
        let products_in_bf16 = learner.network.products == Products::Bf16;
        let learning_rate = config.learning_rate.unwrap_or_else(|| learner.network.default_learning_rate());
        let eval_steps = config.eval_steps.unwrap_or_else(|| plan.total_steps.div_ceil(4)).max(1);
        let course = collapse::course(&learner, plan.total_steps, learning_rate);
        Ok(TrainingLoop {
            inputs,
            learner,
            valid,
            plan,
            learning_rate,
            course,
            max_length,
            eval_steps,
            state: State { texts, products_in_bf16, tokens_per_pass, ..State::default() },
            time: Duration::ZERO,
            tokens: 0,
            evaluation_time: None,
            expected_evaluation: 0.0,
            saved: None,
        })
    }

    /// What the run will need, from two measured passes that change nothing.
    pub(crate) fn estimate(&mut self) -> Result<Estimate> {
        let evaluations = self.plan.total_steps.div_ceil(self.eval_steps);
        let found = estimate::measured(&mut self.learner, &self.plan, &self.valid, evaluations)?;
        self.expected_evaluation = found.evaluation_seconds.unwrap_or(0.0) / f64::from(evaluations.max(1));
        Ok(found)
    }

    pub(crate) fn run(mut self, tell: &mut Tell) -> Result<Outcome> {
        if let Some(checkpoint) = &self.inputs.resume {
            self.resume(checkpoint, tell)?;
        } else {
            if self.inputs.config.dtype == Dtype::Bf16Mixed && !self.state.products_in_bf16 {
                self.tell_of_no_bf16_products(tell)?;
            }
            let found = self.estimate()?;
            tell(Progress::Event(&Event::Estimate(found)))?;
        }
        let (total_steps, first_step, learning_rate) =
            (self.plan.total_steps, self.state.step, self.learning_rate);
        let wish = tell(Progress::Begin { total_steps, first_step, learning_rate })?;
        let end = match self.heed(wish, tell)? {
            Some(end) => end,
            None => match self.catch_up(tell)? {
                Some(end) => end,
                None => self.all_steps(tell)?,
            },
        };
        self.finish(end, tell)
    }

    fn resume(&mut self, found: &Checkpoint, tell: &mut Tell) -> Result<()> {
        let step = found.step;
        for (path, reason) in &found.passed_over {
            let message =
                format!("The checkpoint {} is damaged ({reason}) and was passed over.", path.display());
            let problem = Problem::new(ProblemCode::CheckpointPassedOver, message)
                .with("path", path.display())
                .with("reason", reason);
            notice(tell, step, problem)?;
        }
        let state = checkpoint::load(&mut self.learner, self.inputs.run_folder, step)?;
        if state.texts != self.state.texts {
            return Err(Error::OtherTexts { path: checkpoint::path(self.inputs.run_folder, step) });
        }
        self.saved = Some(state.clone());
        let tokens_per_pass = self.state.tokens_per_pass;
        if tokens_per_pass.tokens() != state.tokens_per_pass.tokens() {
            // They were chosen anew, on another device: what was too much for the first says nothing of this one.
            self.learner.halvings = 0;
        }
        self.state = State { tokens_per_pass, halvings: self.learner.halvings, ..state };
        if self.learner.network.products == Products::Bf16 {
            self.learner.network.products = Products::F32;
        }
        if self.state.products_in_bf16 {
            if !self.learner.network.device.is_cpu() || model::processor_multiplies_bf16() {
                self.learner.network.products = Products::Bf16;
            } else {
                // It goes on by another processor than it began by.
                self.state.products_in_bf16 = false;
                self.tell_of_no_bf16_products(tell)?;
            }
        }
        Ok(())
    }

    fn tell_of_no_bf16_products(&self, tell: &mut Tell) -> Result<()> {
        let message =
            "This processor is no faster by products in bf16, so that everything is computed in 32 bits.";
        let problem = Problem::new(ProblemCode::NoBf16Products, message);
        notice(tell, self.state.step, problem)?;
        Ok(())
    }

    /// Does what was due after the step of the checkpoint, when the run was ended before it.
    fn catch_up(&mut self, tell: &mut Tell) -> Result<Option<End>> {
        let step = self.state.step;
        if step == 0 || step >= self.plan.total_steps {
            return Ok(None);
        }
        let evaluated = self.state.last_evaluation.as_ref().is_some_and(|last| last.step == step);
        if step.is_multiple_of(self.eval_steps) && !evaluated {
            return self.evaluate_and_save(tell);
        }
        Ok(self.has_lost_patience().then_some(End::Early))
    }

    fn has_lost_patience(&self) -> bool {
        let patience = self.inputs.config.early_stopping_patience;
        patience > 0 && self.state.evaluations_without_improvement >= patience
    }

    fn all_steps(&mut self, tell: &mut Tell) -> Result<End> {
        let mut skip = self.state.step as usize;
        for epoch in 0.. {
            let Learner { set, tokens_per_pass, .. } = &self.learner;
            let all = groups(&set.encoded, self.inputs.config, *tokens_per_pass, epoch);
            // Walk to the place in the order of the texts at which the run stands.
            if skip >= all.len() {
                skip -= all.len();
                continue;
            }
            let mut texts: usize = all.iter().take(skip).flatten().map(Vec::len).sum();
            for group in all.iter().skip(std::mem::take(&mut skip)) {
                if self.state.step >= self.plan.total_steps {
                    return Ok(End::LastStep);
                }
                texts += group.iter().map(Vec::len).sum::<usize>();
                let passed = f64::from(epoch) + texts as f64 / self.learner.set.encoded.len() as f64;
                if let Some(end) = self.one_step(group, passed, tell)? {
                    return Ok(end);
                }
            }
        }
        Ok(End::LastStep)
    }

    /// One optimizer step, and whatever is due after it.
    fn one_step(&mut self, group: &Group, epoch: f64, tell: &mut Tell) -> Result<Option<End>> {
        let config = self.inputs.config;
        let begin = Instant::now();
        let total = self.plan.total_steps;
        let factor = schedule(config.lr_scheduler_type, self.state.step, config.warmup(total), total);
        let learning_rate = self.learning_rate * factor;
        let learned = self.learn(group, learning_rate, tell)?;
        self.time += begin.elapsed();
        self.tokens += learned.tokens;
        let state = &mut self.state;
        state.train_seconds += begin.elapsed().as_secs_f64();
        (state.step, state.halvings) = (self.learner.optimizer.step, self.learner.halvings);
        (state.samples, state.tokens) = (state.samples + learned.samples, state.tokens + learned.tokens);
        (state.loss_sum, state.loss_count) = (state.loss_sum + learned.loss, state.loss_count + 1);
        let step = state.step;
        let problems = state.watch.step(&self.course, step, learned.loss, learned.norm);
        let wish = if step.is_multiple_of(config.logging_steps) || step == total {
            let loss = state.loss_sum / f64::from(state.loss_count);
            (state.loss_sum, state.loss_count) = (0.0, 0);
            let seconds = state.train_seconds.max(1e-9);
            let event = Event::Step(Step {
                step,
                epoch,
                loss,
                learning_rate,
                grad_norm: Some(learned.norm),
                samples_per_second: state.samples as f64 / seconds,
                tokens_per_second: state.tokens as f64 / seconds,
                seconds_left: self.seconds_left(),
                memory_mib: held_mib(self.learner.gradients.backend()),
            });
            tell(Progress::Event(&event))?
        } else {
            tell(Progress::Working)?
        };
        for problem in problems {
            notice(tell, step, problem)?;
        }
        if step == total {
            return Ok((wish == Wish::StopNow).then_some(End::Now));
        }
        if let Some(end) = self.heed(wish, tell)? {
            return Ok(Some(end));
        }
        self.evaluate_and_save(tell)
    }

    /// The step, with smaller micro-batches where memory runs out.
    fn learn(&mut self, group: &Group, learning_rate: f64, tell: &mut Tell) -> Result<Learned> {
        loop {
            match self.learner.learn(group, learning_rate) {
                Err(Error::OutOfMemory { step }) if self.learner.can_halve(group) => {
                    self.learner.halvings += 1;
                    let problem = halved_notice(step, &halved(group, self.learner.halvings));
                    notice(tell, self.state.step, problem)?;
                }
                Err(Error::LossNotFinite { step, rows, .. }) => {
                    let place =
                        |&row: &u32| self.inputs.train.rows.get(row as usize).map_or(0, |&place| place + 1);
                    let rows = rows.iter().map(place).collect();
                    let checkpoint = self.saved.as_ref().map(|saved| saved.step);
                    return Err(Error::LossNotFinite { step, rows, checkpoint });
                }
                other => return other,
            }
        }
    }

    fn evaluate_and_save(&mut self, tell: &mut Tell) -> Result<Option<End>> {
        let config = self.inputs.config;
        let step = self.state.step;
        let begin = Instant::now();
        let best_before = self.state.best.map(|best| best.0);
        let evaluated = step.is_multiple_of(self.eval_steps);
        if evaluated {
            let wish = match self.answer(tell)? {
                Ok(answers) => self.note_evaluation(&answers, tell)?,
                Err(wish) => wish,
            };
            if let Some(end) = self.heed(wish, tell)? {
                return Ok(Some(end));
            }
        }
        let new_best = self.state.best.map(|best| best.0) != best_before && config.load_best_model_at_end;
        let due = config.save_steps.map_or(evaluated, |steps| step.is_multiple_of(steps));
        if due || new_best {
            self.save(tell)?;
            let wish = tell(Progress::Saved(&checkpoint::model_path(self.inputs.run_folder, step)))?;
            self.prune();
            if let Some(end) = self.heed(wish, tell)? {
                return Ok(Some(end));
            }
        }
        if evaluated {
            self.evaluation_time = Some(begin.elapsed());
            if self.has_lost_patience() {
                return Ok(Some(End::Early));
            }
        }
        Ok(None)
    }

    /// The answers to all validation texts, or what was wished in their place.
    fn answer(&mut self, tell: &mut Tell) -> Result<std::result::Result<Answers, Wish>> {
        let mut wish = Wish::GoOn;
        let (network, weights) = (&self.learner.network, &self.learner.set.weights);
        let answers = evaluate(network, &self.valid, weights, self.inputs.config, || {
            wish = tell(Progress::Working)?;
            Ok(wish.goes_on())
        })?;
        Ok(answers.ok_or(wish))
    }

    /// Tells the metrics and remembers whether they are the best.
    fn note_evaluation(&mut self, answers: &Answers, tell: &mut Tell) -> Result<Wish> {
        let config = self.inputs.config;
        let evaluation = self.valid.evaluation(&self.learner.network, answers, self.state.step);
        if let Some(score) = score(&evaluation, config.metric_for_best_model) {
            let sign = if config.metric_for_best_model.greater_is_better() { 1.0 } else { -1.0 };
            let by = self.state.best.map_or(f64::INFINITY, |(_, best)| sign * (score - best));
            if by > 0.0 {
                self.state.best = Some((self.state.step, score));
            }
            if by > config.early_stopping_threshold {
                self.state.evaluations_without_improvement = 0;
            } else {
                self.state.evaluations_without_improvement += 1;
            }
        }
        self.state.last_evaluation = Some(evaluation.clone());
        let wish = tell(Progress::Event(&Event::Evaluation(evaluation)))?;
        let judged = self.valid.judged(&self.learner.network, answers);
        if let Some(problem) = self.state.watch.evaluation(&self.course, self.state.step, &judged) {
            notice(tell, self.state.step, problem)?;
        }
        Ok(wish)
    }

    /// Writes a checkpoint of this step, unless it is there.
    fn save(&mut self, tell: &mut Tell) -> Result<()> {
        if self.saved.as_ref() != Some(&self.state) {
            // What is wished is asked again once it is written.
            tell(Progress::Saving)?;
            let notes = self.notes();
            checkpoint::save(&self.learner, self.inputs.run_folder, &self.state, notes)?;
            self.saved = Some(self.state.clone());
        }
        Ok(())
    }

    fn prune(&self) {
        let config = self.inputs.config;
        let best = self.state.best.map(|best| best.0).filter(|_| config.load_best_model_at_end);
        checkpoint::prune(self.inputs.run_folder, config.save_total_limit, best);
    }

    /// Does what the user wishes: nothing, or to wait, or to end.
    fn heed(&mut self, mut wish: Wish, tell: &mut Tell) -> Result<Option<End>> {
        if wish == Wish::Pause {
            if self.state.step > 0 {
                self.save(tell)?;
                self.prune();
            }
            wish = tell(Progress::Paused(true))?;
            while wish == Wish::Pause {
                std::thread::sleep(POLL);
                wish = tell(Progress::Working)?;
            }
            tell(Progress::Paused(false))?;
        }
        Ok(match wish {
            Wish::GoOn | Wish::Pause => None,
            Wish::StopAndSave => Some(End::Saved),
            Wish::StopNow => Some(End::Now),
        })
    }

    fn finish(mut self, end: End, tell: &mut Tell) -> Result<Outcome> {
        let run_folder = self.inputs.run_folder;
        let folder = run_folder.join("model");
        if end == End::Now {
            let kept = self.saved.as_ref().map(|saved| checkpoint::model_path(run_folder, saved.step));
            return self.tell_the_end(true, false, None, kept, tell);
        }
        if self.state.step == 0 {
            return self.tell_the_end(true, false, None, None, tell);
        }
        // What was learned is saved before it is judged, so that nothing can come between.
        self.save(tell)?;
        self.prune();
        tell(Progress::Saved(&checkpoint::model_path(run_folder, self.state.step)))?;
        if end == End::Saved {
            return self.keep(&folder, tell);
        }
        let mut answers = match self.answer(tell)? {
            Ok(answers) => answers,
            Err(_) => return self.keep(&folder, tell),
        };
        if self.state.last_evaluation.as_ref().is_none_or(|last| last.step != self.state.step) {
            self.note_evaluation(&answers, tell)?;
        }
        let mut step = self.state.step;
        let best = self.state.best.map(|best| best.0).filter(|&best| best != step);
        let best = best.filter(|_| self.inputs.config.load_best_model_at_end);
        if let Some(best) = best {
            model::restore(&self.learner.network, &checkpoint::model_path(run_folder, best))?;
            match self.answer(tell)? {
                Ok(found) => answers = found,
                Err(_) => return self.keep(&folder, tell),
            }
            step = best;
            self.state.last_evaluation = Some(self.valid.evaluation(&self.learner.network, &answers, step));
        }
        let judged = self.valid.judged(&self.learner.network, &answers);
        let assessment = metrics::assess(&judged, step, u64::from(self.inputs.config.seed));
        fold_answers::keep(self.inputs, AnswersOf::Model, judged.axes, judged.logits)?;
        let mut notes = self.notes();
        notes.insert("step".into(), json!(step));
        notes.insert(
            "calibration".into(),
            serde_json::to_value(&assessment.calibration).unwrap_or(Value::Null),
        );
        notes.insert("sets".into(), serde_json::to_value(&assessment.sets).unwrap_or(Value::Null));
        model::save(&self.learner.network, &folder, notes)?;
        tell(Progress::Event(&Event::Assessment(assessment)))?;
        tell(Progress::Saved(&folder))?;
        let outcome = self.tell_the_end(false, end == End::Early, best, Some(folder), tell);
        // A run whose end nobody has taken down can be gone on with.
        if outcome.is_ok() {
            checkpoint::remove_all(run_folder);
        }
        outcome
    }

    /// Ends a run that can be gone on with: its weights as they are become its model.
    fn keep(self, folder: &std::path::Path, tell: &mut Tell) -> Result<Outcome> {
        model::save(&self.learner.network, folder, self.notes())?;
        tell(Progress::Saved(folder))?;
        self.tell_the_end(true, false, None, Some(folder.to_owned()), tell)
    }

    fn tell_the_end(
        &self,
        stopped: bool,
        stopped_early: bool,
        best_step: Option<u32>,
        model_folder: Option<PathBuf>,
        tell: &mut Tell,
    ) -> Result<Outcome> {
        let seconds = self.state.train_seconds.max(1e-9);
        let axes = self.state.last_evaluation.as_ref().filter(|_| !stopped);
        let finished = Finished {
            run: self.inputs.run,
            steps: self.state.step,
            stopped,
            train_seconds: self.state.train_seconds,
            tokens_per_second: self.state.tokens as f64 / seconds,
            samples_per_second: self.state.samples as f64 / seconds,
            peak_rss_mib: peak_mib(self.learner.gradients.backend()),
            optimizer_mib: self.learner.optimizer.state_bytes() as f64 / (1024.0 * 1024.0),
            best_step,
            stopped_early,
            axes: axes.map(|evaluation| evaluation.axes.clone()).unwrap_or_default(),
        };
        tell(Progress::Event(&Event::Finished(finished.clone())))?;
        Ok(Outcome { finished, model_folder })
    }

    /// What is left of training, by the tokens that are left, and of the evaluations, as long as
    /// the last one or as expected.
    fn seconds_left(&self) -> f64 {
        let (step, total) = (self.state.step, self.plan.total_steps);
        let until = |step: u32| self.plan.tokens_until(step);
        let a_token = self.time.as_secs_f64() / self.tokens.max(1) as f64;
        let an_evaluation = self.evaluation_time.map_or(self.expected_evaluation, |time| time.as_secs_f64());
        let evaluations =
            total.div_ceil(self.eval_steps) - (step / self.eval_steps).min(total.div_ceil(self.eval_steps));
        a_token * until(total).saturating_sub(until(step)) as f64 + an_evaluation * f64::from(evaluations)
    }

    /// What the model's config.json keeps for predicting.
    fn notes(&self) -> Map<String, Value> {
        let notes = json!({
            "run": self.inputs.run,
            "step": self.state.step,
            "model": self.inputs.config.model,
            "max_length": self.max_length,
            "made_up": self.inputs.made_up,
        });
        notes.as_object().cloned().unwrap_or_default()
    }
}

/// That a step is done again in these passes.
fn halved_notice(step: u32, passes: &Group) -> Problem {
    let most = passes.iter().map(Vec::len).max().unwrap_or(0);
    let texts = if most == 1 { "one text".to_owned() } else { format!("{most} texts") };
    let count = passes.len();
    let message = format!(
        "Memory ran short in step {step}, which is done again with {texts} at once and {count} passes a step: the same \
         texts in all."
    );
    Problem::new(ProblemCode::BatchHalved, message)
        .with("step", step)
        .with("batch_size", most)
        .with("gradient_accumulation_steps", count)
}

/// What an evaluation is compared by; none where it has no value on some axis.
fn score(evaluation: &Evaluation, metric: Metric) -> Option<f64> {
    if metric == Metric::Loss {
        return evaluation.loss;
    }
    let values: Option<Vec<f64>> = evaluation.axes.values().map(|axis| axis.get(metric)).collect();
    let values = values.filter(|values| !values.is_empty())?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}
