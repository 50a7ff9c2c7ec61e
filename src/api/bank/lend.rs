//! `POST /bank/export` and `POST /bank/import`: one office lends its bank to another.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};

use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::search::not_ready;
use super::{empty, sees_all};
use crate::api::auth::{Caller, Task};
use crate::api::extract::Json;
use crate::api::idempotency::{self, Once};
use crate::api::problem::Problem;
use crate::api::{App, upload};
use crate::jobs::lending::{self, LendError, Offer};
use crate::ledger::bank::Change;
use crate::pipeline::photo::hex;

/// For whom a bank is written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Export {
    /// The key that both offices have, at least 32 bytes; it is not kept.
    key: String,
    /// Name of this office: the borrower's samples say where they are from.
    office: String,
    /// Whether the photos go with it.
    #[serde(default = "yes")]
    pictures: bool,
}

const fn yes() -> bool {
    true
}

/// Bytes on their way to a caller at a time.
const PIECE: usize = 256 << 10;
/// Pieces that wait for a slow caller.
const PIECES: usize = 4;

/// Gives what is written to the body of an answer.
struct Outgoing(mpsc::Sender<io::Result<Bytes>>);

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(PIECE)];
        let piece = Bytes::copy_from_slice(bytes);
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(piece)).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the bank for another office
///
/// One file under a signature (HMAC-SHA-256), for `POST /bank/import` or `sitewarden bank import` there.
#[utoipa::path(post, path = "/bank/export", tag = "bank", request_body = Export,
    responses((status = 200, body = Vec<u8>, content_type = "application/x-ndjson", description = "The file"), Problem))]
pub(super) async fn export(
    State(app): State<App>,
    caller: Caller,
    once: Once,
    Json(wanted): Json<Export>,
) -> Result<Response, Problem> {
    caller.may(Task::Decide)?;
    caller.may(Task::ReadOriginals)?;
    sees_all(&caller)?;
    once.keep_nothing()?;
    let office = lending::office(&wanted.office).map_err(refused)?.to_owned();
    lending::check_key(wanted.key.as_bytes()).map_err(refused)?;
    let taught = app.jobs.bank().now().await.map_err(not_ready)?;
    let taught = taught.filter(|t| !t.bank().is_empty()).ok_or_else(empty)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    lending::note_export(&mut tx, &office, taught.bank(), wanted.pictures).await?;
    tx.commit().await?;
    let (send, receive) = mpsc::channel(PIECES);
    let store = app.store.clone();
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(PIECE, Outgoing(send.clone()));
        let store = wanted.pictures.then_some(&*store);
        let key = wanted.key.as_bytes();
        let done = lending::export(&mut out, key, &office, taught.bank(), store);
        if let Err(error) = done {
            tracing::error!(%error, "a bank was not lent to its end");
            // breaks the answer off: half a file has no signature
            let _ = send.blocking_send(Err(io::Error::other("not written to its end")));
        }
    });
    let body = stream::unfold(receive, |mut receive| async {
        Some((receive.recv().await?, receive))
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"sitewarden.bank\""),
        ),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The form of an import. The key comes before the file.
#[derive(ToSchema)]
#[allow(
    dead_code,
    reason = "describes the form, which is read as it streams in"
)]
pub(super) struct Import {
    /// The key that the file was signed with; it is not kept.
    key: String,
    /// The file.
    #[schema(value_type = String, format = Binary)]
    bank: Vec<u8>,
}

/// What was taken over.
#[derive(Serialize, ToSchema)]
pub(super) struct Taken {
    /// Whose bank it is; their sites are called `OFFICE/SITE` here.
    office: String,
    /// Version of their bank.
    office_version: i64,
    /// What its embeddings are by.
    embedder: String,
    /// Kinds that the catalogue here does not have: no photo becomes a candidate by their samples.
    unknown_kinds: Vec<String>,
    /// The change of the bank here.
    change: Change,
}

