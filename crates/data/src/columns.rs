use mbti::{Axis, Letter, Type};
use record::SkipReason;

/// What the columns of a known format are, for the message to a user whose file has others.
pub(crate) const EXPECTED: &str = "body and mbti, optionally with author, E-I, N-S, F-T and J-P; \
     or body with all of E-I, N-S, F-T and J-P; or type and posts";

/// Which column of a source holds what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) count: usize,
    pub(crate) text: usize,
    pub(crate) author: Option<usize>,
    pub(crate) mbti: Option<usize>,
    pub(crate) axes: [Option<usize>; 4],
    /// Whether a cell may hold several posts with `|||` between them, as in the Kaggle data set.
    pub(crate) several_posts: bool,
}

/// Finds the columns by the names in the header, in any order and case. `None` where the text
/// or any way to the type is absent, or a needed name stands twice.
pub(crate) fn find(header: &[&str]) -> Option<Columns> {
    let names: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    let place = |wanted: &str| names.iter().position(|name| name == wanted);
    let twice = |wanted: &str| names.iter().filter(|name| *name == wanted).count() > 1;
    if ["body", "posts", "mbti", "type"].into_iter().any(twice) {
        return None;
    }
    let body = place("body");
    let posts = place("posts");
    let columns = Columns {
        count: header.len(),
        text: body.or(posts)?,
        author: place("author"),
        mbti: place("mbti").or_else(|| place("type")),
        axes: Axis::ALL.map(|axis| place(&axis.name().to_lowercase())),
        several_posts: body.is_none(),
    };
    (columns.mbti.is_some() || columns.axes.iter().all(Option::is_some)).then_some(columns)
}

/// The type of a row, from its type column and its axis columns; they must not contradict.
pub(crate) fn type_of_row(
    columns: &Columns,
    cell: impl Fn(usize) -> String,
) -> Result<Type, (SkipReason, String)> {
    let mut letters: [Option<Letter>; 4] = [None; 4];
    for axis in Axis::ALL {
        let Some(text) = columns.axes[axis.index()].map(&cell) else { continue };
        if text.trim().is_empty() {
            continue;
        }
        let letter = Letter::on_axis(axis, &text).map_err(|_| (SkipReason::UnknownLetter, text))?;
        letters[axis.index()] = Some(letter);
    }
    let named = columns.mbti.map(cell).filter(|text| !text.trim().is_empty());
    let Some(named) = named else {
        let classes = letters.map(|letter| letter.map(|letter| letter.class() == 1));
        return match classes {
            [Some(a), Some(b), Some(c), Some(d)] => Ok(Type::from_classes([a, b, c, d])),
            _ => Err((SkipReason::NoType, String::new())),
        };
    };
    let mbti: Type = named.parse().map_err(|_| (SkipReason::UnknownType, named.clone()))?;
    for axis in Axis::ALL {
        if let Some(letter) = letters[axis.index()]
            && letter != mbti.letter(axis)
        {
            return Err((SkipReason::TypeAndAxisDiffer, format!("{mbti}, {axis} = {letter}")));
        }
    }
    Ok(mbti)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_known_formats_are_found_in_any_order_and_case() {
        let full = find(&["author", "body", "mbti", "E-I", "N-S", "F-T", "J-P"]).unwrap();
        assert_eq!((full.text, full.author, full.mbti), (1, Some(0), Some(2)));
        assert!(!full.several_posts);
        let kaggle = find(&["type", "posts"]).unwrap();
        assert!(kaggle.several_posts && kaggle.mbti == Some(0) && kaggle.text == 1);
        assert!(find(&["Posts", " Type "]).is_some());
        assert!(find(&["body", "E-I", "N-S", "F-T", "J-P"]).is_some());
    }

    #[test]
    fn columns_that_do_not_tell_text_or_type_are_refused() {
        for header in [
            vec!["text"],
            vec!["body"],
            vec!["mbti"],
            vec!["body", "E-I", "N-S", "F-T"],
            vec!["body", "body", "mbti"],
        ] {
            assert_eq!(find(&header), None, "{header:?}");
        }
    }

    #[test]
    fn a_type_that_contradicts_its_axis_column_is_refused() {
        let columns = find(&["body", "mbti", "E-I"]).unwrap();
        let read = |mbti: &str, axis: &str| {
            let cells = ["".to_owned(), mbti.to_owned(), axis.to_owned()];
            type_of_row(&columns, |index| cells[index].clone())
        };
        assert_eq!(read("infp", "I").unwrap().to_string(), "INFP");
        assert_eq!(read("INFP", "").unwrap().to_string(), "INFP");
        assert_eq!(read("INFP", "E").unwrap_err().0, SkipReason::TypeAndAxisDiffer);
        assert_eq!(read("INFP", "X").unwrap_err().0, SkipReason::UnknownLetter);
        assert_eq!(read("ABCD", "I").unwrap_err(), (SkipReason::UnknownType, "ABCD".into()));
        assert_eq!(read("", "I").unwrap_err().0, SkipReason::NoType);
    }
}
