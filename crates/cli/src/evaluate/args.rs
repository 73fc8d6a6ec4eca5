use clap::Args;

const USAGE: &str = "mbti evaluate <RUN> [--data <NAME>]
       mbti evaluate --table
       mbti evaluate --compare <RUN> <RUN> --data <NAME>";

const EXAMPLES: &str = "Examples:
  mbti evaluate 3 --data posts        judge run 3 on the texts of posts
  mbti evaluate 3                     what was found of run 3
  mbti evaluate --table               all runs and data sets
  mbti evaluate --compare 1 3 --data posts";

#[derive(Debug, Args)]
#[command(override_usage = USAGE, after_help = EXAMPLES)]
pub struct EvaluateArgs {
    /// Number of the run
    #[arg(required_unless_present_any = ["table", "compare"], conflicts_with_all = ["table", "compare"])]
    pub run: Option<i64>,
    /// The data set to judge it on
    #[arg(long, value_name = "NAME", conflicts_with = "table")]
    pub data: Option<String>,
    /// Show all runs and data sets that were evaluated, by their mean balanced accuracy
    #[arg(long)]
    pub table: bool,
    /// Tell whether one of two runs is better on the same texts
    #[arg(long, num_args = 2, value_names = ["RUN", "RUN"], requires = "data", conflicts_with = "table")]
    pub compare: Vec<i64>,
    /// The seed of the resamples by which two runs are compared
    #[arg(long, default_value_t = 0, requires = "compare")]
    pub seed: u64,
    /// Tell on standard error, as JSON, how far it is: for the window
    #[arg(long, hide = true)]
    pub progress_stderr: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::args::Cli;

    #[test]
    fn a_run_is_evaluated_listed_or_two_are_compared() {
        let evaluate = |arguments: &[&str]| Cli::try_parse_from([&["mbti", "evaluate"], arguments].concat());
        for right in
            [&["3"][..], &["3", "--data", "d"], &["--table"], &["--compare", "1", "2", "--data", "d"]]
        {
            assert!(evaluate(right).is_ok(), "{right:?}");
        }
        for wrong in [
            &[][..],
            &["--data", "d"],
            &["3", "--table"],
            &["--compare", "1", "--data", "d"],
            &["--compare", "1", "2"],
            &["3", "--seed", "1"],
            &["--table", "--data", "d"],
        ] {
            assert!(evaluate(wrong).is_err(), "{wrong:?}");
        }
    }
}
