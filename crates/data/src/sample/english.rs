//! The English half of the made-up posts.

mod topics;

use super::Language;

pub(super) const LANGUAGE: Language = Language {
    code: "en",
    #[rustfmt::skip]
    authors: [
        // ENF. ENT. ESF. EST. INF.  INT.    ISF.    IST., each first with J and then with P.
        11, 16, 10, 13, 8, 8, 7, 6, 17, 22, 16, 18, 12, 12, 13, 11,
    ],
    space: " ",
    length: 40..=480,
    topics: topics::TOPICS,
    letters: LETTERS,
    asides: ASIDES,
    moments: MOMENTS,
    slots: SLOTS,
};

const LETTERS: [[&str; 2]; 4] = [
    [include_str!("english/letters/e.txt"), include_str!("english/letters/i.txt")],
    [include_str!("english/letters/n.txt"), include_str!("english/letters/s.txt")],
    [include_str!("english/letters/f.txt"), include_str!("english/letters/t.txt")],
    [include_str!("english/letters/j.txt"), include_str!("english/letters/p.txt")],
];

const MOMENTS: &[[&str; 2]] = &[
    ["this morning", "morning"],
    ["this afternoon", "afternoon"],
    ["after lunch", "afternoon"],
    ["yesterday afternoon", "afternoon"],
    ["this evening", "evening"],
    ["last night", "evening"],
    ["today", "day"],
    ["yesterday", "day"],
    ["on Saturday", "day"],
    ["on Sunday", "day"],
];

const SLOTS: &[(&str, &[&str])] = &[
    ("person", PERSON),
    ("few", &["three", "four", "five", "six", "seven"]),
    ("n", &["7", "8", "9", "11", "12", "14", "16", "18", "21", "24", "26", "30", "35", "40"]),
    (
        "mins",
        &[
            "twenty minutes",
            "25 minutes",
            "half an hour",
            "40 minutes",
            "three quarters of an hour",
            "an hour",
            "a good hour",
            "90 minutes",
            "two hours",
        ],
    ),
    ("time", &["half past nine", "ten o'clock", "quarter to eleven", "two o'clock", "6:30", "seven sharp"]),
    ("late", &["midnight", "one in the morning", "well past bedtime", "far too late"]),
    ("day", &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]),
    ("price", &["19.90", "24 euros", "29 euros", "32.50", "35 euros", "39.90", "45 euros"]),
    ("change", &["7.20", "8.40", "9.50", "11 euros", "12.80"]),
    ("degrees", &["four", "six", "nine", "eleven", "fourteen", "sixteen", "nineteen", "23"]),
    ("steps", &["2,100", "3,400", "4,250", "5,800", "6,300", "7,150"]),
    ("smell", &["coffee", "floor polish", "wet coats", "fresh paint", "toast", "oranges", "old paper"]),
    (
        "food",
        &["soup", "pizza", "pancakes", "noodles", "dumplings", "chips", "cake", "lentil stew", "waffles"],
    ),
];

const PERSON: &[&str] = &[
    "my sister",
    "my brother",
    "my cousin",
    "my aunt",
    "my uncle",
    "my neighbour",
    "my flatmate",
    "my partner",
    "my mum",
    "my dad",
    "my nephew",
    "a colleague",
    "an old friend",
    "a friend from school",
    "Mira",
    "Jonas",
    "Tess",
    "Omar",
    "Lena",
    "Kofi",
    "Priya",
    "Davide",
];

const ASIDES: &[&str] = &[
    "It had been {a while|a few weeks|longer than I thought} since the last time.",
    "I'd forgotten how much I like {topic}.",
    "Not bad for {an ordinary|a normal|an average} {daypart}.",
    "That's all {for today|from me|for now}.",
    "Anyway, {time for tea|back to the rest of the {daypart}|that's my news}.",
    "{Tea|Coffee} first, then everything else.",
    "How {was yours|has yours been|is everyone else doing}?",
    "{More soon|More another day|To be continued}.",
    "{Could have been worse|It could have gone worse}, to be honest.",
    "{The weather helped|The weather was no help|At least it stayed dry}.",
    "I'd {happily|gladly} do it again.",
    "Nothing special, {all in all|really}.",
    "So that was my {daypart}.",
    "Does anyone else still do this?",
    "It's a bit silly, but there you go.",
    "Rather tired now, but in a good way.",
    "{Funny|Odd} how quickly the {daypart} went.",
    "I'm a little hungry now.",
    "Still thinking about dinner.",
    "{Every|Each} year I say I should do this more often.",
    "Small thing, {good|nice|decent} {daypart}.",
    "Back to normal {tomorrow|next week}.",
    "There's a lot to say about {topic}, but not today.",
    "I used to find this harder.",
    "Apart from that, {nothing new|not much news|all as usual}.",
    "And then it was over already.",
];
