//! The description of the API as it is served: utoipa's, and the schemas of the vocabulary, which
//! are generated from the same types as `sitewarden schema`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::problem::{Problem, ProblemBody};
use crate::id::Id;
use crate::ledger;
use crate::record::PhotoRecord;

/// Stands for a value of the vocabulary in the description of an operation.
pub(super) struct Known<T>(PhantomData<T>);

impl<T: JsonSchema> PartialSchema for Known<T> {
    fn schema() -> RefOr<Schema> {
        Ref::from_schema_name(T::schema_name()).into()
    }
}

impl<T: JsonSchema> ToSchema for Known<T> {
    fn name() -> Cow<'static, str> {
        T::schema_name()
    }
}

/// The document as JSON.
pub(super) fn document(api: &OpenApi) -> serde_json::Result<String> {
    let mut document = serde_json::to_value(api)?;
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    vocabulary(&mut generator);
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        schemas.insert(
            ProblemBody::name().into_owned(),
            serde_json::to_value(ProblemBody::schema())?,
        );
        schemas.extend(generator.take_definitions(true));
    }
    serde_json::to_string(&document)
}

/// Every type that a [`Known`] stands for.
fn vocabulary(generator: &mut schemars::SchemaGenerator) {
    generator.subschema_for::<PhotoRecord>();
    generator.subschema_for::<ledger::events::Context>();
    generator.subschema_for::<ledger::enterprises::Enterprise>();
    generator.subschema_for::<ledger::enterprises::NewEnterprise>();
    generator.subschema_for::<ledger::enterprises::Person>();
    generator.subschema_for::<ledger::sites::Site>();
    generator.subschema_for::<ledger::sites::NewSite>();
    generator.subschema_for::<ledger::sites::Point>();
    generator.subschema_for::<ledger::sites::Camera>();
    generator.subschema_for::<ledger::checklists::Checklist>();
    generator.subschema_for::<ledger::checklists::Item>();
    generator.subschema_for::<ledger::inspections::Inspection>();
    generator.subschema_for::<ledger::inspections::Attendee>();
    generator.subschema_for::<ledger::inspections::AnsweredItem>();
    generator.subschema_for::<ledger::findings::FindingRow>();
    generator.subschema_for::<ledger::findings::Occurrence>();
    generator.subschema_for::<ledger::findings::EvidenceLink>();
    generator.subschema_for::<ledger::findings::Dismissal>();
    generator.subschema_for::<ledger::orders::Order>();
    generator.subschema_for::<ledger::events::Event>();
    generator.subschema_for::<ledger::statistics::Statistics>();
}

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
            .into()
    }
}

impl ToSchema for Id {
    fn name() -> Cow<'static, str> {
        "Uuid".into()
    }
}

/// Any operation may be answered by a problem.
impl IntoResponses for Problem {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problem = || {
            let content = ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(ProblemBody::name())))
                .build();
            ResponseBuilder::new()
                .description("Not done; the body says why, and what to do next")
                .content("application/problem+json", content)
                .build()
                .into()
        };
        ["4XX", "5XX"]
            .map(|status| (status.to_owned(), problem()))
            .into()
    }
}
