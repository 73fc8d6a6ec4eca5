//! Work that takes a while: on a thread of its own, followed as it goes, and stopped where that is wished.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use record::{Problem, ProblemCode, WorkProgress};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{Error, Home, Transfer, error::Result};

/// Between two tellings of how far a piece of work is: more of them nobody could read.
const BETWEEN: Duration = Duration::from_millis(100);

/// Does work that computes or reads for long on a thread of its own, so that the threads which answer
/// everything else stay free.
pub async fn apart<T: Send + 'static>(
    home: &Home,
    work: impl AsyncFnOnce(Home) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (home, runtime) = (home.clone(), Handle::current());
    let done = spawn_blocking(move || runtime.block_on(work(home))).await;
    done.unwrap_or_else(|error| Err(Error::Problem(Problem::new(ProblemCode::Internal, error))))
}

/// The pieces of work that go on, by the numbers that whoever began them gave them, each with whether it
/// is to be stopped.
#[derive(Debug, Default)]
pub struct Works {
    stops: Mutex<HashMap<u32, Arc<AtomicBool>>>,
}

impl Works {
    /// Does work as [`apart`] does. `tell` hears how far it is, a few times a second.
    pub async fn follow<T: Send + 'static>(
        &self,
        home: &Home,
        number: u32,
        tell: impl FnMut(WorkProgress) + Send + 'static,
        work: impl AsyncFnOnce(Home, Watch) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let stop = Arc::<AtomicBool>::default();
        self.lock().insert(number, stop.clone());
        let watch = Watch { stop, tell: Box::new(tell), told: None };
        let done = apart(home, async move |home| work(home, watch).await).await;
        self.lock().remove(&number);
        done
    }

    /// Asks a piece of work to stop. One that has ended meanwhile is left at that.
    pub fn stop(&self, number: u32) {
        if let Some(stop) = self.lock().get(&number) {
            stop.store(true, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u32, Arc<AtomicBool>>> {
        // A flag is whole whatever happened to whoever held the lock.
        self.stops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a piece of work is watched by.
pub struct Watch {
    stop: Arc<AtomicBool>,
    tell: Box<dyn FnMut(WorkProgress) + Send>,
    told: Option<Instant>,
}

impl Watch {
    /// Tells how far the work is, and answers whether it is to go on.
    pub fn tell(&mut self, progress: impl Into<WorkProgress>) -> bool {
        if self.told.is_none_or(|told| told.elapsed() >= BETWEEN) {
            self.told = Some(Instant::now());
            (self.tell)(progress.into());
        }
        self.goes_on()
    }

    /// The same for texts of how many.
    pub fn texts(&mut self, done: usize, total: usize) -> bool {
        let count = |texts| i64::try_from(texts).unwrap_or(i64::MAX);
        self.tell(WorkProgress::Texts { done: count(done), total: count(total) })
    }

    /// Does work that moves bytes, tells how far it is, and has it stop where that is wished.
    pub async fn transfer<T>(
        &mut self,
        transfer: &Transfer,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(BETWEEN) => {}
            }
            if !self.tell(WorkProgress::Transfer(transfer.progress())) {
                transfer.stop();
            }
        }
    }

    pub fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::sync::mpsc::channel;

    use super::*;
    use crate::{data_sets, home::empty_home};
    use record::SplitBy;

    fn posts(folder: &std::path::Path, rows: usize) -> std::path::PathBuf {
        let path = folder.join("posts.csv");
        let row = |n: usize| format!("a{},text number {n},{}\n", n / 4, ["INFP", "ESTJ"][n % 2]);
        let rows: String = (0..rows).map(row).collect();
        std::fs::write(&path, format!("author,body,mbti\n{rows}")).unwrap();
        path
    }

    #[tokio::test]
    async fn work_tells_how_far_it_is_and_leaves_nothing_where_it_is_stopped() {
        let (folder, home) = empty_home().await;
        let path = posts(folder.path(), 9000);
        let works = Arc::new(Works::default());
        let (sender, told) = channel();
        let stopper = works.clone();
        // It is stopped as soon as it has told anything.
        let tell = move |progress| {
            sender.send(progress).unwrap();
            stopper.stop(7);
        };
        let import = async move |home: Home, mut watch: Watch| {
            data_sets::import(&home, &path, None, &Default::default(), |at| watch.tell(at)).await
        };
        let error = works.follow(&home, 7, tell, import).await.unwrap_err();
        assert_eq!(error.problem().code, ProblemCode::Stopped);
        let WorkProgress::Bytes { total, texts, .. } = told.recv().unwrap() else { unreachable!() };
        assert!(total > 100_000 && (1..9000).contains(&texts), "{total} {texts}");
        assert!(data_sets::list(&home).await.unwrap().is_empty());
        assert_eq!(std::fs::read_dir(folder.path().join("datasets")).unwrap().count(), 0);
        assert!(works.lock().is_empty());
    }

    #[tokio::test]
    async fn every_piece_of_work_has_a_number_and_only_the_one_meant_is_stopped() {
        let (folder, home) = empty_home().await;
        let path = posts(folder.path(), 3000);
        data_sets::import(&home, &path, Some("posts"), &Default::default(), |_| true).await.unwrap();
        let works = Works::default();
        // To stop what does not go on is no fault.
        works.stop(1);
        let leaks = async |home: Home, mut watch: Watch| {
            data_sets::leaks(&home, "posts", SplitBy::Text, |done, total| watch.texts(done, total)).await
        };
        let (sender, told) = channel();
        let found = works.follow(&home, 1, move |progress| sender.send(progress).unwrap(), leaks).await;
        assert_eq!(found.unwrap().split.valid_examples, 600);
        assert_eq!(told.recv().unwrap(), WorkProgress::Texts { done: 1024, total: 3000 });
        let stopped = works.follow(
            &home,
            2,
            |_| (),
            async |_, watch: Watch| {
                watch.stop.store(true, Ordering::Relaxed);
                Ok(watch.goes_on())
            },
        );
        assert!(!stopped.await.unwrap());
    }

    #[tokio::test]
    async fn work_that_breaks_is_told_as_a_problem() {
        let (_folder, home) = empty_home().await;
        let broken: Result<()> = apart(&home, async |_| panic!("no reason")).await;
        assert_eq!(broken.unwrap_err().problem().code, ProblemCode::Internal);
    }
}
