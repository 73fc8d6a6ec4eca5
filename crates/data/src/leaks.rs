use record::{Leaks, SplitSummary};

use crate::{
    Part,
    duplicates::{self, NEAR, Signature, Twin},
    error::Result,
    type_words,
};

/// What a text shares with those that are learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    /// Its author, who is learned from too.
    pub author: bool,
    /// The text itself, exactly or nearly.
    pub twin: Option<Twin>,
}

/// What each text of `valid` shares with the texts of `train`: [texts]. `each` is handed the texts of `valid` with their
/// places as they are read. `None` where `progress`, which hears how many texts were read, ended it by answering `false`.
///
/// Authors are told apart by their names, so that the parts may be of different data sets.
pub fn shared(
    train: Part,
    valid: Part,
    mut progress: impl FnMut(usize) -> bool,
    mut each: impl FnMut(usize, &str),
) -> Result<Option<Vec<Shared>>> {
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
    let whole = whole
        && valid.table.texts(valid.rows, |place, text| {
            signatures.push(duplicates::signature(text));
            each(place, text);
            Ok(place % 1024 != 0 || progress(train.len() + place))
        })?;
    if !whole {
        return Ok(None);
    }
    let is_shared =
        |&row: &u32| valid.table.labels.author(row as usize).is_some_and(|author| authors.contains(author));
    let twins = duplicates::across(&train_signatures, &signatures, NEAR);
    let both = valid.rows.iter().map(is_shared).zip(twins);
    Ok(Some(both.map(|(author, twin)| Shared { author, twin }).collect()))
}

/// What the texts of `valid` share with those of `train`, but for what the bag of words makes of it.
/// `None` where `progress`, which hears how many texts were read, ended it by answering `false`.
pub fn leaks(
    split: SplitSummary,
    train: Part,
    valid: Part,
    progress: impl FnMut(usize) -> bool,
) -> Result<Option<Leaks>> {
    let mut named: Vec<bool> = Vec::with_capacity(valid.len());
    let mut with_type_words = 0;
    let found = shared(train, valid, progress, |place, text| {
        let row = valid.rows[place] as usize;
        named.push(type_words::names_type(text, valid.table.labels.types[row]));
        with_type_words += i64::from(!type_words::find(text).is_empty());
    })?;
    let Some(found) = found else { return Ok(None) };
    let count = |of: &dyn Fn(&Shared, bool) -> bool| {
        found.iter().zip(&named).filter(|(shared, named)| of(shared, **named)).count() as i64
    };
    let is_twin = |shared: &Shared, exact: bool| shared.twin.is_some_and(|twin| twin.exact == exact);
    Ok(Some(Leaks {
        split,
        leaking_texts: count(&|shared, named| shared.author || named || shared.twin.is_some()),
        texts_of_shared_authors: count(&|shared, _| shared.author),
        exact_duplicates: count(&|shared, _| is_twin(shared, true)),
        near_duplicates: count(&|shared, _| is_twin(shared, false)),
        own_type_named: count(&|_, named| named),
        type_words: with_type_words,
        type_words_alone: None,
    }))
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
        let mut read = Vec::new();
        let each = shared(
            part(&train, &split.train),
            part(&valid, &split.valid),
            |_| true,
            |place, text| {
                read.push((place, text.to_owned()));
            },
        );
        let each = each.unwrap().unwrap();
        let twins: Vec<Option<bool>> = each.iter().map(|shared| shared.twin.map(|twin| twin.exact)).collect();
        assert_eq!(twins, [Some(true), Some(false), None, None, None, None, None]);
        let authors: Vec<bool> = each.iter().map(|shared| shared.author).collect();
        assert_eq!(authors, [false, false, true, false, false, true, false]);
        assert_eq!(read.len(), 7);
        assert_eq!(read[2], (2, "something new by a".to_owned()));
        assert!((found.share() - 5.0 / 7.0).abs() < 1e-12);
        let stopped = leaks(split.summary.clone(), part(&train, &[]), part(&valid, &split.valid), |_| false);
        assert!(stopped.unwrap().is_none());
    }
}
