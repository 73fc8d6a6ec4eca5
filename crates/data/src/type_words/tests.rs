#![allow(clippy::unwrap_used)]

use mbti::Type;
use proptest::prelude::*;

use super::*;

const TOKEN: &str = "[TYPE]";

/// The words found in a text, with their kinds.
fn found(text: &str) -> Vec<(&str, Kind)> {
    find(text).into_iter().map(|one| (&text[one.range], one.kind)).collect()
}

/// Each text has exactly one find, which is these words of it.
fn assert_one(kind: Kind, table: &[(&str, &str)]) {
    for &(text, word) in table {
        assert_eq!(found(text), [(word, kind)], "{text}");
    }
}

fn assert_none(texts: &str) {
    for text in texts.split(" | ") {
        assert_eq!(found(text), [], "{text}");
    }
}

fn assert_words(table: &[(&str, &[&str])]) {
    for &(text, words) in table {
        assert_eq!(found(text).into_iter().map(|(word, _)| word).collect::<Vec<_>>(), words, "{text}");
    }
}

#[test]
fn a_type_is_found_with_its_endings_in_any_case() {
    assert_one(
        Kind::Type,
        &[
            ("I am an INFP.", "INFP"),
            ("we infps dream", "infps"),
            ("an INFP's dream", "INFP's"),
            ("an infp’s dream", "infp’s"),
            ("Typed as InFp", "InFp"),
            ("INFP-T", "INFP-T"),
            ("always infp-a, never more", "infp-a"),
            ("so INFPish", "INFPish"),
            ("Hello ENFJ7.", "ENFJ7"),
            ("at Infp.com", "Infp"),
            ("http://example.org/intj_forum", "intj"),
            ("#INFPproblems", "INFPproblems"),
            ("by TheINFJ", "TheINFJ"),
            ("by INFJGuy", "INFJGuy"),
            ("I-N-F-P", "I-N-F-P"),
            ("I N F P", "I N F P"),
            ("INFJ/P", "INFJ/P"),
            ("I/ENFP", "I/ENFP"),
            ("INFJ/Paul", "INFJ"),
            ("(infj)", "infj"),
        ],
    );
}

#[test]
fn a_type_is_found_beside_other_scripts_and_in_other_shapes() {
    assert_one(
        Kind::Type,
        &[
            ("我是infp", "infp"),
            ("INFP人真的", "INFP"),
            ("ＩＮＦＰ的我", "ＩＮＦＰ"),
            ("ｉｎｆｐｓ", "ｉｎｆｐｓ"),
            ("저는 INFP입니다", "INFP"),
            ("INFPの人", "INFP"),
            ("𝐈𝐍𝐅𝐏", "𝐈𝐍𝐅𝐏"),
            ("我是infp-t型", "infp-t"),
        ],
    );
}

#[test]
fn letters_of_a_type_within_another_word_are_none() {
    assert_none(
        "intjection | ENTPrise | printpage | éinfp | infpé | infṕ | qinfj | INF P | IN | the ESTPHANY | \
         in/out | E/IN",
    );
}

#[test]
fn a_type_names_itself_and_wildcards_name_none() {
    let names = |text: &str| find(text).first().and_then(|one| one.names).map(|one| one.to_string());
    for (text, name) in [
        ("infps", "INFP"),
        ("ＥＳＴＪ", "ESTJ"),
        ("INFJ/P", "INFJ"),
        ("I/ENFP", "ENFP"),
        ("(E)NTP", "ENTP"),
        ("I-S-T-P", "ISTP"),
        ("TheINFJ", "INFJ"),
        ("mediator personality", "INFP"),
        ("调停者人格", "INFP"),
    ] {
        assert_eq!(names(text).as_deref(), Some(name), "{text}");
    }
    for text in "xNFP INT/FP IN(T/F)P NT introvert i人 MBTI".split(' ') {
        assert_eq!(found(text).len(), 1, "{text}");
        assert_eq!(names(text), None, "{text}");
    }
    let infp: Type = "INFP".parse().unwrap();
    assert!(names_type("As an infp, I", infp));
    assert!(!names_type("As an INFJ and xNFP, I", infp));
}

