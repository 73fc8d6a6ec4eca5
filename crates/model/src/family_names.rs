/// The families that can be trained.
pub(crate) const FAMILIES: &str = "phi3, llama, mistral, qwen2, qwen3, bert, roberta, xlm-roberta, distilbert, \
                                   modernbert and words";
