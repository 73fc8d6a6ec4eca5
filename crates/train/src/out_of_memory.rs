//! What becomes of an error of a device that has no memory left, wherever in a run it comes from.

use record::{GradientCheckpointing, TrainConfig, Trainable};

use crate::{
    Error, Inputs,
    checkpoint::newest_checkpoint,
    fits::least_mib,
    memory::is_out_of_memory,
    memory_problem::{MemoryOf, RanOut, Remedies, When},
};

/// Texts cut to so few tokens or fewer say too little to be cut further.
const SHORT: u32 = 32;

/// An error that says that memory ran out, with whose it was and what to do; any other as it is.
pub(crate) fn explained(error: Error, inputs: &Inputs, of: MemoryOf) -> Error {
    let Some(when) = when(&error) else { return error };
    let least = |config: &TrainConfig| least_mib(inputs.model_folder, config).ok();
    let needed = least(inputs.config);
    let mut settings = settings_that_need_less(inputs.config, when, &least);
    // On a card `auto` has let all layers be computed again before memory ran out.
    if inputs.config.gradient_checkpointing == GradientCheckpointing::Auto && of != MemoryOf::Computer {
        settings.retain(|setting| !setting.starts_with("gradient_checkpointing"));
    }
    let checkpoint = newest_checkpoint(inputs.run, inputs.run_folder).ok().map(|found| found.step);
    Error::RanOut(Box::new(RanOut { when, remedies: Remedies::new(of, settings, needed), checkpoint }))
}

/// Settings of which each lowers what a run needs, as `name=value`; those that change less of what it learns come first.
/// `least` is what a run with some settings needs at least.
fn settings_that_need_less(
    config: &TrainConfig,
    when: When,
    least: &dyn Fn(&TrainConfig) -> Option<f64>,
) -> Vec<String> {
    let needed = least(config);
    let halves = |value: u32| (value / 2).max(1).to_string();
    let (in_step, batch) = (when.step() > 0, config.per_device_train_batch_size);
    let learns = config.trainable != Trainable::Head;
    // Each with whether it counts here: what a pass holds is not in what a run needs at least.
    let of_passes = [
        ("per_device_train_batch_size", halves(batch), matches!(when, When::MidStep(_)) && batch > 1),
        ("gradient_checkpointing", "all".to_owned(), learns && in_step),
        (
            "max_length",
            halves(config.max_length),
            (in_step || when == When::Evaluation) && config.max_length > SHORT,
        ),
    ];
    let of_weights = [
        ("optim", "adamw_8bit"),
        ("dtype", "bf16"),
        ("trainable", "lora"),
        ("quantization", "nf4"),
        ("trainable", "head"),
    ];
    let changed = |name: &str, value: &str| {
        let mut changed = config.clone();
        changed.set(name, value).ok()?;
        (changed != *config && changed.check_together().is_ok()).then_some(changed)
    };
    let helps =
        |changed: &TrainConfig| least(changed).zip(needed).is_some_and(|(less, needed)| less < needed);
    let mut all = Vec::new();
    for (name, value, counts) in &of_passes {
        if *counts && changed(name, value).is_some() {
            all.push(format!("{name}={value}"));
        }
    }
    for (name, value) in of_weights {
        if changed(name, value).is_some_and(|changed| helps(&changed)) {
            all.push(format!("{name}={value}"));
        }
    }
    all
}

/// When memory ran out, by an error; none for one that says nothing of memory.
fn when(error: &Error) -> Option<When> {
    let says_so = |text: &str| is_out_of_memory(text).then_some(When::Elsewhere);
    match error {
        Error::OutOfMemory { step } => Some(When::Step(*step)),
        Error::OutOfMemoryInStep { step } => Some(When::MidStep(*step)),
        Error::OutOfMemoryInEvaluation => Some(When::Evaluation),
        Error::Candle(error) | Error::Model(model::Error::Candle(error)) => says_so(&error.to_string()),
        // What a weight's place on the device is refused with is taken for its file's fault where it is read.
        Error::Model(model::Error::Weights { reason, .. }) => says_so(reason),
        #[cfg(feature = "cuda")]
        Error::DeviceNotOpened { source, .. } => says_so(&source.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use record::Optim;

    /// As if LoRA, the head alone, bf16 and 8 bits each needed less.
    fn least(config: &TrainConfig) -> Option<f64> {
        let learns = match config.trainable {
            Trainable::All => 16.0,
            Trainable::Lora => 5.0,
            Trainable::Head => 4.0,
        };
        let less = [
            config.dtype == record::Dtype::Bf16,
            config.optim == Optim::Adamw8bit && config.trainable == Trainable::All,
            config.quantization != record::Quantization::None,
        ];
        Some(learns - less.into_iter().filter(|less| *less).count() as f64)
    }

    fn proposed(set: &[(&str, &str)], when: When) -> String {
        let mut config = TrainConfig::default();
        for (name, value) in set {
            config.set(name, value).unwrap();
        }
        settings_that_need_less(&config, when, &least).join(" ")
    }

    #[test]
    fn what_is_set_already_or_does_not_help_is_not_proposed() {
        let all = proposed(&[("max_length", "128")], When::Step(1));
        assert_eq!(
            all,
            "gradient_checkpointing=all max_length=64 optim=adamw_8bit dtype=bf16 trainable=lora trainable=head"
        );
        let small = [
            ("max_length", "8"),
            ("gradient_checkpointing", "true"),
            ("trainable", "lora"),
            ("dtype", "bf16"),
        ];
        assert_eq!(proposed(&small, When::Step(1)), "quantization=nf4 trainable=head");
        assert_eq!(
            proposed(&[("trainable", "head"), ("dtype", "bf16"), ("max_length", "32")], When::Step(1)),
            ""
        );
        // A smaller batch only where a step could not be repeated with fewer texts at once.
        assert!(proposed(&[], When::MidStep(2)).starts_with("per_device_train_batch_size="));
        assert!(!proposed(&[("batch_size", "1")], When::MidStep(2)).contains("batch"));
        // Neither a length of texts nor what a pass keeps has to do with weights that are loaded.
        let loading = proposed(&[("max_length", "128")], When::Elsewhere);
        assert_eq!(loading, "optim=adamw_8bit dtype=bf16 trainable=lora trainable=head");
        assert!(!proposed(&[], When::Evaluation).contains("gradient_checkpointing"));
    }

    #[test]
    fn a_device_without_memory_is_known_by_whatever_error_it_comes() {
        let of = |error: Error| when(&error);
        let says =
            || candle_core::Error::Msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".into());
        assert_eq!(of(Error::Candle(says())), Some(When::Elsewhere));
        assert_eq!(of(Error::Model(says().into())), Some(When::Elsewhere));
        let weights = |reason: String| model::Error::Weights { path: "out of memory".into(), reason };
        assert_eq!(of(Error::Model(weights(says().to_string()))), Some(When::Elsewhere));
        assert_eq!(of(Error::Model(weights("cut off".into()))), None);
        let cublas = candle_core::Error::Msg("CublasError(CUBLAS_STATUS_ALLOC_FAILED)".into());
        assert_eq!(of(Error::Candle(cublas)), Some(When::Elsewhere));
        assert_eq!(of(Error::Candle(candle_core::Error::Msg("CUDA_ERROR_UNKNOWN".into()))), None);
        assert_eq!(of(Error::OutOfMemoryInEvaluation), Some(When::Evaluation));
    }
}
