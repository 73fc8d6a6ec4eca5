#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn table(rows: &[(&str, &str, &str)]) -> Table {
    let example = |&(author, text, mbti): &(&str, &str, &str)| Example {
        author: (!author.is_empty()).then(|| author.to_owned()),
        text: text.to_owned(),
        mbti: mbti.parse().unwrap(),
    };
    Table::of(rows.iter().map(example).collect())
}

fn cleaned(table: &Table, cleaning: &Cleaning) -> (Vec<String>, CleaningReport) {
    let mut texts = Vec::new();
    let keep = |example: Example| {
        texts.push(example.text);
        Ok(())
    };
    let report = clean(table, &table.rows(), cleaning, keep, |_, _| true).unwrap();
    (texts, report)
}

fn counts(report: &CleaningReport) -> Vec<(Step, i64, i64)> {
    report.steps.iter().map(|count| (count.step, count.changed, count.dropped)).collect()
}

#[test]
fn nothing_is_done_that_was_not_asked_for() {
    let table = table(&[
        ("a", "I am an INFP, see https://x.example", "INFP"),
        ("a", "the same", "ENTJ"),
        ("b", "the same", "ENTJ"),
    ]);
    let (texts, report) = cleaned(&table, &Cleaning::default());
    assert_eq!(texts, ["I am an INFP, see https://x.example", "the same", "the same"]);
    assert!(report.steps.is_empty() && (report.texts_before, report.texts_after) == (3, 3));
}

#[test]
fn each_step_counts_what_it_changed_and_left_out_and_shows_it() {
    let table = table(&[
        ("a", "I am an INFP and proud of it, r/infp", "INFP"),
        ("b", "see https://x.example/path and tell me", "ESTJ"),
        ("c", "two types have I", "ESTJ"),
        ("c", "two types have I, really", "ISTJ"),
        ("d", "http://only.example", "ESTJ"),
        ("d", "short", "ESTJ"),
        ("e", "A text that stands here twice, word by word, and says the same", "ENTP"),
        ("f", "a text that stands here twice — word by word and says the same!", "ENTP"),
    ]);
    let cleaning = Cleaning { urls: OnFind::Remove, shortest: Some(8), ..Cleaning::recommended() };
    let (texts, report) = cleaned(&table, &cleaning);
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains(TYPE_WORD) && texts[0].ends_with(LINK) && !texts[0].contains("INFP"));
    assert_eq!(texts[1], "see and tell me");
    assert_eq!(
        counts(&report),
        [
            (Step::AuthorsOfSeveralTypes, 0, 2),
            (Step::Invisible, 0, 0),
            (Step::Urls, 1, 1),
            (Step::RedditLinks, 1, 0),
            (Step::TypeWords, 1, 0),
            (Step::ExactDuplicates, 0, 1),
            (Step::NearDuplicates, 0, 0),
            (Step::Shortest, 0, 1),
        ]
    );
    assert_eq!(report.steps[2].examples[0].after.as_deref(), Some("see and tell me"));
    assert_eq!(report.steps[2].examples[1].after, None);
}

#[test]
fn duplicates_are_left_out_among_an_authors_texts_or_among_all() {
    let long = "this is a longer text about nothing much, which two people have written in the same words";
    let near = format!("{long} today");
    let table = table(&[
        ("a", long, "INFP"),
        ("b", long, "INFP"),
        ("b", &near, "INFP"),
        ("", long, "INFP"),
        ("a", long, "INFP"),
    ]);
    let left = |exact, near| {
        let cleaning = Cleaning { exact_duplicates: exact, near_duplicates: near, ..Cleaning::default() };
        cleaned(&table, &cleaning).0.len()
    };
    use DuplicatesAmong::{All, Author, None};
    assert_eq!([left(None, None), left(Author, None), left(All, None)], [5, 4, 2]);
    assert_eq!([left(Author, Author), left(All, All), left(None, All)], [3, 1, 1]);
}

#[test]
fn texts_of_other_languages_go_and_those_too_short_to_tell_stay() {
    let table = table(&[
        ("a", "I like quiet evenings with a good book and a cup of tea by the window", "INFP"),
        ("b", "我喜欢安静的晚上，也喜欢一本好书和一杯热茶", "INFP"),
        ("c", "ok", "INFP"),
    ]);
    let (texts, report) = cleaned(&table, &Cleaning { languages: vec!["zh".into()], ..Cleaning::default() });
    assert_eq!(texts, ["我喜欢安静的晚上，也喜欢一本好书和一杯热茶", "ok"]);
    assert_eq!(counts(&report), [(Step::Languages, 0, 1)]);
}

#[test]
fn long_texts_are_cut_and_short_ones_of_an_author_joined() {
    let table = table(&[
        ("a", "One sentence here. Another one there.", "INFP"),
        ("a", "Third.", "INFP"),
        ("b", "Of somebody else.", "INFP"),
        ("", "Of nobody.", "INFP"),
    ]);
    let (texts, report) = cleaned(&table, &Cleaning { cut_at: Some(20), ..Cleaning::default() });
    assert_eq!(texts[..2], ["One sentence here.", "Another one there."]);
    assert_eq!((texts.len(), counts(&report)), (5, vec![(Step::Cut, 1, 0)]));
    let joining = Cleaning { join_to: Some([40, 60]), shortest: Some(12), ..Cleaning::default() };
    let (texts, report) = cleaned(&table, &joining);
    assert_eq!(texts, ["One sentence here. Another one there.\nThird.", "Of somebody else."]);
    assert_eq!(counts(&report), [(Step::Join, 3, 0), (Step::Shortest, 0, 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_texts_are_kept_changed_or_counted_whatever_is_asked_for(
        rows in proptest::collection::vec(("[abc]?", "\\PC{1,60}|(INFP|http://a\\.b| |i人){1,5}", 0..16usize), 1..30),
        on_find in proptest::sample::select(vec![OnFind::Keep, OnFind::Mask, OnFind::Remove, OnFind::Drop]),
        all in any::<bool>(), shortest in proptest::option::of(0u32..20),
    ) {
        let examples = rows.into_iter().map(|(author, text, index)| Example {
            author: (!author.is_empty()).then_some(author), text, mbti: mbti::Type::all().nth(index).unwrap(),
        });
        let table = Table::of(examples.collect());
        let among = if all { DuplicatesAmong::All } else { DuplicatesAmong::Author };
        let cleaning = Cleaning {
            urls: on_find, reddit_links: on_find, type_words: on_find, exact_duplicates: among, near_duplicates: among,
            shortest, ..Cleaning::recommended()
        };
        let (texts, report) = cleaned(&table, &cleaning);
        let dropped: i64 = report.steps.iter().map(|count| count.dropped).sum();
        prop_assert_eq!(texts.len() as i64, report.texts_after);
        prop_assert_eq!(report.texts_before, report.texts_after + dropped);
        if on_find == OnFind::Mask {
            prop_assert!(texts.iter().all(|text| type_words::find(text).is_empty()));
        }
    }
}
