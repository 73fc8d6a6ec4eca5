//! Whether a run is going nowhere: answers that do not depend on the text, a loss that never falls,
//! gradients at their limit all the time. A run that learns slowly is not accused: each sign has to be
//! beyond chance, after warmup, and for a good part of the run.

use compute::Backend;
use mbti::Type;
use metrics::{Judged, probability};
use model::Head;
use record::{Problem, ProblemCode};
use serde::{Deserialize, Serialize};

use crate::{ClassWeights, learner::Learner, loss::total_weight};

/// The steps after warmup are looked at in so many windows.
const WINDOWS: u32 = 8;
/// A window has at least so many steps, or chance decides, and at most so many, or it is told late.
const WINDOW_STEPS: std::ops::RangeInclusive<u32> = 16..=512;
/// A loss that has not fallen in so many windows, more than half of all, never falls.
const WINDOWS_WITHOUT_A_FALL: u32 = 5;
/// The windows that decide on that together: what a run was like before is no matter.
const WINDOWS_THAT_DECIDE: usize = 3;
/// Gradients that are cut in so many windows in a row, while the loss is far above the constant's, are of
/// a run that has broken loose.
const WINDOWS_BROKEN_LOOSE: u32 = 2;
/// Standard errors by which a mean of steps has to differ: one chance of 740 for each look.
const ERRORS: f64 = 3.0;
/// A loss that is surely not lower than the constant's by this part of it has not fallen; one that is surely
/// higher by the other has broken loose.
const FALL: f64 = 0.005;
const BROKEN_LOOSE: f64 = 0.05;
/// A loss that never fell and is surely higher by this part has diverged. A head that was drawn by chance and does not move is
/// above the constant's by less.
const DIVERGED: f64 = 0.5;
/// Answers whose probabilities vary by less than this part of what their errors do explain less than
/// 1/400 of what there is to explain.
const SPREAD: f64 = 0.05;
/// With fewer validation texts or steps after warmup nothing is said of answers.
const LEAST_TEXTS: usize = 8;
const LEAST_STEPS: u32 = 16;

/// What does not change in the course of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// The loss of the best answer that is the same for all training texts.
    pub(crate) constant_loss: f64,
    pub(crate) total_steps: u32,
    pub(crate) warmup_steps: u32,
    /// The highest learning rate.
    pub(crate) learning_rate: f64,
    /// The limit on the norm of the gradients; 0 for none.
    pub(crate) max_grad_norm: f64,
}

/// What has been seen of a run so far. It is a part of a checkpoint, so that a resumed run reports what
/// it would have reported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    window: Window,
    /// The last full windows, of which as many are kept as decide.
    full: Vec<Window>,
    /// Windows that are full, and how many in a row, up to the last one, had all gradients cut.
    windows: u32,
    windows_clipped: u32,
    /// Full windows in a row, up to the last one, with a loss far above the constant's.
    windows_above: u32,
    /// Whether the loss was surely below the constant's in any window.
    fell: bool,
    /// The same of the last full window.
    is_below: bool,
    /// Evaluations in a row with constant answers.
    constant_evaluations: u32,
    told: Vec<ProblemCode>,
}

/// Sums over some steps in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Window {
    steps: u32,
    clipped: u32,
    norms: f64,
    /// Of how far a step's loss is below the constant's, and of its square.
    falls: f64,
    squares: f64,
}

impl Window {
    fn add(&mut self, fall: f64, norm: f64, limit: f64) {
        self.steps += 1;
        self.clipped += u32::from(limit > 0.0 && norm > limit);
        self.norms += norm;
        self.falls += fall;
        self.squares += fall * fall;
    }

    fn and(&self, other: &Window) -> Window {
        Window {
            steps: self.steps + other.steps,
            clipped: self.clipped + other.clipped,
            norms: self.norms + other.norms,
            falls: self.falls + other.falls,
            squares: self.squares + other.squares,
        }
    }

    fn mean(&self) -> f64 {
        self.falls / f64::from(self.steps.max(1))
    }

