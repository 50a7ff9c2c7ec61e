//! The answer of each kind of hazard for all that was watched. A kind that could not be judged says why.

use std::collections::BTreeMap;

use super::KindAnswer;
use super::view::View;
use crate::confirm::Witness;
use crate::hazard::{Answer, HazardAnswer, Lang, Text};
use crate::rules::{HazardKind, PhotoRule, WatchRule, ZoneRule};

/// What was seen of each kind so far.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<String, Tally>);

#[derive(Debug, Default)]
struct Tally {
    /// Findings, and when the first was told.
    findings: u32,
    first_s: f64,
    /// Looks at something that showed the hazard, and that showed it is not there.
    hazard: u64,
    clear: u64,
    /// Of each zone, by its place in the list: looks at which it was clear, and at which it could not be told.
    zones: BTreeMap<usize, (u64, u64)>,
    /// The gravest answer of a frame.
    frame: Option<(Answer, Text)>,
}

impl Answers {
    fn of(&mut self, code: &str) -> &mut Tally {
        self.0.entry(code.to_owned()).or_default()
    }

    /// A finding of this kind was told.
    pub(super) fn opened(&mut self, code: &str, time_s: f64) {
        let tally = self.of(code);
        if tally.findings == 0 {
            tally.first_s = time_s;
        }
        tally.findings += 1;
    }

    /// What a look says of a subject, of a zone if it is one.
    pub(super) fn witness(&mut self, code: &str, witness: Witness, zone: Option<usize>) {
        let tally = self.of(code);
        if let Some(zone) = zone {
            let (clear, unclear) = tally.zones.entry(zone).or_default();
            match witness {
                Witness::Hazard(_) => {}
                Witness::InOrder => *clear += 1,
                Witness::Unclear => *unclear += 1,
            }
        }
        match witness {
            Witness::Hazard(_) => tally.hazard += 1,
            Witness::InOrder => tally.clear += 1,
            Witness::Unclear => {}
        }
    }

    /// What a frame by itself says.
    pub(super) fn frame(&mut self, said: &HazardAnswer) {
        // non_compliant is told by findings only: one frame accuses nobody, nor does it clear anybody
        let answer = match said.answer {
            Answer::NonCompliant => Answer::CannotDetermine,
            other => other,
        };
        let rank = |a: Answer| match a {
            Answer::CannotDetermine | Answer::NonCompliant => 0,
            Answer::Compliant => 1,
            Answer::NotApplicable => 2,
        };
        let tally = self.of(&said.code);
        let kept = tally.frame.as_ref().map(|(a, _)| rank(*a));
        if kept.is_none_or(|kept| rank(answer) < kept) {
            tally.frame = Some((answer, said.reason.clone()));
        }
    }

    /// For all that was watched, in the order of the kinds. `by_bank`: kinds that a bank looked for; `missed`: why not
    /// all could be seen, so that nothing is said to be in order.
    pub(super) fn all<'k>(
        &self,
        kinds: impl Iterator<Item = &'k HazardKind>,
        view: &View,
        by_bank: impl Fn(&str) -> bool,
        missed: Option<&Text>,
        lang: Lang,
    ) -> Vec<KindAnswer> {
        let nothing = Tally::default();
        kinds
            .map(|kind| {
                let tally = self.0.get(&kind.code).unwrap_or(&nothing);
                let missing = missing(kind, view, by_bank(&kind.code));
                let judged = missing.is_none();
                let (answer, reason) = match missing {
                    // the sample bank may have found what no rule is for
                    Some(missing) if tally.findings == 0 => (Answer::CannotDetermine, missing),
                    _ => tally.answer(kind, view),
                };
                let (answer, reason) = match (answer, missed) {
                    (Answer::Compliant | Answer::NotApplicable, Some(missed)) => {
                        (Answer::CannotDetermine, missed.clone())
                    }
                    _ => (answer, reason),
                };
                KindAnswer {
                    code: kind.code.clone(),
                    answer,
                    reason: reason.get(lang).to_owned(),
                    judged,
                }
            })
            .collect()
    }
}

/// What is missing to judge a kind at all, with what to do; nothing where it is judged.
fn missing(kind: &HazardKind, view: &View, by_bank: bool) -> Option<Text> {
    if by_bank {
        return None;
    }
    if let Some(rule) = kind.watch.first() {
        return match rule {
            WatchRule::Zone(rule) => view
                .zones_of(&kind.code, rule)
                .is_empty()
                .then(|| no_zone(&kind.code, rule)),
            WatchRule::Distance(_) => (!view.has_ground()).then(no_ground),
        };
    }
    let worn = |rule: &PhotoRule| matches!(rule, PhotoRule::PersonItem(_));
    match &kind.photo_reason {
        Some(reason) if kind.rules.is_empty() => Some(reason.clone()),
        _ if !view.has_work_area() && kind.rules.iter().all(worn) => Some(Text::new(
            "Protective equipment is judged in work areas only, and none is drawn: add a zone of the kind \
             `work_area`.",
            "仅在作业区内判断个人防护用品，而当前未绘制作业区；请添加work_area类型的区域。",
        )),
        _ => None,
    }
}

