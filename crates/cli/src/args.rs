use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use data::{Encoding, Reading};
use record::{Cleaning, ColumnMapping, DuplicatesAmong, ExportFormat, OnFind, Preset, SplitBy, TrainConfig};
use serde::de::DeserializeOwned;

use crate::{
    config_file,
    error::{Error, Result},
    evaluate::EvaluateArgs,
    settings::Settings,
};

/// Fine-tune a language model on your own machine and see what it can tell about MBTI types.
#[derive(Debug, Parser)]
#[command(name = "mbti", bin_name = "mbti", version, arg_required_else_help = true)]
pub struct Cli {
    /// Folder in which everything lies [default: $MBTI_HOME, else the platform's data folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Print JSON on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// End standard error with the problem as JSON where the command fails: for the window, whose language may be another
    #[arg(long, global = true, hide = true)]
    pub problem_stderr: bool,
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
    /// Judge finished runs on any data set, on the processor
    ///
    /// With --data: how well a run tells the types of these texts, by text and by author, with 95 % intervals, beside the
    /// majority and the bag of words, and which of the texts it learned from. Without: what was found of it before.
    Evaluate(EvaluateArgs),
    /// Predict a type for a text, on the processor
    ///
    /// Predictions of a finished model are computed on the processor, whatever it was trained on: a GPU is used by
    /// training and by the evaluations within it.
    ///
    /// Below the letters, with their probabilities and 95 % intervals, is named on which axes no temperature corrects the
    /// probability, or one at its limit (`refused` and `limited` in JSON). Then comes a set of types, such as "With 90 %
    /// coverage: INFJ or INFP" (`sets` in JSON): for so many texts of new authors, the set has the right type in it. Where
    /// one axis was learned, it is a set of letters. With too few validation authors to calibrate it, none is promised.
    Predict(PredictArgs),
    /// What there is to compute on, and why what is seen cannot be used
    Devices,
    /// Log in to the Hugging Face Hub with a token, typed unseen or read from standard input
    Login,
    /// Forget the token
    Logout,
    /// Tell whose the token is, where it came from, and what it may do
    Whoami,
    /// The way to the Hub: address, proxy, certificates, where the token may stand
    #[command(subcommand)]
    Hub(HubCommand),
    /// Push a finished run's model to the Hub, with a card written from the run
    Push {
        /// Number of the run
        run: i64,
        /// The repository, such as user/name
        repo: String,
        /// Make it a private one, if it has to be made
        #[arg(long)]
        private: bool,
        /// Only say which files would be sent
        #[arg(long)]
        plan: bool,
        /// Take the token from the first line of standard input
        #[arg(long, hide = true)]
        token_stdin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// Show the settings
    Show,
    /// Change settings; an empty text takes one back
    Set {
        /// Another address than https://huggingface.co, such as a mirror's
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// A .env file with HF_TOKEN or HF_HUB_TOKEN in it
        #[arg(long, value_name = "FILE")]
        env_file: Option<String>,
        /// Such as socks5://127.0.0.1:1080
        #[arg(long, value_name = "URL")]
        proxy: Option<String>,
        /// Certificates in PEM to be trusted besides the system's
        #[arg(long, value_name = "FILE")]
        ca_file: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Datasets {
    /// Read a file, a folder of files, or a data set of the Hub into the program's own storage: CSV, TSV, JSON
    /// Lines, Parquet
    Import {
        /// The file, as it is or packed by gzip or Zstandard, in any usual encoding; or a repository of the Hub, such
        /// as minhaozhang/mbti
        #[arg(required_unless_present = "sample", conflicts_with = "sample")]
        path: Option<PathBuf>,
        /// Which column is what, where the guess is wrong: text=body,author=user,type=mbti, or for
        /// single axes E-I=introvert:1=I
        #[arg(long, value_name = "WHAT=COLUMN,…", value_parser = ColumnMapping::parse)]
        map: Option<ColumnMapping>,
        /// The encoding, such as gb18030, where the guess is wrong
        #[arg(long, value_name = "NAME", value_parser = Reading::encoding)]
        encoding: Option<&'static Encoding>,
        /// What stands between cells, where the guess is wrong: a character, or tab
        #[arg(long, value_name = "CHARACTER", value_parser = Reading::delimiter)]
        delimiter: Option<u8>,
        /// Only show what would be read, and as what
        #[arg(long, conflicts_with = "sample")]
        preview: bool,
        /// Take in the bundled sample instead, whose texts are made up
        #[arg(long)]
        sample: bool,
        /// Name of the data set [default: the file's or the repository's]
        #[arg(long, conflicts_with = "sample")]
        name: Option<String>,
        #[command(flatten)]
        hub: HubDataArgs,
    },
    /// Find data sets on the Hub by name
    Search {
        #[arg(required = true)]
        words: Vec<String>,
    },
    /// List all data sets
    List,
    /// Look at one data set
    Show { name: String },
    /// Change or leave out texts by choice, and count what was done; makes a new data set
    Clean {
        name: String,
        /// Name of the new data set
        #[arg(long, value_name = "NEW")]
        to: String,
        #[command(flatten)]
        cleaning: Box<CleaningArgs>,
    },
    /// Take a part of the texts, each type in proportion; makes a new data set
    Sample {
        name: String,
        /// Name of the new data set
        #[arg(long, value_name = "NEW")]
        to: String,
        #[arg(long)]
        fraction: f64,
        #[arg(long, default_value_t = 0)]
        seed: u32,
    },
    /// Part a data set into new ones to learn from, to validate with and to test with
    Split {
        name: String,
        /// What the new names begin with [default: the data set's name]
        #[arg(long, value_name = "NEW")]
        to: Option<String>,
        #[command(flatten)]
        split: SplitArgs,
        /// The part that is held out to the very end
        #[arg(long, default_value_t = 0.0)]
        test: f64,
        /// So many rounds, in each of which another part validates, instead of one
        #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..=100))]
        folds: Option<u32>,
    },
    /// Tell how much of a validation set can be known without having learned anything about types
    Leaks {
        name: String,
        /// The data set to validate with, instead of a part of the first
        #[arg(long, value_name = "NAME")]
        with: Option<String>,
        #[command(flatten)]
        split: SplitArgs,
        /// Do not let the bag of words learn from type words alone, which takes longest
        #[arg(long)]
        quick: bool,
    },
    /// Write a data set to a file
    Export {
        name: String,
        path: PathBuf,
        /// csv, jsonl or parquet [default: by the file's name, else csv]
        #[arg(long, value_parser = word::<ExportFormat>)]
        format: Option<ExportFormat>,
        /// Put an apostrophe before cells that spreadsheets would take for formulas
        #[arg(long)]
        safe_cells: bool,
    },
    /// Forget a data set and remove its copy of the texts
    Remove { name: String },
}

/// Which part of a data set on the Hub is wanted.
#[derive(Debug, Args)]
pub struct HubDataArgs {
    /// Which split of a data set on the Hub [default: train]
    #[arg(long)]
    pub split: Option<String>,
    /// Which of its configurations [default: its default one]
    #[arg(long, value_name = "NAME")]
    pub subset: Option<String>,
    /// Which commit, branch or tag [default: the newest]
    #[arg(long)]
    pub revision: Option<String>,
    /// Only show what would be fetched
    #[arg(long)]
    pub plan: bool,
}

/// How a data set is parted.
#[derive(Debug, Args)]
pub struct SplitArgs {
    /// The part to validate with
    #[arg(long, default_value_t = 0.2)]
    pub valid: f64,
    /// What is kept together: author, or text, which flatters
    #[arg(long, default_value = "author", value_parser = word::<SplitBy>)]
    pub by: SplitBy,
    #[arg(long, default_value_t = 0)]
    pub seed: u32,
}

/// What is done to the texts; nothing that is not asked for.
#[derive(Debug, Args)]
pub struct CleaningArgs {
    /// Begin with what takes out most that flatters a model; what else is given changes it
    #[arg(long)]
    recommended: bool,
    /// Leave out authors whose texts have several types
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    authors_of_several_types: Option<bool>,
    /// Take out control characters and those without width
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    invisible: Option<bool>,
    /// Addresses: keep, mask, remove, or drop the text
    #[arg(long, value_name = "WHAT", value_parser = word::<OnFind>)]
    urls: Option<OnFind>,
    /// Links such as r/mbti: keep, mask, remove, or drop the text
    #[arg(long, value_name = "WHAT", value_parser = word::<OnFind>)]
    reddit_links: Option<OnFind>,
    /// Words that name or give away a type: keep, mask, remove, or drop the text
    #[arg(long, value_name = "WHAT", value_parser = word::<OnFind>)]
    type_words: Option<OnFind>,
    /// Leave out texts in other languages than these, such as en,zh
    #[arg(long, value_delimiter = ',', value_name = "CODES")]
    languages: Option<Vec<String>>,
    /// Leave out texts that are there already: none, author (among their author's), all
    #[arg(long, value_name = "AMONG", value_parser = word::<DuplicatesAmong>)]
    exact_duplicates: Option<DuplicatesAmong>,
    /// The same for those that are nearly there already
    #[arg(long, value_name = "AMONG", value_parser = word::<DuplicatesAmong>)]
    near_duplicates: Option<DuplicatesAmong>,
    /// From which Jaccard similarity on a text is nearly another [default: 0.8]
    #[arg(long, value_name = "SIMILARITY")]
    near_from: Option<f64>,
    /// Cut longer texts at the ends of sentences
    #[arg(long, value_name = "CHARACTERS")]
    cut_at: Option<u32>,
    /// Join an author's texts until they are so long, and cut them at the second length: 700,1000
    #[arg(long, value_name = "CHARACTERS", value_parser = pair)]
    join_to: Option<[u32; 2]>,
    /// Leave out shorter texts
    #[arg(long, value_name = "CHARACTERS")]
    shortest: Option<u32>,
    /// Leave out longer texts
    #[arg(long, value_name = "CHARACTERS")]
    longest: Option<u32>,
}

impl CleaningArgs {
    pub fn cleaning(&self) -> Cleaning {
        let base = if self.recommended { Cleaning::recommended() } else { Cleaning::default() };
        Cleaning {
            authors_of_several_types: self.authors_of_several_types.unwrap_or(base.authors_of_several_types),
            invisible: self.invisible.unwrap_or(base.invisible),
            urls: self.urls.unwrap_or(base.urls),
            reddit_links: self.reddit_links.unwrap_or(base.reddit_links),
            type_words: self.type_words.unwrap_or(base.type_words),
            languages: self.languages.clone().unwrap_or(base.languages),
            exact_duplicates: self.exact_duplicates.unwrap_or(base.exact_duplicates),
            near_duplicates: self.near_duplicates.unwrap_or(base.near_duplicates),
            near_from: self.near_from.unwrap_or(base.near_from),
            cut_at: self.cut_at.or(base.cut_at),
            join_to: self.join_to.or(base.join_to),
            shortest: self.shortest.or(base.shortest),
            longest: self.longest.or(base.longest),
        }
    }
}

/// Two lengths such as 700,1000.
fn pair(text: &str) -> std::result::Result<[u32; 2], String> {
    let numbers: Option<Vec<u32>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
    numbers
        .and_then(|numbers| <[u32; 2]>::try_from(numbers).ok())
        .ok_or_else(|| "two whole numbers with a comma between are wanted, such as 700,1000".to_owned())
}

/// One of the words that a record has for it, as serde writes them.
fn word<T: DeserializeOwned>(text: &str) -> std::result::Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

#[derive(Debug, Subcommand)]
pub enum Models {
    /// Take in a model of the Hugging Face Hub, or a folder as the Hub lays it out
    Add {
        /// A repository, such as Qwen/Qwen3-0.6B, or a folder
        #[arg(value_name = "REPO|DIR")]
        source: PathBuf,
        /// Name of the model [default: the folder's or the repository's]
        #[arg(long)]
        name: Option<String>,
        /// Which commit, branch or tag of the repository [default: the newest]
        #[arg(long)]
        revision: Option<String>,
        /// Only show what would be fetched
        #[arg(long)]
        plan: bool,
    },
    /// Models of the Hub that are good to begin with, and what they need
    Catalogue,
    /// Find models on the Hub by name
    Search {
        #[arg(required = true)]
        words: Vec<String>,
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
        #[arg(required = true, value_name = "ID", num_args = 1..=100)]
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
    /// Go on with a run that ended early, from its newest whole checkpoint; with a cross-validation (--folds), from the fold
    /// that was interrupted
    #[arg(long, value_name = "ID", conflicts_with_all = ["estimate", "sweep", "preset", "config"])]
    pub resume: Option<i64>,
    /// Only tell what memory and time the run would need
    #[arg(long, conflicts_with = "sweep")]
    pub estimate: bool,
    /// Take the token for the Hub from the first line of standard input
    #[arg(long, hide = true)]
    pub token_stdin: bool,
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

/// A part has to be one, and to leave something.
pub fn is_part(name: &'static str, fraction: f64) -> Result<()> {
    if fraction > 0.0 && fraction < 1.0 {
        return Ok(());
    }
    Err(Error::NoPart { name, value: fraction })
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
    fn two_lengths_are_given_with_a_comma_between() {
        let clean = |lengths: &str| {
            Cli::try_parse_from(["mbti", "datasets", "clean", "d", "--to", "e", "--join-to", lengths])
        };
        let Command::Datasets(Datasets::Clean { cleaning, .. }) = clean("700,1000").unwrap().command else {
            unreachable!()
        };
        assert_eq!(cleaning.cleaning().join_to, Some([700, 1000]));
        for wrong in ["700", "700,1000,1", "a,b", "-1,5", "4294967296,5", ""] {
            assert!(clean(wrong).is_err(), "{wrong}");
        }
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
            "--tokens-per-pass",
            "4096",
            "--axes",
            "all",
            "--lora-target-modules",
            "a,b",
        ])
        .config()
        .unwrap();
        assert_eq!((found.num_train_epochs, found.per_device_train_batch_size), (Some(2.0), 3));
        assert_eq!(found.gradient_checkpointing, record::GradientCheckpointing::All);
        assert!(!found.load_best_model_at_end);
        assert_eq!(found.tokens_per_pass, record::TokensPerPass::Tokens(4096));
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
            ("--tokens-per-pass", "3", "auto, none, or a whole number from 4"),
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
