use std::path::{Component, Path, PathBuf};

use files::{Enclosure, JSON_LIMIT};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

pub(crate) const CONFIG: &str = "config.json";
pub(crate) const TOKENIZER: &str = "tokenizer.json";
/// The list of a sentence-transformers folder's modules, of which one is the language model.
const MODULES: &str = "modules.json";

/// The folder that holds the language model's config.json: `folder` itself, or the subfolder in
/// which sentence-transformers keeps it. Whether anything is in there, [`crate::check`] tells.
pub fn locate(folder: &Path) -> Result<PathBuf> {
    if !std::fs::metadata(folder).map_err(|error| Error::read(folder, error))?.is_dir() {
        return Err(Error::NotFound { path: folder.to_owned() });
    }
    let outer = Enclosure::of(folder).map_err(|error| Error::read(folder, error))?;
    if names_a_family(&outer) || !outer.has(MODULES) {
        return Ok(folder.to_owned());
    }
    let path = outer.path(MODULES);
    let wrong = |reason: String| Error::Config { path: path.clone(), reason };
    let text = outer.read(MODULES, JSON_LIMIT).map_err(|error| Error::of_file(&path, error))?;
    let modules: Vec<Map<String, Value>> =
        serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let is_transformer = |module: &&Map<String, Value>| {
        module.get("type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("Transformer"))
    };
    let module = modules
        .iter()
        .find(is_transformer)
        .ok_or_else(|| wrong("it lists no module whose type is a Transformer".to_owned()))?;
    match module.get("path").and_then(Value::as_str) {
        Some("") => Ok(folder.to_owned()),
        Some(name) if is_plain_name(name) => match outer.inner(name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::of_file(&folder.join(name), error))
            }
            _ => Ok(folder.join(name)),
        },
        Some(name) => Err(wrong(format!("it names the folder {name:?}, which does not lie beside it"))),
        None => Err(wrong("its Transformer has no path".to_owned())),
    }
}

/// Whether the folder's own config.json is a language model's. Early sentence-transformers wrote
/// one that holds nothing but their version.
fn names_a_family(folder: &Enclosure) -> bool {
    let text = folder.read(CONFIG, JSON_LIMIT).unwrap_or_default();
    let config: Map<String, Value> = serde_json::from_slice(&text).unwrap_or_default();
    config.contains_key("model_type")
}

/// Whether a name read from a file is that of something in the same folder. Any other could lead
/// to a file of the user's that is none of the model's business.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let is_one =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name);
    is_one && !name.contains(|letter: char| matches!(letter, '/' | '\\') || letter.is_control())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::folder::samples;
    use proptest::prelude::*;

    fn with_modules(modules: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MODULES), modules).unwrap();
        folder
    }

    #[test]
    fn a_folder_with_the_config_of_a_language_model_is_taken_as_it_is() {
        let folder = with_modules("garbled");
        std::fs::write(folder.path().join(CONFIG), samples::CONFIG).unwrap();
        assert_eq!(locate(folder.path()).unwrap(), folder.path());
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(locate(empty.path()).unwrap(), empty.path());
        assert!(matches!(locate(Path::new("/nowhere")), Err(Error::NotFound { .. })));
        let file = folder.path().join(CONFIG);
        assert!(matches!(locate(&file), Err(Error::NotFound { path }) if path == file));
    }

    #[test]
    fn the_first_transformer_of_the_modules_names_the_folder() {
        let folder = with_modules(samples::MODULES);
        assert_eq!(locate(folder.path()).unwrap(), folder.path().join("0_Transformer"));
        std::fs::write(folder.path().join(CONFIG), r#"{"__version__": "0.2.0"}"#).unwrap();
        assert_eq!(locate(folder.path()).unwrap(), folder.path().join("0_Transformer"));
        let folder =
            with_modules(r#"[{"type": "x.Pooling", "path": "p"}, {"type": "x.Transformer", "path": ""}]"#);
        assert_eq!(locate(folder.path()).unwrap(), folder.path());
    }

    #[test]
    fn modules_that_lead_elsewhere_or_tell_of_no_transformer_are_refused() {
        for path in ["..", ".", "../x", "a/b", "/etc", "a\\b", "a/", "a\\u0000b", "a\\nb"] {
            let escaped = path.replace("a\\b", "a\\\\b");
            let folder = with_modules(&format!(r#"[{{"type": "Transformer", "path": "{escaped}"}}]"#));
            let error = locate(folder.path()).unwrap_err();
            assert!(error.to_string().contains("does not lie beside it"), "{error}");
        }
        for modules in
            ["", "{}", "[]", "[1]", r#"[{"type": "x.Pooling", "path": ""}]"#, r#"[{"type": "Transformer"}]"#]
        {
            let error = locate(with_modules(modules).path()).unwrap_err();
            assert!(
                matches!(&error, Error::Config { path, .. } if path.ends_with(MODULES)),
                "{modules}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn garbled_modules_give_an_error_or_a_folder_within(bytes in samples::garbled(samples::MODULES)) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(MODULES), bytes).unwrap();
            if let Ok(found) = locate(folder.path()) {
                prop_assert!(found == folder.path() || found.parent() == Some(folder.path()));
                prop_assert!(!found.ends_with(".."));
            }
        }

        #[test]
        fn a_plain_name_stays_in_its_folder(name in "[./\\\\:a-c\u{0}\n]{0,6}") {
            let folder = Path::new("/models/mine");
            if is_plain_name(&name) {
                let inside = folder.join(&name);
                prop_assert_eq!((inside.parent(), inside.file_name()), (Some(folder), Some(name.as_ref())));
            }
        }
    }
}
