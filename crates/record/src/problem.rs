use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What went wrong, in a form that the window can put into the user's language.
///
/// `message` says the whole in English, for the terminal and for logs; the window takes the
/// sentence for `code` from its own dictionaries and fills in `params`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[ts(export)]
pub struct Problem {
    pub code: ProblemCode,
    pub params: BTreeMap<String, String>,
    pub message: String,
}

impl Problem {
    pub fn new(code: ProblemCode, message: impl ToString) -> Problem {
        Problem { code, params: BTreeMap::new(), message: message.to_string() }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Problem {
        self.params.insert(name.to_owned(), value.to_string());
        self
    }
}

impl ProblemCode {
    /// Whether it says of a run that it goes nowhere.
    pub fn is_collapse(self) -> bool {
        use ProblemCode::{AnswersConstant, GradientsClipped, LossDiverged, LossNotFalling};
        matches!(self, AnswersConstant | LossNotFalling | LossDiverged | GradientsClipped)
    }
}

/// Every kind of problem that a user can meet. The comment names the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
#[ts(export)]
pub enum ProblemCode {
    /// A file or folder could not be read. `path`, `reason`.
    CannotRead,
    /// A file or folder could not be written: full or read-only disk, no right. `path`, `reason`.
    CannotWrite,
    /// No such file or folder. `path`.
    NotFound,
    /// The file holds nothing. `path`.
    EmptyFile,
    /// The file is not text in UTF-8. `path`, `line`.
    NotText,
    /// A file of texts has bytes of zero. `path`, `line`.
    NulCharacters,
    /// A row is longer than any text. `path`.
    LongRow,
    /// A packed file that unpacks to far more than text does. `path`.
    PackedTooWell,
    /// The file is damaged or in another format than it seems. `path`, `format`, `reason`.
    BadFormat,
    /// The folder has no file of a known kind. `path`, `endings`.
    NoFiles,
    /// A column that was named is not there. `path`, `name`, `found`.
    NoSuchColumn,
    /// A run's validation texts can be known in part without learning anything about types. `share` in per
    /// cent, `texts`, `authors`, `duplicates`, `named`: texts of each kind.
    SplitLeaks,
    /// A file that was to be written is there already. `path`.
    FileExists,
    /// What the user wants to have somewhere was to be put among what the home keeps. `path`, `home`.
    InHome,
    /// Work was stopped by the user, and nothing of it was kept.
    Stopped,
    /// The columns are not those of a known format. `path`, `found`, `expected`.
    UnknownColumns,
    /// Rows there were, but none of them can be used. `path`, `rows`, `line`, `reason`.
    NoUsableRow,
    /// The name is taken. `name`.
    NameTaken,
    /// The name has characters that a folder's name cannot have. `name`.
    BadName,
    /// The data set is used by a run that goes on. `name`, `run`.
    InUse,
    /// No data set of this name. `name`, `known`.
    UnknownDataSet,
    /// No model of this name. `name`, `known`.
    UnknownModel,
    /// No run of this number. `run`.
    UnknownRun,
    /// The folder is not a model of a family that can be trained. `path`, `reason`.
    UnknownFamily,
    /// The model folder lacks a file. `path`, `missing`.
    IncompleteModel,
    /// The folder is an adapter, which has to be added to the model that it changes. `path`.
    AdapterOnly,
    /// The weights were quantized, and their card does not name what they were made from. `path`, `method`.
    QuantizedModel,
    /// The weights were quantized from another model. `path`, `method`, `original`.
    QuantizedFrom,
    /// The model is what a run's adapter stands on, so that it cannot be removed. `name`, `run`.
    BaseOfAdapter,
    /// A weight is absent or has another shape than the config says. `path`, `weight`, `found`, `expected`.
    WeightMismatch,
    /// A weights file is damaged or in a format that is not read. `path`, `reason`: the name of a
    /// format that the window knows, or what is wrong.
    BadWeights,
    /// A config.json or tokenizer.json cannot be understood. `path`, `reason`.
    BadModelFile,
    /// A setting has a value that is not allowed. `name`, `value`, `allowed`.
    BadSetting,
    /// The training texts have only one letter on an axis. `axis`, `letter`, `texts`.
    OneClassOnly,
    /// Nothing would be left to train on or to validate with. `part`, `texts`.
    TooFewTexts,
    /// There are fewer authors than folds, no author being in two of them. `authors`, `folds`.
    TooFewAuthors,
    /// There are fewer authors of one letter than folds, or fewer texts where no author is kept together. `axis`,
    /// `letter`, `count`, `folds`.
    TooFewOfLetter,
    /// The loss or the gradient became infinite or not a number. `step`, `rows`: the places of the
    /// step's texts in the data set, from 1; `checkpoint`: the step of the newest one, 0 for none.
    LossNotFinite,
    /// The run would need more memory than there is. `needed`, `available` (MiB), `card`: whose memory that is, or nothing
    /// for the computer's own; `settings`: what would fit, as `name=value` with commas between, or nothing; `processor`:
    /// `device=cpu` where the processor has room and the run would be on another device, or nothing.
    CannotFit,
    /// Memory ran short, so that fewer texts are worked on at once. `step`, `batch_size`,
    /// `gradient_accumulation_steps`: the new values.
    BatchHalved,
    /// Memory ran short, with one text at a time where it was in a step. `step`, 0 for none; `card`: whose memory, or
    /// nothing for the computer's own; `settings`: what needs less, each as `name=value`, with commas between, or nothing.
    OutOfMemory,
    /// An evaluation whose answers do not depend on the text. `learning_rate`: the highest of the run.
    AnswersConstant,
    /// The training loss is not below that of the best answer which is the same for all texts. `steps`: so many were
    /// looked at; `loss`: their mean; `constant`: that of the best constant answer.
    LossNotFalling,
    /// The same of a loss that is far above that of the best constant answer: the run has broken loose. `steps`, `loss`,
    /// `constant`, and `learning_rate`: the highest of the run.
    LossDiverged,
    /// Every gradient is scaled down to the limit while the loss does not fall. `steps` in a row, `norm`: mean over the
    /// last of them, `limit`, `learning_rate`: the highest of the run.
    GradientsClipped,
    /// A model cannot read many of the training texts, whose tokens it does not know. `percent` of them.
    UnreadableTexts,
    /// A checkpoint is damaged and was passed over. `path`, `reason`.
    CheckpointPassedOver,
    /// The run has no whole checkpoint to go on from. `run`.
    NothingToResume,
    /// The checkpoint was made with another model or other texts. `path`, `reason`.
    CheckpointMismatch,
    /// The data set or the model that a cross-validation was begun with was replaced by another of its name. `run`, `name`.
    OtherFolds,
    /// The folds of a cross-validation are not of the same texts. `run`.
    FoldsDiffer,
    /// The answers that a fold of a cross-validation gave are not there. `run`, `fold`.
    NoAnswers,
    /// A fold of a cross-validation ended without being finished. `run`: the cross-validation; `fold`, `fold_run`,
    /// `status`.
    FoldEnded,
    /// tf32 was asked for and the device has none: everything is computed in 32 bits. No parameters.
    NoTf32,
    /// Products in bf16 were asked for and the processor is no faster by them: everything is computed in
    /// 32 bits. No parameters.
    NoBf16Products,
    /// A file of settings cannot be understood. `path`, `reason`.
    BadConfigFile,
    /// The device asked for is not there. `device`.
    NoSuchDevice,
    /// The GPU asked for cannot be used. `device`; `kind` and its parameters as in `Unusable`.
    DeviceUnusable,
    /// The GPU failed in the middle of a run, which can be resumed where it has a checkpoint. `device`, `reason`,
    /// `checkpoint`: the step of the newest one, 0 for none.
    DeviceLost,
    /// A run was resumed on another device than it was on before. `from`, `to`.
    DeviceChanged,
    /// A text without any word. No parameters.
    EmptyText,
    /// The run has nothing to predict with yet. `run`, `status`.
    RunHasNoModel,
    /// No run is there to predict with. No parameters.
    NoFinishedRun,
    /// The run was not judged on the data set yet. `run`, `name`.
    NotEvaluated,
    /// Two runs were judged on different texts of the same name. `first`, `second`, `name`.
    OtherTexts,
    /// The run goes on and cannot be removed. `run`.
    RunIsActive,
    /// The run has ended and cannot be stopped or started. `run`, `status`.
    RunHasEnded,
    /// The engine could not be started. `path`, `reason`.
    EngineNotStarted,
    /// The engine ended without doing what it was asked to. No parameters.
    EngineGone,
    /// The history cannot be opened or is damaged. `path`, `reason`.
    BadHistory,
    /// No token is known, and what was asked for needs one. No parameters.
    NoToken,
    /// The token that is kept was given for another address, and goes to no other. `kept_for`, `endpoint`.
    TokenOfAnother,
    /// What was given as a token cannot be one. No parameters.
    BadToken,
    /// The Hub does not know the token: it is mistyped, revoked or expired. `source`.
    WrongToken,
    /// The Hub does not know the token that was typed. No parameters.
    UnknownToken,
    /// The bag of words is no model for the Hub. `run`.
    NotForTheHub,
    /// A tokenizer has a token without a word embedding. `path`, `largest`, `rows`.
    TokenOutside,
    /// The token may not write there. `repo`.
    NoRight,
    /// The repository may not be read. `repo`.
    NoAccess,
    /// The owner of the repository wants to be asked first. `repo`, `page`.
    GatedRepo,
    /// There is no such repository, or it is private and the token may not see it. `repo`.
    NoRepo,
    /// The repository has no such revision. `repo`, `revision`.
    NoRevision,
    /// Nothing that can be a revision's name. `revision`.
    BadRevision,
    /// The name is none that a repository can have. `repo`.
    BadRepo,
    /// The address of a repository is at another place than the Hub that is asked. `repo`, `endpoint`.
    RepoElsewhere,
    /// The repository holds nothing of the kind that is needed. `repo`, `needed`: `weights`, `config` or `texts`.
    NothingUsable,
    /// The data set has no such split. `repo`, `split`, `known`.
    NoSplit,
    /// The Hub wants to be asked less often. `seconds`.
    RateLimited,
    /// The host cannot be reached. `host`, `reason`.
    NoNetwork,
    /// The host answers with an error of its own. `host`, `status`.
    ServerTrouble,
    /// The host answers with an error that it would answer with again. `host`, `status`.
    ServerRefuses,
    /// What came is not what was asked for. `host`.
    BadAnswer,
    /// `HF_HUB_OFFLINE` is set and something had to be fetched. `what`.
    Offline,
    /// The mirror takes no uploads. `host`.
    NoUploads,
    /// A token would travel in the open. `host`.
    InsecureEndpoint,
    /// A setting of the way to the Hub cannot be used. `name`, `value`.
    BadHubSetting,
    /// The disk has too little room for a download. `path`, `needed`, `free` in MiB.
    NoRoom,
    /// What was fetched has another hash than the Hub says. `path`, `repo`.
    WrongHash,
    /// The repository has changed since, so that nothing was written to it. `repo`.
    RepoChanged,
    /// The window named a file or folder that was not chosen in a dialog, or for something else. No parameters.
    NotChosen,
    /// A dialog asked for consent and did not get it. No parameters.
    NotAgreed,
    /// Something that should not happen; the message tells. No parameters.
    Internal,
}