#[test]
fn wildcards_alternatives_and_pairs_are_parts_of_types() {
    for text in "xNFP IxFP INxP INFx xNxP xSTx IxTJ XNFP INXJ enxp xNFPs INT/FP IN(T/F)P NT NF SJ SP NTs \
         SJs NF's"
        .split(' ')
    {
        assert_eq!(found(text), [(text, Kind::Partial)]);
        assert_eq!(found(&format!("We {text}, as it is")), [(text, Kind::Partial)]);
    }
    assert_words(&[
        ("INTJ and other NTJ types", &["INTJ", "NTJ"]),
        ("an INFJ or any IJ", &["INFJ", "IJ"]),
        ("INFPs and all FPs", &["INFPs", "FPs"]),
        ("INTP: the best human being I can be", &["INTP"]),
        ("TJ Smith is an ISTJ", &["ISTJ"]),
    ]);
    assert_none(
        "next | exit | xxxx | intx i = 3 | estx | XXXP | INXS | nt | sp | nf | Sp | the nts | Windows NT \
         | Windows NT 4.0 | SP500 | SP 500 | S&P 500 | NT$100 | NF-κB | my IP address | on EP | at 3pm \
         EST | an NFP | http://example.org/?v=NT-SP | 你NT吧 | 这个IP | the ENT doctor",
    );
}

#[test]
fn the_indicator_itself_is_a_topic() {
    assert_one(
        Kind::Topic,
        &[
            ("the MBTI test", "MBTI"),
            ("测mbti吗", "mbti"),
            ("Myers-Briggs", "Myers-Briggs"),
            ("the myers briggs thing", "myers briggs"),
            ("16personalities", "16personalities"),
            ("on 16 personalities", "16 personalities"),
            ("cognitive functions", "cognitive functions"),
            ("十六型人格", "十六型人格"),
            ("16型人格测试", "16型人格"),
            ("人格类型", "人格类型"),
        ],
    );
    assert_none("16 people | Mr Myers came | 16人 | Enneagram 5w4 | 4w5 sx/sp | SX/SP | type 9");
}

#[test]
fn a_nickname_counts_where_it_is_used_of_a_type() {
    assert_one(
        Kind::Nickname,
        &[
            ("the Mediator", "Mediator"),
            ("I'm a mediator type", "mediator"),
            ("a mediator personality", "mediator"),
            ("Logician types", "Logician"),
            ("the architect personality", "architect"),
            ("performer personality", "performer"),
        ],
    );
    assert_words(&[
        ("Mediator (INFP)", &["Mediator", "INFP"]),
        ("INFP, the mediator", &["INFP", "mediator"]),
        ("ISTJ - inspector", &["ISTJ", "inspector"]),
        ("INTP (Architect)", &["INTP", "Architect"]),
        ("I got INFP and then some Healer stuff", &["INFP", "Healer"]),
        ("an INFP teacher told me", &["INFP"]),
        ("INTJs like Inspector Gadget", &["INTJs"]),
    ]);
    assert_none(
        "a mediator in the dispute | the executive said | my teacher | The Teacher came | the Commander \
         said | a chief Executive | teacher type | Champion League | an advocate of peace | software \
         architect",
    );
}

#[test]
fn every_nickname_counts_as_a_personality() {
    let names = "architect logician commander debater advocate mediator protagonist campaigner logistician \
         defender executive consul virtuoso adventurer entrepreneur entertainer mastermind fieldmarshal \
         inventor counselor healer teacher champion inspector protector supervisor provider crafter \
         composer promoter performer";
    for name in names.split(' ') {
        for text in [format!("{name} personality"), format!("{} personalities", name.to_uppercase())] {
            let found = find(&text);
            assert_eq!(found.first().map(|one| one.kind), Some(Kind::Nickname), "{text}");
            assert!(found[0].names.is_some());
        }
    }
}

#[test]
fn the_ends_of_the_axes_are_found() {
    assert_one(
        Kind::Axis,
        &[
            ("an introvert", "introvert"),
            ("Introverts!", "Introverts"),
            ("introverted", "introverted"),
            ("my introversion", "introversion"),
            ("EXTROVERT", "EXTROVERT"),
            ("extraverts", "extraverts"),
            ("extraversion", "extraversion"),
            ("ambivert", "ambivert"),
            ("I'm a sensor", "sensor"),
            ("as a sensor I", "sensor"),
            ("Sensors are practical", "Sensors"),
            ("sensor type", "sensor"),
            ("fellow sensors", "sensors"),
            ("sensing type", "sensing"),
            ("intuitives", "intuitives"),
            ("I'm an intuitive.", "intuitive"),
            ("iNtuitive", "iNtuitive"),
            ("an N type", "N"),
            ("a feeler", "feeler"),
            ("perceivers", "perceivers"),
            ("a judger", "judger"),
            ("thinker type", "thinker"),
            ("judging types", "judging"),
        ],
    );
    assert_words(&[
        ("sensors and intuitives", &["sensors", "intuitives"]),
        ("INTPs are thinkers", &["INTPs", "thinkers"]),
        ("Thinking/Feeling", &["Thinking", "Feeling"]),
        ("for an INFP the Judging is hard", &["INFP", "Judging"]),
        ("an INTJ, on T/F I am even", &["INTJ", "T/F"]),
        ("INFJ with a strong J", &["INFJ", "J"]),
    ]);
}

