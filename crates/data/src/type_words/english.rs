//! English type words: the indicator, the axes, the functions and the nicknames.

use super::context::{Neighbour, after, before, followed, is_mid_sentence, preceded};
use super::letters::exactly;
use super::{Candidate, Kind, Needs, Word};

/// What an English word may be, by itself and by the words beside it.
pub(super) fn word(word: &Word) -> Option<Candidate> {
    let mut buffer = [0; 20];
    let lower = buffer.get_mut(..word.plain.len())?;
    lower.copy_from_slice(word.plain.as_bytes());
    lower.make_ascii_lowercase();
    let lower = std::str::from_utf8(lower).ok()?;
    if lower.len() < 5 {
        return function(word).or_else(|| topic(word, lower));
    }
    topic(word, lower).or_else(|| axis(word, lower)).or_else(|| nickname(word, lower))
}

/// The indicator and its theory. Of several words the last one's end is the end.
fn topic(word: &Word, lower: &str) -> Option<Candidate> {
    let next = |words: &str| {
        after(word.text, word.end).filter(|next| next.is_joined() && next.is_any(words)).map(|next| next.end)
    };
    let end = match lower {
        "16" | "sixteen" => next("personalities personality")?,
        "myers" | "meyers" | "myer" | "meyer" => next("briggs brigg brigs")?,
        "cognitive" => next("function functions stack")?,
        "16personalities" | "16personality" | "myersbriggs" | "keirsey" | "keirseyan" | "socionics" => {
            word.end
        }
        _ if lower.starts_with("mbti") => {
            // A hashtag may go on with the type itself.
            let mut candidate = word.candidate(word.end, Kind::Topic, Needs::Nothing);
            candidate.found.names = lower.get(4..).and_then(exactly);
            return Some(candidate);
        }
        _ => return None,
    };
    Some(word.candidate(end, Kind::Topic, Needs::Nothing))
}

/// A cognitive function. `Se`, `Si`, `Ne` and `Te` are Spanish, French and Italian words and all of
/// them but `Fi` are chemical elements, so that none counts by itself. `my Ni`, `Fe-dom`, `Ti users`
/// and two of them joined (`Ni-Te`, `Fi or Fe`) count everywhere. Near a type a capital letter within
/// an English sentence is enough, where the other languages would have a small one.
fn function(word: &Word) -> Option<Candidate> {
    const BEHIND: &str = "dom doms dominant dominants dominate dominates aux auxiliary user users inferior \
         tert tertiary grip loop loops function functions people person stuff vibe vibes \
         polr";
    const BEFORE: &str = "inferior inf dominant auxiliary auxillary tertiary aux dom tert primary \
         unhealthy savior demon my your his her their introverted extraverted extroverted";
    let (text, start, end) = (word.text, word.start, word.end);
    if word.in_address || !matches!(word.plain.len(), 2 | 4) {
        return None;
    }
    let candidate = |needs| Some(word.candidate(end, Kind::Function, needs));
    if let Some((first, second)) = word.plain.split_at_checked(2).filter(|(_, second)| !second.is_empty()) {
        let is_pair = is_function(first) && is_function(second) && first != second;
        return if is_pair { candidate(Needs::Typology) } else { None };
    }
    if !is_function(word.plain) {
        // Small letters are used too: `se-dom`.
        let is_any = ["ni", "ne", "si", "se", "ti", "te", "fi", "fe"].contains(&word.plain);
        let is_hyphened =
            || after(text, end).is_some_and(|next| next.gap == "-" && next.is_any("dom doms user users"));
        return if is_any && is_hyphened() { candidate(Needs::Nothing) } else { None };
    }
    let (last, next) = (before(text, start), after(text, end));
    let mut gaps =
        [last, next].into_iter().flatten().filter(|other| is_function(other.word)).map(|other| other.gap);
    if gaps.clone().any(|gap| matches!(gap, "-" | "/"))
        || followed(text, end, BEHIND)
        || preceded(text, start, BEFORE)
        || is_compared(text, last, next)
    {
        return candidate(Needs::Nothing);
    }
    let is_in_sentence = |last: Neighbour| {
        last.is_spaced()
            && last.word.bytes().all(|byte| byte.is_ascii_lowercase())
            && !last.is_any("sci wi hi")
    };
    let is_row = gaps.any(|gap| gap.len() <= 4 && !gap.contains(['.', '!', '?', '|', '\n']));
    if is_row || last.is_some_and(is_in_sentence) { candidate(Needs::Typology) } else { None }
}

