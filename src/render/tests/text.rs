//! Font, wrapping, words and colours.

use image::{Rgb, RgbImage};

use crate::hazard::{Lang, Severity};
use crate::render::font;
use crate::render::palette::{DETECTION, INK, MUTED_INK, PAPER, look};
use crate::render::words::{
    ANSWERS, CLASS_NAMES_ZH, answer_name, candidate_count, class_name, pending, severity_name,
    undetermined_count, words,
};

/// The Chinese names of the catalogue's kinds.
const KINDS_ZH: &str = "货物堆放不稳、倾斜、超出托盘 倾斜或悬出 堆垛超高、“五距”不足 越线堆放、占用主通道 \
    危化品容器破损、无防泄漏托盘 气瓶未防倾倒、氧气乙炔间距不足 货架变形、无限载标识 库门下沿与地面间隙过大 \
    安全出口堵塞、锁闭 疏散通道、楼梯间占用 消防车通道占用 常闭式防火门未关、卷帘下堆物 \
    疏散指示标志缺失、不亮、遮挡 灭火器、消火栓遮挡圈占 灭火器缺失、压力不足、失效 明火、烟雾 \
    违规吸烟、动火作业无监护无器材 电动自行车室内停放充电 粉尘积聚（积尘） 地面油污、积水 杂物、可燃垃圾堆积 \
    安全警示标志缺失、遮挡 临边洞口无防护 未佩戴安全帽 未穿反光背心、防护服 \
    未佩戴护目镜、口罩、护耳、手套、防护鞋 高处作业未系安全带 配电箱遮挡、箱门敞开 电线私拉乱接、绝缘破损 \
    机械防护装置缺失 人车混行、吊物下站人";

fn ink(text: &str) -> RgbImage {
    let mut image = RgbImage::new(200, 40);
    font::draw(&mut image, Rgb([255, 255, 255]), (2, 2), 20.0, text);
    image
}

fn lit(image: &RgbImage) -> usize {
    image.pixels().filter(|p| p.0[0] > 64).count()
}

#[test]
fn the_font_has_every_character_that_the_program_says() {
    let mut said = vec![KINDS_ZH.to_owned(), "0123456789…×℃≥≤§㎡–—·".to_owned()];
    for lang in [Lang::En, Lang::Zh] {
        said.push(format!("{:?}", words(lang)));
        said.extend(ANSWERS.map(|a| answer_name(a, lang).to_owned()));
        for severity in [Severity::General, Severity::Major, Severity::Alarm] {
            said.push(severity_name(severity, lang).to_owned());
        }
        for n in 0..3 {
            said.extend([candidate_count(n, lang), pending(n, lang)]);
        }
        said.push(undetermined_count(1, 2, lang));
    }
    said.extend(CLASS_NAMES_ZH.iter().map(|(_, zh)| (*zh).to_owned()));
    for text in &said {
        let missing: String = text.chars().filter(|&c| !font::has_glyph(c)).collect();
        assert_eq!(missing, "", "in {text}");
    }
}

#[test]
fn chinese_is_drawn_and_what_is_missing_is_a_box() {
    let (present, missing) = (ink("帽"), ink("\u{2070e}"));
    assert!(lit(&present) > 40);
    assert!(lit(&missing) > 40);
    assert!(!font::has_glyph('\u{2070e}'));
    assert_eq!(
        missing,
        ink("\u{1f9ba}"),
        "every missing character looks alike"
    );
    assert_ne!(present, missing);
    assert_ne!(present, ink("安"));
}

#[test]
fn wrapped_lines_keep_the_text_and_the_width() {
    let check = |text: &str, max_px: f32| {
        let lines = font::wrap(text, 16.0, max_px);
        for line in &lines {
            assert!(font::width_px(line, 16.0) <= max_px + 0.01, "{line:?}");
        }
        let squeeze = |s: &str| s.split_whitespace().collect::<String>();
        assert_eq!(squeeze(&lines.concat()), squeeze(text));
        lines
    };
    let lines = check("none of the 4 helmets lies on the head", 120.0);
    assert!(lines.len() > 2 && lines.iter().all(|l| !l.starts_with(' ')));
    check("Donaudampfschifffahrtsgesellschaftskapitän/2026/11", 90.0);
    check("", 90.0);
    assert_eq!(check("one", 90.0), ["one"]);

    let lines = check(
        "可见人员头部，照片中的4顶安全帽均不在其上；（最近的一顶）仅重叠3%。",
        100.0,
    );
    for line in &lines {
        assert!(
            !line.starts_with(['，', '。', '；', '）', '%']),
            "{lines:?}"
        );
        assert!(!line.ends_with('（'), "{lines:?}");
    }
}

#[test]
fn a_width_of_nothing_still_ends() {
    assert!(font::wrap("头部 head", 16.0, 1.0).len() >= 6);
    assert_eq!(font::fit("head", 16.0, 0.0), "…");
}

#[test]
fn text_is_one_clean_line() {
    assert_eq!(font::clean("a\nb\u{202e}c\u{fe0f}\t"), "a bc ");
    assert_eq!(font::fit("short", 16.0, 200.0), "short");
    let cut = font::fit("a name that is far too long", 16.0, 80.0);
    assert!(cut.ends_with('…') && font::width_px(&cut, 16.0) <= 80.0);
}

#[test]
fn unknown_classes_keep_their_label() {
    assert_eq!(class_name("helmet", Lang::Zh), "安全帽");
    assert_eq!(class_name("Helmet", Lang::Zh), "安全帽");
    assert_eq!(class_name("helmet", Lang::En), "helmet");
    assert_eq!(class_name("tiang-listrik", Lang::Zh), "tiang-listrik");
}

/// WCAG 2.2 contrast of two colours.
fn contrast(a: Rgb<u8>, b: Rgb<u8>) -> f64 {
    let luminance = |Rgb(channels): Rgb<u8>| {
        let [r, g, b] = channels.map(|v| {
            let v = f64::from(v) / 255.0;
            if v <= 0.04045 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05
    };
    let (a, b) = (luminance(a), luminance(b));
    a.max(b) / a.min(b)
}

#[test]
fn text_stands_out_from_its_plate() {
    let mut pairs = vec![(INK, PAPER), (MUTED_INK, PAPER)];
    pairs.push((DETECTION.text, DETECTION.plate));
    for severity in [Severity::General, Severity::Major, Severity::Alarm] {
        pairs.push((look(severity).text, look(severity).plate));
    }
    for (text, plate) in pairs {
        assert!(contrast(text, plate) >= 4.5, "{text:?} on {plate:?}");
    }
}
