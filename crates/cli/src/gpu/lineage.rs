//! The programs that this process descends from.

use std::path::Path;

/// Whether this process, or one that it descends from, runs a program, which a path without links names, or has it run as a
/// script.
pub fn runs(program: &Path) -> bool {
    std::env::current_exe().is_ok_and(|own| own == program) || system::an_ancestor_runs(program)
}

#[cfg(target_os = "linux")]
mod system {
    use std::{
        ffi::OsStr,
        fs::{read, read_link, read_to_string},
        iter::successors,
        os::unix::{ffi::OsStrExt, process::parent_id},
        path::Path,
    };

    /// Against processes that are exchanged while they are looked at.
    const MOST_ANCESTORS: usize = 1000;

    pub fn an_ancestor_runs(program: &Path) -> bool {
        successors(Some(parent_id()), |&process| parent(process))
            .take_while(|&process| process > 0)
            .take(MOST_ANCESTORS)
            .any(|process| is_running(process, program))
    }

    fn parent(process: u32) -> Option<u32> {
        let about = read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The number, the name in brackets, which may have brackets in it, the state, the parent.
        about.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    }

    fn is_running(process: u32, program: &Path) -> bool {
        let arguments = read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        // Of a script: the shell, perhaps with options, and the script.
        let script = arguments.split(|&byte| byte == 0).skip(1).find(|argument| !argument.starts_with(b"-"));
        let script = script.is_some_and(|script| OsStr::from_bytes(script) == program.as_os_str());
        script || read_link(format!("/proc/{process}/exe")).is_ok_and(|running| running == program)
    }

    #[cfg(test)]
    mod tests {
        #![allow(clippy::unwrap_used)]
        use super::*;
        use std::{
            io::Read,
            process::{Command, Stdio},
        };

        #[test]
        fn a_process_runs_its_program_or_its_script_and_nothing_else() {
            let folder = tempfile::tempdir().unwrap();
            let script = folder.path().join("script");
            std::fs::write(&script, "echo begun\nread -r line\n").unwrap();
            let mut child = Command::new("/bin/sh")
                .arg("-e")
                .arg(&script)
                .arg("/other")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            // A process that has just been started may not have its arguments yet.
            let mut begun = [0; 5];
            child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
            let shell = Path::new("/bin/sh").canonicalize().unwrap();
            let runs = [&script, &shell].map(|program| is_running(child.id(), program));
            let other = is_running(child.id(), Path::new("/other"));
            let parent = parent(child.id());
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!((runs, other, parent), ([true, true], false, Some(std::process::id())));
        }

        #[test]
        fn whoever_started_this_process_is_its_ancestor() {
            let parent = read_link(format!("/proc/{}/exe", parent_id())).unwrap();
            assert!(an_ancestor_runs(&parent));
            assert!(!an_ancestor_runs(Path::new("/no/such/program")));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::path::Path;

    pub fn an_ancestor_runs(_: &Path) -> bool {
        false
    }
}