/// Whether the word before or after is one such as `or`, with a function on its other side.
fn is_compared(text: &str, last: Option<Neighbour>, next: Option<Neighbour>) -> bool {
    let is_link = |link: &Neighbour| link.is_spaced() && link.is_any("and or vs versus over than for with");
    let is_end = |end: Neighbour| is_function(end.word) && end.is_spaced();
    last.filter(is_link).and_then(|link| before(text, link.start)).is_some_and(is_end)
        || next.filter(is_link).and_then(|link| after(text, link.end)).is_some_and(is_end)
}

fn is_function(word: &str) -> bool {
    matches!(word, "Ni" | "Ne" | "Si" | "Se" | "Ti" | "Te" | "Fi" | "Fe")
}

/// The ends of the axes.
fn axis(word: &Word, lower: &str) -> Option<Candidate> {
    let (text, start, end) = (word.text, word.start, word.end);
    let needs = match lower {
        _ if word.plain.starts_with("iN") && lower.starts_with("intuit") => Needs::Nothing,
        "intuitives" | "intuitor" | "intuitors" | "judger" | "judgers" | "perceiver" | "perceivers" => {
            Needs::Nothing
        }
        // Feelers that are put out are no people.
        "feeler" | "feelers" if followed(text, end, "out") || preceded(text, start, "out") => {
            return None;
        }
        "feeler" | "feelers" => Needs::Nothing,
        "sensor" | "sensors" => sensor(word, lower)?,
        "thinker" | "thinkers" => {
            const KINDS: &str = "deep free critical great creative original independent clear quick fast \
                 big design forward positive strategic systems";
            match () {
                () if followed(text, end, "type types") => Needs::Nothing,
                () if preceded(text, start, KINDS) => return None,
                () => Needs::Jargon,
            }
        }
        "intuitive" => intuitive(word)?,
        "thinking" | "feeling" | "sensing" | "intuition" | "judging" | "perceiving" | "intuiting"
        | "perception" => {
            return gerund(word, lower);
        }
        _ if ["introver", "extrover", "extraver", "ambiver"].iter().any(|stem| lower.starts_with(stem)) => {
            Needs::Nothing
        }
        _ => return None,
    };
    Some(word.candidate(end, Kind::Axis, needs))
}

/// A sensor is a person in `I'm a sensor`, `as a sensor`, `sensor type`, `fellow sensors`, `Sensors
/// are` at the beginning of a clause, and near other type words; a device with what it measures
/// before it (`motion sensors`) or a part of it behind (`sensor data`), wherever that is.
fn sensor(word: &Word, lower: &str) -> Option<Needs> {
    const MEASURES: &str = "temperature motion camera image light pressure oxygen heat touch proximity \
         fingerprint speed position parking o2 distance sound smoke infrared ir optical \
         knock heart rate biometric wireless frame cmos ccd pixel movement humidity gas \
         rain door kinect laser digital";
    const PARTS: &str = "data size network networks fusion array arrays cleaning bar reading readings \
         light lights module system technology";
    const VERBS: &str = "are tend who prefer seem like often usually can love have do don think";
    const CLAUSES: &str = "and but that because while think so why how if most fellow we us when whereas";
    let (text, start, end) = (word.text, word.start, word.end);
    if preceded(text, start, MEASURES) || followed(text, end, PARTS) {
        return None;
    }
    if followed(text, end, "type types dom doms") || preceded(text, start, "fellow") {
        return Some(Needs::Nothing);
    }
    let is_person = if lower == "sensor" {
        followed(text, end, "who myself") || is_what_someone_is(text, start)
    } else {
        let last = before(text, start).filter(|_| is_mid_sentence(text, start));
        preceded(text, start, "are were")
            || followed(text, end, VERBS) && last.is_none_or(|last| last.is_any(CLAUSES))
    };
    Some(if is_person { Needs::Nothing } else { Needs::Jargon })
}

