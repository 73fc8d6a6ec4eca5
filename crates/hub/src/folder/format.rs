use std::path::Path;

/// Formats of weights other than safetensors, the likeliest to have a use first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WeightFormat {
    Pickle,
    TensorFlow,
    Flax,
    Gguf,
    Onnx,
}

impl WeightFormat {
    /// The key of what the window says of it.
    pub fn name(self) -> &'static str {
        match self {
            WeightFormat::Pickle => "pickle",
            WeightFormat::TensorFlow => "tensorflow",
            WeightFormat::Flax => "flax",
            WeightFormat::Gguf => "gguf",
            WeightFormat::Onnx => "onnx",
        }
    }

    /// What it is and what to do about it, in English.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            WeightFormat::Pickle => {
                "a pickle, which can run programs when it is opened and is not read here. Fetch the model's \
                 model.safetensors, or convert the model with Transformers' save_pretrained, which writes safetensors."
            }
            WeightFormat::TensorFlow => {
                "a file of TensorFlow, which is not read here. Fetch the model's model.safetensors, or convert the \
                 model with Transformers' save_pretrained, which writes safetensors."
            }
            WeightFormat::Flax => {
                "a file of Flax, which is not read here. Fetch the model's model.safetensors, or convert the model \
                 with Transformers' save_pretrained, which writes safetensors."
            }
            WeightFormat::Gguf => {
                "GGUF, a quantised format for inference that cannot be trained. Fetch the original model, which has \
                 a model.safetensors."
            }
            WeightFormat::Onnx => {
                "ONNX, a format for inference that cannot be trained. Fetch the original model, which has a \
                 model.safetensors."
            }
        }
    }
}

/// What a folder has its weights in, if not in safetensors: the file's name and its format.
pub(crate) fn find(folder: &Path) -> Option<(String, WeightFormat)> {
    // Folders that are made for ONNX alone keep it one level down.
    let mut names = names_in(folder);
    names.extend(names_in(&folder.join("onnx")).into_iter().map(|name| format!("onnx/{name}")));
    let found = names.into_iter().filter_map(|name| Some((of_name(&name)?, name)));
    found.min().map(|(format, name)| (name, format))
}

/// Names of the files in a folder; none where it cannot be read, as this only makes a message better.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn of_name(name: &str) -> Option<WeightFormat> {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if (name.starts_with("pytorch_model") && ends(&[".bin", ".bin.index.json"]))
        || ends(&[".ckpt", ".pt", ".pth"])
    {
        Some(WeightFormat::Pickle)
    } else if ends(&[".h5", ".ckpt.index"]) {
        Some(WeightFormat::TensorFlow)
    } else if ends(&[".msgpack"]) {
        Some(WeightFormat::Flax)
    } else if ends(&[".gguf"]) {
        Some(WeightFormat::Gguf)
    } else if ends(&[".onnx"]) {
        Some(WeightFormat::Onnx)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_format_is_known_by_the_names_of_its_files() {
        for (name, format) in [
            ("pytorch_model.bin", WeightFormat::Pickle),
            ("pytorch_model-00001-of-00002.bin", WeightFormat::Pickle),
            ("pytorch_model.bin.index.json", WeightFormat::Pickle),
            ("last.ckpt", WeightFormat::Pickle),
            ("consolidated.00.pth", WeightFormat::Pickle),
            ("tf_model.h5", WeightFormat::TensorFlow),
            ("bert_model.ckpt.index", WeightFormat::TensorFlow),
            ("flax_model.msgpack", WeightFormat::Flax),
            ("Qwen2-7B-Q4_K_M.GGUF", WeightFormat::Gguf),
            ("model.onnx", WeightFormat::Onnx),
        ] {
            assert_eq!(of_name(name), Some(format), "{name}");
        }
        for name in ["training_args.bin", "model.safetensors", "config.json", "README.md", "bin", ""] {
            assert_eq!(of_name(name), None, "{name}");
        }
    }

    #[test]
    fn what_can_still_be_converted_is_named_first() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(find(folder.path()), None);
        std::fs::create_dir(folder.path().join("onnx")).unwrap();
        std::fs::write(folder.path().join("onnx/model.onnx"), "").unwrap();
        assert_eq!(find(folder.path()), Some(("onnx/model.onnx".to_owned(), WeightFormat::Onnx)));
        for name in ["a.gguf", "pytorch_model-00002-of-00002.bin", "pytorch_model-00001-of-00002.bin"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let first = "pytorch_model-00001-of-00002.bin".to_owned();
        assert_eq!(find(folder.path()), Some((first, WeightFormat::Pickle)));
    }
}
