//! The language a text is in.

use std::sync::LazyLock;

use whatlang::{Detector, Lang};

/// Characters of a text that are looked at, so that a long one takes no longer than others.
const LOOKED_AT: usize = 400;

/// Letters below which a text in an alphabet is too short to tell.
const FEWEST_LETTERS: usize = 20;

/// The same for Chinese, Japanese and Korean, where a character is about three letters.
const FEWEST_CHARACTERS: usize = 4;

/// Below this part of kana a text in Chinese characters is Chinese, which likes a の here and there.
const LITTLE_KANA: f64 = 0.05;

/// From this part on it is Japanese. Between the two nothing is said.
const MUCH_KANA: f64 = 0.15;

/// The confidence from which `whatlang` is believed. Of English forum posts of 30 to 50 letters half
/// reach it and 1 in 75 is given another language; of those with 80 and more, 97 in 100 and 1 in 110.
const SURE: f64 = 0.5;

/// Languages that are told apart, with their codes in ISO 639-1. Languages that few people post in
/// are left out, because short texts in others are often taken for them.
const LANGUAGES: [(Lang, &str); 53] = [
    (Lang::Eng, "en"),
    (Lang::Cmn, "zh"),
    (Lang::Jpn, "ja"),
    (Lang::Kor, "ko"),
    (Lang::Rus, "ru"),
    (Lang::Spa, "es"),
    (Lang::Fra, "fr"),
    (Lang::Deu, "de"),
    (Lang::Por, "pt"),
    (Lang::Ita, "it"),
    (Lang::Nld, "nl"),
    (Lang::Pol, "pl"),
    (Lang::Tur, "tr"),
    (Lang::Vie, "vi"),
    (Lang::Ind, "id"),
    (Lang::Swe, "sv"),
    (Lang::Dan, "da"),
    (Lang::Nob, "nb"),
    (Lang::Fin, "fi"),
    (Lang::Hun, "hu"),
    (Lang::Ces, "cs"),
    (Lang::Slk, "sk"),
    (Lang::Ron, "ro"),
    (Lang::Hrv, "hr"),
    (Lang::Slv, "sl"),
    (Lang::Lit, "lt"),
    (Lang::Lav, "lv"),
    (Lang::Est, "et"),
    (Lang::Tgl, "tl"),
    (Lang::Ukr, "uk"),
    (Lang::Bel, "be"),
    (Lang::Bul, "bg"),
    (Lang::Srp, "sr"),
    (Lang::Mkd, "mk"),
    (Lang::Ell, "el"),
    (Lang::Ara, "ar"),
    (Lang::Pes, "fa"),
    (Lang::Urd, "ur"),
    (Lang::Heb, "he"),
    (Lang::Hin, "hi"),
    (Lang::Mar, "mr"),
    (Lang::Nep, "ne"),
    (Lang::Ben, "bn"),
    (Lang::Tam, "ta"),
    (Lang::Tel, "te"),
    (Lang::Kan, "kn"),
    (Lang::Mal, "ml"),
    (Lang::Guj, "gu"),
    (Lang::Pan, "pa"),
    (Lang::Tha, "th"),
    (Lang::Kat, "ka"),
    (Lang::Hye, "hy"),
    (Lang::Khm, "km"),
];

static DETECTOR: LazyLock<Detector> =
    LazyLock::new(|| Detector::with_allowlist(LANGUAGES.iter().map(|&(language, _)| language).collect()));

