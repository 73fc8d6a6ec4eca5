use rayon::prelude::*;
use record::{DataSetLook, TellingWord};

use crate::{Table, error::Result, language::language, sample, telling_words::Counter, type_words};

/// Texts that are looked at: enough for what is seen, in a second or two.
const TEXTS: usize = 20_000;
/// Words that are shown for each letter.
const WORDS: usize = 12;
const PIECE: usize = 1024;

/// Looks at the texts of a data set, or at so many of them that each type is there in proportion.
pub fn look(table: &Table) -> Result<DataSetLook> {
    let rows = match table.len() {
        count if count <= TEXTS => table.rows(),
        count => sample(&table.labels, TEXTS as f64 / count as f64, 0),
    };
    let mut look = DataSetLook { texts: rows.len() as i64, ..DataSetLook::default() };
    let mut counter = Counter::new();
    let mut piece: Vec<(usize, String)> = Vec::with_capacity(PIECE);
    let mut work = |piece: &mut Vec<(usize, String)>| {
        let found: Vec<(Option<&str>, bool, bool)> = piece
            .par_iter()
            .map(|(row, text)| {
                let has_type_words = !type_words::find(text).is_empty();
                let names_own = has_type_words && type_words::names_type(text, table.labels.types[*row]);
                (language(text), has_type_words, names_own)
            })
            .collect();
        for ((row, text), (language, has_type_words, names_own)) in piece.drain(..).zip(found) {
            *look.languages.entry(language.unwrap_or("").to_owned()).or_default() += 1;
            look.type_words += i64::from(has_type_words);
            look.own_type_named += i64::from(names_own);
            counter.push(table.labels.authors[row], table.labels.types[row], &text);
        }
    };
    table.texts(&rows, |place, text| {
        piece.push((rows[place] as usize, text.to_owned()));
        if piece.len() == PIECE {
            work(&mut piece);
        }
        Ok(true)
    })?;
    work(&mut piece);
    for found in counter.telling(WORDS) {
        let words = |words: Vec<crate::telling_words::TellingWord>| {
            let word = |word: crate::telling_words::TellingWord| TellingWord {
                word: word.word,
                z: word.z.abs(),
                first: word.first,
                second: word.second,
            };
            words.into_iter().map(word).collect()
        };
        look.telling_words.insert(found.axis, [words(found.first), words(found.second)]);
    }
    Ok(look)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Example;
    use mbti::Axis;

    #[test]
    fn languages_type_words_and_telling_words_are_those_of_the_texts() {
        let examples = (0..60).map(|n| Example {
            author: Some(format!("a{n}")),
            text: if n % 2 == 0 {
                "we danced at the party all night long and then we went out with friends again".into()
            } else {
                "I stayed at home all night long with a book, as an introvert and INFP does".into()
            },
            mbti: if n % 2 == 0 { "ENFP" } else { "INFP" }.parse().unwrap(),
        });
        let found = look(&Table::of(examples.collect())).unwrap();
        assert_eq!((found.texts, found.type_words, found.own_type_named), (60, 30, 30));
        assert_eq!(found.languages, [("en".to_owned(), 60)].into());
        let [first, second] = &found.telling_words[&Axis::ExtraversionIntroversion];
        assert!(first.iter().any(|word| word.word == "party" && word.z > 0.0 && word.first == 30));
        assert!(second.iter().any(|word| word.word == "book" && (word.first, word.second) == (0, 30)));
        assert!(look(&Table::of(Vec::new())).unwrap().languages.is_empty());
    }
}
