//! One worker: claim, judge, file, until told to stop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{Inner, Judge, LOOK_EVERY, StageTimes};
use crate::bank::Place;
use crate::evidence::{Digest, EvidenceError};
use crate::hazard::Lang;
use crate::ledger::Error;
use crate::ledger::queue::{ClaimedPhoto, JudgedPhoto};
use crate::pipeline::photo::{PhotoPipeline, Scratch};
use crate::record::{BankRecord, PhotoRecord};

/// Between attempts to write what is known, or to reach the ledger at all.
const RETRY: Duration = Duration::from_secs(1);

pub(super) fn work(jobs: &Inner, judge: &Arc<Judge>, runtime: &Handle) {
    let mut scratch = Scratch::default();
    let mut next = None;
    loop {
        // a photo in hand is finished
        if let Some(claim) = next.take() {
            next = one(jobs, judge, runtime, &claim, &mut scratch);
            continue;
        }
        if jobs.stopping.load(Ordering::Relaxed) {
            return;
        }
        next = runtime.block_on(async {
            // before looking: work that arrives in between must not be slept over
            let woken = jobs.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            match jobs.ledger.claim_photo().await {
                Ok(None) => {
                    let _ = tokio::time::timeout(LOOK_EVERY, woken).await;
                    None
                }
                Ok(claim) => claim,
                Err(error) => {
                    tracing::error!(%error, "no photo could be claimed");
                    tokio::time::sleep(RETRY).await;
                    None
                }
            }
        });
    }
}

/// Judges a photo and files what it shows; the next photo, if one was waiting.
fn one(
    jobs: &Inner,
    judge: &Judge,
    runtime: &Handle,
    claim: &ClaimedPhoto,
    scratch: &mut Scratch,
) -> Option<ClaimedPhoto> {
    let start = Instant::now();
    let bytes = match read(jobs, claim) {
        Ok(bytes) => bytes,
        Err(e) => {
            // the reason goes to the log; who uploaded cannot help it
            tracing::error!(photo = %claim.id, error = %e, "an original cannot be read");
            let reason = "The stored original cannot be read; whoever runs the service must \
                          restore it from a backup.";
            let judged = JudgedPhoto {
                record: PhotoRecord::unreadable(claim.name.clone(), reason.into()),
                decided_by: judge.context(None),
                fingerprint: None,
            };
            return file(jobs, runtime, claim, &judged, StageTimes::default());
        }
    };
    let mut took = StageTimes {
        read_ms: ms(start),
        ..StageTimes::default()
    };
    let pipeline = judge.pipeline_for(claim);
    let (mut record, trace) =
        pipeline.record_and_trace(claim.name.clone(), &bytes, claim.sha256.clone(), scratch);
    let asking = Instant::now();
    let bank = ask_bank(jobs, runtime, claim, &pipeline, &mut record, &bytes);
    took.bank_ms = ms(asking);
    drop(bytes);
    if let Some(trace) = trace {
        took.decode_ms = trace.took.decode_ms;
        took.preprocess_ms = trace.took.preprocess_ms;
        took.inference_ms = trace.took.inference_ms;
        took.postprocess_ms = trace.took.postprocess_ms;
    }
    let mut document = pipeline.document();
    document.settings.bank = bank;
    let judged = JudgedPhoto {
        fingerprint: trace.and_then(|t| t.fingerprint),
        decided_by: super::judge::context(&document),
        record,
    };
    file(jobs, runtime, claim, &judged, took)
}