    /// The standard error of the mean; infinite for less than two steps.
    fn error(&self) -> f64 {
        let steps = f64::from(self.steps);
        if steps < 2.0 {
            return f64::INFINITY;
        }
        let variance = (self.squares - self.falls * self.mean()).max(0.0) / (steps - 1.0);
        (variance / steps).sqrt()
    }

    fn surely_above(&self, bound: f64) -> bool {
        self.mean() - ERRORS * self.error() > bound
    }

    fn surely_below(&self, bound: f64) -> bool {
        self.mean() + ERRORS * self.error() < bound
    }
}

impl Course {
    /// Steps of a window.
    fn window_steps(&self) -> u32 {
        let after_warmup = self.total_steps.saturating_sub(self.warmup_steps);
        (after_warmup / WINDOWS).clamp(*WINDOW_STEPS.start(), *WINDOW_STEPS.end())
    }
}

impl Watch {
    /// Looks at a step that is done, from 1; what is to be reported comes back, each only once.
    pub(crate) fn step(&mut self, course: &Course, step: u32, loss: f64, norm: f64) -> Vec<Problem> {
        if step <= course.warmup_steps {
            return Vec::new();
        }
        self.window.add(course.constant_loss - loss, norm, course.max_grad_norm);
        if self.window.steps < course.window_steps() {
            return Vec::new();
        }
        let window = std::mem::take(&mut self.window);
        let in_a_row = |before: u32, again: bool| if again { before + 1 } else { 0 };
        self.windows += 1;
        self.full.push(window);
        self.full.drain(..self.full.len().saturating_sub(WINDOWS_THAT_DECIDE));
        self.is_below = window.surely_above(0.0);
        self.fell |= self.is_below;
        self.windows_clipped = in_a_row(self.windows_clipped, window.clipped == window.steps);
        // In the first window a run may still be finding its scale.
        let above = self.windows > 1 && window.surely_below(-BROKEN_LOOSE * course.constant_loss);
        self.windows_above = in_a_row(self.windows_above, above);
        let recent = self.full.iter().fold(Window::default(), |all, window| all.and(window));
        let never_falls = self.windows >= WINDOWS_WITHOUT_A_FALL
            && !self.fell
            && recent.surely_below(FALL * course.constant_loss);
        let clipped_for = self.windows_clipped;
        let at_limit = clipped_for >= WINDOWS_WITHOUT_A_FALL && never_falls
            || clipped_for >= WINDOWS_BROKEN_LOOSE && self.windows_above >= WINDOWS_BROKEN_LOOSE;
        let mut found = Vec::new();
        let of_the_loss = [ProblemCode::LossNotFalling, ProblemCode::LossDiverged];
        if never_falls && !of_the_loss.iter().any(|code| self.told.contains(code)) {
            let diverged = recent.surely_below(-DIVERGED * course.constant_loss);
            let problem =
                if diverged { loss_diverged(course, &recent) } else { loss_not_falling(course, &recent) };
            self.told.push(problem.code);
            found.push(problem);
        }
        if at_limit && self.is_new(ProblemCode::GradientsClipped) {
            found.push(gradients_clipped(course, &window, clipped_for * window.steps));
        }
        found
    }

    /// Looks at an evaluation after this step.
    pub(crate) fn evaluation(&mut self, course: &Course, step: u32, judged: &Judged) -> Option<Problem> {
        let passed = step.saturating_sub(course.warmup_steps);
        let learns = if self.window.steps >= LEAST_STEPS || self.windows == 0 {
            self.window.surely_above(0.0)
        } else {
            self.is_below
        };
        if passed < LEAST_STEPS || learns || !are_constant(judged) {
            self.constant_evaluations = 0;
            return None;
        }
        self.constant_evaluations += 1;
        // A state and no moment: again, or with half of the run gone.
        let lasts = self.constant_evaluations >= 2 || step >= course.total_steps.div_ceil(2);
        (lasts && self.is_new(ProblemCode::AnswersConstant)).then(|| answers_constant(course))
    }

