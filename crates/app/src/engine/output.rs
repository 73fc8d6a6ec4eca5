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

/// Bytes that are read at once.
const PIECE: usize = 16 << 10;

/// Runs a command to its end. It is ended where it prints too much, or where nobody waits for it any longer. `hear` is
/// handed each line of standard error as it comes.
pub(super) async fn limited(command: &mut Command, hear: impl FnMut(&[u8])) -> Result<Output> {
    within(command, MOST_BYTES, hear).await
}

async fn within(command: &mut Command, most: u64, hear: impl FnMut(&[u8])) -> Result<Output> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(read(out, most, |_| ()), read(err, most, hear))?;
    Ok(Output { status: child.wait().await?, stdout, stderr })
}

async fn read(
    pipe: Option<impl AsyncRead + Unpin>,
    most: u64,
    mut hear: impl FnMut(&[u8]),
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(most + 1);
        let (mut line, mut looked) = (0, 0);
        loop {
            bytes.reserve(PIECE);
            if pipe.read_buf(&mut bytes).await? == 0 {
                break;
            }
            let ends = (looked..bytes.len()).filter(|&place| bytes[place] == b'\n');
            for end in ends {
                hear(&bytes[line..end]);
                line = end + 1;
            }
            looked = bytes.len();
        }
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
            let error = within(&mut shell(script), 10_000, |_| ()).await.unwrap_err();
            assert!(error.to_string().contains("10000 bytes"), "{script}: {error}");
        }
    }

    #[tokio::test]
    async fn what_a_program_prints_up_to_the_limit_is_read_whole_with_how_it_ended() {
        let found = within(&mut shell("printf 1234; printf why >&2; exit 7"), 4, |_| ()).await.unwrap();
        assert_eq!((&found.stdout[..], &found.stderr[..]), (&b"1234"[..], &b"why"[..]));
        assert_eq!(found.status.code(), Some(7));
    }

    #[tokio::test]
    async fn lines_of_standard_error_are_heard_whole_as_they_come() {
        let mut heard = Vec::new();
        let script = "printf 'one\\n\\ntw' >&2; echo out; printf 'o\\nrest' >&2";
        let hear = |line: &[u8]| heard.push(String::from_utf8(line.to_vec()).unwrap());
        let found = within(&mut shell(script), 100, hear).await.unwrap();
        assert_eq!(heard, ["one", "", "two"]);
        assert_eq!(found.stderr, b"one\n\ntwo\nrest");
    }
}
