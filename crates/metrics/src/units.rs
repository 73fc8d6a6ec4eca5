use std::collections::BTreeMap;

/// What is resampled and halved whole: authors, or texts where no author is named.
#[derive(Debug, Clone, PartialEq)]
pub struct Units {
    /// The unit of each text, numbered from 0 in the order of their first texts: [texts].
    pub of_text: Vec<usize>,
    pub count: usize,
    /// Whether any author is named.
    pub authors: bool,
}

/// The units of so many texts. A text without an author is a unit of its own.
pub fn units(authors: &[Option<u32>], texts: usize) -> Units {
    let mut known = BTreeMap::new();
    let mut count = 0;
    let mut next = || {
        count += 1;
        count - 1
    };
    let of_text = (0..texts)
        .map(|text| match authors.get(text).copied().flatten() {
            Some(author) => *known.entry(author).or_insert_with(&mut next),
            None => next(),
        })
        .collect();
    Units { of_text, count, authors: !known.is_empty() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_author_is_a_unit_of_its_own() {
        let found = units(&[Some(7), None, Some(2), Some(7), None], 6);
        assert_eq!(found, Units { of_text: vec![0, 1, 2, 0, 3, 4], count: 5, authors: true });
        assert_eq!(units(&[None, None], 2), Units { of_text: vec![0, 1], count: 2, authors: false });
    }
}
