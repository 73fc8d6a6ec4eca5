//! What an engine tells of its run, one thing after another, and how all of it is written down at once.

use std::path::PathBuf;

use record::{
    Assessment, Baseline, CrossValidation, Estimate, Evaluation, Finished, Notice, Problem, Step,
    TrainConfig, UsedDevice,
};
use serde::{Deserialize, Serialize};

use crate::{Store, error::Result};

/// One thing that an engine tells of its run. It can be kept in a file where the history takes no writing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    Plan {
        total_steps: u32,
        config: Box<TrainConfig>,
    },
    Device(UsedDevice),
    Step(Step),
    Evaluation(Evaluation),
    Notice(Notice),
    Estimate(Estimate),
    Baseline(Box<Baseline>),
    Assessment(Box<Assessment>),
    CrossValidation(Box<CrossValidation>),
    /// Where the run can be predicted with, from the run's own folder.
    Model(PathBuf),
    Paused(bool),
    Finished(Finished),
    Failed(Problem),
}

impl Store {
    /// Writes down what was told of a run, in that order, all or nothing. To write the same down again changes nothing.
    pub async fn write_down(&self, run: i64, told: &[Told]) -> Result<()> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let connection = &mut *transaction;
        for one in told {
            match one {
                Told::Plan { total_steps, config } => {
                    crate::findings::set_plan(connection, run, *total_steps, config).await?;
                }
                Told::Device(used) => {
                    crate::findings::set_device(connection, run, used).await?;
                }
                Told::Step(step) => crate::curve::add_step(connection, run, step).await?,
                Told::Evaluation(found) => crate::curve::add_evaluation(connection, run, found).await?,
                Told::Notice(notice) => crate::curve::add_notice(connection, run, notice).await?,
                Told::Estimate(found) => {
                    crate::findings::set_json(connection, run, "estimate", found).await?;
                }
                Told::Baseline(found) => {
                    crate::findings::set_json(connection, run, "baseline", found).await?;
                }
                Told::Assessment(found) => {
                    crate::findings::set_json(connection, run, "assessment", found).await?;
                }
                Told::CrossValidation(found) => {
                    crate::findings::set_json(connection, run, "cross_validation", found).await?;
                }
                Told::Model(folder) => {
                    let folder = self.home.join("runs").join(run.to_string()).join(folder);
                    crate::findings::set_model_folder(connection, run, &self.told(&folder)).await?;
                }
                Told::Paused(paused) => crate::wishes::set_paused(connection, run, *paused).await?,
                Told::Finished(finished) => crate::lifetime::finish_run(connection, run, finished).await?,
                Told::Failed(problem) => {
                    // A device that is gone says nothing against the run, which only has to be resumed.
                    let status = match problem.code {
                        record::ProblemCode::DeviceLost => record::RunStatus::Interrupted,
                        _ => record::RunStatus::Failed,
                    };
                    crate::lifetime::end_run(connection, run, status, Some(problem)).await?;
                }
            }
        }
        Ok(transaction.commit().await?)
    }
}
