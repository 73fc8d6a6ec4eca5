//! Models that are good to begin with. Weights and sizes are those of the repositories' safetensors; whatever else
//! the Hub has can be asked for by its name.

use record::{CatalogueModel, ModelUse};

/// Repository, family, weights in millions, MiB to fetch, licence, whether its owner wants to be asked, and its use.
type Row = (&'static str, &'static str, i64, i64, &'static str, bool, ModelUse);

const MODELS: [Row; 8] = [
    ("sentence-transformers/all-MiniLM-L6-v2", "bert", 23, 87, "apache-2.0", false, ModelUse::Starter),
    ("intfloat/multilingual-e5-small", "bert", 118, 466, "mit", false, ModelUse::Multilingual),
    ("BAAI/bge-small-zh-v1.5", "bert", 24, 92, "mit", false, ModelUse::Chinese),
    ("answerdotai/ModernBERT-base", "modernbert", 150, 572, "apache-2.0", false, ModelUse::Encoder),
    ("Qwen/Qwen3-0.6B", "qwen3", 596, 1434, "apache-2.0", false, ModelUse::SmallDecoder),
    ("meta-llama/Llama-3.2-1B", "llama", 1236, 2357, "llama3.2", true, ModelUse::SmallDecoder),
    ("microsoft/Phi-3-mini-4k-instruct", "phi3", 3821, 7288, "mit", false, ModelUse::LargeDecoder),
    ("microsoft/Phi-4-mini-instruct", "phi3", 3836, 7317, "mit", false, ModelUse::LargeDecoder),
];

/// The catalogue. What a model needs to be trained is counted by its weights alone: in full 16 bytes each (weight,
/// gradient and AdamW's two moments in 32 bits), by LoRA in bf16 2 bytes; the estimate before a run knows better.
pub fn catalogue() -> Vec<CatalogueModel> {
    let mib = |millions: i64, bytes: i64| millions * 1_000_000 * bytes / (1 << 20);
    let model = |&(repo, family, millions, download_mib, licence, gated, suits): &Row| CatalogueModel {
        repo: repo.to_owned(),
        family: family.to_owned(),
        millions,
        download_mib,
        licence: licence.to_owned(),
        gated,
        suits,
        full_mib: mib(millions, 16),
        lora_mib: mib(millions, 2),
    };
    MODELS.iter().map(model).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_model_has_a_proper_name_and_a_family_that_can_be_trained() {
        let all = catalogue();
        for model in &all {
            assert_eq!(crate::download::parse_repo(&model.repo).unwrap(), model.repo);
            assert!(crate::folder::FAMILIES.contains(&model.family.as_str()), "{}", model.family);
            // Two or four bytes a weight, and a tokenizer.
            let bytes_a_weight = (model.download_mib << 20) as f64 / (model.millions * 1_000_000) as f64;
            assert!((1.9..4.6).contains(&bytes_a_weight), "{}: {bytes_a_weight}", model.repo);
            assert!(model.full_mib > model.lora_mib);
        }
        assert_eq!(all.iter().filter(|model| model.gated).count(), 1);
    }
}
