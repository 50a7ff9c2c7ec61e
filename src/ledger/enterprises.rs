//! Enterprises: one company, one file; and the persons responsible in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::events::NewEvent;
use super::page::{self, Conditions, Entity};
use super::sql::{self, Bind, Columns};
use super::{Db, Error, Page, Paged, Result, Scope, Tx, required};
use crate::id::Id;

/// The characters of a unified social credit code (GB 32100-2015), each worth its position.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// Checks a unified social credit code and gives it in capitals: 18 characters, the last of which
/// is a check digit over the others (GB 32100-2015: weights 3^i mod 31).
pub fn credit_code(text: &str) -> Result<String> {
    let code = text.trim().to_ascii_uppercase();
    let bad = |problem: &str| Error::invalid("credit_code", format!("`{code}` {problem}"));
    let values: Vec<usize> = code
        .bytes()
        .map(|c| ALPHABET.iter().position(|a| *a == c))
        .collect::<Option<_>>()
        .ok_or_else(|| bad("may hold digits and capitals other than I, O, S, V, Z only"))?;
    let [body @ .., check] = &values[..] else {
        return Err(bad("is empty"));
    };
    if body.len() != 17 {
        return Err(bad("must have 18 characters"));
    }
    let (sum, _) = body.iter().fold((0, 1), |(sum, weight), v| {
        (sum + v * weight, weight * 3 % 31)
    });
    let right = (31 - sum % 31) % 31;
    if *check != right {
        return Err(bad(
            "has a wrong check digit: compare it with the licence, one character is mistyped",
        ));
    }
    Ok(code)
}

/// The code that ends in the right check digit: for generators of test data.
pub fn with_check_digit(body: &str) -> Option<String> {
    ALPHABET
        .iter()
        .find_map(|c| credit_code(&format!("{body}{}", char::from(*c))).ok())
}

/// A company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Enterprise {
    /// Which.
    pub id: Id,
    /// Unified social credit code.
    pub credit_code: String,
    /// Name.
    pub name: String,
    /// Industry, as the office classifies it.
    pub industry: String,
    /// What is there and what is not, by names of the catalogue (`combustible_dust`) or hazard codes
    /// (`ENV-01`): a kind about what is not there is not applicable in photos and checklists.
    pub facts: BTreeMap<String, bool>,
    /// When the file was opened.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// For `If-Match`.
    pub version: i64,
}

/// What is told of a company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NewEnterprise {
    /// Unified social credit code.
    pub credit_code: String,
    /// Name.
    pub name: String,
    /// Industry.
    pub industry: String,
    /// See [`Enterprise::facts`].
    #[serde(default)]
    pub facts: BTreeMap<String, bool>,
}