#[test]
fn ordinary_words_are_no_ends_of_axes() {
    assert_none(
        "temperature sensor | motion sensors are on | camera sensor | the sensors are broken | a sensor | \
         intuitive interface | an intuitive, easy app | it is intuitive | judging by | Judging by this | \
         thinking | feeling | I was thinking of feeling good | a deep thinker | put feelers out | put out \
         feelers | I type fast | the E type | N-type | intuition | my perception",
    );
}

#[test]
fn functions_are_found_in_company_only() {
    assert_one(
        Kind::Function,
        &[
            ("an Fe-dom", "Fe"),
            ("Ti users", "Ti"),
            ("Ni dom", "Ni"),
            ("Se-inferior", "Se"),
            ("inferior Se", "Se"),
            ("Si grip", "Si"),
            ("my Ni", "Ni"),
        ],
    );
    assert_words(&[
        ("Ni-Fe", &["Ni", "Fe"]),
        ("Fi/Ne", &["Fi", "Ne"]),
        ("Ni-Te-Fi-Se", &["Ni", "Te", "Fi", "Se"]),
        ("INFJs use Ni and Se", &["INFJs", "Ni", "Se"]),
        ("Fe and Ti", &["Fe", "Ti"]),
        ("as an INFJ, explain Ti to me", &["INFJ", "Ti"]),
        ("ESFP has Se, Fi, Te", &["ESFP", "Se", "Fi", "Te"]),
        ("a clear se-dom", &["se"]),
        ("introverted sensing", &["introverted", "sensing"]),
    ]);
    assert_none(
        "Se me olvidó. Si quieres. Ne me quitte pas. Te quiero. | Si, soy yo | Ne | se-te | fi | Ni 的 | \
         NE-SE wind",
    );
    assert_words(&[
        ("Si soy INFP", &["INFP"]),
        ("Te digo que soy INFP. Se fue.", &["INFP"]),
        ("Je suis INFP. Ne dis rien, Si tu veux", &["INFP"]),
        ("sono INFP. Se vuoi. Ne parliamo", &["INFP"]),
    ]);
}

#[test]
fn chinese_words_are_found() {
    for text in "i人 e人 j人 p人 I人 E人 n人 s人 t人 f人 内向 外向 内倾 外倾 内向型 直觉型 \
         实感型 感觉型 思考型 情感型 判断型 感知型 知觉型"
        .split(' ')
    {
        assert_eq!(found(text), [(text, Kind::Axis)]);
        assert_eq!(found(&format!("我是{text}，你呢")), [(text, Kind::Axis)]);
    }
    assert_words(&[
        ("e人和i人", &["e人", "i人"]),
        ("nt人", &["nt人"]),
        ("我是调停者人格", &["调停者"]),
        ("我是建筑师型的", &["建筑师"]),
        ("INFP小蝴蝶", &["INFP", "小蝴蝶"]),
        ("ENFP，快乐小狗", &["ENFP", "快乐小狗"]),
        ("性格内向外向都有", &["内向", "外向"]),
        ("他很内向，但她外向", &["内向", "外向"]),
    ]);
    assert_none(
        "国内向海外出口 | 窗外向我 | 由内向外 | i人生 | e人员 | wifi人 | 3n人 | 建筑师 | 总经理很忙 | 快乐小狗 | 小蝴蝶飞 | 思考 | 直觉 | 人格 | \
         Ⅱ型糖尿病 | A型血",
    );
    // 外向 is of everyone, so that it makes no type of a profession.
    assert_words(&[("外向的总经理", &["外向"])]);
}

#[test]
fn masking_leaves_everything_else_as_it_was() {
    for (text, masked) in [
        ("I'm an INFP.", "I'm an [TYPE]."),
        ("INFP/INFJ, xNFP", "[TYPE], [TYPE]"),
        ("Ni-Te user", "[TYPE] user"),
        ("INFP|||INFJ", "[TYPE]|||[TYPE]"),
        ("我是i人，infp人格", "我是[TYPE]，[TYPE]人格"),
        ("INFP", "[TYPE]"),
    ] {
        assert_eq!(mask(text, TOKEN).as_deref(), Some(masked));
    }
    assert_eq!(mask("Nothing here.", TOKEN), None);
    assert_eq!(mask("", TOKEN), None);
    assert_eq!(mask("a INFP b", "").as_deref(), Some("a  b"));
}

