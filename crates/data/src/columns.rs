use mbti::{Axis, Letter, Type};
use record::{AxisColumn, ColumnMapping, SkipReason};

/// What the columns of a known format are, for the message to a user whose file has others.
pub(crate) const EXPECTED: &str = "body and mbti, optionally with author, E-I, N-S, F-T and J-P; \
     or body with all of E-I, N-S, F-T and J-P; or type and posts";

/// Names, in lower case, that columns often have, the likeliest first.
const TEXTS: [&str; 16] = [
    "body", "posts", "text", "post", "content", "comment", "tweet", "message", "sentence", "document",
    "文本", "内容", "正文", "帖子", "文章", "微博",
];
const AUTHORS: [&str; 14] = [
    "author",
    "author_id",
    "user",
    "username",
    "user_name",
    "user_id",
    "userid",
    "screen_name",
    "name",
    "作者",
    "用户",
    "用户名",
    "昵称",
    "id_author",
];
const TYPES: [&str; 12] = [
    "mbti",
    "type",
    "mbti_type",
    "personality",
    "personality_type",
    "label",
    "target",
    "class",
    "类型",
    "人格",
    "人格类型",
    "标签",
];
/// Rows that are looked at in a guess by contents.
pub(crate) const LOOKED_AT: usize = 200;

/// Which column of a source holds what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) count: usize,
    pub(crate) text: usize,
    pub(crate) author: Option<usize>,
    pub(crate) mbti: Option<usize>,
    pub(crate) axes: [Option<usize>; 4],
    /// The letter that 1 and true stand for on each axis, where it was said.
    pub(crate) ones: [Option<Letter>; 4],
    /// Whether a cell may hold several posts with `|||` between them, as in the Kaggle data set.
    pub(crate) several_posts: bool,
}

/// Finds the columns by the names in the header, in any order and case. `None` where the text
/// or any way to the type is absent, or a needed name stands twice.
pub(crate) fn find(header: &[&str]) -> Option<ColumnMapping> {
    let names: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    let named = |wanted: &str| {
        names.iter().position(|name| name == wanted).map(|place| header[place].trim().to_owned())
    };
    let twice = |wanted: &str| names.iter().filter(|name| *name == wanted).count() > 1;
    if ["body", "posts", "mbti", "type"].into_iter().any(twice) {
        return None;
    }
    let axes = Axis::ALL.into_iter().filter_map(|axis| {
        let column = named(&axis.name().to_lowercase())?;
        Some((axis, AxisColumn { column, one: None }))
    });
    let mapping = ColumnMapping {
        text: named("body").or_else(|| named("posts"))?,
        author: named("author"),
        mbti: named("mbti").or_else(|| named("type")),
        axes: axes.collect(),
    };
    mapping.tells_the_type().then_some(mapping)
}

/// Guesses by names, and by what stands in the first rows, where the format is none of the known ones.
pub(crate) fn guess(header: &[&str], rows: &[Vec<String>]) -> Option<ColumnMapping> {
    if let Some(known) = find(header) {
        return Some(known);
    }
    let lower: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
    let by_name =
        |wanted: &[&str]| wanted.iter().find_map(|wanted| lower.iter().position(|name| name == wanted));
    let cells = |column: usize| {
        rows.iter().filter_map(move |row| row.get(column)).filter(|cell| !cell.trim().is_empty())
    };
    let types_in = |column: usize| {
        let (types, all) = cells(column)
            .fold((0, 0), |(types, all), cell| (types + usize::from(type_of(cell).is_some()), all + 1));
        all > 0 && types * 5 >= all * 4
    };
    let mbti = by_name(&TYPES).filter(|&column| rows.is_empty() || types_in(column));
    let mbti = mbti.or_else(|| (0..header.len()).find(|&column| types_in(column)));
    let axes: Vec<(Axis, usize)> = Axis::ALL
        .into_iter()
        .filter_map(|axis| {
            let place =
                lower.iter().position(|name| name.parse::<Axis>().is_ok_and(|found| found == axis))?;
            Some((axis, place))
        })
        .collect();
    let author = by_name(&AUTHORS);
    let taken = |column: usize| {
        Some(column) == mbti || Some(column) == author || axes.iter().any(|(_, place)| *place == column)
    };
    let length = |column: usize| cells(column).map(|cell| cell.chars().count()).sum::<usize>();
    let longest = || {
        (0..header.len())
            .filter(|&column| !taken(column))
            .max_by_key(|&column| (length(column), usize::MAX - column))
    };
    let text = by_name(&TEXTS)
        .filter(|&column| !taken(column))
        .or_else(|| longest().filter(|&column| length(column) > 0))?;
    let name = |column: usize| header[column].trim().to_owned();
    let mapping = ColumnMapping {
        text: name(text),
        author: author.filter(|&author| author != text).map(name),
        mbti: mbti.map(name),
        axes: axes
            .into_iter()
            .map(|(axis, place)| (axis, AxisColumn { column: name(place), one: None }))
            .collect(),
    };
    mapping.tells_the_type().then_some(mapping)
}

