use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use mbti::Axis;
use record::{ClassWeighting, Device, Dtype, TrainConfig, Trainable};

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
    Show { id: i64 },
    /// Ask a run to stop after the step it is in; what it has learned is kept
    Stop { id: i64 },
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
    #[arg(long, value_name = "ID", conflicts_with_all = ["data", "valid", "model"])]
    pub run: Option<i64>,
    /// Name of the data set to learn from
    #[arg(long, required_unless_present = "run", value_name = "NAME")]
    pub data: Option<String>,
    /// Name of a data set to validate with [default: a part of the authors is held out]
    #[arg(long, value_name = "NAME")]
    pub valid: Option<String>,
    /// Name of the model to start from
    #[arg(long, required_unless_present = "run", value_name = "NAME")]
    pub model: Option<String>,
    /// Axes to learn: all, or some of E-I,N-S,F-T,J-P
    #[arg(long, default_value = "all", value_parser = parse_axes)]
    pub axes: AxisList,
    /// Passes over the texts [default: 1]
    #[arg(long)]
    pub epochs: Option<f64>,
    /// End after so many optimizer steps, whatever the epochs say
    #[arg(long)]
    pub max_steps: Option<u32>,
    /// Texts in one forward and backward pass [default: 8]
    #[arg(long)]
    pub batch_size: Option<u32>,
    /// Passes whose gradients are summed before one optimizer step [default: 1]
    #[arg(long)]
    pub gradient_accumulation_steps: Option<u32>,
    /// The highest learning rate [default: the model family's own]
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Decoupled weight decay, on all but biases and norms [default: 0.01]
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Cut texts to so many tokens [default: 256]
    #[arg(long)]
    pub max_length: Option<u32>,
    /// Evaluate every so many optimizer steps [default: four times in a run]
    #[arg(long)]
    pub eval_steps: Option<u32>,
    /// Part of the authors that is held out without --valid [default: 0.2]
    #[arg(long)]
    pub validation_fraction: Option<f64>,
    /// Seed of split, new weights, order and dropout [default: 0]
    #[arg(long)]
    pub seed: Option<u32>,
    /// auto, cpu or cuda:0
    #[arg(long, default_value = "auto")]
    pub device: Device,
    /// Precision of the base model's weights: f32 or bf16 [default: f32]
    #[arg(long, value_parser = parse_dtype)]
    pub dtype: Option<Dtype>,
    /// Which weights learn: all, lora (small matrices beside the linear layers, and the head) or head [default: all]
    #[arg(long, value_parser = parse_trainable)]
    pub trainable: Option<Trainable>,
    /// Rank of LoRA's matrices [default: 8]
    #[arg(long)]
    pub lora_rank: Option<u32>,
    /// What LoRA adds is multiplied by this over the rank [default: 16]
    #[arg(long)]
    pub lora_alpha: Option<f64>,
    /// Dropout on what LoRA's matrices read [default: 0]
    #[arg(long)]
    pub lora_dropout: Option<f64>,
    /// Linear layers that LoRA stands beside, by the ends of their names, such as q_proj,v_proj [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub lora_target_modules: Vec<String>,
    /// Divide by the root of the rank instead (rank-stabilised LoRA)
    #[arg(long)]
    pub use_rslora: bool,
    /// Keep the activations of one layer at a time and compute the others again: less memory, more time
    #[arg(long)]
    pub gradient_checkpointing: bool,
    /// Weights of an axis' two letters in the loss: balanced, none, or two numbers such as 0.6,0.4
    /// for the first letter in the alphabet and the other [default: balanced]
    #[arg(long)]
    pub class_weights: Option<ClassWeighting>,
}

/// The axes of `--axes`, wrapped so that clap takes one value and not several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AxisList(pub Vec<Axis>);

fn parse_axes(text: &str) -> Result<AxisList, mbti::Error> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(AxisList(Axis::ALL.to_vec()));
    }
    text.split(',').map(str::parse).collect::<Result<_, _>>().map(AxisList)
}

/// One of a setting's few values by its name.
fn parse_name<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let known: Vec<&str> = all.iter().map(|&value| name(value)).collect();
    let found = all.iter().copied().find(|&value| name(value) == text);
    found.ok_or_else(|| format!("allowed are {}", known.join(", ")))
}

fn parse_dtype(text: &str) -> Result<Dtype, String> {
    parse_name(text, &Dtype::ALL, Dtype::name)
}

fn parse_trainable(text: &str) -> Result<Trainable, String> {
    parse_name(text, &Trainable::ALL, Trainable::name)
}

impl TrainArgs {
    /// The settings, with the defaults where nothing was said.
    pub fn config(&self) -> TrainConfig {
        let usual = TrainConfig::default();
        TrainConfig {
            data: self.data.clone().unwrap_or_default(),
            valid: self.valid.clone(),
            model: self.model.clone().unwrap_or_default(),
            axes: self.axes.0.clone(),
            epochs: self.epochs.unwrap_or(usual.epochs),
            max_steps: self.max_steps,
            batch_size: self.batch_size.unwrap_or(usual.batch_size),
            gradient_accumulation_steps: self
                .gradient_accumulation_steps
                .unwrap_or(usual.gradient_accumulation_steps),
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay.unwrap_or(usual.weight_decay),
            max_length: self.max_length.unwrap_or(usual.max_length),
            eval_steps: self.eval_steps,
            validation_fraction: self.validation_fraction.unwrap_or(usual.validation_fraction),
            seed: self.seed.unwrap_or(usual.seed),
            device: self.device,
            dtype: self.dtype.unwrap_or(usual.dtype),
            trainable: self.trainable.unwrap_or(usual.trainable),
            lora_rank: self.lora_rank.unwrap_or(usual.lora_rank),
            lora_alpha: self.lora_alpha.unwrap_or(usual.lora_alpha),
            lora_dropout: self.lora_dropout.unwrap_or(usual.lora_dropout),
            lora_target_modules: self.lora_target_modules.clone(),
            use_rslora: self.use_rslora,
            gradient_checkpointing: self.gradient_checkpointing,
            class_weights: self.class_weights.unwrap_or(usual.class_weights),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent_and_their_defaults_are_the_records_own() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["mbti", "train", "--data", "d", "--model", "m"]).unwrap();
        let Command::Train(args) = cli.command else { unreachable!() };
        let expected = TrainConfig { data: "d".into(), model: "m".into(), ..TrainConfig::default() };
        assert_eq!(args.config(), expected);
    }

    #[test]
    fn axes_are_all_or_a_list() {
        assert_eq!(parse_axes("all").unwrap().0, Axis::ALL);
        assert_eq!(
            parse_axes("J-P,ei").unwrap().0,
            [Axis::JudgingPerceiving, Axis::ExtraversionIntroversion]
        );
        assert!(parse_axes("X-Y").is_err());
    }

    #[test]
    fn a_wrong_word_is_refused_with_those_that_are_allowed() {
        for (name, value, allowed) in
            [("--dtype", "f16", "bf16"), ("--trainable", "lore", "lora"), ("--class-weights", "1", "0.6,0.4")]
        {
            let arguments = ["mbti", "train", "--data", "d", "--model", "m", name, value];
            let error = Cli::try_parse_from(arguments).unwrap_err().to_string();
            assert!(error.contains(allowed), "{error}");
        }
        let arguments = ["mbti", "train", "--data", "d", "--model", "m", "--lora-target-modules", "a,b"];
        let Command::Train(args) = Cli::try_parse_from(arguments).unwrap().command else { unreachable!() };
        assert_eq!(args.config().lora_target_modules, ["a", "b"]);
    }
}
