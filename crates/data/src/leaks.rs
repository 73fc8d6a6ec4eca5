use record::{Leaks, SplitSummary};

use crate::{
    Part,
    duplicates::{self, NEAR, Signature},
    error::Result,
    type_words,
};

/// What the texts of `valid` share with those of `train`, but for what the bag of words makes of it.
/// `None` where `progress`, which hears how many texts were read, ended it by answering `false`.
///
/// Authors are told apart by their names, so that the parts may be of different data sets.
pub fn leaks(
    split: SplitSummary,
    train: Part,
    valid: Part,
    mut progress: impl FnMut(usize) -> bool,
) -> Result<Option<Leaks>> {
    let mut train_signatures: Vec<Signature> = Vec::with_capacity(train.len());
    let whole = train.table.texts(train.rows, |_, text| {
        train_signatures.push(duplicates::signature(text));
        Ok(!train_signatures.len().is_multiple_of(1024) || progress(train_signatures.len()))
    })?;
    let names = |part: Part| -> std::collections::HashSet<String> {
        let authors: std::collections::BTreeSet<u32> =
            part.rows.iter().filter_map(|&row| part.table.labels.authors[row as usize]).collect();
        authors
            .into_iter()
            .filter_map(|author| part.table.labels.names.get(author as usize).cloned())
            .collect()
    };
    let authors = names(train);
    let mut signatures: Vec<Signature> = Vec::with_capacity(valid.len());
    let mut leaks = Leaks {
        split,
        leaking_texts: 0,
        texts_of_shared_authors: 0,
        exact_duplicates: 0,
        near_duplicates: 0,
        own_type_named: 0,
        type_words: 0,
        type_words_alone: None,
    };
    let mut leaking: Vec<bool> = Vec::with_capacity(valid.len());
    let whole = whole
        && valid.table.texts(valid.rows, |place, text| {
            signatures.push(duplicates::signature(text));
            let row = valid.rows[place] as usize;
            let labels = &valid.table.labels;
            let shared = labels.author(row).is_some_and(|author| authors.contains(author));
            let named = type_words::names_type(text, labels.types[row]);
            leaks.texts_of_shared_authors += i64::from(shared);
            leaks.own_type_named += i64::from(named);
            leaks.type_words += i64::from(!type_words::find(text).is_empty());
            leaking.push(shared || named);
            Ok(place % 1024 != 0 || progress(train.len() + place))
        })?;
    if !whole {
        return Ok(None);
    }
    for (leaking, twin) in leaking.iter_mut().zip(duplicates::across(&train_signatures, &signatures, NEAR)) {
        let Some(twin) = twin else { continue };
        *leaking = true;
        if twin.exact {
            leaks.exact_duplicates += 1;
        } else {
            leaks.near_duplicates += 1;
        }
    }
    leaks.leaking_texts = leaking.iter().filter(|&&leaking| leaking).count() as i64;
    Ok(Some(leaks))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Example, Table, split_given};

    #[test]
    fn shared_authors_duplicates_and_named_types_are_each_counted_and_together_once() {
        let table = |rows: &[(&str, &str, &str)]| {
            let example = |&(author, text, mbti): &(&str, &str, &str)| Example {
                author: (!author.is_empty()).then(|| author.to_owned()),
                text: text.to_owned(),
                mbti: mbti.parse().unwrap(),
            };
            Table::of(rows.iter().map(example).collect())
        };
        let long = "what a long and winding road that was, said the old man at the corner of the street";
        let train = table(&[("z", "of z", "INFP"), ("a", long, "INFP")]);
        let valid = table(&[
            ("b", &long.to_uppercase(), "ESTJ"),
            ("b", &format!("{long} once"), "ESTJ"),
            ("a", "something new by a", "INFP"),
            ("c", "as an ESTJ I plan everything", "ESTJ"),
            ("c", "as an INFP she plans nothing", "ESTJ"),
            ("a", "I am an INFP like you", "INFP"),
            ("", "nothing of the kind", "ESTJ"),
        ]);
        let split = split_given(&train.labels, &valid.labels, 0).unwrap();
        let part = |table, rows| Part { table, rows };
        let found =
            leaks(split.summary.clone(), part(&train, &split.train), part(&valid, &split.valid), |_| true)
                .unwrap()
                .unwrap();
        assert_eq!((found.exact_duplicates, found.near_duplicates), (1, 1));
        assert_eq!((found.texts_of_shared_authors, found.own_type_named, found.type_words), (2, 2, 3));
        assert_eq!(found.leaking_texts, 5);
        assert!((found.share() - 5.0 / 7.0).abs() < 1e-12);
        let stopped = leaks(split.summary.clone(), part(&train, &[]), part(&valid, &split.valid), |_| false);
        assert!(stopped.unwrap().is_none());
    }
}
