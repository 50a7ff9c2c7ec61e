//! Every word that pictures and reports say by themselves, in both languages.

use crate::hazard::{Answer, Lang, Severity};

/// Name of a detector's class; a class unknown here keeps its raw label.
pub(super) fn class_name(label: &str, lang: Lang) -> &str {
    let names = match lang {
        Lang::En => CLASS_NAMES_EN,
        Lang::Zh => CLASS_NAMES_ZH,
    };
    names
        .iter()
        .find(|(raw, _)| raw.eq_ignore_ascii_case(label))
        .map_or(label, |&(_, name)| name)
}

/// Labels that are no English as they stand.
const CLASS_NAMES_EN: &[(&str, &str)] = &[
    ("head", "bare head"),
    ("no_helmet", "no helmet"),
    ("no_vest", "no vest"),
    ("no_mask", "no mask"),
];

/// Class labels of common site detectors and their Chinese names.
pub(super) const CLASS_NAMES_ZH: &[(&str, &str)] = &[
    ("person", "人员"),
    ("head", "未戴安全帽头部"),
    ("helmet", "安全帽"),
    ("hardhat", "安全帽"),
    ("hard_hat", "安全帽"),
    ("hat", "安全帽"),
    ("no_helmet", "未戴安全帽"),
    ("no-helmet", "未戴安全帽"),
    ("vest", "反光背心"),
    ("safety_vest", "反光背心"),
    ("no_vest", "未穿反光背心"),
    ("no-vest", "未穿反光背心"),
    ("mask", "口罩"),
    ("no_mask", "未戴口罩"),
    ("glove", "手套"),
    ("gloves", "手套"),
    ("goggles", "护目镜"),
    ("glasses", "护目镜"),
    ("boots", "防护鞋"),
    ("harness", "安全带"),
    ("face", "面部"),
    ("hand", "手部"),
    ("foot", "足部"),
    ("ear", "耳部"),
    ("flame", "明火"),
    ("fire", "明火"),
    ("smoke", "烟雾"),
    ("cigarette", "香烟"),
    ("extinguisher", "灭火器"),
    ("fire_extinguisher", "灭火器"),
    ("hydrant", "消火栓"),
    ("fire_hydrant", "消火栓"),
    ("exit_sign", "疏散指示标志"),
    ("sign", "标志"),
    ("cone", "锥桶"),
    ("safety_cone", "锥桶"),
    ("traffic_cone", "锥桶"),
    ("pallet", "托盘"),
    ("carton", "纸箱"),
    ("box", "箱"),
    ("sack", "袋装货物"),
    ("drum", "桶"),
    ("barrel", "桶"),
    ("stack", "货垛"),
    ("rack", "货架"),
    ("cylinder", "气瓶"),
    ("gas_cylinder", "气瓶"),
    ("forklift", "叉车"),
    ("vehicle", "车辆"),
    ("car", "汽车"),
    ("truck", "卡车"),
    ("bus", "客车"),
    ("bicycle", "自行车"),
    ("motorcycle", "摩托车"),
    ("e_bike", "电动自行车"),
    ("machinery", "机械"),
    ("excavator", "挖掘机"),
    ("crane", "起重机"),
    ("ladder", "梯子"),
    ("scaffold", "脚手架"),
    ("door", "门"),
    ("fire_door", "防火门"),
    ("electrical_panel", "配电箱"),
    ("battery", "蓄电池"),
    ("puddle", "积水"),
];

/// What is said once in each language.
#[derive(Debug)]
pub(super) struct Words {
    /// For the `lang` attribute.
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    pub(super) created: &'static str,
    pub(super) source: &'static str,
    pub(super) program: &'static str,
    pub(super) model: &'static str,
    pub(super) digest: &'static str,
    pub(super) bank: &'static str,
    pub(super) bank_version: &'static str,
    pub(super) samples: &'static str,
    pub(super) suppressed_count: &'static str,
    pub(super) how_to_read: &'static str,
    pub(super) notes: &'static [&'static str],
    pub(super) summary: &'static str,
    pub(super) photos: &'static str,
    pub(super) photos_with: &'static str,
    pub(super) photos_without: &'static str,
    pub(super) unreadable: &'static str,
    pub(super) candidates: &'static str,
    pub(super) by_kind: &'static str,
    pub(super) kind: &'static str,
    pub(super) severity: &'static str,
    pub(super) answers: &'static str,
    pub(super) answers_note: &'static str,
    pub(super) contents: &'static str,
    pub(super) contents_more: &'static str,
    pub(super) no_candidates: &'static str,
    pub(super) top: &'static str,
    pub(super) next_photo: &'static str,
    pub(super) next_of_kind: &'static str,
    pub(super) confidence: &'static str,
    pub(super) measured: &'static str,
    pub(super) quantity: &'static str,
    pub(super) value: &'static str,
    pub(super) limit: &'static str,
    pub(super) place: &'static str,
    pub(super) rule: &'static str,
    pub(super) clauses: &'static str,
    pub(super) no_clauses: &'static str,
    pub(super) undetermined: &'static str,
    pub(super) nearest_positive: &'static str,
    pub(super) nearest_negative: &'static str,
    pub(super) sample: &'static str,
    pub(super) similarity: &'static str,
    pub(super) suppressed: &'static str,
    pub(super) others: &'static str,
    pub(super) objects: &'static str,
    pub(super) original_px: &'static str,
    pub(super) picture_alt: &'static str,
    pub(super) not_judged: &'static str,
    pub(super) pictures_full: &'static str,
    pub(super) file_digest: &'static str,
    pub(super) end: &'static str,
    pub(super) nobody_decided: &'static str,
    /// On pictures.
    pub(super) nothing_seen: &'static str,
    pub(super) more_in_report: &'static str,
}

