//! What the window can ask of finished runs on data sets. An engine judges; here it is started and listened to.

use app::{engine, evaluations};
use record::{RunComparison, RunEvaluation, WorkProgress};
use tauri::{State, ipc::Channel};

use crate::{
    Shell,
    answer::{Answer, told},
    data_commands::tell,
};

#[tauri::command]
pub async fn evaluate_run(
    shell: State<'_, Shell>,
    work: u32,
    progress: Channel<WorkProgress>,
    run: i64,
    data: String,
) -> Answer<RunEvaluation> {
    let evaluate = async move |home, mut watch: app::Watch| {
        let tell = |progress: Option<WorkProgress>| match progress {
            Some(progress) => watch.tell(progress),
            None => watch.goes_on(),
        };
        engine::evaluate(&home, run, &data, tell).await
    };
    shell.works.follow(&shell.home, work, tell(progress), evaluate).await.map_err(told)
}

#[tauri::command]
pub async fn list_evaluations(shell: State<'_, Shell>) -> Answer<Vec<RunEvaluation>> {
    evaluations::list(&shell.home, None).await.map_err(told)
}

#[tauri::command]
pub async fn compare_evaluations(
    shell: State<'_, Shell>,
    first: i64,
    second: i64,
    data: String,
) -> Answer<RunComparison> {
    engine::compare(&shell.home, [first, second], &data).await.map_err(told)
}
