//! What an engine that answers a question prints, within a limit.

use std::{
    io::{Error, Result},
    process::{Output, Stdio},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

/// The most that is read of an answer, in bytes. The longest, the leaks of a data set, take some hundred kilobytes.
const MOST_BYTES: u64 = 64 << 20;

/// Runs a command to its end. It is ended where it prints too much, or where nobody waits for it any longer.
pub(super) async fn limited(command: &mut Command) -> Result<Output> {
    within(command, MOST_BYTES).await
}

async fn within(command: &mut Command, most: u64) -> Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(read(out, most), read(err, most))?;
    Ok(Output { status: child.wait().await?, stdout, stderr })
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(most + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > most {
        return Err(Error::other(format!("it printed more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_program_that_prints_without_end_is_ended_whether_it_prints_results_or_errors() {
        for script in ["yes", "yes >&2", "trap '' PIPE; while :; do echo more; done"] {
            let error = within(&mut shell(script), 10_000).await.unwrap_err();
            assert!(error.to_string().contains("10000 bytes"), "{script}: {error}");
        }
    }

    #[tokio::test]
    async fn what_a_program_prints_up_to_the_limit_is_read_whole_with_how_it_ended() {
        let found = within(&mut shell("printf 1234; printf why >&2; exit 7"), 4).await.unwrap();
        assert_eq!((&found.stdout[..], &found.stderr[..]), (&b"1234"[..], &b"why"[..]));
        assert_eq!(found.status.code(), Some(7));
    }
}
