//! The HTML report.

use std::collections::HashSet;

use super::{answer, candidate, photo};
use crate::hazard::{Answer, Citation, Lang, RuleInput, Severity, Text};
use crate::record::{ModelRecord, PhotoRecord, SampleRecord};
use crate::render::{KindName, ReportAbout, ReportWriter, SamplePictures};

fn about() -> ReportAbout {
    let kind = |code: &str, en: &str, zh: &str| KindName {
        code: code.into(),
        name: Text::new(en, zh),
    };
    ReportAbout {
        created: "2026-11-22 09:41".into(),
        source: "visit/<b>3</b>".into(),
        program_version: "0.1.0".into(),
        model: ModelRecord {
            name: "site-nano".into(),
            version: "1.2.3".into(),
            sha256: "0f".repeat(32),
        },
        bank: None,
        kinds: vec![
            kind("FIR-03", "Flame or smoke", "明火、烟雾"),
            kind("PPE-01", "No safety helmet", "未佩戴安全帽"),
        ],
    }
}

/// The whole file.
fn report(lang: Lang, photos: &[(PhotoRecord, Option<&[u8]>)]) -> String {
    let mut writer = ReportWriter::new(about(), lang);
    let (mut head, mut body) = (Vec::new(), Vec::new());
    for (photo, jpeg) in photos {
        writer
            .write_photo(&mut body, photo, *jpeg, &SamplePictures::new())
            .unwrap();
    }
    writer.write_head(&mut head).unwrap();
    head.extend(body);
    writer.write_tail(&mut head).unwrap();
    String::from_utf8(head).unwrap()
}

fn jpeg() -> Vec<u8> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new(&mut bytes)
        .encode_image(&image::RgbImage::new(12, 9))
        .unwrap();
    bytes
}

/// Two photos with candidates, a clean one and an unreadable one.
fn photos() -> Vec<PhotoRecord> {
    let mut first = photo(640, 480);
    first.candidates = vec![candidate([10.4, 20.0, 30.0, 40.0]); 2];
    first.candidates[0].why.inputs = vec![RuleInput {
        name: "head_height_px".into(),
        value: Some(39.5),
        limit: Some(16.0),
        bbox: Some([1.0, 2.0, 3.0, 4.0]),
    }];
    first.candidates[0].references = vec![Citation {
        jurisdiction: "us".into(),
        text: "29 CFR 1926.100(a)".into(),
        zh: Some("美国联邦法规 29 CFR 1926.100(a)".into()),
        valid_from: Some("2020-01-01".into()),
        valid_to: None,
    }];
    first.answers = vec![
        answer("PPE-01", Answer::NonCompliant, "Two bare heads."),
        answer(
            "FIR-03",
            Answer::CannotDetermine,
            "The model knows no flames.",
        ),
    ];
    let mut second = first.clone();
    second.path = "site/b.jpg".into();
    second.candidates.truncate(1);
    second.candidates[0].severity = Severity::Alarm;
    second.candidates[0].code = "FIR-03".into();
    second.candidates[0].name = Text::new("Flame or smoke", "明火、烟雾");
    second.answers = vec![
        answer("PPE-01", Answer::Compliant, "Every head wears one."),
        answer("FIR-03", Answer::NonCompliant, "Flame."),
    ];
    let mut clean = photo(640, 480);
    clean.answers = vec![
        answer("PPE-01", Answer::NotApplicable, "Nobody is there."),
        answer(
            "FIR-03",
            Answer::CannotDetermine,
            "The model knows no flames.",
        ),
    ];
    let mut broken = photo(0, 0);
    (broken.width, broken.height, broken.sha256) = (None, None, None);
    broken.error = Some("this is a PDF; export its pages".into());
    vec![first, second, clean, broken]
}

fn whole(lang: Lang) -> String {
    let jpeg = jpeg();
    let photos: Vec<_> = photos()
        .into_iter()
        .map(|p| {
            let picture = p.error.is_none().then_some(jpeg.as_slice());
            (p, picture)
        })
        .collect();
    report(lang, &photos)
}

/// Every value of an attribute.
fn values<'h>(html: &'h str, attribute: &str) -> Vec<&'h str> {
    let mark = format!(" {attribute}=\"");
    html.split(&mark)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

