//! Many runs one after another.

use record::{RunStatus, TrainConfig};
use store::Wishes;

use crate::{
    Context, device, engine_process,
    error::{Error, Result},
    print, report,
    signals::Signals,
};

/// Settings whose own values have commas; their values in a sweep are told apart by semicolons.
const LISTS: [&str; 3] = ["axes", "class_weights", "lora_target_modules"];

/// More runs than this are a mistake: each takes minutes at the least.
const MOST_RUNS: usize = 1000;
/// Characters of what was given that a message quotes.
const SHOWN: usize = 200;

/// Every combination of the values that are swept over, the first setting changing slowest.
pub fn combinations(config: &TrainConfig, sweeps: &[String]) -> Result<Vec<TrainConfig>> {
    let swept = sweeps.iter().map(|sweep| values(sweep)).collect::<Result<Vec<_>>>()?;
    // Counted before any of them is made.
    let runs = swept.iter().try_fold(1usize, |runs, (_, values)| runs.checked_mul(values.len()));
    if runs.is_none_or(|runs| runs > MOST_RUNS) {
        let given = runs.map_or_else(|| "far more".to_owned(), |runs| runs.to_string());
        return Err(Error::TooMany { name: "sweep", allowed: format!("at most {MOST_RUNS} runs"), given });
    }
    let mut all = vec![config.clone()];
    for (name, values) in swept {
        let mut next = Vec::with_capacity(all.len() * values.len());
        for config in &all {
            for value in &values {
                let mut config = config.clone();
                config.set(&name, value)?;
                next.push(config);
            }
        }
        all = next;
    }
    Ok(all)
}

/// A setting's name and the values that it is to take.
fn values(sweep: &str) -> Result<(String, Vec<&str>)> {
    let wrong = || Error::Sweep { given: sweep.chars().take(SHOWN).collect() };
    let (name, values) = sweep.split_once('=').ok_or_else(wrong)?;
    let name = name.trim().replace('-', "_");
    let cut = if LISTS.contains(&name.as_str()) { ';' } else { ',' };
    let values: Vec<&str> = values.split(cut).map(str::trim).collect();
    if values.iter().any(|value| value.is_empty()) { Err(wrong()) } else { Ok((name, values)) }
}

/// Queues a run for each combination and works on them one after another.
pub fn run(context: &Context, config: &TrainConfig, sweeps: &[String]) -> Result<()> {
    let (home, runtime) = (&context.home, &context.runtime);
    let configs = combinations(config, sweeps)?;
    device::check(context, &configs)?;
    let signals = Signals::for_run();
    let mut queue = Vec::new();
    for config in configs {
        let run = runtime.block_on(app::runs::create(home, &config))?;
        // Held while the run waits for its turn, so that nobody takes it for left alone.
        queue.push((run, app::runs::queue_lock(home, run)?));
    }
    let runs: Vec<i64> = queue.iter().map(|(run, _)| *run).collect();
    print::note(&format!("{} runs are queued.", runs.len()));
    let (mut failed, mut interrupted) = (0, 0);
    for (place, (run, lock)) in queue.into_iter().enumerate() {
        if signals.count() > 0 {
            runtime.block_on(app::runs::stop(home, run, app::runs::Stop::Save)).ok();
            continue;
        }
        if runtime.block_on(home.store.run(run))?.status != RunStatus::Queued {
            // Stopped by somebody while it waited.
            continue;
        }
        print::note(&format!("Run {run}, {} of {}:", place + 1, runs.len()));
        let engine = engine_process::train(context)?.arg("--run").arg(run.to_string()).spawn()?;
        let wished = || Wishes { stop: engine_process::stop_by(&signals), pause: false };
        let ended = engine_process::wait(context, run, engine, wished)?;
        if !ended.success() {
            // One whose engine is gone without a word is marked by this.
            runtime.block_on(app::runs::reconcile(home))?;
            match runtime.block_on(home.store.run(run))?.status {
                // It was stopped before its engine took it up, which is no failure of the run's.
                RunStatus::Stopped => {}
                RunStatus::Interrupted => interrupted += 1,
                _ => failed += 1,
            }
        }
        drop(lock);
    }
    let found = runtime.block_on(app::runs::compare(home, &runs))?;
    if !context.json {
        report::compare(&found)?;
    }
    match (failed, interrupted) {
        (0, 0) => Ok(()),
        _ => Err(Error::SweepFailed { failed, interrupted, runs: runs.len() }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use record::ClassWeighting;

    #[test]
    fn a_sweep_is_every_combination_and_lists_are_told_apart_by_semicolons() {
        let sweep = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
            combinations(&TrainConfig::default(), &texts)
        };
        let found = sweep(&["learning_rate=1e-5,2e-5", "seed=0,1,2"]).unwrap();
        let pairs: Vec<_> = found.iter().map(|config| (config.learning_rate.unwrap(), config.seed)).collect();
        assert_eq!(pairs, [(1e-5, 0), (1e-5, 1), (1e-5, 2), (2e-5, 0), (2e-5, 1), (2e-5, 2)]);
        let found = sweep(&["class-weights=balanced;0.6,0.4"]).unwrap();
        assert_eq!(found[1].class_weights, ClassWeighting::Given([0.6, 0.4]));
        let many: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let many = format!("seed={}", many.join(","));
        let error = sweep(&[many.as_str(); 7]).unwrap_err().to_string();
        assert!(error.contains("1000") && error.contains("1280000000"), "{error}");
        assert!(sweep(&[many.as_str(); 99]).unwrap_err().to_string().contains("far more"));
        for wrong in ["seed", "seed=", "seed=1,,2", "sed=1", "seed=x"] {
            assert!(sweep(&[wrong]).is_err(), "{wrong}");
        }
    }
}