impl Entity for Enterprise {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            credit_code: row.text("credit_code")?,
            name: row.text("name")?,
            industry: row.text("industry")?,
            facts: sql::from_json(&row.text("facts")?)?,
            created_at: row.time("created_ms")?,
            version: row.int("version")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Opens the file of a company; refuses a second one for the same credit code.
pub async fn create(tx: &mut Tx, new: &NewEnterprise) -> Result<Enterprise> {
    let code = credit_code(&new.credit_code)?;
    required("name", &new.name)?;
    if let Some(existing) = by_credit_code(tx, &code).await? {
        return Err(Error::Duplicate {
            what: "enterprise",
            value: format!("credit code {code}"),
            existing: existing.id,
        });
    }
    let enterprise = Enterprise {
        id: tx.new_id(),
        credit_code: code,
        name: new.name.clone(),
        industry: new.industry.clone(),
        facts: new.facts.clone(),
        created_at: tx.now(),
        version: 1,
    };
    sqlx::query(
        "INSERT INTO enterprises (id, credit_code, name, industry, facts, created_ms, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .id(enterprise.id)
    .bind(enterprise.credit_code.clone())
    .bind(enterprise.name.clone())
    .bind(enterprise.industry.clone())
    .bind(sql::json(&enterprise.facts)?)
    .time(enterprise.created_at)
    .bind(enterprise.version)
    .execute(tx.conn())
    .await?;
    record(tx, "enterprise.created", &enterprise).await?;
    Ok(enterprise)
}

/// Changes name, industry and facts; the credit code is who it is and stays.
pub async fn update(
    tx: &mut Tx,
    id: Id,
    expected: Option<i64>,
    new: &NewEnterprise,
) -> Result<Enterprise> {
    let old = get(tx, id).await?;
    super::check_version("enterprise", id, expected, old.version)?;
    required("name", &new.name)?;
    if credit_code(&new.credit_code)? != old.credit_code {
        return Err(Error::invalid(
            "credit_code",
            "is another company's: open a file for that one instead",
        ));
    }
    let enterprise = Enterprise {
        name: new.name.clone(),
        industry: new.industry.clone(),
        facts: new.facts.clone(),
        version: old.version + 1,
        ..old
    };
    sqlx::query(
        "UPDATE enterprises SET name = $1, industry = $2, facts = $3, version = $4 WHERE id = $5",
    )
    .bind(enterprise.name.clone())
    .bind(enterprise.industry.clone())
    .bind(sql::json(&enterprise.facts)?)
    .bind(enterprise.version)
    .id(id)
    .execute(tx.conn())
    .await?;
    record(tx, "enterprise.changed", &enterprise).await?;
    Ok(enterprise)
}

async fn record(tx: &mut Tx, kind: &'static str, enterprise: &Enterprise) -> Result<()> {
    tx.record(NewEvent {
        kind,
        entity: "enterprise",
        entity_id: enterprise.id,
        enterprise_id: Some(enterprise.id),
        context: None,
        data: json!(enterprise),
    })
    .await?;
    Ok(())
}

/// One company.
pub async fn get(db: &mut impl Db, id: Id) -> Result<Enterprise> {
    page::get(
        db,
        "enterprise",
        "SELECT * FROM enterprises WHERE id = $1",
        id,
    )
    .await
}

/// The company of this (checked) credit code.
pub async fn by_credit_code(db: &mut impl Db, code: &str) -> Result<Option<Enterprise>> {
    let row = sqlx::query("SELECT * FROM enterprises WHERE credit_code = $1")
        .bind(code.to_owned())
        .fetch_optional(db.conn())
        .await?;
    row.as_ref().map(Enterprise::from_row).transpose()
}

/// Which companies.
#[derive(Debug, Clone, Default)]
pub struct EnterpriseFilter {
    /// Whose.
    pub scope: Scope,
    /// Of this industry only.
    pub industry: Option<String>,
    /// Whose name begins so.
    pub name_prefix: Option<String>,
}

/// A page of companies, newest file first.
pub async fn list(
    db: &mut impl Db,
    filter: &EnterpriseFilter,
    page: &Page,
) -> Result<Paged<Enterprise>> {
    let mut conditions = Conditions::default();
    conditions.and_scope("id", &filter.scope);
    conditions.and_maybe("industry = {}", filter.industry.clone());
    if let Some(prefix) = &filter.name_prefix {
        // not a range: the order of texts is the server's own
        conditions.and(
            "LOWER(name) LIKE {} ESCAPE '\\'",
            [starts_with(prefix).into()],
        );
    }
    page::list(db, "SELECT * FROM enterprises", conditions, page).await
}

/// The pattern of `LIKE` for texts that begin so, whatever the case of ASCII letters.
fn starts_with(prefix: &str) -> String {
    let mut pattern = String::new();
    for c in prefix.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c.to_ascii_lowercase());
    }
    pattern.push('%');
    pattern
}

/// A person responsible in an enterprise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Person {
    /// Which.
    pub id: Id,
    /// Of which enterprise.
    pub enterprise_id: Id,
    /// Name.
    pub name: String,
    /// What for: `safety officer`, …
    pub duty: String,
    /// Telephone.
    pub phone: Option<String>,
}

impl Entity for Person {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            enterprise_id: row.id("enterprise_id")?,
            name: row.text("name")?,
            duty: row.text("duty")?,
            phone: row.maybe_text("phone")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Adds a responsible person.
pub async fn add_person(
    tx: &mut Tx,
    enterprise_id: Id,
    name: &str,
    duty: &str,
    phone: Option<&str>,
) -> Result<Person> {
    get(tx, enterprise_id).await?;
    required("name", name)?;
    let person = Person {
        id: tx.new_id(),
        enterprise_id,
        name: name.to_owned(),
        duty: duty.to_owned(),
        phone: phone.map(str::to_owned),
    };
    let now = tx.now();
    sqlx::query(
        "INSERT INTO persons (id, enterprise_id, name, duty, phone, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .id(person.id)
    .id(enterprise_id)
    .bind(person.name.clone())
    .bind(person.duty.clone())
    .bind(person.phone.clone())
    .time(now)
    .execute(tx.conn())
    .await?;
    tx.record(NewEvent {
        kind: "person.added",
        entity: "person",
        entity_id: person.id,
        enterprise_id: Some(enterprise_id),
        context: None,
        data: json!(person),
    })
    .await?;
    Ok(person)
}

/// A page of an enterprise's responsible persons, newest first.
pub async fn persons(db: &mut impl Db, enterprise_id: Id, page: &Page) -> Result<Paged<Person>> {
    let mut conditions = Conditions::default();
    conditions.and("enterprise_id = {}", [enterprise_id.into()]);
    page::list(db, "SELECT * FROM persons", conditions, page).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_codes_have_a_check_digit() {
        // published codes of listed companies
        for code in [
            "91440300708461136T",
            "91330100799655058B",
            "914403001922038216",
        ] {
            assert_eq!(credit_code(code).unwrap(), code);
        }
        assert_eq!(
            credit_code(" 91440300708461136t ").unwrap(),
            "91440300708461136T"
        );
        for wrong in [
            "",
            "91440300708461136",
            "91440300708461136U",
            "91440300708461163T",
            "9144030070846113OT",
            "91440300708461136TT",
        ] {
            assert!(credit_code(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            with_check_digit("91440300708461136").as_deref(),
            Some("91440300708461136T")
        );
    }
}