    fn is_new(&mut self, code: ProblemCode) -> bool {
        let new = !self.told.contains(&code);
        if new {
            self.told.push(code);
        }
        new
    }
}

/// Whether answers do not depend on the text: on every axis one letter for all texts, and probabilities
/// that hardly vary beside their errors.
fn are_constant(judged: &Judged) -> bool {
    if judged.axes.is_empty() || judged.types.len() < LEAST_TEXTS {
        return false;
    }
    judged.axes.iter().enumerate().all(|(place, &axis)| {
        let answers: Vec<f64> =
            judged.logits_of(place).into_iter().map(|logit| probability(logit, 1.0)).collect();
        let classes = judged.classes_on(axis);
        let errors: Vec<f64> =
            answers.iter().zip(classes).map(|(answer, class)| f64::from(class) - answer).collect();
        let second = answers.iter().filter(|answer| **answer > 0.5).count();
        let one_letter = second == 0 || second == answers.len();
        one_letter && spread(&answers) < SPREAD * spread(&errors)
    })
}

/// The standard deviation.
fn spread(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

/// The loss of the best answer that is the same for all texts: the entropy of the weighted shares of the
/// letters, in nats, as a mean over the axes.
fn constant_loss(types: &[Type], head: &Head, weights: &ClassWeights) -> f64 {
    let totals = total_weight(types.iter().copied(), head, weights);
    let entropies = head.axes.iter().zip(weights).zip(totals).map(|((&axis, weights), total)| {
        let second = types.iter().filter(|mbti| mbti.class(axis)).count() as f64 * f64::from(weights[1]);
        let nats = |share: f64| if share > 0.0 { -share * share.ln() } else { 0.0 };
        nats(second / total) + nats(1.0 - second / total)
    });
    entropies.sum::<f64>() / head.axes.len().max(1) as f64
}

/// The course of a run of so many steps.
pub(crate) fn course<B: Backend>(learner: &Learner<B>, total_steps: u32, learning_rate: f64) -> Course {
    let (set, config) = (&learner.set, learner.config);
    Course {
        constant_loss: constant_loss(&set.types, &learner.network.head, &set.weights),
        total_steps,
        warmup_steps: config.warmup(total_steps),
        learning_rate,
        max_grad_norm: config.max_grad_norm,
    }
}

/// A learning rate as people write it: 1, 0.01, 2e-4.
fn written(rate: f64) -> String {
    if rate < 1e-3 { format!("{rate:e}") } else { rate.to_string() }
}

// A notice is read while the run goes on and long after, so that it says what was.

fn answers_constant(course: &Course) -> Problem {
    let rate = written(course.learning_rate);
    let message = format!(
        "The answers did not depend on the text: on every axis all validation texts got the same letter and \
         nearly the same probability. Start again with a lower learning rate (it was {rate}) and with warmup; \
         if the rate is low already, train for longer."
    );
    Problem::new(ProblemCode::AnswersConstant, message).with("learning_rate", rate)
}

fn loss_not_falling(course: &Course, window: &Window) -> Problem {
    let Course { constant_loss: constant, .. } = course;
    let (steps, loss) = (window.steps, constant - window.mean());
    let message = format!(
        "The training loss did not fall: over the last {steps} steps it was {loss:.3}, no better than without \
         reading the texts, and giving every text the same answer reaches {constant:.3}. Look whether the labels belong \
         to their texts, try a learning rate ten times lower or higher, train for longer, or let more of the \
         weights learn."
    );
    Problem::new(ProblemCode::LossNotFalling, message)
        .with("steps", steps)
        .with("loss", format!("{loss:.3}"))
        .with("constant", format!("{constant:.3}"))
}

fn loss_diverged(course: &Course, window: &Window) -> Problem {
    let Course { constant_loss: constant, .. } = course;
    let (steps, loss, rate) = (window.steps, constant - window.mean(), written(course.learning_rate));
    let message = format!(
        "The training loss diverged: over the last {steps} steps it was {loss:.3}, and giving every text the same \
         answer reaches {constant:.3}. Start again with a learning rate ten times lower (it was {rate})."
    );
    Problem::new(ProblemCode::LossDiverged, message)
        .with("steps", steps)
        .with("loss", format!("{loss:.3}"))
        .with("constant", format!("{constant:.3}"))
        .with("learning_rate", rate)
}

fn gradients_clipped(course: &Course, window: &Window, steps: u32) -> Problem {
    let (limit, rate) = (course.max_grad_norm, written(course.learning_rate));
    let norm = window.norms / f64::from(window.steps.max(1));
    let message = format!(
        "The gradients were at their limit all the time and the loss did not fall: in each of the last {steps} \
         steps their norm was above max_grad_norm = {limit}, lately {norm:.1} on average. Start again with a \
         lower learning rate (it was {rate}) and with warmup."
    );
    Problem::new(ProblemCode::GradientsClipped, message)
        .with("steps", steps)
        .with("norm", format!("{norm:.1}"))
        .with("limit", limit)
        .with("learning_rate", rate)
}

#[cfg(test)]
mod tests {
    use mbti::Axis;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const COURSE: Course = Course {
        constant_loss: std::f64::consts::LN_2,
        total_steps: 400,
        warmup_steps: 40,
        learning_rate: 2e-4,
        max_grad_norm: 1.0,
    };

    /// What is reported of a run with these losses and norms, and after which step.
    fn reported(mut loss: impl FnMut(f64) -> f64, norm: f64, seed: u64) -> Vec<(u32, ProblemCode)> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut watch = Watch::default();
        let mut all = Vec::new();
        for step in 1..=COURSE.total_steps {
            let noise = (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
            let loss = loss(f64::from(step)) + 0.05 * noise;
            all.extend(watch.step(&COURSE, step, loss, norm).into_iter().map(|problem| (step, problem.code)));
        }
        all
    }

    #[test]
    fn a_loss_above_that_of_the_constant_is_reported_once_while_the_run_goes_on() {
        for seed in 0..20 {
            let found = reported(|_| 0.72, 0.5, seed);
            assert!(matches!(found[..], [(265..=310, ProblemCode::LossNotFalling)]), "{found:?}");
        }
    }

    #[test]
    fn a_loss_that_falls_by_a_little_is_never_reported_though_all_gradients_are_cut() {
        for seed in 0..100 {
            assert_eq!(reported(|step| 0.71 - 1.5e-4 * step, 30.0, seed), [], "{seed}");
            assert_eq!(reported(|_| 0.68, 30.0, seed), [], "{seed}");
        }
    }

    #[test]
    fn gradients_at_their_limit_are_reported_while_the_loss_is_far_above_the_constants() {
        let clipped = |loss: f64, norm| -> Vec<ProblemCode> {
            reported(|_| loss, norm, 3).into_iter().map(|(_, code)| code).collect()
        };
        assert_eq!(clipped(1.5, 20.0), [ProblemCode::GradientsClipped, ProblemCode::LossDiverged]);
        assert_eq!(clipped(0.72, 20.0), [ProblemCode::LossNotFalling, ProblemCode::GradientsClipped]);
        assert_eq!(clipped(1.5, 0.9), [ProblemCode::LossDiverged]);
    }

    #[test]
    fn a_diverged_loss_is_answered_with_a_learning_rate_ten_times_lower_and_nothing_else() {
        let mut watch = Watch::default();
        let steps = 1..=COURSE.total_steps;
        let found: Vec<Problem> = steps.flat_map(|step| watch.step(&COURSE, step, 1.5, 0.5)).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        let advice = found[0].message.rsplit(". ").next().unwrap_or_default();
        assert_eq!(advice, "Start again with a learning rate ten times lower (it was 2e-4).");
        let params: Vec<&str> = found[0].params.values().map(String::as_str).collect();
        assert_eq!(params, ["0.693", "2e-4", "1.500", "135"]);
    }

    #[test]
    fn a_learning_rate_is_written_as_people_write_it() {
        let rates = [1.0, 0.2, 0.01, 0.001, 2e-4, 5e-5].map(written);
        assert_eq!(rates, ["1", "0.2", "0.01", "0.001", "2e-4", "5e-5"]);
    }

    #[test]
    fn notices_say_what_was_and_not_what_is() {
        let window = Window { steps: 20, ..Window::default() };
        let notices = [
            answers_constant(&COURSE),
            loss_not_falling(&COURSE, &window),
            loss_diverged(&COURSE, &window),
            gradients_clipped(&COURSE, &window, 60),
        ];
        for Problem { code, message, .. } in notices {
            assert!(code.is_collapse());
            assert!(!message.contains(" does ") && !message.contains("(now "), "{message}");
            assert!(message.contains(" did not ") || message.contains(" diverged: "), "{message}");
        }
    }

    #[test]
    fn nothing_is_said_of_a_run_too_short_to_tell() {
        let short = Course { total_steps: 60, warmup_steps: 0, ..COURSE };
        let mut watch = Watch::default();
        assert!((1..=60).all(|step| watch.step(&short, step, 0.9, 0.9).is_empty()));
    }

    fn judge(
        watch: &mut Watch,
        step: u32,
        logit: impl Fn(usize) -> f64,
        texts: usize,
    ) -> Option<ProblemCode> {
        let all: Vec<Type> = Type::all().collect();
        let types: Vec<Type> = (0..texts).map(|text| all[text * 7 % 16]).collect();
        let logits: Vec<f64> = (0..4 * texts).map(logit).collect();
        let judged = Judged { axes: &Axis::ALL, logits: &logits, types: &types, authors: &[] };
        watch.evaluation(&COURSE, step, &judged).map(|problem| problem.code)
    }

    #[test]
    fn constant_answers_are_reported_when_they_last() {
        let constant = |place: usize| -0.1 + 0.01 * (place % 5) as f64;
        let mut watch = Watch::default();
        assert_eq!(judge(&mut watch, 30, constant, 100), None, "in warmup");
        assert_eq!(judge(&mut watch, 100, constant, 100), None, "once, early");
        assert_eq!(judge(&mut watch, 150, constant, 100), Some(ProblemCode::AnswersConstant));
        assert_eq!(judge(&mut watch, 200, constant, 100), None, "it is known");
        assert_eq!(judge(&mut Watch::default(), 200, constant, 100), Some(ProblemCode::AnswersConstant));
        assert_eq!(judge(&mut Watch::default(), 200, constant, 7), None, "too few texts");
    }

    #[test]
    fn answers_that_vary_or_a_loss_that_falls_are_no_collapse() {
        let both_letters = |place: usize| 0.02 * (place % 5) as f64 - 0.03;
        let one_letter = |place: usize| 2.0 + 0.5 * (place % 5) as f64;
        let one_axis_varies = |place: usize| if place % 4 == 2 { (place % 7) as f64 - 3.0 } else { -0.1 };
        for answers in [both_letters, one_letter, one_axis_varies] {
            assert_eq!(judge(&mut Watch::default(), 200, answers, 100), None);
        }
        let mut learning = Watch::default();
        for step in 1..=150 {
            learning.step(&COURSE, step, 0.6, 0.5);
        }
        assert_eq!(judge(&mut learning, 200, |_| -0.1, 100), None);
    }

    #[test]
    fn the_constants_loss_is_the_entropy_of_the_weighted_shares() {
        let types: Vec<Type> = Type::all().collect();
        let head = Head { axes: vec![Axis::JudgingPerceiving] };
        let at = |weights| constant_loss(&types, &head, &vec![weights]);
        assert!((at([1.0, 1.0]) - std::f64::consts::LN_2).abs() < 1e-12);
        // −0.75 ln 0.75 − 0.25 ln 0.25
        assert!((at([3.0, 1.0]) - 0.562_335_144_618_808_3).abs() < 1e-12);
        assert_eq!(at([0.0, 1.0]), 0.0);
    }
}
