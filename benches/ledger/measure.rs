//! How long lists, filters and statistics take, through the ledger's own functions.

use std::time::Instant;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sitewarden::finding::FindingState;
use sitewarden::hazard::Severity;
use sitewarden::id::Id;
use sitewarden::ledger::enterprises::{self, EnterpriseFilter};
use sitewarden::ledger::events::{self, EventFilter};
use sitewarden::ledger::findings::{self, FindingFilter};
use sitewarden::ledger::statistics::{StatisticsFilter, statistics};
use sitewarden::ledger::{Ledger, Page, Scope};

use super::Size;
use super::city::{CODES, INDUSTRIES, code};

/// Times of one kind of request.
struct Times(&'static str, Vec<f64>);

impl Times {
    fn print(mut self) {
        self.1.sort_by(f64::total_cmp);
        let at = |share: f64| self.1[((self.1.len() - 1) as f64 * share).round() as usize];
        println!(
            "{:44} p50 {:8.2} ms   p95 {:8.2} ms   max {:8.2} ms",
            self.0,
            at(0.5),
            at(0.95),
            at(1.0)
        );
    }
}

/// Measures and prints.
pub(crate) async fn measure(ledger: &Ledger, size: &Size) {
    let mut random = fastrand::Rng::with_seed(size.seed + 1);
    let known = enterprises_of(ledger, 500).await;
    let now = ledger.now();
    let years = 3 * 365;
    for (name, change) in lists() {
        let mut times = Times(name, Vec::new());
        for _ in 0..size.repeat {
            let mut filter = FindingFilter::default();
            change(&mut filter, &mut random, &known, now);
            let mut page = Page::first();
            if name.contains("deep") {
                let back = SignedDuration::from_hours(random.i64(1..years * 24));
                let at = now - back;
                page.cursor = Some(format!("{}.{}", at.as_millisecond(), known[0]));
            }
            let start = Instant::now();
            let mut db = ledger.read().await.unwrap();
            findings::list(&mut db, &filter, &page).await.unwrap();
            times.1.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.print();
    }
    others(ledger, size, &mut random, &known).await;
}

type Change = fn(&mut FindingFilter, &mut fastrand::Rng, &[Id], Timestamp);

fn any_code(random: &mut fastrand::Rng) -> Option<String> {
    Some(code(random.usize(..CODES)))
}

fn any_state(random: &mut fastrand::Rng) -> Vec<FindingState> {
    vec![FindingState::ALL[random.usize(..8)]]
}

fn month(filter: &mut FindingFilter, random: &mut fastrand::Rng, now: Timestamp) {
    let from = now - SignedDuration::from_hours(24 * random.i64(31..1000));
    filter.from = Some(from);
    filter.before = Some(from + SignedDuration::from_hours(24 * 30));
}

fn lists() -> Vec<(&'static str, Change)> {
    vec![
        ("list: all, first page", |_, _, _, _| {}),
        ("list: all, deep page", |_, _, _, _| {}),
        ("list: state", |f, r, _, _| f.states = any_state(r)),
        ("list: state, deep page", |f, r, _, _| {
            f.states = any_state(r)
        }),
        ("list: four open states", |f, _, _, _| {
            f.states = FindingState::ALL
                .into_iter()
                .filter(|s| s.is_open())
                .collect();
        }),
        ("list: hazard code", |f, r, _, _| {
            f.hazard_code = any_code(r)
        }),
        ("list: hazard code and state", |f, r, _, _| {
            (f.hazard_code, f.states) = (any_code(r), any_state(r));
        }),
        ("list: major", |f, _, _, _| {
            f.severity = Some(Severity::Major)
        }),
        ("list: major, code and state", |f, r, _, _| {
            f.severity = Some(Severity::Major);
            (f.hazard_code, f.states) = (any_code(r), any_state(r));
        }),
        ("list: overdue", |f, _, _, now| f.overdue_at = Some(now)),
        ("list: overdue of an enterprise", |f, r, known, now| {
            f.overdue_at = Some(now);
            f.enterprise_id = r.choice(known.iter().copied());
        }),
        ("list: enterprise", |f, r, known, _| {
            f.enterprise_id = r.choice(known.iter().copied())
        }),
        ("list: enterprise and state", |f, r, known, _| {
            f.enterprise_id = r.choice(known.iter().copied());
            f.states = any_state(r);
        }),
        ("list: scope of 500 enterprises", |f, _, known, _| {
            f.scope = Scope::Enterprises(known.to_vec());
        }),
        ("list: scope of 500 enterprises, state", |f, r, known, _| {
            f.scope = Scope::Enterprises(known.to_vec());
            f.states = any_state(r);
        }),
        ("list: a month", |f, r, _, now| month(f, r, now)),
        ("list: a month, code and state", |f, r, _, now| {
            month(f, r, now);
            (f.hazard_code, f.states) = (any_code(r), any_state(r));
        }),
        ("list: a month, major", |f, r, _, now| {
            month(f, r, now);
            f.severity = Some(Severity::Major);
        }),
    ]
}

/// Some enterprises, from all over.
async fn enterprises_of(ledger: &Ledger, n: usize) -> Vec<Id> {
    let mut db = ledger.read().await.unwrap();
    let mut page = Page {
        cursor: None,
        limit: 200,
    };
    let mut all = Vec::new();
    loop {
        let part = enterprises::list(&mut db, &EnterpriseFilter::default(), &page)
            .await
            .unwrap();
        all.extend(part.items.iter().map(|e| e.id));
        match part.next {
            None => break,
            next => page.cursor = next,
        }
    }
    fastrand::Rng::with_seed(5).shuffle(&mut all);
    all.truncate(n);
    all
}

async fn others(ledger: &Ledger, size: &Size, random: &mut fastrand::Rng, known: &[Id]) {
    let now = ledger.now();
    let day = |back: i64| {
        let at = now - SignedDuration::from_hours(24 * back);
        Some(at.to_zoned(TimeZone::UTC).date())
    };
    let mut all = Times("statistics: all", Vec::new());
    let mut period = Times("statistics: a month", Vec::new());
    let mut one = Times("statistics: enterprise", Vec::new());
    let mut scope = Times("statistics: scope of 500 enterprises", Vec::new());
    let mut companies = Times("enterprises: industry", Vec::new());
    let mut named = Times("enterprises: beginning of the name", Vec::new());
    let mut history = Times("finding with sightings, evidence and events", Vec::new());
    for _ in 0..size.repeat {
        let back = random.i64(31..1000);
        let mut filters = [
            (&mut all, StatisticsFilter::default()),
            (
                &mut period,
                StatisticsFilter {
                    from: day(back),
                    to: day(back - 30),
                    ..Default::default()
                },
            ),
            (
                &mut one,
                StatisticsFilter {
                    enterprise_id: random.choice(known.iter().copied()),
                    ..Default::default()
                },
            ),
            (
                &mut scope,
                StatisticsFilter {
                    scope: Scope::Enterprises(known.to_vec()),
                    ..Default::default()
                },
            ),
        ];
        for (times, filter) in &mut filters {
            let start = Instant::now();
            let mut db = ledger.read().await.unwrap();
            statistics(&mut db, filter, now).await.unwrap();
            times.1.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let filters = [
            (
                &mut companies,
                EnterpriseFilter {
                    industry: random.choice(INDUSTRIES).map(str::to_owned),
                    ..Default::default()
                },
            ),
            (
                &mut named,
                EnterpriseFilter {
                    name_prefix: Some(format!("企业{:03}", random.usize(..450))),
                    ..Default::default()
                },
            ),
        ];
        for (times, filter) in filters {
            let start = Instant::now();
            let mut db = ledger.read().await.unwrap();
            enterprises::list(&mut db, &filter, &Page::first())
                .await
                .unwrap();
            times.1.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let enterprise_id = random.choice(known.iter().copied());
        let filter = FindingFilter {
            enterprise_id,
            ..Default::default()
        };
        let mut db = ledger.read().await.unwrap();
        let Some(row) = findings::list(&mut db, &filter, &Page::first())
            .await
            .unwrap()
            .items
            .pop()
        else {
            continue;
        };
        drop(db);
        let id = row.finding.id;
        let start = Instant::now();
        let mut db = ledger.read().await.unwrap();
        findings::get(&mut db, id).await.unwrap();
        findings::occurrences(&mut db, id, &Page::first())
            .await
            .unwrap();
        findings::evidence(&mut db, id).await.unwrap();
        let filter = EventFilter {
            entity_id: Some(id),
            ..Default::default()
        };
        events::list(&mut db, &filter, &Page::first())
            .await
            .unwrap();
        history.1.push(start.elapsed().as_secs_f64() * 1e3);
    }
    for times in [all, period, one, scope, companies, named, history] {
        times.print();
    }
}
