//! Reading the catalogue's text. Each kind and each rule is read on its own, so that an error can
//! name the code and the field.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::reference::Reference;
use super::{Catalogue, CatalogueError, HazardKind, Later, PhotoRule};
use crate::confirm::ConfirmConfig;
use crate::hazard::{Aspect, Severity, Text};
use crate::rules::labels::check_text;
use crate::rules::watch::WatchRule;

const PRIMITIVES: &str = "`person_item`, `presence`, `proximity`, `stack`";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outline {
    version: String,
    #[serde(default)]
    hazard: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKind {
    code: String,
    aspect: Aspect,
    severity: Severity,
    name: Text,
    major_if: Option<Text>,
    applies_when: Option<Text>,
    fact: Option<String>,
    photo_reason: Option<Text>,
    #[serde(default)]
    rules: Vec<Table>,
    #[serde(default)]
    watch: Vec<Table>,
    confirm: Option<ConfirmConfig>,
    #[serde(default)]
    later: Vec<Later>,
    #[serde(default)]
    references: Vec<Table>,
}

pub(super) fn parse(text: &str) -> Result<Catalogue, CatalogueError> {
    let outline: Outline = toml::from_str(text)
        .map_err(|e| CatalogueError::Outline(e.to_string().trim_end().to_owned()))?;
    if outline.version.trim().is_empty() {
        return Err(CatalogueError::Outline(
            "field `version` must not be empty; give this catalogue a version".into(),
        ));
    }
    let mut catalogue = Catalogue {
        version: outline.version,
        kinds: Vec::new(),
        off: Vec::new(),
    };
    for (i, table) in outline.hazard.into_iter().enumerate() {
        let place = table
            .get("code")
            .and_then(Value::as_str)
            .map_or_else(|| format!("number {}", i + 1), str::to_owned);
        let entry = entry(table).map_err(|(field, problem)| CatalogueError::Field {
            code: place,
            field,
            problem,
        })?;
        let code = match &entry {
            Entry::Kind(kind) => &kind.code,
            Entry::Off(code) => code,
        };
        if catalogue.off.contains(code) || catalogue.kinds.iter().any(|k| k.code == *code) {
            return Err(CatalogueError::Duplicate { code: code.clone() });
        }
        match entry {
            Entry::Kind(kind) => catalogue.kinds.push(*kind),
            Entry::Off(code) => catalogue.off.push(code),
        }
    }
    Ok(catalogue)
}

enum Entry {
    Kind(Box<HazardKind>),
    Off(String),
}

type Problem = (String, String);

fn entry(mut table: Table) -> Result<Entry, Problem> {
    let enabled = match table.remove("enabled") {
        None => true,
        Some(Value::Boolean(enabled)) => enabled,
        Some(other) => {
            return Err((
                "enabled".into(),
                format!("is `{other}`; write true or false"),
            ));
        }
    };
    if !enabled && table.len() == 1 {
        let code = table.get("code").and_then(Value::as_str).unwrap_or("");
        check_code(code)?;
        return Ok(Entry::Off(code.to_owned()));
    }
    let kind = kind(table)?;
    Ok(if enabled {
        Entry::Kind(Box::new(kind))
    } else {
        Entry::Off(kind.code)
    })
}

fn kind(table: Table) -> Result<HazardKind, Problem> {
    let raw: RawKind = read(table, "")?;
    check_code(&raw.code)?;
    check_text("name", &raw.name)?;
    for (field, text) in [
        ("major_if", &raw.major_if),
        ("applies_when", &raw.applies_when),
        ("photo_reason", &raw.photo_reason),
    ] {
        if let Some(text) = text {
            check_text(field, text)?;
        }
    }
    if let Some(fact) = &raw.fact {
        check_fact(fact)?;
    }
    match (&raw.photo_reason, raw.rules.is_empty()) {
        (None, true) => {
            return Err((
                "photo_reason".into(),
                "is missing: give `rules` that can judge one photo, or say in `photo_reason` why one photo cannot settle it".into(),
            ));
        }
        (Some(_), false) => {
            return Err((
                "photo_reason".into(),
                "contradicts `rules`: keep one of the two".into(),
            ));
        }
        _ => {}
    }
    let references = raw
        .references
        .into_iter()
        .enumerate()
        .map(|(i, table)| {
            let path = format!("references[{i}]");
            let reference: Reference = read(table, &format!("{path}."))?;
            reference.check(&path)?;
            Ok(reference)
        })
        .collect::<Result<_, Problem>>()?;
    let rules = raw
        .rules
        .into_iter()
        .enumerate()
        .map(|(i, table)| rule(table, &format!("rules[{i}].")))
        .collect::<Result<_, _>>()?;
    let watch = raw
        .watch
        .into_iter()
        .enumerate()
        .map(|(i, table)| watch_rule(table, &format!("watch[{i}].")))
        .collect::<Result<_, _>>()?;
    if let Some(confirm) = &raw.confirm {
        confirm.check().map_err(|e| ("confirm".into(), e))?;
    }
    Ok(HazardKind {
        code: raw.code,
        aspect: raw.aspect,
        severity: raw.severity,
        name: raw.name,
        major_if: raw.major_if,
        applies_when: raw.applies_when,
        fact: raw.fact,
        photo_reason: raw.photo_reason,
        rules,
        watch,
        confirm: raw.confirm,
        later: raw.later,
        references,
    })
}

fn check_code(code: &str) -> Result<(), Problem> {
    let good = !code.is_empty()
        && code
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-');
    if good {
        Ok(())
    } else {
        Err((
            "code".into(),
            format!("`{code}` is no code; use capital letters, digits and `-`, for example PPE-01"),
        ))
    }
}

fn check_fact(fact: &str) -> Result<(), Problem> {
    let good = !fact.is_empty() && fact.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if good {
        Ok(())
    } else {
        Err((
            "fact".into(),
            format!("`{fact}` is no name; use small letters and `_`, for example combustible_dust"),
        ))
    }
}

fn watch_rule(mut table: Table, path: &str) -> Result<WatchRule, Problem> {
    let (rule, checked) = match table.remove("primitive").as_ref().and_then(Value::as_str) {
        Some("zone") => {
            let rule: crate::rules::ZoneRule = read(table, path)?;
            let checked = rule.check();
            (WatchRule::Zone(rule), checked)
        }
        Some("distance") => {
            let rule: crate::rules::DistanceRule = read(table, path)?;
            let checked = rule.check();
            (WatchRule::Distance(rule), checked)
        }
        _ => {
            return Err((
                format!("{path}primitive"),
                "is not known for video; write `zone` or `distance`".into(),
            ));
        }
    };
    checked.map_err(|(field, problem)| (format!("{path}{field}"), problem))?;
    Ok(rule)
}

fn rule(mut table: Table, path: &str) -> Result<PhotoRule, Problem> {
    let field = || format!("{path}primitive");
    let primitive = match table.remove("primitive") {
        Some(Value::String(name)) => name,
        Some(_) | None => {
            return Err((field(), format!("is missing; write one of {PRIMITIVES}")));
        }
    };
    let (rule, checked) = match primitive.as_str() {
        "person_item" => {
            let p: super::PersonItem = read(table, path)?;
            let checked = p.check();
            (PhotoRule::PersonItem(Box::new(p)), checked)
        }
        "presence" => {
            let p: super::Presence = read(table, path)?;
            let checked = p.check();
            (PhotoRule::Presence(p), checked)
        }
        "proximity" => {
            let p: super::Proximity = read(table, path)?;
            let checked = p.check();
            (PhotoRule::Proximity(p), checked)
        }
        "stack" => {
            let p: super::Stack = read(table, path)?;
            let checked = p.check();
            (PhotoRule::Stack(p), checked)
        }
        other => {
            return Err((
                field(),
                format!(
                    "`{other}` judges no photo; use one of {PRIMITIVES}, or name it in `later`"
                ),
            ));
        }
    };
    checked.map_err(|(field, problem)| (format!("{path}{field}"), problem))?;
    Ok(rule)
}

/// Reads a table and, where that fails, says which field it was.
fn read<T: DeserializeOwned>(table: Table, path: &str) -> Result<T, Problem> {
    Value::Table(table)
        .try_into()
        .map_err(|e: toml::de::Error| {
            let message = e.message().to_owned();
            // The path to a nested field is in the second line of the display form only.
            let shown = e.to_string();
            let nested = shown
                .lines()
                .find_map(|l| l.trim().strip_prefix("in `")?.strip_suffix('`'))
                .unwrap_or("")
                .to_owned();
            let named = ["unknown field `", "missing field `"]
                .iter()
                .find_map(|p| message.strip_prefix(p)?.split('`').next())
                .unwrap_or("");
            let field = [nested.as_str(), named]
                .iter()
                .filter(|s| !s.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(".");
            let hint = if message.starts_with("unknown field") {
                "; correct its name or remove it"
            } else if message.starts_with("missing field") {
                "; add it"
            } else {
                "; correct the value"
            };
            (format!("{path}{field}"), format!("{message}{hint}"))
        })
}
