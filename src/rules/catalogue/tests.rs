use std::collections::HashSet;

use super::*;

const KIND: &str = r#"
code = "XXX-01"
aspect = "storage"
severity = "general"
name = { en = "Something", zh = "某项" }
photo_reason = { en = "Not from a photo.", zh = "照片无法判断。" }
"#;

fn one(entry: &str) -> String {
    format!("version = \"t\"\n[[hazard]]\n{entry}")
}

#[test]
fn thirty_kinds_in_six_aspects() {
    let c = Catalogue::builtin();
    assert_eq!(c.kinds().len(), 30);
    let aspects: HashSet<Aspect> = c.kinds().iter().map(|k| k.aspect).collect();
    assert_eq!(aspects.len(), 6);
    for k in c.kinds() {
        let prefix = match k.aspect {
            Aspect::Storage => "STO-",
            Aspect::Egress => "EGR-",
            Aspect::Fire => "FIR-",
            Aspect::Environment => "ENV-",
            Aspect::Ppe => "PPE-",
            Aspect::Equipment => "EQP-",
        };
        assert!(k.code.starts_with(prefix), "{}", k.code);
        assert!(!k.name.en.is_empty() && !k.name.zh.is_empty());
        assert_ne!(k.rules.is_empty(), k.photo_reason.is_none(), "{}", k.code);
        assert!(!k.later.is_empty(), "{}", k.code);
        assert_eq!(k.severity == Severity::Alarm, k.code == "FIR-03");
    }
    let judged: Vec<&str> = c
        .kinds()
        .iter()
        .filter(|k| !k.rules.is_empty())
        .map(|k| k.code.as_str())
        .collect();
    assert_eq!(
        judged,
        ["STO-01", "FIR-03", "PPE-01", "PPE-02", "PPE-03", "EQP-04"]
    );
}

#[test]
fn photo_reasons_are_each_their_own() {
    let c = Catalogue::builtin();
    let mut seen = HashSet::new();
    for reason in c.kinds().iter().filter_map(|k| k.photo_reason.as_ref()) {
        assert!(
            reason.en.len() > 80 && reason.zh.chars().count() > 30,
            "{}",
            reason.en
        );
        for sentence in reason
            .en
            .split(". ")
            .take(1)
            .chain(reason.zh.split('。').take(1))
        {
            assert!(seen.insert(sentence.to_owned()), "{sentence}");
        }
    }
}

#[test]
fn only_checked_references_leave() {
    let c = Catalogue::builtin();
    let mut held_back = 0;
    for k in c.kinds() {
        for on in [
            None,
            Some("1999-01-01"),
            Some("2026-01-01"),
            Some("2030-12-31"),
            Some("nonsense"),
        ] {
            for citation in k.citations(on) {
                let source = k
                    .references
                    .iter()
                    .find(|r| r.text == citation.text)
                    .unwrap();
                assert!(source.is_verified(), "{}: {}", k.code, citation.text);
                assert!(!citation.text.contains('?'), "{}", citation.text);
            }
        }
        held_back += k.unchecked_references();
    }
    assert!(held_back > 30);
}

#[test]
fn references_have_their_time() {
    let entry = format!(
        "{KIND}references = [{{ jurisdiction = \"cn\", text = \"A\", status = \"verified\", valid_from = \"2020-01-01\", valid_to = \"2024-12-31\" }}, {{ jurisdiction = \"cn\", text = \"B\", status = \"verified\", valid_from = \"2025-01-01\" }}]"
    );
    let c = Catalogue::parse(&one(&entry)).unwrap();
    let cited = |on: Option<&str>| -> String {
        c.kinds()[0]
            .citations(on)
            .into_iter()
            .map(|c| c.text)
            .collect()
    };
    assert_eq!(cited(None), "B");
    assert_eq!(cited(Some("2019-12-31")), "");
    assert_eq!(cited(Some("2020-01-01")), "A");
    assert_eq!(cited(Some("2024-12-31T23:59:59+08:00")), "A");
    assert_eq!(cited(Some("2025-01-01")), "B");
    for no_day in [
        "2024:12:31 10:00:00",
        "yesterday",
        "",
        "2024-13-01",
        "2024-12-311",
    ] {
        assert_eq!(cited(Some(no_day)), "B", "{no_day}");
    }
}