/// Tags open and close in order.
fn assert_well_formed(html: &str) {
    const VOID: [&str; 3] = ["meta", "img", "!DOCTYPE"];
    let mut open: Vec<&str> = Vec::new();
    for tag in html.split('<').skip(1) {
        let inside = tag.split('>').next().unwrap();
        let name = inside.split_whitespace().next().unwrap();
        if let Some(name) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !VOID.contains(&name) {
            open.push(name);
        }
        assert_eq!(inside.matches('"').count() % 2, 0, "<{inside}>");
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

#[test]
fn the_file_is_well_formed_and_its_links_lead_somewhere() {
    for lang in [Lang::En, Lang::Zh] {
        for html in [whole(lang), report(lang, &[])] {
            assert_well_formed(&html);
            let ids = values(&html, "id");
            let unique: HashSet<&str> = ids.iter().copied().collect();
            assert_eq!(ids.len(), unique.len(), "an id stands twice");
            for href in values(&html, "href") {
                let target = href.strip_prefix('#').expect(href);
                assert!(unique.contains(target), "{href} leads nowhere");
            }
        }
    }
}

#[test]
fn nothing_is_loaded_from_outside() {
    for lang in [Lang::En, Lang::Zh] {
        let html = whole(lang);
        for src in values(&html, "src") {
            assert!(src.starts_with("data:image/jpeg;base64,/9j/"), "{src}");
        }
        for word in [
            "http://",
            "https://",
            "<script",
            "<link",
            "@import",
            "url(",
            "@font-face",
        ] {
            assert!(!html.contains(word), "{word}");
        }
        assert!(html.contains("default-src 'none'; img-src data:; style-src 'unsafe-inline'"));
    }
}

#[test]
fn hostile_names_and_texts_stay_text() {
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;\u{202e}gpj";
    let mut p = photos().remove(0);
    p.path = evil.into();
    p.error = Some(evil.into());
    p.candidates[0].code = "X\" onclick=\"y".into();
    p.candidates[0].name = Text::new(evil, evil);
    p.candidates[0].why.text = evil.into();
    p.candidates[0].why.rule = evil.into();
    p.candidates[0].why.inputs[0].name = evil.into();
    p.candidates[0].references[0].text = evil.into();
    p.candidates[0].references[0].jurisdiction = evil.into();
    p.candidates[0].references[0].valid_from = Some(evil.into());
    p.answers[1].reason = evil.into();
    p.answers[1].code = evil.into();
    p.sha256 = Some(evil.into());
    let html = report(Lang::Zh, &[(p, None)]);
    assert_well_formed(&html);
    assert!(!html.contains("<script") && !html.contains("<img"));
    assert!(!html.contains("<b>3</b>"), "the source is escaped too");
    assert!(!html.contains(" onclick=\""));
    assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"));
}

/// The text of the first element that follows `mark`, without tags.
fn row(html: &str, mark: &str, end: &str) -> Vec<String> {
    let from = html.find(mark).expect(mark);
    let part = html[from..].split(end).next().unwrap();
    let mut text = String::new();
    let mut inside = false;
    for c in part.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_summary_counts_right() {
    let html = whole(Lang::En);
    let tiles = row(&html, "<ul class=\"tiles\">", "</ul>").join(" ");
    assert_eq!(
        tiles,
        "3 Candidates 4 Photos scanned 2 With candidates 1 Without candidates 1 Unreadable"
    );
    // candidates; suspected, cannot determine, as it should be, not in the picture
    let helmet = row(&html, "href=\"#k-PPE-01-1\"", "</tr>").join(" ");
    assert!(helmet.ends_with("general 2 1 0 1 1"), "{helmet}");
    let flame = row(&html, "href=\"#k-FIR-03-1\"", "</tr>").join(" ");
    assert!(flame.ends_with("alarm 1 1 2 0 0"), "{flame}");
}

#[test]
fn a_photo_tells_all_that_is_known_of_it() {
    let html = whole(Lang::En);
    for text in [
        "<html lang=\"en\">",
        "site/a.jpg",
        "640 × 480",
        "width=\"12\" height=\"9\"",
        "No safety helmet",
        "未佩戴安全帽",
        "A bare head was found.",
        "29 CFR 1926.100(a)",
        "in force from 2020-01-01",
        "head_height_px",
        "39.5",
        "person_item",
        "10, 20, 30, 40",
        "The model knows no flames.",
        "this is a PDF; export its pages",
        "site-nano 1.2.3",
        "2026-11-22 09:41",
        "The machine proposes",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let html = whole(Lang::Zh);
    for text in [
        "<html lang=\"zh-Hans\">",
        "机器只提出候选",
        "无法判定",
        "2020-01-01 起施行",
        "警报",
        "No safety helmet",
    ] {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn without_candidates_the_report_claims_nothing() {
    let html = report(Lang::En, &[(photo(10, 10), None)]);
    assert!(html.contains("That is no proof that the site is in order"));
}

#[test]
fn the_contents_are_bounded_and_the_links_go_on() {
    let mut writer = ReportWriter::new(about(), Lang::En);
    let mut p = photo(10, 10);
    p.candidates = vec![candidate([0.0, 0.0, 5.0, 5.0])];
    let mut body = Vec::new();
    for _ in 0..600 {
        body.clear();
        writer
            .write_photo(&mut body, &p, None, &SamplePictures::new())
            .unwrap();
    }
    let last = String::from_utf8(body).unwrap();
    assert!(last.contains("id=\"c600\"") && last.contains("href=\"#c601\""));
    assert!(last.len() < 4_000, "a section of {} bytes", last.len());
    let mut head = Vec::new();
    writer.write_head(&mut head).unwrap();
    let head = String::from_utf8(head).unwrap();
    assert_eq!(head.matches("href=\"#p").count(), 500);
    assert!(head.contains("100 more, below"));
}

#[test]
fn a_clause_is_cited_in_the_language_of_the_page() {
    let zh = "美国联邦法规 29 CFR 1926.100(a)";
    assert!(whole(Lang::Zh).contains(zh));
    assert!(!whole(Lang::En).contains(zh));
    assert!(whole(Lang::En).contains("29 CFR 1926.100(a)"));
}

#[test]
fn pictures_stop_where_the_page_would_be_too_heavy_and_it_says_so() {
    let full = crate::render::words::words(Lang::En).pictures_full;
    let mut writer = ReportWriter::new(about(), Lang::En);
    let picture = vec![0_u8; 80 << 20];
    let mut said = Vec::new();
    for _ in 0..2 {
        let mut body = Vec::new();
        writer
            .write_photo(
                &mut body,
                &photos()[0],
                Some(&picture),
                &SamplePictures::new(),
            )
            .unwrap();
        said.push(String::from_utf8(body).unwrap().contains(full));
    }
    assert_eq!(said, [false, true]);
}

#[test]
fn samples_are_shown_where_they_are_known() {
    let sample = |id: &str, role: &str| SampleRecord {
        id: id.into(),
        role: role.into(),
        site: "hall <3>".into(),
        similarity: 0.8765,
        photo_sha256: "cd".repeat(32),
        area: [0.0, 0.0, 1.0, 1.0],
    };
    let mut p = photo(640, 480);
    p.candidates = vec![candidate([10.0, 20.0, 30.0, 40.0])];
    p.candidates[0].why.samples = vec![sample("a", "positive"), sample("b", "negative")];
    p.suppressed = vec![candidate([10.0, 20.0, 30.0, 40.0])];
    p.suppressed[0].why.samples = vec![sample("b", "negative")];
    let pictures = SamplePictures::from([("a".to_owned(), jpeg())]);
    for lang in [Lang::En, Lang::Zh] {
        let mut writer = ReportWriter::new(about(), lang);
        let mut body = Vec::new();
        writer.write_photo(&mut body, &p, None, &pictures).unwrap();
        let html = String::from_utf8(body).unwrap();
        assert_well_formed(&html);
        assert_eq!(html.matches("class=\"sample yes\"").count(), 1);
        assert_eq!(html.matches("class=\"sample no\"").count(), 2);
        assert_eq!(html.matches("data:image/jpeg").count(), 1);
        assert!(
            html.contains("0.88") && html.contains("hall &#60;3&#62;"),
            "{html}"
        );
    }
}