/// The words of one language.
pub(super) fn words(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    }
}

/// Name of a suggested severity.
pub fn severity_name(severity: Severity, lang: Lang) -> &'static str {
    match (severity, lang) {
        (Severity::General, Lang::En) => "general",
        (Severity::Major, Lang::En) => "possibly major",
        (Severity::Alarm, Lang::En) => "alarm",
        (Severity::General, Lang::Zh) => "一般",
        (Severity::Major, Lang::Zh) => "疑似重大",
        (Severity::Alarm, Lang::Zh) => "警报",
    }
}

/// `3 candidates for a person to decide`.
pub(super) fn pending(n: usize, lang: Lang) -> String {
    match (n, lang) {
        (0, _) => candidate_count(0, lang),
        (_, Lang::En) => format!("{} for a person to decide", candidate_count(n, lang)),
        (_, Lang::Zh) => format!("{}，待人工确认", candidate_count(n, lang)),
    }
}

/// `Cannot determine: 24 of 30 kinds`.
pub(super) fn undetermined_count(n: usize, of: usize, lang: Lang) -> String {
    match lang {
        Lang::En => format!("Cannot determine: {n} of {of} kinds"),
        Lang::Zh => format!("无法判定：{of} 类中的 {n} 类"),
    }
}

/// The four answers in the order in which they are shown.
pub(super) const ANSWERS: [Answer; 4] = [
    Answer::NonCompliant,
    Answer::CannotDetermine,
    Answer::Compliant,
    Answer::NotApplicable,
];

/// Name of an answer.
pub(super) fn answer_name(answer: Answer, lang: Lang) -> &'static str {
    match (answer, lang) {
        (Answer::NonCompliant, Lang::En) => "hazard suspected",
        (Answer::Compliant, Lang::En) => "as it should be",
        (Answer::CannotDetermine, Lang::En) => "cannot determine",
        (Answer::NotApplicable, Lang::En) => "not in the picture",
        (Answer::NonCompliant, Lang::Zh) => "疑似隐患",
        (Answer::Compliant, Lang::Zh) => "符合要求",
        (Answer::CannotDetermine, Lang::Zh) => "无法判定",
        (Answer::NotApplicable, Lang::Zh) => "不涉及",
    }
}

/// `3 candidates`, `1 candidate`, `3 项候选隐患`.
pub(super) fn candidate_count(n: usize, lang: Lang) -> String {
    match lang {
        Lang::En if n == 0 => "No candidates".to_owned(),
        Lang::Zh if n == 0 => "无候选隐患".to_owned(),
        Lang::En if n == 1 => "1 candidate".to_owned(),
        Lang::En => format!("{n} candidates"),
        Lang::Zh => format!("{n} 项候选隐患"),
    }
}

