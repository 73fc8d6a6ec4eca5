use std::collections::BTreeMap;

use compute::{Device, on_device};
use record::{Dtype, Estimate, Event, Finished, Problem, ProblemCode};

use crate::{
    Error, Inputs, Outcome, Progress,
    baseline::baseline,
    checkpoint, device,
    error::Result,
    fits::check_fits,
    memory::peak_rss_mib,
    memory_problem::MemoryOf,
    out_of_memory,
    prepare::{load, prepare},
    progress::{Listener, Tell, notice},
    training_loop::TrainingLoop,
};

/// Beside a run's folder, that its bag of words has been judged already.
const BASELINE: &str = "baseline.json";

/// Trains: texts → tokens → batches → loss → gradients → weights, with evaluations and
/// checkpoints on the way, and the trained model in the run's folder at the end.
///
/// `listener` hears all there is to tell and answers how to go on. A run that is stopped with a
/// wish to save, or whose process ends in any way after its first checkpoint, can be gone on with,
/// and then does what it would have done, to the last bit (on the same number of threads).
pub fn run(inputs: &Inputs, listener: &mut Listener) -> Result<Outcome> {
    let mut tell = |what: Progress| listener(what).map_err(Error::Progress);
    check(inputs)?;
    let device = open(inputs, &mut tell)?;
    if inputs.config.dtype == Dtype::Tf32 && device.is_cpu() {
        let message = "tf32 is a GPU's. On this device everything is computed in 32 bits, which is more.";
        let problem = Problem::new(ProblemCode::NoTf32, message);
        notice(&mut tell, 0, problem)?;
    }
    on(inputs, &device, &mut tell).map_err(|error| explained(error, inputs, &device))
}

fn open(inputs: &Inputs, tell: &mut Tell) -> Result<Device> {
    let wanted = inputs.config.device;
    device::open(wanted, tell)
        .map_err(|error| out_of_memory::explained(error, inputs, MemoryOf::wanted(wanted)))
}

/// What ended a run, with what its device has to do with it, wherever in the run it came from.
fn explained(error: Error, inputs: &Inputs, device: &Device) -> Error {
    match device::or_lost(error, inputs, device) {
        lost @ Error::DeviceLost { .. } => lost,
        error => out_of_memory::explained(error, inputs, MemoryOf::of(device)),
    }
}

/// The run on its device.
fn on(inputs: &Inputs, device: &Device, tell: &mut Tell) -> Result<Outcome> {
    check_fits(inputs.model_folder, inputs.config, device)?;
    if !judge_the_words(inputs, tell)? {
        return Ok(stopped_before_the_first_step(inputs.run));
    }
    let network = load(inputs, device)?;
    on_device!(&network.device.clone(), backend => match prepare(backend, network, inputs, tell)? {
        Some(ready) => TrainingLoop::new(inputs, ready)?.run(tell),
        None => Ok(stopped_before_the_first_step(inputs.run)),
    })
}

/// What the run would need, from the model, the texts, the settings and two measured passes.
/// Nothing is written, and the run is not begun.
pub fn estimate(inputs: &Inputs, listener: &mut Listener) -> Result<Estimate> {
    let mut tell = |what: Progress| listener(what).map_err(Error::Progress);
    check(inputs)?;
    let device = open(inputs, &mut tell)?;
    estimate_on(inputs, &device, &mut tell).map_err(|error| match explained(error, inputs, &device) {
        // Nothing was begun that could be resumed.
        Error::DeviceLost { device, reason, .. } => Error::DeviceLostInEstimate { device, reason },
        error => error,
    })
}

fn estimate_on(inputs: &Inputs, device: &Device, tell: &mut Tell) -> Result<Estimate> {
    check_fits(inputs.model_folder, inputs.config, device)?;
    let network = load(inputs, device)?;
    let found = on_device!(&network.device.clone(), backend => {
        let Some(ready) = prepare(backend, network, inputs, tell)? else {
            return Err(Error::Progress(Problem::new(ProblemCode::Internal, "The estimate was stopped.")));
        };
        TrainingLoop::new(inputs, ready)?.estimate()?
    });
    tell(Progress::Event(&Event::Estimate(found)))?;
    Ok(found)
}

fn check(inputs: &Inputs) -> Result<()> {
    let config = inputs.config;
    config.check_together().map_err(Error::Progress)?;
    for (part, texts) in [("training", inputs.train.len()), ("validation", inputs.valid.len())] {
        if texts == 0 {
            return Err(data::Error::TooFew { part, texts }.into());
        }
    }
    Ok(())
}

/// The bag of words on the same split, once in the life of a run; `false` when it was stopped.
fn judge_the_words(inputs: &Inputs, tell: &mut Tell) -> Result<bool> {
    let done = inputs.run_folder.join(BASELINE);
    let Some(words_folder) = inputs.words_folder.filter(|_| !done.exists()) else { return Ok(true) };
    let Some(found) = baseline(inputs, words_folder, tell)? else { return Ok(false) };
    tell(Progress::Event(&Event::Baseline(found.clone())))?;
    checkpoint::write_json(&done, &found)?;
    Ok(true)
}

fn stopped_before_the_first_step(run: i64) -> Outcome {
    let finished = Finished {
        run,
        steps: 0,
        stopped: true,
        train_seconds: 0.0,
        tokens_per_second: 0.0,
        samples_per_second: 0.0,
        peak_rss_mib: peak_rss_mib(),
        optimizer_mib: 0.0,
        best_step: None,
        stopped_early: false,
        axes: BTreeMap::new(),
    };
    Outcome { finished, model_folder: None }
}
