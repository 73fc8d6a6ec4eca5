//! Texts that a model cannot read: its tokenizer knows few of their words, as an English one of Chinese texts.

use data::Encoded;
use record::{Problem, ProblemCode};

/// A text with more than this part of unknown tokens says little to a model.
const UNKNOWN: f64 = 0.4;
/// So large a part of such texts is worth a notice.
const TEXTS: f64 = 0.05;
/// At most so many texts are looked at, spread evenly.
const LOOKED_AT: usize = 10_000;

/// The notice, where many of the texts are of that kind. `unknown` is the token for what a tokenizer does not know.
pub(crate) fn notice_of(encoded: &Encoded, unknown: u32) -> Option<Problem> {
    let step = encoded.len().div_ceil(LOOKED_AT).max(1);
    let is_unreadable = |text: &usize| {
        let ids = encoded.ids(*text);
        let unknown = ids.iter().filter(|&&id| id == unknown).count();
        unknown as f64 > UNKNOWN * ids.len() as f64
    };
    let all = (0..encoded.len()).step_by(step);
    let (texts, found) = (all.len(), all.filter(is_unreadable).count());
    let share = found as f64 / texts.max(1) as f64;
    (share > TEXTS).then(|| {
        let percent = format!("{:.0}", 100.0 * share);
        let message = format!(
            "The model cannot read {percent} % of the training texts: more than two fifths of their tokens are unknown to it, as \
             those of another language are. It learns next to nothing from these. Choose a model for their language, such as \
             multilingual-e5-small for Chinese."
        );
        Problem::new(ProblemCode::UnreadableTexts, message).with("percent", percent)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use data::encode;

    use super::*;

    /// The tiny BERT knows letters of the Latin alphabet alone.
    fn noticed(texts: &[&str]) -> Option<Problem> {
        let folder = tempfile::tempdir().unwrap();
        let config = record::TrainConfig::default();
        let network = crate::shapes(&crate::tiny_models::tiny_bert(folder.path()), &config).unwrap();
        let (tokenizer, most) = network.tokenizer(48).unwrap();
        let encoded = encode(&tokenizer, texts, most, |_| true).unwrap().unwrap();
        notice_of(&encoded, tokenizer.unknown_id().unwrap())
    }

    #[test]
    fn texts_of_a_script_that_the_model_does_not_know_are_noticed_by_their_part() {
        let mut texts = vec!["abc def"; 30];
        texts.extend(["今天一个人待在家里看书"; 10]);
        let found = noticed(&texts).unwrap();
        assert_eq!((found.code, &found.params["percent"][..]), (ProblemCode::UnreadableTexts, "25"));
        assert!(found.message.contains("cannot read 25 % of"), "{}", found.message);
    }

    #[test]
    fn a_few_such_texts_and_single_unknown_signs_are_not() {
        let mut texts = vec!["abcdef ghi jkl 今 mno"; 40];
        texts.push("今天一个人待在家里看书");
        assert_eq!(noticed(&texts), None);
        assert_eq!(noticed(&[]), None);
    }
}
