//! The Chinese half of the made-up posts.

mod topics;

use super::Language;

pub(super) const LANGUAGE: Language = Language {
    code: "zh",
    #[rustfmt::skip]
    authors: [
        // ENF. ENT. ESF. EST. INF. INT. ISF. IST., each first with J and then with P.
        3, 4, 3, 3, 2, 2, 2, 2, 4, 5, 4, 4, 3, 3, 3, 3,
    ],
    space: "",
    length: 15..=180,
    topics: topics::TOPICS,
    letters: LETTERS,
    asides: ASIDES,
    moments: MOMENTS,
    slots: SLOTS,
};

const LETTERS: [[&str; 2]; 4] = [
    [include_str!("chinese/letters/e.txt"), include_str!("chinese/letters/i.txt")],
    [include_str!("chinese/letters/n.txt"), include_str!("chinese/letters/s.txt")],
    [include_str!("chinese/letters/f.txt"), include_str!("chinese/letters/t.txt")],
    [include_str!("chinese/letters/j.txt"), include_str!("chinese/letters/p.txt")],
];

const MOMENTS: &[[&str; 2]] = &[
    ["今天上午", "上午"],
    ["昨天上午", "上午"],
    ["今天下午", "下午"],
    ["昨天下午", "下午"],
    ["午饭后", "下午"],
    ["昨天晚上", "晚上"],
    ["今天晚上", "晚上"],
    ["周六", "周末"],
    ["周日", "周末"],
    ["这个周末", "周末"],
];

const SLOTS: &[(&str, &[&str])] = &[
    ("person", PERSON),
    ("few", &["三", "四", "五", "六"]),
    ("n", &["七", "八", "九", "十二", "十四", "十六", "十八", "二十一", "二十四", "三十", "三十五", "四十"]),
    ("mins", &["二十分钟", "二十五分钟", "半个小时", "四十分钟", "一个小时", "一个多小时", "两个小时"]),
    ("time", &["上午九点半", "上午十点", "中午十二点", "下午两点", "下午四点", "晚上七点"]),
    ("late", &["半夜", "凌晨一点", "后半夜"]),
    ("day", &["周一", "周二", "周三", "周四", "周五", "周六", "周日"]),
    ("price", &["一百二", "一百五", "两百块", "两百三", "两百六"]),
    ("change", &["十二块", "十五块", "十八块五", "二十块", "二十六块"]),
    ("degrees", &["四", "六", "九", "十一", "十五", "十八", "二十三"]),
    ("steps", &["两千一百", "三千四百", "四千二百", "五千八百", "六千三百"]),
    ("smell", &["咖啡", "油漆", "洗衣粉", "橘子皮", "旧报纸", "烤红薯", "雨水"]),
    ("food", &["牛肉面", "饺子", "火锅", "烧烤", "馄饨", "砂锅粥", "炒粉", "米线"]),
    ("snack", &["橘子", "绿豆糕", "瓜子", "蛋挞", "烤红薯", "山楂片"]),
];

const PERSON: &[&str] = &[
    "我妹",
    "我哥",
    "我妈",
    "我爸",
    "我姨",
    "表姐",
    "堂弟",
    "室友",
    "同事",
    "邻居",
    "发小",
    "老同学",
    "我对象",
    "阿琳",
    "小周",
    "小宋",
    "阿杰",
    "老秦",
];

const ASIDES: &[&str] = &[
    "好久没{这样过|这么弄}了。",
    "都快忘了{topic}是什么感觉了。",
    "普普通通的一个{daypart}，挺好。",
    "今天就{写|说}到这儿。",
    "好了，{喝茶去了|该干嘛干嘛去了|汇报完毕}。",
    "先{喝口水|喝杯茶|喝杯咖啡}，别的再说。",
    "你们{那边怎么样|最近怎么样|今天都干嘛了}？",
    "下回接着{说|聊}。",
    "说实话，还不算太糟。",
    "还好{天气给面子|没下雨}。",
    "有机会还想再来一次。",
    "{总的来说|反正}没什么特别的。",
    "我的{daypart}就是这样过的。",
    "现在还有人{这么做|像我这样}吗？",
    "说起来有点傻，不过就这样吧。",
    "有点累，是舒服的那种累。",
    "{daypart}过得{真快|有点快}。",
    "现在有点饿了。",
    "还在想下一顿吃什么。",
    "每年都说要多来几回。",
    "小事一桩，心情不错。",
    "{明天|下周}又恢复正常了。",
    "关于{topic}能说的还有很多，改天吧。",
    "以前觉得这事挺难的。",
    "除此之外没什么{新鲜事|变化}。",
    "一抬头，已经过了好久。",
];