impl Tally {
    fn answer(&self, kind: &HazardKind, view: &View) -> (Answer, Text) {
        if self.findings > 0 {
            let (n, first_s) = (self.findings, self.first_s);
            let plural = if n == 1 { "" } else { "s" };
            let text = Text::new(
                format!("{n} finding{plural}, the first at {first_s:.1} s."),
                format!("发现{n}处，首处在{first_s:.1}秒。"),
            );
            return (Answer::NonCompliant, text);
        }
        if self.hazard > 0 {
            return (Answer::CannotDetermine, unconfirmed(self.hazard));
        }
        match (kind.watch.first(), &self.frame) {
            (Some(WatchRule::Zone(rule)), _) => self.in_zones(&kind.code, rule, view),
            (Some(WatchRule::Distance(rule)), _) => self.in_metres(rule.min_m),
            (None, _) if kind.rules.is_empty() => by_bank_only(),
            (None, Some((answer, reason))) => (*answer, reason.clone()),
            (None, None) => (
                Answer::CannotDetermine,
                Text::new("No frame was judged for it.", "没有画面可供判断。"),
            ),
        }
    }

    fn in_zones(&self, code: &str, rule: &ZoneRule, view: &View) -> (Answer, Text) {
        let zones = view.zones_of(code, rule);
        if zones.is_empty() {
            // the bank looks for it all over the view
            return by_bank_only();
        }
        let (mut seen, mut unwatched, mut hidden, mut learned) = (vec![], vec![], vec![], vec![]);
        for (i, name) in zones {
            let (clear, unclear) = self.zones.get(&i).copied().unwrap_or_default();
            // of a zone that was mostly hidden nothing is said
            if clear + unclear == 0 {
                unwatched.push(name);
            } else if clear == 0 || unclear > clear {
                hidden.push(name);
            } else if rule.max_change.is_some() && !view.has_clean_view(i) {
                learned.push(name);
            } else {
                seen.push(format!("{name} ({clear})"));
            }
        }
        let told = |names: &[&str], en: &str, zh: &str| {
            let names = names.join(", ");
            let text = Text::new(format!("{names}: {en}"), format!("{names}：{zh}"));
            (Answer::CannotDetermine, text)
        };
        if !unwatched.is_empty() {
            return told(
                &unwatched,
                "not watched in this time (schedule), or the video was too short for a look.",
                "未到监视时段，或视频过短，未能查看。",
            );
        }
        if !hidden.is_empty() {
            return told(
                &hidden,
                "people or goods stood before it, or it was not seen for the few seconds that it takes to know it.",
                "被人员或物品遮挡，或未能看清数秒以记住其样子。",
            );
        }
        if !learned.is_empty() {
            return told(
                &learned,
                "nothing has come to stand there; what stood there from the first frames on is not known: give a \
                 picture of it as it should be (`reference`).",
                "期间未见新增物品；视频开头已有的物品无法判断，请提供该区域正常时的图片（reference）。",
            );
        }
        let names = seen.join(", ");
        let text = Text::new(
            format!("Nothing in all looks (so many at each zone): {names}."),
            format!("各区域均未发现此类隐患（括号内为查看次数）：{names}。"),
        );
        (Answer::Compliant, text)
    }

    fn in_metres(&self, least_m: f32) -> (Answer, Text) {
        if self.clear == 0 {
            let text = Text::new(
                "Nobody on foot was followed while a vehicle moved.",
                "未在车辆移动时跟踪到行人。",
            );
            return (Answer::CannotDetermine, text);
        }
        let n = self.clear;
        let text = Text::new(
            format!(
                "Nobody on foot was nearer than {least_m:.1} m to a moving vehicle, in {n} looks."
            ),
            format!("{n}次查看中，行人与移动车辆的距离均不小于{least_m:.1}米。"),
        );
        (Answer::Compliant, text)
    }
}

fn by_bank_only() -> (Answer, Text) {
    let text = Text::new(
        "The sample bank has confirmed none in this view; what it was not taught, it does not see.",
        "样本库在此画面中未确认此类隐患；未收录的形态无法识别。",
    );
    (Answer::CannotDetermine, text)
}

fn unconfirmed(n: u64) -> Text {
    let times = if n == 1 { "one look" } else { "looks" };
    let n_en = if n == 1 {
        String::new()
    } else {
        format!("{n} ")
    };
    Text::new(
        format!("Seen in {n_en}{times}, but not for long or often enough to be a finding."),
        format!("有{n}次查看疑似，但持续时间或次数不足以确认。"),
    )
}

fn no_ground() -> Text {
    Text::new(
        "Metres take four known points on the ground: give `[ground]` with the zones.",
        "测距需要地面上四个已知点；请在区域文件中给出[ground]。",
    )
}

fn no_zone(code: &str, rule: &ZoneRule) -> Text {
    if rule.only_when_named {
        return Text::new(
            format!("No zone names it: draw one with `hazards = [\"{code}\"]`."),
            format!("没有区域指定此项；请绘制区域并写明hazards = [\"{code}\"]。"),
        );
    }
    let kinds: Vec<&str> = rule.zones.iter().map(|kind| kind.as_str()).collect();
    let names: Vec<&str> = rule.zones.iter().map(|kind| kind.zh()).collect();
    Text::new(
        format!(
            "No zone of the kind {} is drawn (--zones).",
            kinds.join(" or ")
        ),
        format!(
            "未绘制{}类型的区域（--zones，kind = {}）。",
            names.join("或"),
            kinds.join("或")
        ),
    )
}