impl Columns {
    /// The places of all that are read.
    pub(crate) fn needed(&self) -> Vec<usize> {
        let optional = [self.author, self.mbti].into_iter().chain(self.axes);
        std::iter::once(self.text).chain(optional.flatten()).collect()
    }

    /// The places of the columns that a mapping names, or the name that the header has not.
    pub(crate) fn of(header: &[&str], mapping: &ColumnMapping) -> Result<Columns, String> {
        let place = |wanted: &str| {
            let exact = header.iter().position(|name| name.trim() == wanted.trim());
            let alike = || header.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted.trim()));
            exact.or_else(alike).ok_or_else(|| wanted.to_owned())
        };
        let optional = |name: &Option<String>| name.as_deref().map(place).transpose();
        let mut columns = Columns {
            count: header.len(),
            text: place(&mapping.text)?,
            author: optional(&mapping.author)?,
            mbti: optional(&mapping.mbti)?,
            axes: [None; 4],
            ones: [None; 4],
            several_posts: mapping.text.trim().eq_ignore_ascii_case("posts"),
        };
        for (axis, column) in &mapping.axes {
            columns.axes[axis.index()] = Some(place(&column.column)?);
            columns.ones[axis.index()] = column.one.filter(|one| one.axis() == *axis);
        }
        Ok(columns)
    }
}

/// A type as people write it into cells: in either case, with an identity behind it as 16personalities
/// has it: INFP-T, infp_a, "INFP (T)".
fn type_of(cell: &str) -> Option<Type> {
    let cell = cell.trim().trim_matches(['"', '\'']).trim();
    let letters = cell.get(..4)?;
    let mbti = letters.parse().ok()?;
    let rest = cell.get(4..)?.trim_matches([' ', '-', '_', '(', ')', '/']);
    matches!(rest, "" | "a" | "A" | "t" | "T").then_some(mbti)
}

/// The letter in a cell of an axis: itself, or what 1 and 0 stand for.
fn letter_of(axis: Axis, one: Option<Letter>, cell: &str) -> Option<Letter> {
    if let Ok(letter) = Letter::on_axis(axis, cell) {
        return Some(letter);
    }
    let [first, second] = axis.letters();
    let other = |letter| if letter == first { second } else { first };
    match cell.trim().to_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" => one,
        "0" | "0.0" | "false" | "no" => one.map(other),
        _ => None,
    }
}

