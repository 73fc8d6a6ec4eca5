//! The settings of a run as flags: each by its own name, and what it takes checked where all
//! settings are, in `record`.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};

/// Name, older name, and what it is.
type Row = (&'static str, Option<&'static str>, &'static str);

const SETTINGS: &[Row] = &[
    ("data", None, "Name of the data set to learn from"),
    ("valid", None, "Name of a data set to validate with [default: a part of the authors is held out]"),
    ("model", None, "Name of the model to start from"),
    ("axes", None, "Axes to learn: all, or some of E-I,N-S,F-T,J-P"),
    ("sample_fraction", None, "Part of the texts that is used at all, each type in proportion [default: 1]"),
    ("validation_fraction", None, "Part that is held out without --valid [default: 0.2]"),
    ("split_by", None, "What is held out whole: author or text [default: author]"),
    (
        "folds",
        None,
        "Cross-validate: part the authors, with each type in proportion, into so many folds, train once for each fold on all \
        others, and judge all answers together, each text by a model that learned nothing of its author. It takes so many \
        trainings. With few authors (57 are few) it is the only honest figure: those of a single held-out part depend on \
        which authors are in it. ROC AUC and log loss of all folds together count differences between their models, too; the \
        means over the folds do not",
    ),
    ("fold", None, "Train this one of --folds alone, from 1"),
    ("max_length", None, "Cut texts to so many tokens [default: 256]"),
    (
        "num_train_epochs",
        Some("epochs"),
        "Passes over the texts [default: by their number, from 4 for up to 1,200 to 1 above 3,000]",
    ),
    ("max_steps", None, "End after so many optimizer steps, whatever the epochs say"),
    (
        "per_device_train_batch_size",
        Some("batch_size"),
        "Texts of a batch; a step has so many, times the accumulation [default: 8]",
    ),
    (
        "max_tokens_per_batch",
        None,
        "As many texts in a batch as have so many tokens, in place of a fixed number",
    ),
    ("per_device_eval_batch_size", None, "Texts in one pass of an evaluation [default: as have 2048 tokens]"),
    (
        "gradient_accumulation_steps",
        None,
        "Batches whose gradients are summed before one optimizer step [default: 1]",
    ),
    (
        "tokens_per_pass",
        None,
        "How many tokens of a step go through the network at once: a number, none (each batch by itself), or auto, on a \
        GPU as many as its memory has room for. What is learned is the same [default: auto]",
    ),
    ("learning_rate", None, "The highest learning rate [default: the model family's own]"),
    (
        "head_learning_rate_multiplier",
        None,
        "The head's learning rate as a multiple of the others' [default: 10]",
    ),
    ("lr_scheduler_type", None, "linear, cosine, constant or constant_with_warmup [default: linear]"),
    ("warmup_steps", None, "Steps over which the learning rate rises [default: 0]"),
    ("warmup_ratio", None, "The same as a part of all steps [default: 0.1]"),
    ("optim", None, "adamw, or adamw_8bit with its moments in 8 bits [default: adamw]"),
    ("weight_decay", None, "Decoupled weight decay, on all but biases and norms [default: 0.01]"),
    ("adam_beta1", None, "How slowly the first moment forgets [default: 0.9]"),
    ("adam_beta2", None, "How slowly the second moment forgets [default: 0.999]"),
    ("adam_epsilon", None, "Added to the root of the second moment [default: 1e-8]"),
    ("max_grad_norm", None, "Scale gradients down to this norm; 0 leaves them as they are [default: 1]"),
    (
        "class_weights",
        None,
        "Weights of an axis' two letters: balanced, none, or two such as 0.6,0.4 for the first \
        letter in the alphabet and the other [default: balanced]",
    ),
    ("eval_steps", None, "Evaluate every so many optimizer steps [default: four times in a run]"),
    ("save_steps", None, "Save a checkpoint every so many steps [default: after each evaluation]"),
    ("logging_steps", None, "Write a step down every so many [default: 1]"),
    (
        "save_total_limit",
        None,
        "Checkpoints that are kept, the best and the newest among them; 0 keeps all [default: 2]",
    ),
    ("load_best_model_at_end", None, "End with the weights of the best evaluation [default: true]"),
    (
        "metric_for_best_model",
        None,
        "loss, or the mean over the axes of accuracy, f1, macro_f1, balanced_accuracy, \
        mcc, roc_auc, log_loss or expected_calibration_error [default: roc_auc]",
    ),
    (
        "early_stopping_patience",
        None,
        "End after so many evaluations that are no better; 0 never does [default: 0]",
    ),
    ("early_stopping_threshold", None, "By how much an evaluation must be better [default: 0]"),
    ("seed", None, "Seed of split, new weights, order and dropout [default: 0]"),
    ("device", None, "auto, cpu or cuda:0 [default: auto]"),
    (
        "dtype",
        None,
        "Precision of the base model's weights: f32, bf16, bf16_mixed (f32, multiplied in bf16), or tf32 on a GPU [default: f32]",
    ),
    (
        "trainable",
        None,
        "Which weights learn: all, lora (small matrices beside the linear layers, and the head) or \
        head [default: all]",
    ),
    (
        "quantization",
        None,
        "Bits of the base model's linear layers while LoRA learns beside them: none, nf4 (4 bits) or int8 [default: none]",
    ),
    ("lora_rank", None, "Rank of LoRA's matrices [default: 8]"),
    ("lora_alpha", None, "What LoRA adds is multiplied by this over the rank [default: 16]"),
    ("lora_dropout", None, "Dropout on what LoRA's matrices read [default: 0]"),
    (
        "lora_target_modules",
        None,
        "Linear layers that LoRA stands beside, by the ends of their names, such as \
        q_proj,v_proj [default: all]",
    ),
    ("use_rslora", None, "Divide by the root of the rank instead (rank-stabilised LoRA) [default: false]"),
    (
        "gradient_checkpointing",
        None,
        "Layers that compute their activations again in the backward pass, for less memory and more time: none, \
        alternate (every other one), all, or auto, on a GPU as few as its memory asks for [default: auto]",
    ),
    ("push_to_hub", None, "Push the finished model to this repository, such as user/name"),
    ("hub_private_repo", None, "Make that repository a private one, if it has to be made [default: false]"),
];

/// Settings that are true when nothing is said of them but their name.
const SWITCHES: [&str; 4] =
    ["load_best_model_at_end", "use_rslora", "gradient_checkpointing", "hub_private_repo"];

/// The settings that were given, as text, by their names.
#[derive(Debug, Default)]
pub struct Settings(Vec<(&'static str, String)>);

impl Settings {
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, text)| (*name, text.as_str()))
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut settings = Settings::default();
        settings.update_from_arg_matches(matches)?;
        Ok(settings)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for &(name, ..) in SETTINGS {
            let given = matches.value_source(name) == Some(ValueSource::CommandLine);
            if let (true, Some(text)) = (given, matches.get_one::<String>(name)) {
                self.0.push((name, text.clone()));
            }
        }
        Ok(())
    }
}