/// Whether what stands here is said of a person: `I'm a`, `as an`, `being a`.
fn is_what_someone_is(text: &str, start: usize) -> bool {
    const VERBS: &str = "m am im as being re youre are was were be";
    before(text, start)
        .filter(|article| article.is_spaced() && article.is_any("a an"))
        .is_some_and(|article| preceded(text, article.start, VERBS))
}

/// `intuitive` is a noun in `I'm an intuitive.` and `intuitive type`; near other type words it counts
/// unless what it says something of is a thing.
fn intuitive(word: &Word) -> Option<Needs> {
    const THINGS: &str = "interface interfaces design app apps ui controls software tool tools way \
         understanding sense to enough system layout approach user display menu \
         navigation explanation manner";
    if followed(word.text, word.end, THINGS) {
        return None;
    }
    let is_noun = || {
        let next = after(word.text, word.end);
        let is_end = next.is_none_or(|next| {
            next.gap.starts_with(['.', '!', '?', ';', ')', '|', '\n']) || next.is_any("who myself dom doms")
        });
        is_end && is_what_someone_is(word.text, word.start)
    };
    let is_certain = followed(word.text, word.end, "type types function functions") || is_noun();
    Some(if is_certain { Needs::Nothing } else { Needs::Jargon })
}

/// `thinking`, `feeling` and the like are everyone's words. They count as `sensing types`, as
/// `introverted sensing`, against each other (`Thinking/Feeling`), and, near a type, with a capital
/// letter within a sentence.
fn gerund(word: &Word, lower: &str) -> Option<Candidate> {
    const BEHIND: &str = "type types function functions preference preferences dom doms";
    const OTHERS: &str = "thinking feeling sensing intuition intuitive judging perceiving perception \
         intuiting";
    let (text, start, end) = (word.text, word.start, word.end);
    if preceded(text, start, "introverted extraverted extroverted") {
        return Some(word.candidate(end, Kind::Function, Needs::Nothing));
    }
    let (last, next) = (before(text, start), after(text, end));
    let is_pair = [last, next].into_iter().flatten().any(|other| {
        matches!(other.gap, "/" | " / " | "-")
            && other.is_any(OTHERS)
            && !other.word.eq_ignore_ascii_case(lower)
    });
    let is_type = lower != "perception" && followed(text, end, BEHIND);
    let is_name = word.plain.starts_with(|c: char| c.is_ascii_uppercase())
        && is_mid_sentence(text, start)
        && !followed(text, end, "by from");
    match () {
        () if is_pair || is_type => Some(word.candidate(end, Kind::Axis, Needs::Nothing)),
        () if is_name => Some(word.candidate(end, Kind::Axis, Needs::Typology)),
        () => None,
    }
}

