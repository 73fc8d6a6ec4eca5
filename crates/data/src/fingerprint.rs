use sha2::{Digest, Sha256};

use crate::{Part, error::Result};

/// A hash of texts with their authors and types, in their order: the same for the same texts, whatever the data set is
/// called and wherever it lies. `None` where `progress`, which hears how many texts were read, ended it by answering
/// `false`.
pub fn fingerprint(part: Part, mut progress: impl FnMut(usize) -> bool) -> Result<Option<String>> {
    let mut hash = Sha256::new();
    let labels = &part.table.labels;
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    let whole = part.table.texts(part.rows, |place, text| {
        let row = part.rows[place] as usize;
        // No author is another one than an author without a name.
        match labels.author(row) {
            Some(author) => {
                add("by");
                add(author);
            }
            None => add(""),
        }
        add(&labels.types[row].to_string());
        add(text);
        Ok(place % 1024 != 0 || progress(place))
    })?;
    let digest = hash.finalize();
    Ok(whole.then(|| digest.iter().map(|byte| format!("{byte:02x}")).collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Example, Table};

    fn of(rows: &[(Option<&str>, &str, &str)]) -> String {
        let example = |&(author, text, mbti): &(Option<&str>, &str, &str)| Example {
            author: author.map(str::to_owned),
            text: text.to_owned(),
            mbti: mbti.parse().unwrap(),
        };
        let table = Table::of(rows.iter().map(example).collect());
        fingerprint(Part { table: &table, rows: &table.rows() }, |_| true).unwrap().unwrap()
    }

    #[test]
    fn whatever_differs_gives_another_hash_and_the_same_texts_give_the_same() {
        let all = [
            of(&[(Some("a"), "one", "INFP"), (None, "two", "ESTJ")]),
            of(&[(None, "two", "ESTJ"), (Some("a"), "one", "INFP")]),
            of(&[(Some("b"), "one", "INFP"), (None, "two", "ESTJ")]),
            of(&[(Some("a"), "one", "INFJ"), (None, "two", "ESTJ")]),
            of(&[(Some("a"), "one.", "INFP"), (None, "two", "ESTJ")]),
            of(&[(Some("a"), "one", "INFP"), (Some(""), "two", "ESTJ")]),
            of(&[(Some("a"), "one", "INFP")]),
        ];
        let distinct: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all[0], of(&[(Some("a"), "one", "INFP"), (None, "two", "ESTJ")]));
    }

    #[test]
    fn it_can_be_stopped() {
        let table =
            Table::of(vec![Example { author: None, text: "x".into(), mbti: "INFP".parse().unwrap() }]);
        assert_eq!(fingerprint(Part { table: &table, rows: &[0] }, |_| false).unwrap(), None);
    }
}
