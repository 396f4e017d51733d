//! `bot data convert`.

use std::path::PathBuf;
use std::sync::Arc;

use chrono_tz::Tz;

use super::{
    DataError, Failure, FileArgs, Global, Origin, ReadReport, RowEvent, Source, Spec, open, timezone,
    write_out,
};
use crate::data::Chunk;
use crate::market::MarketEvent;

/// Turns a file into one of the other format, or a recording into a file
///
/// The files' names say their formats. A directory is what `bot run --record` wrote: of it, the events of one symbol
/// and kind are taken.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  bot data convert nvda.csv nvda.parquet\n  \
    bot data convert nvda.parquet nvda.csv --out-timezone America/New_York\n  \
    bot data convert recorded/ quotes.parquet --symbol NVDA --event quote\n\n\
    Exit codes: 0 all well, 2 usage, 3 a file or row cannot be read, 4 a file is not there.")]
pub(super) struct Args {
    /// A .csv or .parquet file, or the directory of a recording
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// The new file: .csv or .parquet
    #[arg(value_name = "OUT")]
    to: PathBuf,
    /// Write the times of a CSV file by this clock, without an offset
    #[arg(long, value_name = "ZONE", value_parser = timezone)]
    out_timezone: Option<Tz>,
    #[command(flatten)]
    reading: FileArgs,
}

/// Runs the command.
pub(super) fn run(args: &Args, global: &Global) -> Result<(), Failure> {
    let kind = &args.reading.kind;
    let (spec, mut source): (Spec, Box<dyn Source>) = if args.from.is_dir() {
        let only = kind.symbol.into_iter().collect();
        let origin = Origin::Recorded { path: args.from.clone(), only };
        let spec = Spec::strict(origin, kind.symbol(&args.from)?, kind.row_kind());
        let source = open(&spec)?;
        (spec, Box::new(Picked { source, event: kind.event, account: ReadReport::default() }))
    } else {
        let spec = args.reading.spec(std::slice::from_ref(&args.from))?;
        let source = open(&spec)?;
        (spec, source)
    };
    write_out(&mut *source, &spec, &args.to, args.out_timezone, global)
}

/// The events of one kind out of a recording.
struct Picked {
    source: Box<dyn Source>,
    event: RowEvent,
    account: ReadReport,
}

impl Picked {
    fn is_wanted(&self, event: &MarketEvent) -> bool {
        self.event
            == match event {
                MarketEvent::Quote { .. } => RowEvent::Quote,
                MarketEvent::Trade { .. } => RowEvent::Trade,
                MarketEvent::Bar { .. } => RowEvent::Bar,
                MarketEvent::Number { .. } => RowEvent::Number,
            }
    }
}

impl Source for Picked {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        while let Some(chunk) = self.source.next_chunk()? {
            let Chunk::Mixed(events) = &*chunk else { return Ok(Some(chunk)) };
            let events: Vec<_> = events.iter().filter(|event| self.is_wanted(event)).copied().collect();
            if let (Some(first), Some(last)) = (events.first(), events.last()) {
                self.account.events += events.len() as u64;
                self.account.first.get_or_insert(first.known_at());
                self.account.last = Some(last.known_at());
                return Ok(Some(Arc::new(Chunk::Mixed(events))));
            }
        }
        Ok(None)
    }

    fn report(&self) -> ReadReport {
        let ReadReport { events, first, last, .. } = self.account;
        ReadReport { events, first, last, ..self.source.report() }
    }
}