/// A name of a type is a type where `personality` or `type` follows, beside the letters of that
/// very type (`Mediator (INFP)`, `ENTJ: the Commander`), and, for those that are rare outside tests,
/// as `the Mediator` in capitals. Otherwise it counts near a type, where it has a capital letter
/// within a sentence and is no part of a longer name (`Inspector Gadget`).
fn nickname(word: &Word, lower: &str) -> Option<Candidate> {
    let singular = lower.strip_suffix('s').filter(|rest| nickname_of(rest).is_some()).unwrap_or(lower);
    let (names, use_elsewhere) = nickname_of(singular)?;
    let (text, start, end) = (word.text, word.start, word.end);
    let is_capital = word.plain.starts_with(|c: char| c.is_ascii_uppercase());
    let (last, next) = (before(text, start), after(text, end));
    let is_type = next.is_some_and(|next| {
        next.is_joined()
            && (next.is_any("personality personalities")
                || use_elsewhere != Elsewhere::Common && next.is_any("type types"))
    });
    let has_capital_behind = next.is_some_and(|next| next.is_spaced() && next.is_capital());
    let needs = if is_type || is_beside(word, names) {
        Needs::Nothing
    } else if !is_capital || word.in_address {
        return None;
    } else if use_elsewhere == Elsewhere::Rare
        && last.is_some_and(|last| last.is_spaced() && last.is_any("the"))
    {
        // The capital behind may be a type, which is taken away when it is masked.
        if has_capital_behind { Needs::Jargon } else { Needs::Nothing }
    } else {
        let has_capital_before =
            last.is_some_and(|last| last.is_spaced() && last.is_capital() && !last.is_any("the i a"));
        if has_capital_behind || has_capital_before || !is_mid_sentence(text, start) {
            return None;
        }
        Needs::Typology
    };
    let mut candidate = word.candidate(end, Kind::Nickname, needs);
    candidate.found.names = names.first().and_then(|name| exactly(name));
    Some(candidate)
}

/// Whether one of these types stands beside a word, with an article or a bracket between at most.
fn is_beside(word: &Word, names: &[&str]) -> bool {
    let is_in_sentence = |gap: &str| !gap.contains(['.', '!', '?', '|', '\n', ';']);
    let is_one = |other: &str| {
        let letters = other.strip_suffix(['s', 'S']).filter(|rest| rest.len() == 4).unwrap_or(other);
        names.iter().any(|name| name.eq_ignore_ascii_case(letters))
    };
    let behind = after(word.text, word.end).filter(|next| is_in_sentence(next.gap));
    let front = before(word.text, word.start).filter(|last| is_in_sentence(last.gap)).and_then(|last| {
        if !last.is_any("the a an") {
            return Some(last);
        }
        before(word.text, last.start).filter(|last| is_in_sentence(last.gap))
    });
    [behind, front].into_iter().flatten().any(|other| is_one(other.word))
}

/// How much a nickname is used of other things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    Rare,
    Often,
    /// So much that `teacher type` means nothing.
    Common,
}

/// The types that a nickname is used of, first the one that 16personalities means, or Keirsey where
/// it has no such name.
fn nickname_of(lower: &str) -> Option<(&'static [&'static str], Elsewhere)> {
    use Elsewhere::{Common, Often, Rare};
    Some(match lower {
        "architect" => (&["INTJ", "INTP"], Often),
        "logician" => (&["INTP"], Rare),
        "commander" => (&["ENTJ"], Often),
        "debater" => (&["ENTP"], Rare),
        "advocate" => (&["INFJ"], Often),
        "mediator" => (&["INFP"], Rare),
        "protagonist" => (&["ENFJ"], Often),
        "campaigner" => (&["ENFP"], Rare),
        "logistician" => (&["ISTJ"], Rare),
        "defender" => (&["ISFJ"], Often),
        "executive" => (&["ESTJ"], Often),
        "consul" => (&["ESFJ"], Often),
        "virtuoso" => (&["ISTP"], Rare),
        "adventurer" => (&["ISFP"], Rare),
        "entrepreneur" => (&["ESTP"], Often),
        "entertainer" => (&["ESFP"], Often),
        "mastermind" => (&["INTJ"], Often),
        "fieldmarshal" => (&["ENTJ"], Rare),
        "inventor" => (&["ENTP"], Often),
        "counselor" | "counsellor" => (&["INFJ"], Common),
        "healer" => (&["INFP"], Often),
        "teacher" => (&["ENFJ"], Common),
        "champion" => (&["ENFP"], Common),
        "inspector" => (&["ISTJ"], Common),
        "protector" => (&["ISFJ"], Common),
        "supervisor" => (&["ESTJ"], Common),
        "provider" => (&["ESFJ"], Common),
        "crafter" => (&["ISTP"], Often),
        "composer" => (&["ISFP"], Common),
        "promoter" => (&["ESTP"], Common),
        "performer" => (&["ESFP"], Common),
        _ => return None,
    })
}
