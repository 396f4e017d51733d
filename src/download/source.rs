//! Alpaca's history as a data source: what the cache lacks is downloaded, then its files are read.

use std::sync::Arc;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use chrono_tz::America::New_York;
use tracing::info;

use super::fetch::{Access, fetch};
use super::series::DownloadSeries;
use super::{DownloadError, Fetched};
use crate::broker::alpaca::AlpacaConfig;
use crate::calendar::date_of;
use crate::clock::{SystemClock, Timestamp};
use crate::data::spec::{Columns, Origin, Spec};
use crate::data::{DataError, RowKind, Source};

/// Opens what `spec` asks for (but does not save it: [`crate::data::open`] does), with keys and addresses of the environment. A cache that has it all needs neither keys
/// nor a network.
///
/// # Errors
/// As [`fetch`]; what was complete by then stays.
pub fn open(spec: &Spec) -> Result<Box<dyn Source>, DataError> {
    let env = |name: &str| std::env::var(name).ok();
    open_with(spec, &mut Access::new(&env, AlpacaConfig::RATE_LIMIT, Arc::new(SystemClock)), &|| false)
}

/// The same with an access of one's own; `stop` ends a download.
///
/// # Errors
/// As [`open`].
pub fn open_with(
    spec: &Spec,
    access: &mut Access<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Box<dyn Source>, DataError> {
    let Origin::Alpaca { cache, feed, adjustment } = &spec.origin else {
        return Err(settings(spec, "kind must be alpaca"));
    };
    let series = DownloadSeries::new(cache, spec.symbol, spec.row_kind, feed, adjustment)
        .map_err(|fault| settings(spec, &fault))?;
    let Some(from) = spec.from else {
        return Err(settings(spec, "from must be given where kind is alpaca"));
    };
    let days = days(spec.row_kind, from, spec.to.unwrap_or_else(|| access.now()));
    let fetched = fetch(&series, days, access, stop, &mut |_| ()).map_err(failed)?;
    if fetched.written > 0 {
        let Fetched { written, rows, requests, .. } = fetched;
        info!(symbol = %series.symbol(), files = written, rows, requests, "downloaded from alpaca");
    }
    let paths = series.pieces(days.0, days.1).iter().filter_map(super::SeriesFile::found).collect();
    let columns = Columns { has_header: true, named: Vec::new() };
    let origin = Origin::Csv { paths, columns, timezone: New_York };
    // Who opens this saves it, too.
    crate::data::open(&Spec { origin, save: None, ..spec.clone() })
}

/// The New York dates of all rows that are known from `from` until before `to`.
fn days(row_kind: RowKind, from: Timestamp, to: Timestamp) -> (NaiveDate, NaiveDate) {
    let before = match row_kind {
        RowKind::Bar { span } => span,
        RowKind::Trade | RowKind::Quote | RowKind::Number => Duration::ZERO,
    };
    let last = date_of(to - before - Duration::from_nanos(1));
    (date_of(from - before), last.checked_add_days(Days::new(1)).unwrap_or(last))
}

fn failed(error: DownloadError) -> DataError {
    DataError::Broker(Box::new(error))
}

fn settings(spec: &Spec, fault: &str) -> DataError {
    failed(DownloadError::Settings(format!("data \"{}\": {fault}", spec.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(span_mins: u64, from: &str, to: &str, expected: &str) {
        let time = |text| Timestamp::parse_rfc3339(text).unwrap();
        let row_kind = RowKind::Bar { span: Duration::from_mins(span_mins) };
        let (first, after) = days(row_kind, time(from), time(to));
        assert_eq!(format!("{first} {after}"), expected);
    }

    #[test]
    fn the_days_are_those_on_which_the_rows_began() {
        check(1, "2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z", "2026-01-04 2026-01-06");
        check(1, "2026-01-05T05:01:00Z", "2026-01-06T05:01:00Z", "2026-01-05 2026-01-06");
        check(1, "2026-01-05T05:01:00Z", "2026-01-06T05:01:01Z", "2026-01-05 2026-01-07");
        check(1440, "2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z", "2026-01-04 2026-01-05");
    }
}