/// The code of a text's language in ISO 639-1, or `None` where the text is too short or its
/// language not sure.
///
/// Chinese, Japanese and Korean are known by their characters, and so are other languages with a
/// script of their own; Russian by letters that its neighbours lack. The rest are told by the
/// trigrams and alphabets of `whatlang`.
pub fn language(text: &str) -> Option<&'static str> {
    let end = text.char_indices().nth(LOOKED_AT).map_or(text.len(), |(at, _)| at);
    let text = &text[..end];
    let [mut han, mut kana, mut hangul, mut letters] = [0usize; 4];
    // Letters of the Russian alphabet, and those of them that its neighbours do without.
    let [mut russian, mut own, mut cyrillic] = [0usize; 3];
    for c in text.chars() {
        match c {
            '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}' => han += 1,
            // Without the dot and the long mark, which Chinese has too.
            '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{ff66}'..='\u{ff9d}' => kana += 1,
            '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7af}' => hangul += 1,
            c if c.is_alphabetic() => {
                letters += 1;
                cyrillic += usize::from(matches!(c, '\u{400}'..='\u{52f}'));
                match c {
                    'ы' | 'э' | 'Ы' | 'Э' => (russian, own) = (russian + 1, own + 1),
                    'а'..='я' | 'А'..='Я' | 'ё' | 'Ё' => russian += 1,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    let characters = han + kana + hangul;
    // English names stand in many texts that are not English, and take more letters.
    if characters * 2 >= letters && characters > 0 {
        if characters < FEWEST_CHARACTERS {
            return None;
        }
        let part = |count: usize| count as f64 / characters as f64;
        return match (part(hangul), part(kana)) {
            (hangul, _) if hangul >= 0.5 => Some("ko"),
            (_, kana) if kana >= MUCH_KANA => Some("ja"),
            (hangul, kana) if hangul + kana < LITTLE_KANA => Some("zh"),
            _ => None,
        };
    }
    if letters < FEWEST_LETTERS {
        return None;
    }
    // Short Russian texts often have too few trigrams to be sure of.
    if own > 0 && russian == cyrillic && cyrillic * 2 > letters {
        return Some("ru");
    }
    let found = DETECTOR.detect(text).filter(|found| found.confidence() > SURE)?;
    LANGUAGES.iter().find(|(language, _)| *language == found.lang()).map(|&(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn languages_of_ordinary_sentences_are_told() {
        for (code, text) in [
            (
                "en",
                "I think that all these situations depend on who they are and how much you have in common.",
            ),
            ("zh", "最近在重温《我的女孩》，我发现古早韩剧最好看的点在于，观众总会比男主角先喜欢上女主角。"),
            ("zh", "我昨天看了 Harry Potter，太好看了"),
            ("ja", "昨日は友達と映画を見に行きました。とても面白かったです。"),
            ("ko", "어제 친구와 함께 영화를 보러 갔어요. 정말 재미있었습니다."),
            ("ru", "Вчера мы с друзьями ходили в кино, и фильм нам очень понравился."),
            ("uk", "Вчора ми з друзями ходили в кіно, і фільм нам дуже сподобався, бо він був цікавий."),
            (
                "es",
                "Ayer fui al cine con mis amigos y la película nos gustó muchísimo a todos. ¿Quieres venir mañana?",
            ),
            ("fr", "Hier, je suis allé au cinéma avec mes amis et le film nous a beaucoup plu."),
            ("de", "Gestern war ich mit meinen Freunden im Kino, und der Film hat uns sehr gut gefallen."),
            ("pt", "Ontem fui ao cinema com os meus amigos e nós gostamos muito do filme, não é?"),
            ("it", "Ieri sono andato al cinema con i miei amici e il film ci è piaciuto moltissimo."),
            ("el", "Χθες πήγα στον κινηματογράφο με τους φίλους μου."),
            ("th", "เมื่อวานนี้ฉันไปดูหนังกับเพื่อน"),
        ] {
            assert_eq!(language(text), Some(code), "{text}");
        }
    }

    #[test]
    fn nothing_is_said_of_what_is_too_short_or_no_language() {
        for text in [
            "",
            "ok",
            "lol yes",
            "哈哈",
            "12345 67890 12345 67890 12345",
            "😂😂😂😂😂😂",
            "qwx zzkj vvbq xxwq jjkq",
        ] {
            assert_eq!(language(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_beginning_of_a_long_text_is_looked_at() {
        let english = "This is what people write when they want to be understood by others. ".repeat(20);
        assert_eq!(language(&format!("{english}{}", "我喜欢你".repeat(100_000))), Some("en"));
    }

    proptest! {
        #[test]
        fn any_text_is_borne(text in "\\PC{0,80}|[a-zäöüßñé ]{0,80}|[а-я ]{0,80}|[一-龥ぁ-んァ-ン가-힣a-z ]{0,40}|[؀-ۿ ]{0,50}") {
            let found = language(&text);
            prop_assert!(found.is_none_or(|code| code.len() == 2));
        }
    }
}
