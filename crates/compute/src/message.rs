use candle_core::Error;

/// What an error of candle's says, without where it came from, which candle appends where backtraces are switched on: paths
/// of the machine that built the program say nothing to who reads it. Codes of NVIDIA's driver stand behind their meaning.
pub fn message(error: &Error) -> String {
    if let Error::WithBacktrace { inner, .. } = error {
        return message(inner);
    }
    let text = error.to_string();
    let text = text.split("\n   0: ").next().unwrap_or_default().trim();
    of_driver(text).unwrap_or_else(|| text.to_owned())
}

/// `DriverError(CUDA_ERROR_UNKNOWN, "unknown error")` as a person would write it.
fn of_driver(text: &str) -> Option<String> {
    let (code, meaning) = text.strip_prefix("DriverError(")?.strip_suffix(')')?.split_once(", ")?;
    Some(format!("{} ({code})", meaning.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_no_backtrace_and_a_code_of_the_driver_stands_behind_its_meaning() {
        let text =
            "DriverError(CUDA_ERROR_UNKNOWN, \"unknown error\")\n   0: candle_core::error::Error::bt\n  1: x";
        assert_eq!(message(&Error::Msg(text.into())), "unknown error (CUDA_ERROR_UNKNOWN)");
        let backtrace = std::backtrace::Backtrace::force_capture().into();
        let wrapped = Error::WithBacktrace { inner: Box::new(Error::Msg("a, b".into())), backtrace };
        assert_eq!(message(&wrapped), "a, b");
    }
}
