//! What can be found in texts besides their words: addresses, Reddit's links, invisible characters.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

/// An address on the web, with its protocol or beginning with www, up to white space or what closes it.
/// Chinese is written without spaces, so that it ends at any letter that addresses do not have.
static URL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?-u:\b)(?:https?://|www\.)[a-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+"#).ok()
});

/// r/name, u/name and /r/name, where that is no part of a path.
static REDDIT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(?:^|[^\w/.])(/?[ru]/[a-z0-9_\-]{2,30})").ok());

pub(crate) fn urls(text: &str) -> Vec<Range<usize>> {
    // Most texts have none, which is seen faster so.
    let Some(url) =
        URL.as_ref().filter(|_| text.contains("://") || text.contains("www.") || text.contains("WWW."))
    else {
        return Vec::new();
    };
    // What ends a sentence does not belong to the address, nor does a bracket that it stands in.
    url.find_iter(text).map(|found| found.start()..found.start() + trimmed(found.as_str())).collect()
}

fn trimmed(address: &str) -> usize {
    let mut end = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*']).len();
    while address[..end].ends_with([')', ']']) {
        let (open, close) = if address[..end].ends_with(')') { ('(', ')') } else { ('[', ']') };
        if address[..end].matches(open).count() >= address[..end].matches(close).count() {
            break;
        }
        end = address[..end - 1].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*']).len();
    }
    end
}

pub(crate) fn reddit_links(text: &str) -> Vec<Range<usize>> {
    let Some(reddit) =
        REDDIT.as_ref().filter(|_| text.contains("r/") || text.contains("u/") || text.contains("R/"))
    else {
        return Vec::new();
    };
    reddit.captures_iter(text).filter_map(|found| found.get(1)).map(|link| link.range()).collect()
}

/// The text without control characters, white space apart, and without characters of no width; `None`
/// where it has none. The joiner stays where it joins emoji, and in scripts that need it.
pub(crate) fn without_invisible(text: &str) -> Option<String> {
    let is_invisible = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t' | '\r')
            || matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.contains(is_invisible).then(|| text.chars().filter(|&c| !is_invisible(c)).collect())
}

/// The text with a token in the place of each range, or with nothing and no double space there.
pub(crate) fn replaced(text: &str, ranges: &[Range<usize>], token: Option<&str>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for range in ranges {
        out.push_str(&text[from..range.start]);
        from = range.end;
        match token {
            Some(token) => out.push_str(token),
            None if out.is_empty() || out.ends_with(char::is_whitespace) => {
                from += text[from..].len() - text[from..].trim_start_matches(' ').len();
            }
            None => {}
        }
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str, find: fn(&str) -> Vec<Range<usize>>) -> Vec<&str> {
        find(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn addresses_are_found_without_what_stands_around_them() {
        let text =
            "see https://a.example/b?c=d, (http://x.example/y_(z)) and www.b.example. 看https://c.example/路";
        assert_eq!(
            found(text, urls),
            ["https://a.example/b?c=d", "http://x.example/y_(z)", "www.b.example", "https://c.example/"]
        );
        assert!(found("a://b, www and 3.14", urls).is_empty());
    }

    #[test]
    fn links_of_reddit_are_found_and_paths_and_fractions_are_not() {
        assert_eq!(
            found("r/mbti, /r/INFP and (u/some_body) but and/or, a/r/b", reddit_links),
            ["r/mbti", "/r/INFP", "u/some_body"]
        );
        assert!(found("https://x.example/r/mbti w/u/ or/and", reddit_links).is_empty());
    }

    #[test]
    fn invisible_characters_go_and_line_ends_stay() {
        assert_eq!(without_invisible("a\u{200b}b\u{0}\n\u{feff}c").as_deref(), Some("ab\nc"));
        assert_eq!(without_invisible("plain\ttext 👨\u{200d}👩"), None);
    }

    #[test]
    fn what_is_found_is_replaced_or_taken_out_without_a_double_space() {
        let text = "see www.a.example now";
        assert_eq!(replaced(text, &urls(text), Some("[URL]")), "see [URL] now");
        assert_eq!(replaced(text, &urls(text), None), "see now");
    }

    proptest! {
        #[test]
        fn ranges_are_whole_characters_in_order_for_any_text(text in "\\PC{0,30}(https?://|www\\.|r/|u/)\\PC{0,30}") {
            for find in [urls, reddit_links] {
                let ranges = find(&text);
                prop_assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
                prop_assert!(ranges.iter().all(|range| text.get(range.clone()).is_some_and(|found| !found.is_empty())));
                replaced(&text, &ranges, None);
            }
        }
    }
}
