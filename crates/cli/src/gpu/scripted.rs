//! For tests: an engine that is a shell script.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::Engine;

pub fn engine(folder: &Path, script: &str) -> Engine {
    let program = folder.join("mbti-cuda");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    Engine { program, libraries: Vec::new() }
}
