use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use record::{Preset, TrainConfig};

use crate::{
    config_file,
    error::{Error, Result},
    settings::Settings,
};

/// Fine-tune a language model on your own machine and see what it can tell about MBTI types.
#[derive(Debug, Parser)]
#[command(name = "mbti", version, arg_required_else_help = true)]
pub struct Cli {
    /// Folder in which everything lies [default: $MBTI_HOME, else the platform's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Texts with types, to learn from and to judge with
    #[command(subcommand)]
    Datasets(Datasets),
    /// Models to start from
    #[command(subcommand)]
    Models(Models),
    /// Fine-tune a model
    Train(Box<TrainArgs>),
    /// The history of all runs
    #[command(subcommand)]
    Runs(Runs),
    /// Predict a type for a text
    Predict(PredictArgs),
}

#[derive(Debug, Subcommand)]
pub enum Datasets {
    /// Read a CSV file into the program's own storage
    Import {
        /// The file: columns author, body, mbti, E-I, N-S, F-T, J-P, or type and posts
        #[arg(required_unless_present = "sample", conflicts_with = "sample")]
        path: Option<PathBuf>,
        /// Take in the bundled sample instead, whose texts are made up
        #[arg(long)]
        sample: bool,
        /// Name of the data set [default: the file's]
        #[arg(long, conflicts_with = "sample")]
        name: Option<String>,
    },
    /// List all data sets
    List,
    /// Look at one data set
    Show { name: String },
    /// Forget a data set and remove its copy of the texts
    Remove { name: String },
}

#[derive(Debug, Subcommand)]
pub enum Models {
    /// Take in a folder as the Hugging Face Hub lays it out
    Add {
        dir: PathBuf,
        /// Name of the model [default: the folder's]
        #[arg(long)]
        name: Option<String>,
    },
    /// List all models
    List,
    /// Forget a model and remove the program's copy of it
    Remove { name: String },
}

#[derive(Debug, Subcommand)]
pub enum Runs {
    /// List all runs, the newest first
    List,
    /// Look at one run
    Show {
        id: i64,
        /// Print its settings as a file that `mbti train --config` takes to repeat it
        #[arg(long)]
        config: bool,
    },
    /// Ask a run to stop after the step it is in; what it has learned is kept, and it can be gone on with
    Stop {
        id: i64,
        /// Stop at once, with what was saved before
        #[arg(long)]
        now: bool,
    },
    /// Ask a run to save and wait
    Pause { id: i64 },
    /// Let a run that waits go on
    Continue { id: i64 },
    /// Compare settings and metrics of runs
    Compare {
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
    },
    /// Make a whole model of what a run learned by LoRA, which then needs its base model no more
    Merge {
        id: i64,
        /// Write it to this new folder, and leave the run as it is
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Forget a run and remove its folder, its model included
    Remove { id: i64 },
}

#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Number of the run to predict with [default: the newest with a model]
    #[arg(long)]
    pub run: Option<i64>,
    /// Answer every line of standard input with a line of JSON; a line is a text, or an object with "text"
    #[arg(long, conflicts_with = "text")]
    pub lines: bool,
    /// The text; without it, standard input is read
    #[arg(value_name = "TEXT")]
    pub text: Vec<String>,
}

#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Work on a run that the window has written down
    #[arg(long, value_name = "ID", conflicts_with_all = ["resume", "estimate", "sweep", "preset", "config"])]
    pub run: Option<i64>,
    /// Go on with a run that ended early, from its newest whole checkpoint
    #[arg(long, value_name = "ID", conflicts_with_all = ["estimate", "sweep", "preset", "config"])]
    pub resume: Option<i64>,
    /// Only tell what memory and time the run would need
    #[arg(long, conflicts_with = "sweep")]
    pub estimate: bool,
    /// Queue a run for each value of a setting, such as learning_rate=1e-5,2e-5; may be repeated
    #[arg(long, value_name = "NAME=VALUES")]
    pub sweep: Vec<String>,
    /// Begin with settings that go together: tutorial, quick-look, best-quality or small-memory
    #[arg(long, value_parser = parse_preset)]
    pub preset: Option<Preset>,
    /// Take settings from a file in TOML, or in JSON when its name ends in .json
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
}

