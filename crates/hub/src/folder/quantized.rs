//! Weights that were stored in fewer bits by another program: they are read by its own kernels, and cannot be trained.

use serde_json::{Map, Value};

use crate::{error::Error, shown::shown};

/// Of the head of a model's card.
pub(crate) const ORIGINAL: &str = "base_model";

/// The error where the `quantization_config` of a model's config.json, which Transformers writes into it, says that its
/// weights are quantized. `of` is the folder or the repository, `card` the head of its card.
pub(crate) fn refused(of: String, config: &Map<String, Value>, card: &Value) -> Option<Error> {
    let how = config.get("quantization_config").filter(|how| !how.is_null())?;
    let flag = |name: &str| how.get(name).and_then(Value::as_bool) == Some(true);
    let method = match how.get("quant_method").and_then(Value::as_str) {
        Some(name) => shown(name),
        // As it was written before the methods had names.
        None if flag("load_in_4bit") || flag("load_in_8bit") => "bitsandbytes".to_owned(),
        None => "another program".to_owned(),
    };
    let original = match card.get(ORIGINAL) {
        Some(Value::String(name)) => Some(name),
        Some(Value::Array(names)) => names.first().and_then(|name| match name {
            Value::String(name) => Some(name),
            _ => None,
        }),
        _ => None,
    };
    let original = original.filter(|name| record::is_repo_name(name)).cloned();
    Some(Error::Quantized { of, method, original })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn every_method_is_named_with_the_original_where_the_card_names_it() {
        let refused = |how: Value, card: Value| {
            let config = json!({"model_type": "phi3", "quantization_config": how});
            super::refused("a/b".to_owned(), config.as_object().unwrap(), &card)
        };
        for method in ["bitsandbytes", "gptq", "awq", "fp8", "compressed-tensors", "mxfp4"] {
            let text = refused(json!({"quant_method": method}), Value::Null).unwrap().to_string();
            assert!(text.contains("a/b") && text.contains(method), "{text}");
        }
        let old = refused(json!({"load_in_8bit": true}), Value::Null).unwrap();
        assert!(old.to_string().contains("bitsandbytes"), "{old}");
        for card in [json!({"base_model": "x/whole"}), json!({"base_model": ["x/whole", "y/z"]})] {
            let error = refused(json!({"quant_method": "awq"}), card).unwrap();
            assert!(error.to_string().contains("instead: x/whole;"), "{error}");
            assert_eq!(error.problem().code, record::ProblemCode::QuantizedFrom);
        }
        let error = refused(json!({"quant_method": "awq"}), json!({"base_model": "no name\u{1b}"})).unwrap();
        assert_eq!(error.problem().code, record::ProblemCode::QuantizedModel);
        assert!(refused(Value::Null, Value::Null).is_none());
        assert!(super::refused("a/b".to_owned(), &Map::new(), &Value::Null).is_none());
    }
}