#[test]
fn an_overlay_replaces_adds_and_switches_off() {
    let base = Catalogue::builtin();
    let overlay = Catalogue::parse(&format!(
        "version = \"mine\"\n[[hazard]]{}\n[[hazard]]{KIND}\n[[hazard]]\ncode = \"FIR-05\"\nenabled = false",
        KIND.replace("XXX-01", "STO-07")
    ))
    .unwrap();
    let merged = base.merged_with(&overlay).unwrap();
    assert_eq!(merged.kinds().len(), 30);
    assert_eq!(merged.version(), "2+mine");
    assert_eq!(merged.kinds()[6].code, "STO-07");
    assert_eq!(merged.kinds()[6].name.en, "Something");
    assert!(merged.kinds()[6].references.is_empty());
    assert_eq!(merged.kinds()[29].code, "XXX-01");
    assert!(merged.kind("FIR-05").is_none());
    assert!(merged.kind("ppe-01").is_some());
    assert_eq!(
        merged.merged_with(&overlay).unwrap().kinds(),
        merged.kinds()
    );
    // Back again, at the end.
    let back = Catalogue::parse(&one(&KIND.replace("XXX-01", "FIR-05"))).unwrap();
    assert!(merged.merged_with(&back).unwrap().kind("FIR-05").is_some());

    let off = Catalogue::parse(&one("code = \"FIR-55\"\nenabled = false")).unwrap();
    let error = base.merged_with(&off).unwrap_err().to_string();
    assert!(
        error.contains("FIR-55") && error.contains("FIR-05"),
        "{error}"
    );
}

#[test]
fn the_digest_follows_the_meaning() {
    let plain = Catalogue::parse(&one(KIND)).unwrap();
    let commented = Catalogue::parse(&one(&format!("# a comment\n{KIND}\n\n"))).unwrap();
    assert_eq!(plain.digest(), commented.digest());
    assert_eq!(plain.digest().len(), 64);
    let other = Catalogue::parse(&one(&KIND.replace("Something", "Something else"))).unwrap();
    assert_ne!(plain.digest(), other.digest());
    assert_eq!(Catalogue::builtin().digest(), Catalogue::builtin().digest());
}