fn parse_preset(text: &str) -> std::result::Result<Preset, String> {
    let names: Vec<&str> = Preset::ALL.iter().map(|preset| preset.name()).collect();
    let found = Preset::ALL.into_iter().find(|preset| preset.name() == text);
    found.ok_or_else(|| format!("allowed are {}", names.join(", ")))
}

impl TrainArgs {
    /// The settings: the defaults, changed by the preset, then by the file, then one by one.
    pub fn config(&self) -> Result<TrainConfig> {
        let base = self.preset.map_or_else(TrainConfig::default, Preset::config);
        let mut config = match &self.config {
            Some(path) => config_file::read(path, &base)?,
            None => base,
        };
        for (name, text) in self.settings.given() {
            config.set(name, text)?;
        }
        for (name, value) in [("data", &config.data), ("model", &config.model)] {
            if value.is_empty() {
                return Err(Error::Missing { name });
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::CommandFactory;
    use mbti::Axis;

    fn train(arguments: &[&str]) -> TrainArgs {
        let all = [&["mbti", "train"], arguments].concat();
        match Cli::try_parse_from(all).unwrap().command {
            Command::Train(args) => *args,
            _ => unreachable!(),
        }
    }

    #[test]
    fn the_arguments_are_consistent_and_their_defaults_are_the_records_own() {
        Cli::command().debug_assert();
        let expected = TrainConfig { data: "d".into(), model: "m".into(), ..TrainConfig::default() };
        assert_eq!(train(&["--data", "d", "--model", "m"]).config().unwrap(), expected);
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_preset() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run.toml");
        std::fs::write(&file, "data = \"d\"\nmodel = \"m\"\nseed = 7\nlearning_rate = 1e-3\n").unwrap();
        let file = file.to_str().unwrap();
        let found =
            train(&["--preset", "tutorial", "--config", file, "--learning-rate", "1e-4"]).config().unwrap();
        assert_eq!((found.learning_rate, found.seed, found.sample_fraction), (Some(1e-4), 7, 0.1));
        assert_eq!(found.axes, [Axis::JudgingPerceiving]);
    }

    #[test]
    fn older_names_and_flags_without_a_value_are_understood() {
        let found = train(&[
            "--data",
            "d",
            "--model",
            "m",
            "--epochs",
            "2",
            "--batch-size",
            "3",
            "--gradient-checkpointing",
            "--load-best-model-at-end=false",
            "--axes",
            "all",
            "--lora-target-modules",
            "a,b",
        ])
        .config()
        .unwrap();
        assert_eq!((found.num_train_epochs, found.per_device_train_batch_size), (2.0, 3));
        assert!(found.gradient_checkpointing && !found.load_best_model_at_end);
        assert_eq!((found.axes.len(), found.lora_target_modules.len()), (4, 2));
    }

    #[test]
    fn a_wrong_word_is_refused_with_those_that_are_allowed_and_a_missing_name_by_name() {
        for (name, value, allowed) in [
            ("--dtype", "f16", "bf16"),
            ("--trainable", "lore", "lora"),
            ("--class-weights", "1", "0.6,0.4"),
            ("--optim", "sgd", "adamw_8bit"),
            ("--axes", "X-Y", "J-P"),
            ("--weight-decay", "2", "from 0 to 1"),
        ] {
            let error =
                train(&["--data", "d", "--model", "m", name, value]).config().unwrap_err().to_string();
            assert!(error.contains(allowed), "{error}");
        }
        assert!(train(&["--data", "d"]).config().unwrap_err().to_string().contains("--model"));
        let error = Cli::try_parse_from(["mbti", "train", "--preset", "best"]).unwrap_err().to_string();
        assert!(error.contains("best-quality"), "{error}");
    }
}