#[test]
fn only_keeps_the_found_words() {
    assert_eq!(only("We INFPs, ＩＮＦＪ and Introverts; i人"), "infps infj introverts i人");
    assert_eq!(only("Nothing here."), "");
}

#[test]
fn a_long_word_and_a_long_row_take_no_longer_than_their_length() {
    let begun = std::time::Instant::now();
    for text in [
        "NT/",
        "Ni-",
        "i",
        "I-",
        "(",
        "Sensor ",
        "The Mediator",
        "国内向",
        "\u{301}",
        "http://NT/",
        "x",
        "xN",
    ] {
        let text = text.repeat(200_000);
        find(&text);
        mask(&text, TOKEN);
    }
    assert!(begun.elapsed().as_secs() < 60);
}

/// Texts of pieces that matter to the rules, in any order and with anything between.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: &str = "INFP infj xNFP INFx I N F P E x (E)NTP INT/FP NT SPs EJ NFP Mediator the The \
         a an I'm as \
         type types personality Healer teacher introvert extraverted sensor sensors are motion \
         Sensing thinking Feeling judging Judging by intuitive interface iNtuitive thinker deep \
         feelers out Ni Te Se Fi dom inferior my NiTe MBTI mbtitest Myers Briggs 16 personalities \
         cognitive functions Windows 500 κB http:// www. i 人 型 人格 我是 内向 外向 国 由内向外 调停者 总经理 16型人格 ＩＮＦＰ \
         𝐈𝐍𝐅𝐏 é \u{301} 는 Guy s 's -T ish e 7 word Use nt kb Logician TJs feeler Ne and or vs user \
         polr Thinking 16personalities sx sixteen sp型 总 sensors. SE Xxtp (I) (J/P) _ $ Je · κ TheINFJ \
         iNtuitive's st人 内 向 n人 T/F";
    const GAPS: [&str; 22] = [
        " ", " ", " ", " ", "", "", "", "-", "/", ", ", ". ", " (", ") ", "'", "|||", "\n", ":", "$", "–",
        "_", " / ", "，",
    ];
    let piece =
        (prop::sample::select(PIECES.split(' ').collect::<Vec<_>>()), prop::sample::select(GAPS.to_vec()));
    prop::collection::vec(piece, 0..14)
        .prop_map(|pieces| pieces.into_iter().flat_map(|(piece, gap)| [piece, gap]).collect())
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let found = find(text);
    let mut end = 0;
    for one in &found {
        prop_assert!(
            end <= one.range.start && one.range.start < one.range.end && one.range.end <= text.len()
        );
        prop_assert!(text.is_char_boundary(one.range.start) && text.is_char_boundary(one.range.end));
        end = one.range.end;
    }
    let masked = mask(text, TOKEN);
    prop_assert_eq!(masked.is_none(), found.is_empty());
    prop_assert_eq!(only(text).is_empty(), found.is_empty());
    if let Some(masked) = masked {
        prop_assert_eq!(mask(&masked, TOKEN), None, "{:?} became {:?}", text, &masked);
    }
    Ok(())
}

#[test]
fn what_is_left_does_not_begin_to_count_when_its_neighbours_are_masked() {
    for text in
        ["NT内向", "MBTI INFP-xNFP-T / F", "the Mediator INT/FP", "Commander INFP Smith", "Windows NT MBTI"]
    {
        check(text).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn ranges_are_in_order_and_a_masked_text_has_nothing_more_for_any_text(text in "\\PC{0,80}") {
        check(&text)?;
    }

    #[test]
    fn ranges_are_in_order_and_a_masked_text_has_nothing_more_for_texts_of_type_words(text in pieces()) {
        check(&text)?;
    }

    #[test]
    fn the_case_of_a_type_does_not_matter(
        index in 0_usize..16, capitals in any::<[bool; 4]>(), around in "[ .,我(]{0,2}"
    ) {
        let mbti = Type::all().nth(index).unwrap();
        let cased: String = mbti.to_string().chars().zip(capitals)
            .map(|(c, capital)| if capital { c } else { c.to_ascii_lowercase() }).collect();
        let expected = Found { range: around.len()..around.len() + 4, kind: Kind::Type, names: Some(mbti) };
        prop_assert_eq!(find(&format!("{around}{cased}{around}")), vec![expected]);
    }
}