/// Takes over the bank of another office
///
/// All of it or nothing. What is there already gets its photo and embedding if it lacks them.
#[utoipa::path(post, path = "/bank/import", tag = "bank", params(idempotency::Header),
    request_body(content = Import, content_type = "multipart/form-data"),
    responses((status = 200, body = Taken, description = "Taken over"), Problem))]
pub(super) async fn import(
    State(app): State<App>,
    caller: Caller,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Task::Decide)?;
    sees_all(&caller)?;
    let name = idempotency::name_of(request.headers())?;
    let place = app.upload_place()?;
    let multipart = Multipart::from_request(request, &()).await;
    let (key, file, digest) = receive(&app, multipart.map_err(upload::no_form)?).await?;
    drop(place);
    let once = Once::new(&caller, name, format!("bank {digest}"));
    if let Some(answer) = once.before(&app).await? {
        return Ok(answer);
    }
    // what is lent may be of an embedder that is not here
    let known = app.jobs.bank().embedder_id().await.ok();
    let (store, limits) = (app.store.clone(), app.photo_limits.clone());
    let offer = tokio::task::spawn_blocking(move || {
        let input = BufReader::with_capacity(1 << 20, file);
        Offer::read(input, key.as_bytes(), &store, &limits, known.as_ref())
    })
    .await
    .map_err(|e| Problem::fault(&e))?
    .map_err(refused)?;
    let mut tx = app.ledger.begin(&caller.actor()).await?;
    let change = offer.take(&mut tx).await?;
    let taken = Taken {
        office: offer.head.office.clone(),
        office_version: offer.head.version,
        embedder: offer.head.embedder.version.clone(),
        unknown_kinds: offer.unknown_kinds(|code| app.jobs.kind(code).is_some()),
        change,
    };
    let completed = taken.change.completed > 0;
    let answer = once.commit(tx, Json(taken).into_response()).await?;
    if completed {
        // which samples there are is as before, what is known of them is not
        app.jobs.bank().look_again();
    }
    app.jobs.bank().wake();
    Ok(answer)
}

/// The key, the file in a place that vanishes with it, and its digest.
async fn receive(app: &App, mut form: Multipart) -> Result<(String, File, String), Problem> {
    let mut key = None;
    while let Some(field) = form.next_field().await.map_err(upload::broken_form)? {
        match field.name() {
            Some("key") => key = Some(upload::text(field).await?),
            Some("bank") => {
                let key = key.ok_or_else(|| {
                    Problem::invalid(
                        "The key is missing.",
                        "Put the field `key` before the file.",
                    )
                })?;
                let (file, digest) = spool(app, field).await?;
                return Ok((key, file, digest));
            }
            other => {
                return Err(Problem::invalid(
                    format!("The form has no field {:?}.", other.unwrap_or_default()),
                    "Use key and bank.",
                ));
            }
        }
    }
    Err(Problem::invalid(
        "There is no file in the form.",
        "Add a part called `bank` with the file, behind the key.",
    ))
}

async fn spool(app: &App, mut field: Field<'_>) -> Result<(File, String), Problem> {
    let mut file = app.store.spool().map_err(upload::not_kept)?;
    let mut hash = Sha256::new();
    while let Some(chunk) = field.chunk().await.map_err(upload::broken_form)? {
        hash.update(&chunk);
        let room = app.store.check_room(chunk.len() as u64);
        room.map_err(upload::not_kept)?;
        let written = tokio::task::spawn_blocking(move || file.write_all(&chunk).map(|()| file));
        file = written
            .await
            .map_err(|e| Problem::fault(&e))?
            .map_err(|e| Problem::fault(&e))?;
    }
    file.rewind().map_err(|e| Problem::fault(&e))?;
    Ok((file, hex(&hash.finalize())))
}

fn refused(error: LendError) -> Problem {
    match error {
        LendError::Evidence(error) => upload::not_kept(error),
        LendError::Ledger(error) => error.into(),
        wrong => Problem::invalid(
            format!("The bank cannot change hands: {wrong}."),
            "Put that right and send it again; no sample was changed.",
        ),
    }
}
