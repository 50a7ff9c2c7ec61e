//! The sentences of the primitive, in both languages.

use super::matching::{Cause, Match, Verdict};
use super::{PersonItem, causes, count};
use crate::hazard::Text;

/// No person in the picture.
pub(super) fn nobody() -> Text {
    Text::new(
        "No person was found in the picture; small or hidden persons may be missed.",
        "画面中未发现人员；过小或被遮挡的人员可能漏检。",
    )
}

impl PersonItem {
    /// Items, but nobody who could wear them.
    pub(super) fn only_items(&self, items: usize) -> Text {
        Text::new(
            format!(
                "Found {items} x {}, but no person around: whether somebody wears it or it lies there cannot be told.",
                self.item.name.en
            ),
            format!(
                "发现{}{items}件，但未识别到对应人员，无法判断是佩戴在身还是闲置摆放。",
                self.item.name.zh
            ),
        )
    }

    /// The counts of a picture with at least one person.
    pub(super) fn reason(&self, people: &[Match], stray_items: usize) -> Text {
        let total = people.len();
        let missing = count(people, |v| matches!(v, Verdict::Missing { .. }));
        let worn = count(people, |v| matches!(v, Verdict::Worn));
        let unknown = total - missing - worn;

        let (mut en, mut zh) = (Vec::new(), Vec::new());
        let causes = self.causes(people);
        for (n, phrase) in [
            (
                missing,
                Text::new(
                    format!("{} {}", have(missing), self.missing.en),
                    self.missing.zh.as_str(),
                ),
            ),
            (
                worn,
                Text::new(
                    format!("{} {}", have(worn), self.worn.en),
                    self.worn.zh.as_str(),
                ),
            ),
            (
                unknown,
                Text::new(
                    format!("cannot be judged ({})", causes.en),
                    format!("无法判断（{}）", causes.zh),
                ),
            ),
        ] {
            if n > 0 {
                en.push(match (en.is_empty(), total) {
                    (true, 1) => format!("The only person found {}", phrase.en),
                    (true, _) => format!("{n} of {total} persons found {}", phrase.en),
                    (false, _) => format!("{n} {}", phrase.en),
                });
                zh.push(format!("{n}人{}", phrase.zh));
            }
        }
        let mut text = Text::new(
            format!("{}.", en.join(", ")),
            format!("共发现{total}人：{}。", zh.join("，")),
        );
        let alone = people.iter().filter(|m| m.person.is_none()).count();
        if alone > 0 {
            let part = self.part.word();
            let of_them = if total == 1 {
                "Found".to_owned()
            } else {
                format!("{alone} of them found")
            };
            text.en += &format!(" {of_them} by the {} alone.", part.en);
            text.zh += &format!("其中{alone}人仅见{}。", part.zh);
        }
        if stray_items > 0 {
            text.en += &format!(
                " Not counted: {stray_items} x {} without a person around.",
                self.item.name.en
            );
            text.zh += &format!(
                "另有{stray_items}件{}未对应到人员，不计入。",
                self.item.name.zh
            );
        }
        if let Some(depends) = &self.depends {
            text.en += &format!(" {}", depends.en);
            text.zh += &depends.zh;
        }
        text
    }

    fn causes(&self, people: &[Match]) -> Text {
        let (mut en, mut zh) = (Vec::new(), Vec::new());
        let causes = causes(people);
        let several = causes.len() > 1;
        for (cause, n) in causes {
            let text = self.cause(cause, n);
            if several {
                en.push(format!("{n}: {}", text.en));
                zh.push(format!("{n}人{}", text.zh));
            } else {
                en.push(text.en);
                zh.push(text.zh);
            }
        }
        Text::new(en.join("; "), zh.join("；"))
    }

    fn cause(&self, cause: Cause, n: usize) -> Text {
        let part = self.part.word();
        let item = &self.item.name;
        let min = self.min_part_px;
        // "at most" when the one told is the largest of several.
        let (most_en, most_zh) = if n > 1 {
            ("at most ", "最大")
        } else {
            ("", "")
        };
        match cause {
            Cause::Small(px) => Text::new(
                format!(
                    "{} only {most_en}{px:.0} px high as the model saw it, at least {min:.0} px are needed: come nearer or zoom in; photos can be scanned with --tiles auto",
                    part.en
                ),
                format!(
                    "{}在模型所见画面中{most_zh}仅高{px:.0}像素，至少需{min:.0}像素；请靠近或变焦拍摄；照片可加 --tiles auto 重新扫描",
                    part.zh
                ),
            ),
            Cause::TooFar(px) => Text::new(
                format!(
                    "too far away: the {} would be {most_en}about {px:.0} px high as the model sees it, at least {min:.0} px are needed: come nearer or zoom in; photos can be scanned with --tiles auto",
                    part.en
                ),
                format!(
                    "距离过远，{}在模型所见画面中估计{most_zh}仅高约{px:.0}像素，至少需{min:.0}像素；请靠近或变焦拍摄；照片可加 --tiles auto 重新扫描",
                    part.zh
                ),
            ),
            Cause::Undecided(worn, bare) => Text::new(
                format!(
                    "the model is undecided: {} {worn:.2}, {} {bare:.2}",
                    item.en, self.bare.name.en
                ),
                format!(
                    "模型判断不一：{}{worn:.2}，{}{bare:.2}",
                    item.zh, self.bare.name.zh
                ),
            ),
            Cause::Cut => Text::new(
                format!("cut by the edge of the picture, no {} seen", part.en),
                format!("被画面边缘截断，未见{}", part.zh),
            ),
            Cause::Hidden => Text::new(
                format!("{} hidden by somebody in front", part.en),
                format!("{}被前方人员遮挡", part.zh),
            ),
            Cause::ItemElsewhere => Text::new(
                format!(
                    "{} not found; a {} is near, but not worn there",
                    part.en, item.en
                ),
                format!("未识别到{}，身旁虽有{}但未见佩戴", part.zh, item.zh),
            ),
            Cause::NotFound => Text::new(
                format!("{} not found: turned away, covered or missed", part.en),
                format!("未识别到{}，可能背对、被遮挡或漏检", part.zh),
            ),
        }
    }

    /// Why one person is a candidate.
    pub(super) fn find_text(&self, m: &Match, bare_score: f32, contradicted: bool) -> Text {
        let (bare, item) = (&self.bare.name, &self.item.name);
        let mut text = if m.person.is_some() {
            Text::new(
                format!(
                    "This person seems to have {}: a {} was found (score {bare_score:.2}).",
                    self.missing.en, bare.en
                ),
                format!(
                    "该人员疑似{}：识别到{}（置信度{bare_score:.2}）。",
                    self.missing.zh, bare.zh
                ),
            )
        } else {
            Text::new(
                format!(
                    "A {} was found here (score {bare_score:.2}); the rest of the person was not.",
                    bare.en
                ),
                format!(
                    "此处识别到{}（置信度{bare_score:.2}），未识别到人员全身。",
                    bare.zh
                ),
            )
        };
        if contradicted {
            text.en += &format!(
                " The model also sees a {} there, but less clearly; the score is lowered.",
                item.en
            );
            text.zh += &format!(
                "模型同时在该处识别到{}，但把握较小，置信度已相应下调。",
                item.zh
            );
        } else if m.nearest_item.is_some() {
            text.en += &format!(" A {} is near, but not on it.", item.en);
            text.zh += &format!("附近有{}，但未佩戴到位。", item.zh);
        }
        text
    }
}

fn have(n: usize) -> &'static str {
    if n == 1 { "has" } else { "have" }
}
