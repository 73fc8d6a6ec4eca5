//! What is found beside what scikit-learn found.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// What the sums of two programs in f32 may differ by.
pub const TOLERANCE: f64 = 2e-5;

/// The folder of what Transformers and scikit-learn made of some texts (`tests/reference/evaluation.py`).
pub fn fixture() -> PathBuf {
    let root = std::env::var_os("MBTI_TEST_FIXTURES").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/fixtures"),
        PathBuf::from,
    );
    root.join("evaluation")
}

/// Everything that is expected must have been found; what is null or absent must be so in both. An evaluation has
/// intervals beside it, which others compute otherwise.
pub fn compare(found: &Value, expected: &Value, at: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (key, expected) in expected.iter().filter(|(key, _)| !key.starts_with("interval")) {
                compare(found.get(key).unwrap_or(&Value::Null), expected, &format!("{at}/{key}"));
            }
        }
        (Value::Array(found), Value::Array(expected)) if found.len() == expected.len() => {
            for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
                compare(found, expected, &format!("{at}/{place}"));
            }
        }
        (Value::Number(found), Value::Number(expected)) => {
            let difference = (found.as_f64().unwrap() - expected.as_f64().unwrap()).abs();
            assert!(difference <= TOLERANCE, "{at}: {found} is not {expected}");
        }
        _ => assert_eq!(found, expected, "{at}"),
    }
}
