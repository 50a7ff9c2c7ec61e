//! What the report of clips says by itself, in both languages. Annotators' notes are in English.

use crate::eval::episodes::EpisodeResult;
use crate::hazard::Lang;

pub(super) struct Words {
    pub(super) lang: Lang,
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) created: &'static str,
    pub(super) program: &'static str,
    pub(super) clips: &'static str,
    pub(super) summary: &'static str,
    pub(super) how_to_read: &'static str,
    pub(super) notes: &'static [&'static str],
    pub(super) found_episodes: &'static str,
    pub(super) recall: &'static str,
    pub(super) false_alarms: &'static str,
    pub(super) per_hour: &'static str,
    pub(super) median_delay: &'static str,
    pub(super) longest_delay: &'static str,
    pub(super) minutes: &'static str,
    pub(super) by_kind: &'static str,
    pub(super) hazard: &'static str,
    pub(super) episodes: &'static str,
    pub(super) found: &'static str,
    pub(super) large_enough: &'static str,
    pub(super) fragments: &'static str,
    pub(super) overclaimed: &'static str,
    pub(super) key: [(&'static str, &'static str); 6],
    pub(super) missed: &'static str,
    pub(super) too_small: &'static str,
    pub(super) undecidable: &'static str,
    pub(super) in_order: &'static str,
    pub(super) ignored: &'static str,
    pub(super) not_judged: &'static str,
    pub(super) false_alarm: &'static str,
    pub(super) missed_pictures: &'static str,
    pub(super) wrong_pictures: &'static str,
    pub(super) no_picture: &'static str,
    pub(super) nothing: &'static str,
    pub(super) repeat: &'static str,
    pub(super) digest_model: &'static str,
    pub(super) digest_clip: &'static str,
    pub(super) catalogue: &'static str,
    pub(super) frames: &'static str,
    pub(super) tiles: &'static str,
    pub(super) thresholds: &'static str,
    pub(super) tracker: &'static str,
    pub(super) confirm: &'static str,
}

impl Words {
    pub(super) fn found_of(&self, episodes: usize) -> String {
        match self.lang {
            Lang::En => format!("of {episodes} episodes found"),
            Lang::Zh => format!("/ {episodes} 个隐患过程被发现"),
        }
    }

    pub(super) fn episode(&self, e: &EpisodeResult) -> String {
        let (episode, person) = match self.lang {
            Lang::En => ("episode", "person"),
            Lang::Zh => ("过程", "人员"),
        };
        match e.person {
            Some(number) => format!("{episode} {}, {person} {number}", e.episode),
            None => format!("{episode} {}", e.episode),
        }
    }

    pub(super) fn finding(&self, number: u64) -> String {
        match self.lang {
            Lang::En => format!("finding #{number}"),
            Lang::Zh => format!("发现 #{number}"),
        }
    }
}

pub(super) fn words(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    }
}

const EN: Words = Words {
    lang: Lang::En,
    code: "en",
    title: "Benchmark of clips",
    created: "Made",
    program: "Program",
    clips: "Clips",
    summary: "Summary",
    how_to_read: "How to read this",
    notes: &[
        "An episode is one real hazard as a person saw it, from entering to leaving the picture. It is found when a finding of its kind meets it in place (IoU 0.3 at one moment at least) and time.",
        "A false alarm is a finding of what is in order or of nothing. A finding of what the footage does not allow to say is counted for itself.",
        "“Large enough” leaves out what is too small for the rules to judge: no threshold could find it.",
        "Each further finding of one episode is a fragment: somebody is told twice of one hazard.",
        "The clips are short: read no more than one digit out of a rate for a camera-hour.",
    ],
    found_episodes: "episodes found",
    recall: "episode recall",
    false_alarms: "false alarms",
    per_hour: "false alarms a camera-hour",
    median_delay: "median delay",
    longest_delay: "longest delay",
    minutes: "minutes of video",
    by_kind: "By kind of hazard",
    hazard: "Hazard",
    episodes: "Episodes",
    found: "Found",
    large_enough: "Large enough",
    fragments: "fragments",
    overclaimed: "not to be decided",
    key: [
        ("bad", "hazard (truth)"),
        ("good", "in order (truth)"),
        ("unknown", "cannot be decided (truth)"),
        ("told", "found"),
        ("told again", "fragment"),
        ("told wrong", "false alarm"),
    ],
    missed: "missed",
    too_small: " (too small)",
    undecidable: "undecidable",
    in_order: "in order",
    ignored: "not annotated here",
    not_judged: "kind not annotated",
    false_alarm: "false alarm",
    missed_pictures: "Missed",
    wrong_pictures: "False alarms, and findings of what cannot be decided",
    no_picture: "no picture",
    nothing: "No episodes and no findings, as it should be.",
    repeat: "To repeat it",
    digest_model: "Model, SHA-256",
    digest_clip: "Clip, SHA-256",
    catalogue: "Hazard catalogue",
    frames: "Frames looked at",
    tiles: "Tiles",
    thresholds: "Thresholds",
    tracker: "Tracker",
    confirm: "Confirmation",
};

const ZH: Words = Words {
    lang: Lang::Zh,
    code: "zh",
    title: "视频基准测试",
    created: "生成时间",
    program: "程序",
    clips: "视频",
    summary: "概要",
    how_to_read: "如何阅读",
    notes: &[
        "一个隐患过程是人工看到的一处真实隐患，从进入画面到离开画面。同类发现在时间和位置上与之相符（至少一个时刻 IoU 达到 0.3）即为被发现。",
        "误报是对符合要求之处或对不存在之物的发现。画面无法判定之处的发现单独计数。",
        "“足够大”排除了规则因太小而不判定的部分：任何阈值都无法发现它们。",
        "同一过程的每个后续发现是一个碎片：同一隐患被重复告知。",
        "视频很短：每摄像头小时的误报率只能看一位数字。",
    ],
    found_episodes: "个隐患过程被发现",
    recall: "过程召回率",
    false_alarms: "误报",
    per_hour: "每摄像头小时误报",
    median_delay: "延迟中位数",
    longest_delay: "最长延迟",
    minutes: "分钟视频",
    by_kind: "按隐患种类",
    hazard: "隐患",
    episodes: "过程",
    found: "发现",
    large_enough: "足够大",
    fragments: "碎片",
    overclaimed: "无法判定却被告知",
    key: [
        ("bad", "隐患（真值）"),
        ("good", "符合要求（真值）"),
        ("unknown", "无法判定（真值）"),
        ("told", "发现"),
        ("told again", "碎片"),
        ("told wrong", "误报"),
    ],
    missed: "漏报",
    too_small: "（太小）",
    undecidable: "无法判定",
    in_order: "符合要求",
    ignored: "此处未标注",
    not_judged: "该种类未标注",
    false_alarm: "误报",
    missed_pictures: "漏报",
    wrong_pictures: "误报与无法判定却被告知的发现",
    no_picture: "无图片",
    nothing: "没有隐患过程，也没有发现，符合预期。",
    repeat: "重复所需",
    digest_model: "模型 SHA-256",
    digest_clip: "视频 SHA-256",
    catalogue: "隐患目录",
    frames: "查看的帧",
    tiles: "分块",
    thresholds: "阈值",
    tracker: "跟踪器",
    confirm: "确认",
};
