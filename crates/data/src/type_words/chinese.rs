//! Chinese type words: phrases, found without spaces around them, and letters beside 人.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Candidate, Found, Kind, Needs, Word};

/// What a phrase is.
#[derive(Debug, Clone, Copy)]
enum Phrase {
    Axis,
    Topic,
    /// Only in type context: most of them are professions.
    Nickname(&'static str),
    /// A phrase with another one in it that does not count there.
    Other,
}

const PHRASES: [(&str, Phrase); 74] = [
    ("内向型", Phrase::Axis),
    ("内向", Phrase::Axis),
    ("外向型", Phrase::Axis),
    ("外向", Phrase::Axis),
    ("内倾", Phrase::Axis),
    ("外倾", Phrase::Axis),
    ("內向", Phrase::Axis),
    ("內傾", Phrase::Axis),
    ("外傾", Phrase::Axis),
    ("直觉型", Phrase::Axis),
    ("直覺型", Phrase::Axis),
    ("实感型", Phrase::Axis),
    ("實感型", Phrase::Axis),
    ("感觉型", Phrase::Axis),
    ("感覺型", Phrase::Axis),
    ("思考型", Phrase::Axis),
    ("情感型", Phrase::Axis),
    ("判断型", Phrase::Axis),
    ("判斷型", Phrase::Axis),
    ("感知型", Phrase::Axis),
    ("知觉型", Phrase::Axis),
    ("知覺型", Phrase::Axis),
    ("由内向外", Phrase::Other),
    ("从内向外", Phrase::Other),
    ("自内向外", Phrase::Other),
    ("向内向外", Phrase::Other),
    ("由外向内", Phrase::Other),
    ("从外向内", Phrase::Other),
    ("自外向内", Phrase::Other),
    ("十六型人格", Phrase::Topic),
    ("十六人格", Phrase::Topic),
    ("人格类型", Phrase::Topic),
    ("人格類型", Phrase::Topic),
    ("荣格八维", Phrase::Topic),
    ("建筑师", Phrase::Nickname("INTJ")),
    ("紫老头", Phrase::Nickname("INTJ")),
    ("逻辑学家", Phrase::Nickname("INTP")),
    ("指挥官", Phrase::Nickname("ENTJ")),
    ("辩论家", Phrase::Nickname("ENTP")),
    ("提倡者", Phrase::Nickname("INFJ")),
    ("绿老头", Phrase::Nickname("INFJ")),
    ("调停者", Phrase::Nickname("INFP")),
    ("小蝴蝶", Phrase::Nickname("INFP")),
    ("主人公", Phrase::Nickname("ENFJ")),
    ("竞选者", Phrase::Nickname("ENFP")),
    ("快乐小狗", Phrase::Nickname("ENFP")),
    ("物流师", Phrase::Nickname("ISTJ")),
    ("守卫者", Phrase::Nickname("ISFJ")),
    ("小护士", Phrase::Nickname("ISFJ")),
    ("总经理", Phrase::Nickname("ESTJ")),
    ("执政官", Phrase::Nickname("ESFJ")),
    ("鉴赏家", Phrase::Nickname("ISTP")),
    ("探险家", Phrase::Nickname("ISFP")),
    ("企业家", Phrase::Nickname("ESTP")),
    ("表演者", Phrase::Nickname("ESFP")),
    ("建築師", Phrase::Nickname("INTJ")),
    ("邏輯學家", Phrase::Nickname("INTP")),
    ("指揮官", Phrase::Nickname("ENTJ")),
    ("辯論家", Phrase::Nickname("ENTP")),
    ("調停者", Phrase::Nickname("INFP")),
    ("主人翁", Phrase::Nickname("ENFJ")),
    ("競選者", Phrase::Nickname("ENFP")),
    ("物流師", Phrase::Nickname("ISTJ")),
    ("守衛者", Phrase::Nickname("ISFJ")),
    ("總經理", Phrase::Nickname("ESTJ")),
    ("執政官", Phrase::Nickname("ESFJ")),
    ("鑑賞家", Phrase::Nickname("ISTP")),
    ("探險家", Phrase::Nickname("ISFP")),
    ("企業家", Phrase::Nickname("ESTP")),
    ("表演家", Phrase::Nickname("ESFP")),
    ("内向性", Phrase::Axis),
    ("外向性", Phrase::Axis),
    ("内倾型", Phrase::Axis),
    ("外倾型", Phrase::Axis),
];

/// The phrases by their first character, longest first.
static BY_FIRST: LazyLock<HashMap<char, Vec<(&str, Phrase)>>> = LazyLock::new(|| {
    let mut by_first: HashMap<char, Vec<(&str, Phrase)>> = HashMap::new();
    for (phrase, kind) in PHRASES {
        by_first.entry(phrase.chars().next().unwrap_or_default()).or_default().push((phrase, kind));
    }
    for phrases in by_first.values_mut() {
        phrases.sort_by_key(|(phrase, _)| std::cmp::Reverse(phrase.len()));
    }
    by_first
});

/// The phrase that begins at a character: where to read on, and whether it may count.
pub(super) fn phrase(text: &str, at: usize, first: char) -> (usize, Option<Candidate>) {
    let rest = text.get(at..).unwrap_or_default();
    let phrases = if is_chinese(first) { BY_FIRST.get(&first) } else { None };
    match phrases.and_then(|phrases| phrases.iter().find(|(phrase, _)| rest.starts_with(phrase))) {
        None => (at + first.len_utf8(), None),
        Some((phrase, kind)) => (at + phrase.len(), candidate(text, at, at + phrase.len(), *kind)),
    }
}

fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}')
}