impl Args for Settings {
    fn augment_args(command: Command) -> Command {
        SETTINGS.iter().fold(command, |command, &(name, older, about)| {
            let flag = name.replace('_', "-");
            let value = name.rsplit('_').next().unwrap_or(name).to_uppercase();
            let mut arg = Arg::new(name).long(flag).value_name(value).help(about).help_heading("Settings");
            // Numbers below 0 are refused by what is allowed, not taken for flags.
            arg = arg.allow_negative_numbers(true).conflicts_with("run");
            // A run goes on elsewhere where its device is gone, and with its other settings as they were.
            if name != "device" {
                arg = arg.conflicts_with("resume");
            }
            if let Some(older) = older {
                arg = arg.visible_alias(older.replace('_', "-"));
            }
            if SWITCHES.contains(&name) {
                arg = arg.num_args(0..=1).require_equals(true).default_missing_value("true");
            }
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Settings::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::args::Cli;
    use clap::Parser;
    use record::TrainConfig;
    use serde_json::Value;

    #[test]
    fn every_setting_of_a_run_is_a_flag_and_every_flag_is_a_setting() {
        let all = TrainConfig {
            valid: Some("v".into()),
            num_train_epochs: Some(1.0),
            folds: Some(2),
            fold: Some(1),
            max_steps: Some(1),
            max_tokens_per_batch: Some(4),
            per_device_eval_batch_size: Some(1),
            learning_rate: Some(1.0),
            eval_steps: Some(1),
            save_steps: Some(1),
            push_to_hub: Some("a/b".into()),
            ..TrainConfig::default()
        };
        let record = serde_json::to_value(all).unwrap();
        let mut names: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        let mut flags: Vec<&str> = SETTINGS.iter().map(|row| row.0).collect();
        names.sort_unstable();
        flags.sort_unstable();
        assert_eq!(flags, names);
    }

    #[test]
    fn each_flag_changes_its_own_setting_and_no_other() {
        let config = |arguments: &[String]| {
            let all = ["mbti", "train"].map(String::from).into_iter().chain(arguments.iter().cloned());
            let parsed = Cli::try_parse_from(all).unwrap();
            let crate::args::Command::Train(args) = parsed.command else { unreachable!() };
            let Value::Object(config) = serde_json::to_value(args.config().unwrap()).unwrap() else {
                unreachable!()
            };
            config
        };
        let named = ["--data=d".to_owned(), "--model=m".to_owned()];
        let usual = config(&named);
        for &(name, ..) in SETTINGS {
            let value = match name {
                "data" | "valid" | "model" => "x",
                "axes" => "J-P",
                "split_by" => "text",
                "lr_scheduler_type" => "cosine",
                "optim" => "adamw_8bit",
                "class_weights" => "none",
                "metric_for_best_model" => "mcc",
                "device" => "cpu",
                "dtype" => "bf16",
                "trainable" => "lora",
                "quantization" => "nf4",
                "lora_target_modules" => "q_proj",
                "push_to_hub" => "a/b",
                "load_best_model_at_end" => "false",
                "use_rslora" | "gradient_checkpointing" | "hub_private_repo" => "true",
                "sample_fraction"
                | "validation_fraction"
                | "learning_rate"
                | "warmup_ratio"
                | "weight_decay"
                | "adam_beta1"
                | "adam_beta2"
                | "adam_epsilon"
                | "lora_dropout"
                | "early_stopping_threshold" => "0.5",
                _ => "7",
            };
            let flag = format!("--{}", name.replace('_', "-"));
            let others = named.iter().filter(|other| !other.starts_with(&format!("{flag}="))).cloned();
            let changed = config(&others.chain([format!("{flag}={value}")]).collect::<Vec<_>>());
            let differ: Vec<&String> =
                changed.keys().filter(|&key| changed.get(key) != usual.get(key)).collect();
            assert_eq!(differ, [name]);
        }
    }
}
