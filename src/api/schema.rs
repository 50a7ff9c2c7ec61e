//! The description of the API as it is served: utoipa's, and the schemas of the vocabulary, which
//! are generated from the same types as `sitewarden schema`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use super::problem::{Problem, ProblemBody};
use crate::id::Id;
use crate::ledger;

/// Values of the vocabulary that operations speak of: utoipa refers to them by name, and
/// [`document`] puts in what the names mean.
macro_rules! known {
    ($($kind:ty),* $(,)?) => {
        $(
            impl PartialSchema for $kind {
                fn schema() -> RefOr<Schema> {
                    Ref::from_schema_name(<$kind as JsonSchema>::schema_name()).into()
                }
            }

            impl ToSchema for $kind {
                fn name() -> Cow<'static, str> {
                    <$kind as JsonSchema>::schema_name()
                }
            }
        )*

        fn vocabulary(generator: &mut schemars::SchemaGenerator) {
            $(generator.subschema_for::<$kind>();)*
        }
    };
}

known!(
    crate::bank::Calibration,
    crate::bank::Neighbour,
    crate::bank::Role,
    crate::bank::Ruling,
    crate::bank::review::Coreset,
    crate::bank::review::Cover,
    crate::bank::review::Double,
    crate::bank::review::Doubt,
    crate::finding::FindingState,
    crate::hazard::Answer,
    crate::hazard::Lang,
    crate::hazard::Severity,
    crate::record::PhotoRecord,
    crate::source::camera::Status,
    crate::zone::Zones,
    ledger::bank::Change,
    ledger::bank::Cover,
    ledger::bank::Past,
    ledger::bank::SampleRow,
    ledger::checklists::Checklist,
    ledger::checklists::Item,
    ledger::enterprises::Enterprise,
    ledger::enterprises::NewEnterprise,
    ledger::enterprises::Person,
    ledger::events::Context,
    ledger::events::Event,
    ledger::findings::Area,
    ledger::findings::Dismissal,
    ledger::findings::EvidenceLink,
    ledger::findings::FindingRow,
    ledger::findings::Occurrence,
    ledger::inspections::AnsweredItem,
    ledger::inspections::Attendee,
    ledger::inspections::Inspection,
    ledger::inspections::InspectionState,
    ledger::orders::Order,
    ledger::sites::Camera,
    ledger::sites::NewSite,
    ledger::sites::Point,
    ledger::sites::Site,
    ledger::statistics::Statistics,
);

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

impl PartialSchema for Id {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("uuid".into())))
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
