use record::Problem;

/// What a command gives to the page.
pub(crate) type Answer<T> = Result<T, Problem>;

pub(crate) fn told(error: app::Error) -> Problem {
    error.problem()
}
