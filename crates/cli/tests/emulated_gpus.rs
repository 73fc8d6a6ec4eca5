//! What a build with CUDA lists on the emulated GPU, whose libraries lie in the folder that `MBTI_CUDA_LIBRARIES` names.
#![cfg(all(unix, feature = "cuda"))]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command;

use serde_json::{Value, json};

/// The GPUs of a machine that these variables describe.
fn gpus(machine: &[(&str, &str)]) -> Vec<Value> {
    let libraries = std::env::var_os("MBTI_CUDA_LIBRARIES");
    let libraries =
        libraries.unwrap_or_else(|| panic!("MBTI_CUDA_LIBRARIES names the emulated GPU's folder"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_mbti"));
    command.args(["devices", "--json"]).env("LD_LIBRARY_PATH", libraries).envs(machine.iter().copied());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(all.remove(0)["device"], "cpu");
    all
}

#[test]
fn a_card_can_be_used_with_its_name_and_its_memory() {
    let found = gpus(&[("EMULATED_GPU_NAME", "NVIDIA A"), ("EMULATED_GPU_MEMORY", "64MiB")]);
    let [gpu] = &found[..] else { panic!("{found:?}") };
    assert_eq!(
        (&gpu["device"], &gpu["name"], &gpu["unusable"]),
        (&json!("cuda:0"), &json!("NVIDIA A"), &Value::Null)
    );
    assert_eq!(gpu["memory_mib"], 64.0);
    assert!(gpu["free_mib"].as_f64().is_some_and(|free| free > 0.0 && free <= 64.0), "{gpu}");
}

#[test]
fn two_cards_are_numbered_as_the_driver_numbers_them() {
    let found = gpus(&[("EMULATED_GPU_DEVICES", "NVIDIA A,NVIDIA B")]);
    let names: Vec<_> = found.iter().map(|gpu| (&gpu["device"], &gpu["name"])).collect();
    assert_eq!(names, [(&json!("cuda:0"), &json!("NVIDIA A")), (&json!("cuda:1"), &json!("NVIDIA B"))]);
}

#[test]
fn a_driver_that_is_too_old_is_named_by_its_cuda() {
    let found = gpus(&[("EMULATED_GPU_DRIVER", "12020")]);
    assert_eq!(found[0]["unusable"], json!({"kind": "old_driver", "found": "CUDA 12.2", "needed": "580"}));
}

#[test]
fn a_card_that_is_too_old_is_named_by_its_compute_capability() {
    let found = gpus(&[("EMULATED_GPU_CAPABILITY", "7.5")]);
    assert_eq!(found[0]["unusable"], json!({"kind": "old_card", "capability": "7.5"}));
}

#[test]
fn where_the_driver_finds_no_card_only_those_of_the_system_are_listed_and_none_of_them_usable() {
    let found = gpus(&[("EMULATED_GPU_NO_DEVICE", "1")]);
    assert!(found.iter().all(|gpu| gpu["unusable"] == json!({"kind": "not_listed"})), "{found:?}");
}

#[test]
fn a_card_that_does_not_answer_is_listed_with_the_call_that_failed_and_hides_no_other() {
    let found = gpus(&[("EMULATED_GPU_DEVICES", "NVIDIA A,NVIDIA B"), ("EMULATED_GPU_SILENT", "0")]);
    let [silent, good] = &found[..] else { panic!("{found:?}") };
    let reason = "cuDeviceGetName answers CUDA_ERROR_UNKNOWN";
    assert_eq!(silent["unusable"], json!({"kind": "failed", "reason": reason}));
    assert_eq!((&silent["name"], &silent["memory_mib"]), (&json!(""), &Value::Null));
    assert_eq!(
        (&good["device"], &good["name"], &good["unusable"]),
        (&json!("cuda:1"), &json!("NVIDIA B"), &Value::Null)
    );
}