const EN: Words = Words {
    code: "en",
    title: "Site photo screening",
    created: "Made",
    source: "Photos from",
    program: "Program",
    model: "Model",
    digest: "Weights SHA-256",
    bank: "Sample bank",
    bank_version: "version",
    samples: "samples",
    suppressed_count: "Suppressed by the sample bank",
    how_to_read: "How to read this report",
    notes: &[
        "The machine proposes, a person decides. Everything below is a candidate until somebody has confirmed or rejected it; whether a hazard is “major” in law is a person’s decision.",
        "Confidence runs from 0 to 1 and puts candidates in order. It is not the probability of a violation.",
        "Every kind of hazard gets one of four answers for every photo: hazard suspected, as it should be, cannot determine, not in the picture. Cannot determine is not a pass.",
        "One photo proves no dwell time, no absence and no distance in metres, and it says nothing about what lies outside its frame.",
    ],
    summary: "Summary",
    photos: "Photos scanned",
    photos_with: "With candidates",
    photos_without: "Without candidates",
    unreadable: "Unreadable",
    candidates: "Candidates",
    by_kind: "By kind of hazard",
    kind: "Kind of hazard",
    severity: "Suggested severity",
    answers: "Answers, in photos",
    answers_note: "Candidates counts places, the four answers count photos: one photo may hold several candidates of a kind.",
    contents: "Photos with candidates",
    contents_more: "more, below in the order scanned",
    no_candidates: "No candidate in any photo. That is no proof that the site is in order: see what could not be determined.",
    top: "Top",
    next_photo: "Next photo with candidates",
    next_of_kind: "next",
    confidence: "Confidence",
    measured: "What was measured",
    quantity: "Quantity",
    value: "Value",
    limit: "Limit",
    place: "Place in the photo (x, y, width, height), px",
    rule: "Rule",
    clauses: "Clauses",
    no_clauses: "No checked clause is on file for this kind.",
    undetermined: "What could not be determined, and why",
    nearest_positive: "nearest confirmed sample",
    nearest_negative: "nearest dismissed sample",
    sample: "Sample of the bank",
    similarity: "similarity",
    suppressed: "Suppressed: looks like what was dismissed before",
    others: "As it should be, or not in the picture",
    objects: "Objects detected",
    original_px: "px",
    picture_alt: "Annotated photo",
    not_judged: "This photo could not be judged",
    pictures_full: "This page holds as many pictures as a browser opens with ease; the option --annotate keeps them all in a folder.",
    file_digest: "SHA-256",
    end: "End of the report",
    nobody_decided: "Candidates for a person to decide. Nothing here is a finding yet.",
    nothing_seen: "No candidate in this photo. This is no proof that all is in order.",
    more_in_report: "more, not listed here",
};

const ZH: Words = Words {
    code: "zh-Hans",
    title: "现场照片隐患筛查报告",
    created: "生成时间",
    source: "照片来源",
    program: "程序",
    model: "模型",
    digest: "权重 SHA-256",
    bank: "样本库",
    bank_version: "版本",
    samples: "个样本",
    suppressed_count: "被样本库抑制",
    how_to_read: "阅读说明",
    notes: &[
        "机器只提出候选，由人作出决定。在有人确认或排除之前，下列内容均为候选隐患；是否属于法定“重大事故隐患”，由人判定。",
        "置信度取值 0 到 1，用于排序，不等于违规的概率。",
        "对每张照片，每类隐患给出四种答案之一：疑似隐患、符合要求、无法判定、不涉及。“无法判定”不等于合格。",
        "单张照片不能证明持续时间、不能证明某物不存在，也不能测得实际距离；画面之外的情况不作任何判断。",
    ],
    summary: "汇总",
    photos: "已扫描照片",
    photos_with: "有候选隐患",
    photos_without: "无候选隐患",
    unreadable: "无法读取",
    candidates: "候选隐患",
    by_kind: "按隐患类别",
    kind: "隐患类别",
    severity: "建议等级",
    answers: "四种答案（照片数）",
    answers_note: "“候选隐患”按处计数，四种答案按照片计数：一张照片可含同类候选多处。",
    contents: "有候选隐患的照片",
    contents_more: "张未列出，按扫描顺序见下文",
    no_candidates: "所有照片均未提出候选隐患。这不代表现场没有问题，请查看无法判定的内容。",
    top: "返回顶部",
    next_photo: "下一张有候选隐患的照片",
    next_of_kind: "下一处",
    confidence: "置信度",
    measured: "测量依据",
    quantity: "量",
    value: "测得值",
    limit: "限值",
    place: "照片中的位置（x、y、宽、高），像素",
    rule: "规则",
    clauses: "依据条款",
    no_clauses: "该类别暂无已核对的条款。",
    undetermined: "无法判定的内容及原因",
    nearest_positive: "最相似的已确认样本",
    nearest_negative: "最相似的已驳回样本",
    sample: "样本库样本",
    similarity: "相似度",
    suppressed: "已抑制：与此前驳回的样本相似",
    others: "符合要求或不涉及",
    objects: "检出目标",
    original_px: "像素",
    picture_alt: "标注照片",
    not_judged: "这张照片未能判定",
    pictures_full: "本页图片数量已达上限；如需全部标注图片，请使用 --annotate 选项另存到文件夹。",
    file_digest: "SHA-256",
    end: "报告结束",
    nobody_decided: "以上为候选隐患，须由人确认；目前均未认定。",
    nothing_seen: "这张照片未提出候选隐患，但不代表没有问题。",
    more_in_report: "项未在此列出",
};