/// Holds a photo against the sample bank, where there is one; which it was. Where it cannot be asked the
/// photo is judged without it, and its record says so: an alarm must not wait for that.
fn ask_bank(
    jobs: &Inner,
    runtime: &Handle,
    claim: &ClaimedPhoto,
    pipeline: &PhotoPipeline<'_>,
    record: &mut PhotoRecord,
    bytes: &[u8],
) -> Option<BankRecord> {
    if record.error.is_some() {
        return None;
    }
    let place = Place {
        site: claim.site_id.to_string(),
        camera: claim.camera_id.map(|id| id.to_string()).unwrap_or_default(),
    };
    let asked = match runtime.block_on(jobs.bank.now()) {
        Ok(None) => return None,
        Ok(Some(taught)) => taught
            .pass(place, pipeline.rules(), pipeline.settings())
            .map_err(|e| e.to_string())
            .and_then(|pass| {
                pass.apply(record, bytes).map_err(|e| e.to_string())?;
                Ok(pass.record())
            }),
        Err(unready) => Err(unready.to_string()),
    };
    match asked {
        Ok(bank) => {
            for candidate in record.candidates.iter_mut().chain(&mut record.suppressed) {
                for sample in &mut candidate.why.samples {
                    sample.hide_elsewhere(&bank.site);
                }
            }
            Some(bank)
        }
        Err(error) => {
            tracing::error!(photo = %claim.id, %error, "the sample bank was not asked");
            let lang = pipeline.settings().lang;
            let said = not_asked(lang);
            record.note = Some(match record.note.take() {
                Some(note) => format!("{note} {said}"),
                None => said.to_owned(),
            });
            None
        }
    }
}

const fn not_asked(lang: Lang) -> &'static str {
    match lang {
        Lang::En => {
            "The sample bank could not be asked: kinds that only it knows were not looked for, and nothing \
             was suppressed. The service's log says why; upload the photo again when that is put right."
        }
        Lang::Zh => {
            "未能查询样本库：未查找仅由样本库识别的类别，也未抑制任何结果。原因见服务日志；排除后请重新上传照片。"
        }
    }
}

fn read(jobs: &Inner, claim: &ClaimedPhoto) -> Result<Vec<u8>, EvidenceError> {
    let digest: Digest = claim
        .sha256
        .parse()
        .map_err(|_| EvidenceError::Missing(Digest::of(&[])))?;
    // what was just received has been hashed by the store
    match jobs.received.take(&digest) {
        Some(bytes) => Ok(bytes),
        None => jobs.store.read(&digest),
    }
}

/// Writes what was found; tries until it is written or the service ends. What is not written by
/// then is judged again after the next start. The next photo, if one was waiting.
fn file(
    jobs: &Inner,
    runtime: &Handle,
    claim: &ClaimedPhoto,
    judged: &JudgedPhoto,
    mut took: StageTimes,
) -> Option<ClaimedPhoto> {
    let start = Instant::now();
    let next = loop {
        let go_on = !jobs.stopping.load(Ordering::Relaxed);
        match runtime.block_on(jobs.ledger.complete_photo(claim, judged, go_on)) {
            Ok(completed) if completed.done => break completed.next,
            // another claim is in force: its worker gives the photo its effect
            Ok(_) => return None,
            // trying again would change nothing: the photo must not hold up the others
            Err(error @ (Error::Invalid { .. } | Error::NotFound { .. } | Error::Corrupt(_)))
                if judged.record.error.is_none() =>
            {
                tracing::error!(photo = %claim.id, %error, "a result does not fit the ledger");
                let reason = "What was seen could not be filed; report it to whoever runs the \
                              service, whose log says why.";
                let failed = JudgedPhoto {
                    record: PhotoRecord::unreadable(claim.name.clone(), reason.into()),
                    decided_by: judged.decided_by.clone(),
                    fingerprint: judged.fingerprint,
                };
                return file(jobs, runtime, claim, &failed, took);
            }
            Err(error) => {
                tracing::error!(photo = %claim.id, %error, "a result could not be written; trying again");
                if jobs.stopping.load(Ordering::Relaxed) {
                    return None;
                }
                std::thread::sleep(RETRY);
            }
        }
    };
    took.file_ms = ms(start);
    let outcome = if judged.record.error.is_none() {
        "judged"
    } else {
        "unreadable"
    };
    jobs.observer.judged(outcome, took);
    // nobody may be listening
    let _ = jobs.done.send(claim.id);
    next
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