fn candidate(text: &str, start: usize, end: usize, phrase: Phrase) -> Option<Candidate> {
    /// Behind these 内向 and 外向 are cut wrong: 国内|向, 窗外|向.
    const PLACES: &str = "国國室体體校境海圈店区區车車市省院厂廠港州县縣城村屋房门門窗户戶界郊年月";
    let found = |kind, names| Found { range: start..end, kind, names };
    match phrase {
        Phrase::Other => None,
        Phrase::Topic => Some(Candidate { found: found(Kind::Topic, None), needs: Needs::Nothing }),
        Phrase::Axis => {
            let is_direction = text.get(start..end).is_some_and(|word| word.contains('向'));
            let last = text.get(..start).and_then(|front| front.chars().next_back());
            let is_place = is_direction && last.is_some_and(|c| PLACES.contains(c));
            (!is_place).then(|| Candidate { found: found(Kind::Axis, None), needs: Needs::Nothing })
        }
        Phrase::Nickname(names) => {
            let is_type =
                text.get(end..).is_some_and(|rest| rest.starts_with('型') || rest.starts_with("人格"));
            let needs = if is_type { Needs::Nothing } else { Needs::TypologyBeside };
            Some(Candidate { found: found(Kind::Nickname, names.parse().ok()), needs })
        }
    }
}

/// A word of plain letters with Chinese behind it: `i人`, `nt人`, `16型人格`.
pub(super) fn beside(word: &Word) -> Option<Candidate> {
    /// Behind these 人 is the beginning of another word: 人生, 人员, 人格.
    const CONTINUED: &str = "员員生类類民物家工口格次份均体體力名流群行";
    if word.plain.len() > 2 {
        return None;
    }
    let rest = word.text.get(word.end..)?;
    if word.plain == "16" {
        let behind = ["型人格", "人格", "型性格"].into_iter().find(|behind| rest.starts_with(behind))?;
        return Some(word.candidate(word.end + behind.len(), Kind::Topic, Needs::Nothing));
    }
    let kind = match word.plain {
        "i" | "e" | "n" | "s" | "t" | "f" | "j" | "p" => Kind::Axis,
        "I" | "E" | "N" | "S" | "T" | "F" | "J" | "P" => Kind::Axis,
        "nt" | "nf" | "sj" | "sp" | "st" | "sf" | "NT" | "NF" | "SJ" | "SP" | "ST" | "SF" => Kind::Partial,
        _ => return None,
    };
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let is_person =
        rest.strip_prefix('人').is_some_and(|behind| !behind.starts_with(|c| CONTINUED.contains(c)));
    let is_type = kind == Kind::Partial && rest.starts_with('型');
    let end = word.text.len() - rest.len() + '人'.len_utf8();
    (is_person || is_type).then(|| word.candidate(end, kind, Needs::Nothing))
}