/// The type of a row, from its type column and its axis columns; they must not contradict.
pub(crate) fn type_of_row<'a>(
    columns: &Columns,
    cell: impl Fn(usize) -> std::borrow::Cow<'a, str>,
) -> Result<Type, (SkipReason, String)> {
    let mut letters: [Option<Letter>; 4] = [None; 4];
    for axis in Axis::ALL {
        let Some(text) = columns.axes[axis.index()].map(&cell) else { continue };
        if text.trim().is_empty() {
            continue;
        }
        let letter = letter_of(axis, columns.ones[axis.index()], &text);
        letters[axis.index()] = Some(letter.ok_or_else(|| (SkipReason::UnknownLetter, text.into_owned()))?);
    }
    let named = columns.mbti.map(cell).filter(|text| !text.trim().is_empty());
    let Some(named) = named else {
        let classes = letters.map(|letter| letter.map(|letter| letter.class() == 1));
        return match classes {
            [Some(a), Some(b), Some(c), Some(d)] => Ok(Type::from_classes([a, b, c, d])),
            _ => Err((SkipReason::NoType, String::new())),
        };
    };
    let mbti = type_of(&named).ok_or_else(|| (SkipReason::UnknownType, named.into_owned()))?;
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

    fn of(header: &[&str]) -> Option<Columns> {
        find(header).map(|mapping| Columns::of(header, &mapping).unwrap())
    }

    #[test]
    fn the_known_formats_are_found_in_any_order_and_case() {
        let full = of(&["author", "body", "mbti", "E-I", "N-S", "F-T", "J-P"]).unwrap();
        assert_eq!((full.text, full.author, full.mbti), (1, Some(0), Some(2)));
        assert!(!full.several_posts && full.axes == [Some(3), Some(4), Some(5), Some(6)]);
        let kaggle = of(&["type", "posts"]).unwrap();
        assert!(kaggle.several_posts && kaggle.mbti == Some(0) && kaggle.text == 1);
        assert!(of(&["Posts", " Type "]).is_some());
        assert!(of(&["body", "E-I", "N-S", "F-T", "J-P"]).is_some());
    }

    #[test]
    fn columns_that_do_not_tell_text_or_type_are_no_known_format() {
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
    fn other_columns_are_guessed_by_names_and_by_what_stands_in_them() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<String>>();
        let guessed = |header: &[&str], rows: &[&[&str]]| {
            let rows: Vec<_> = rows.iter().map(|cells| row(cells)).collect();
            guess(header, &rows).map(|found| (found.text, found.author, found.mbti, found.axes.len()))
        };
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            guessed(&["label", "text"], &[&["INFP-T", "hello"]]),
            Some(("text".into(), None, some("label"), 0))
        );
        assert_eq!(
            guessed(&["用户", "内容", "类型"], &[&["小明", "你好", "infp"]]),
            Some(("内容".into(), some("用户"), some("类型"), 0))
        );
        // Nothing by name: types by their looks, the text as what is longest.
        assert_eq!(
            guessed(&["a", "b", "c"], &[&["1", "what a long day", "ENTJ"], &["2", "yes", "istp"]]),
            Some(("b".into(), None, some("c"), 0))
        );
        assert_eq!(
            guessed(&["text", "EI", "n/s", "TF", "pj"], &[&["x", "1", "0", "1", "0"]]),
            Some(("text".into(), None, None, 4))
        );
        // A column called type that holds none.
        assert_eq!(guessed(&["text", "type"], &[&["x", "post"], &["y", "reply"]]), None);
        assert_eq!(guessed(&["a", "b"], &[&["1", "2"]]), None);
    }

    #[test]
    fn a_mapping_is_found_in_the_header_and_a_name_that_is_not_there_is_told() {
        let mapping = ColumnMapping { text: "Body".into(), mbti: Some("kind".into()), ..Default::default() };
        let columns = Columns::of(&["kind", "body"], &mapping).unwrap();
        assert_eq!((columns.text, columns.mbti), (1, Some(0)));
        assert_eq!(Columns::of(&["body"], &mapping), Err("kind".to_owned()));
    }

    #[test]
    fn a_type_that_contradicts_its_axis_column_is_refused() {
        let columns = of(&["body", "mbti", "E-I"]).unwrap();
        let read = |mbti: &str, axis: &str| {
            let cells = ["".to_owned(), mbti.to_owned(), axis.to_owned()];
            type_of_row(&columns, |index| cells[index].clone().into())
        };
        assert_eq!(read("infp", "I").unwrap().to_string(), "INFP");
        assert_eq!(read("INFP", "").unwrap().to_string(), "INFP");
        assert_eq!(read("INFP", "E").unwrap_err().0, SkipReason::TypeAndAxisDiffer);
        assert_eq!(read("INFP", "X").unwrap_err().0, SkipReason::UnknownLetter);
        assert_eq!(read("ABCD", "I").unwrap_err(), (SkipReason::UnknownType, "ABCD".into()));
        assert_eq!(read("", "I").unwrap_err().0, SkipReason::NoType);
    }

    #[test]
    fn types_have_suffixes_and_axes_numbers_and_truths_of_a_stated_meaning() {
        for cell in ["INFP-T", "infp_a", " InFp ", "'INFP'", "INFP (T)", "INFP-"] {
            assert_eq!(type_of(cell).map(|mbti| mbti.to_string()).as_deref(), Some("INFP"), "{cell}");
        }
        for cell in ["INFPs", "INFP-X", "INF", "", "我是INFP", "INFP INTJ"] {
            assert_eq!(type_of(cell), None, "{cell}");
        }
        let axis = Axis::ExtraversionIntroversion;
        assert_eq!(letter_of(axis, Some(Letter::I), "1"), Some(Letter::I));
        assert_eq!(letter_of(axis, Some(Letter::I), "False"), Some(Letter::E));
        assert_eq!(letter_of(axis, None, "1"), None);
        assert_eq!(letter_of(axis, None, "e"), Some(Letter::E));
    }
}
