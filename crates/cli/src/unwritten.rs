//! What a run tells, kept until the history takes it: while another program holds the history, or while the disk is
//! full, training goes on.

use std::time::{Duration, Instant};

use app::journal;
use store::{Store, Told, Wishes};

use crate::{Context, print, signals::Signals};

/// Between two tries, at first and at most.
const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(10);
/// Steps that are kept, of some 100 bytes each; of more, every second one goes.
const STEPS: usize = 500_000;
/// How long the end of a run is tried to be written down: that of one that has learned, and that of one that failed.
const FOR_AN_END: Duration = Duration::from_secs(10 * 60);
const FOR_A_FAILURE: Duration = Duration::from_secs(20);

pub struct Unwritten<'a> {
    context: &'a Context,
    run: i64,
    /// An access that does not wait for others, since training would wait too.
    store: Store,
    is_own: bool,
    told: Vec<Told>,
    not_before: Instant,
    /// The time to the next try; none while all goes well.
    pause: Option<Duration>,
}

impl<'a> Unwritten<'a> {
    pub fn new(context: &'a Context, run: i64) -> Unwritten<'a> {
        let common = &context.home.store;
        // On a full disk the history may be open for one alone.
        let own = context.runtime.block_on(common.hasty()).ok();
        let is_own = own.is_some();
        let store = own.unwrap_or_else(|| common.clone());
        Unwritten { context, run, store, is_own, told: Vec::new(), not_before: Instant::now(), pause: None }
    }

    pub fn push(&mut self, told: Told) {
        self.told.push(told);
        if self.told.len() > STEPS {
            let mut keep = false;
            self.told.retain(|one| {
                keep = !keep;
                keep || !matches!(one, Told::Step(_))
            });
        }
    }

    /// Writes down what was told, or keeps it for the next time; `false` then.
    pub fn write(&mut self) -> bool {
        if self.told.is_empty() {
            return true;
        }
        if Instant::now() < self.not_before {
            return false;
        }
        match self.try_to_write() {
            Ok(()) => {
                if self.pause.take().is_some() {
                    print::note("The history takes writing again, and nothing is missing in it.");
                }
                true
            }
            Err(error) => {
                if self.pause.is_none() {
                    print::note(&format!(
                        "{error} Training goes on, and what it tells is kept until it can be written down."
                    ));
                }
                let pause = self.pause.unwrap_or(FIRST);
                self.pause = Some((pause * 2).min(LAST));
                self.not_before = Instant::now() + pause;
                false
            }
        }
    }

    fn try_to_write(&mut self) -> Result<(), store::Error> {
        let Context { home, runtime, .. } = self.context;
        runtime.block_on(self.store.write_down(self.run, &self.told))?;
        self.told.clear();
        journal::clear(home, self.run);
        Ok(())
    }

    /// The same at a point from which a run can go on: what was told up to here is in the history or in a file.
    pub fn write_or_keep(&mut self) {
        if !self.write() {
            journal::keep(&self.context.home, self.run, &self.told).ok();
        }
    }

    /// Writes down the end of a run, and does not give up soon. Where that cannot be done the end is kept beside the
    /// model, and is written down when the home is next opened; an error where it could not even be kept.
    pub fn end(&mut self, end: Told, signals: &Signals) -> Result<(), app::Error> {
        let patience = if matches!(end, Told::Failed(_)) { FOR_A_FAILURE } else { FOR_AN_END };
        self.push(end);
        self.not_before = Instant::now();
        if self.write() {
            return Ok(());
        }
        // From here on the process may be killed.
        let mut kept = journal::keep(&self.context.home, self.run, &self.told);
        let (begin, asked) = (Instant::now(), signals.count());
        while begin.elapsed() < patience && signals.count() == asked {
            std::thread::sleep(FIRST);
            if self.is_gone() || self.write() {
                return Ok(());
            }
            if kept.is_err() {
                kept = journal::keep(&self.context.home, self.run, &self.told);
            }
        }
        kept?;
        print::note(&format!(
            "The history does not take the end of run {}. It is kept in the run's folder, and is written down when the \
             home is next opened.",
            self.run
        ));
        Ok(())
    }

    /// Whether somebody has removed the run meanwhile.
    fn is_gone(&self) -> bool {
        matches!(
            self.context.runtime.block_on(self.store.run(self.run)),
            Err(store::Error::UnknownRun { .. })
        )
    }

    /// What is wished of the run; `None` where that cannot be read just now.
    pub fn wishes(&self) -> Option<Wishes> {
        self.context.runtime.block_on(self.store.wishes(self.run)).ok()
    }
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        // The last who closes the history puts its parts together, and that is whoever has it open for longer.
        if self.is_own {
            self.context.runtime.block_on(self.store.clone().close());
        }
    }
}