#[test]
fn mistakes_are_named() {
    let rule = |rule: &str| {
        KIND.lines()
            .filter(|l| !l.starts_with("photo_reason"))
            .collect::<Vec<_>>()
            .join("\n")
            + "\n[[hazard.rules]]\n"
            + rule
    };
    let movers = "person = { labels = [\"person\"], name = { en = \"a\", zh = \"b\" } }\nmovers = [{ labels = [\"car\"], name = { en = \"a\", zh = \"b\" } }]\n";
    let reference = |r: &str| format!("{KIND}references = [{{ {r} }}]");
    let stack = |field: &str| {
        let good = "primitive = \"stack\"\nbox = { labels = [\"box\"], name = { en = \"a\", zh = \"b\" } }\nmin_score = 0.3\nmin_box_px = 24\nmax_overhang = 0.25\nmax_drift = 0.25\nmax_lean = 0.35\nmin_support_margin = 0.25\nmax_slenderness = 4.0\n";
        let name = field.split('=').next().unwrap().trim();
        let kept: Vec<&str> = good
            .lines()
            .filter(|l| l.split('=').next().unwrap().trim() != name)
            .collect();
        rule(&format!("{}\n{field}", kept.join("\n")))
    };
    for (text, code, field, says) in [
        (
            format!("{KIND}colour = 1"),
            "XXX-01",
            "colour",
            "correct its name or remove it",
        ),
        (
            KIND.replace("severity = \"general\"", ""),
            "XXX-01",
            "severity",
            "add it",
        ),
        (
            KIND.replace("general", "deadly"),
            "XXX-01",
            "severity",
            "expected one of",
        ),
        (
            KIND.replace("\"某项\"", "\" \""),
            "XXX-01",
            "name.zh",
            "must not be empty",
        ),
        (
            KIND.replace("zh = \"某项\"", "zn = \"某项\""),
            "XXX-01",
            "name.zn",
            "correct its name",
        ),
        (
            KIND.replace("XXX-01", "xxx 01"),
            "xxx 01",
            "code",
            "capital letters",
        ),
        (
            KIND.replace("code = \"XXX-01\"", ""),
            "number 1",
            "code",
            "add it",
        ),
        (
            format!("{KIND}enabled = \"no\""),
            "XXX-01",
            "enabled",
            "true or false",
        ),
        (
            format!("{KIND}later = [\"soon\"]"),
            "XXX-01",
            "later",
            "unknown variant",
        ),
        (
            rule("primitive = \"zone\""),
            "XXX-01",
            "rules[0].primitive",
            "name it in `later`",
        ),
        (
            rule("min_score = 1"),
            "XXX-01",
            "rules[0].primitive",
            "is missing",
        ),
        (
            rule(&format!(
                "primitive = \"proximity\"\n{movers}min_score = 1.5"
            )),
            "XXX-01",
            "rules[0].min_score",
            "from 0 to 1",
        ),
        (
            rule(&format!(
                "primitive = \"proximity\"\n{movers}min_score = nan"
            )),
            "XXX-01",
            "rules[0].min_score",
            "NaN",
        ),
        (
            rule(&format!(
                "primitive = \"proximity\"\n{movers}min_score = \"x\""
            )),
            "XXX-01",
            "rules[0].min_score",
            "correct the value",
        ),
        (
            rule(&format!(
                "primitive = \"proximity\"\n{}min_score = 0.5",
                movers.replace("\"car\"", "")
            )),
            "XXX-01",
            "rules[0].movers[0].labels",
            "at least one label",
        ),
        (
            rule(&format!(
                "primitive = \"proximity\"\n{movers}min_score = 0.5\nnear = 3"
            )),
            "XXX-01",
            "rules[0].near",
            "correct its name",
        ),
        (
            stack("max_overhang = 0"),
            "XXX-01",
            "rules[0].max_overhang",
            "from 0.01 to 1",
        ),
        (
            stack("max_slenderness = inf"),
            "XXX-01",
            "rules[0].max_slenderness",
            "inf",
        ),
        (
            KIND.lines()
                .filter(|l| !l.starts_with("photo_reason"))
                .collect::<Vec<_>>()
                .join("\n"),
            "XXX-01",
            "photo_reason",
            "give `rules`",
        ),
        (
            reference("jurisdiction = \"fr\", text = \"A\", status = \"verified\""),
            "XXX-01",
            "references[0].jurisdiction",
            "`cn` or `us`",
        ),
        (
            reference("jurisdiction = \"cn\", text = \"A\", status = \"sure\""),
            "XXX-01",
            "references[0].status",
            "unknown variant",
        ),
        (
            reference(
                "jurisdiction = \"cn\", text = \"A\", status = \"unsure\", valid_from = \"2025-1-1\"",
            ),
            "XXX-01",
            "references[0].valid_from",
            "YYYY-MM-DD",
        ),
    ] {
        let error = Catalogue::parse(&one(&text)).unwrap_err();
        let CatalogueError::Field {
            code: c,
            field: f,
            problem,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!((c.as_str(), f.as_str()), (code, field), "{error}");
        assert!(problem.contains(says), "{error}");
    }
    let twice = Catalogue::parse(&format!("{}\n[[hazard]]{KIND}", one(KIND))).unwrap_err();
    assert_eq!(
        twice,
        CatalogueError::Duplicate {
            code: "XXX-01".into()
        }
    );
    for (text, says) in [
        ("version = ", "line 1"),
        ("versoin = \"1\"", "versoin"),
        ("version = \"\"", "version"),
    ] {
        let error = Catalogue::parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
