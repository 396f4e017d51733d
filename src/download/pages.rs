//! Rows of history written to files: each under a temporary name, renamed once it is whole.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::DownloadError;
use super::series::{DownloadSeries, SeriesFile};
use crate::broker::alpaca::Chapter;
use crate::clock::Timestamp;
use crate::data::RowKind;

/// Writes one run of pieces from front to back.
pub(super) struct Pages<'a> {
    series: &'a DownloadSeries,
    pieces: &'a [SeriesFile],
    now: Timestamp,
    open: Option<(PathBuf, BufWriter<File>)>,
    last: Option<Timestamp>,
    rows: u64,
}

impl<'a> Pages<'a> {
    pub(super) fn new(series: &'a DownloadSeries, pieces: &'a [SeriesFile], now: Timestamp) -> Self {
        Self { series, pieces, now, open: None, last: None, rows: 0 }
    }

    /// Rows written so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The piece that is written now; `None` when all are there.
    pub(super) fn present(&self) -> Option<&'a SeriesFile> {
        self.pieces.first()
    }

    /// How many pieces are not there yet.
    pub(super) fn left(&self) -> usize {
        self.pieces.len()
    }

    /// Adds rows that follow all before them.
    pub(super) fn add(&mut self, chapter: &Chapter) -> Result<(), DownloadError> {
        match chapter {
            Chapter::Bars(bars) => bars.iter().try_for_each(|bar| {
                self.row(bar.at, [bar.open, bar.high, bar.low, bar.close, bar.volume].as_slice())
            }),
            Chapter::Trades(trades) => {
                trades.iter().try_for_each(|trade| self.row(trade.at, &[trade.price, trade.size]))
            }
            Chapter::Quotes(quotes) => quotes.iter().try_for_each(|quote| {
                self.row(quote.at, &[quote.bid, quote.bid_size, quote.ask, quote.ask_size])
            }),
        }
    }

    /// Ends the run: what is left has no rows.
    pub(super) fn finish(mut self) -> Result<u64, DownloadError> {
        while !self.pieces.is_empty() {
            self.next_piece()?;
        }
        Ok(self.rows)
    }

    fn row(&mut self, at: Timestamp, values: &[f64]) -> Result<(), DownloadError> {
        if let Some(last) = self.last {
            let is_bar = matches!(self.series.row_kind(), RowKind::Bar { .. });
            if at < last || (is_bar && at == last) {
                return Err(DownloadError::Disorder { symbol: self.series.symbol(), at, last });
            }
        }
        self.last = Some(at);
        // A bar that still grows is told when it is over.
        if self.series.row_kind().known_at(at) > self.now {
            return Ok(());
        }
        while self.pieces.first().is_some_and(|piece| piece.end <= at) {
            self.next_piece()?;
        }
        let Some(piece) = self.pieces.first().filter(|piece| piece.start <= at) else { return Ok(()) };
        let (path, file) = self.opened(piece)?;
        let written = write_row(file, at, values);
        written.map_err(|source| DownloadError::Io { path: path.clone(), source })?;
        self.rows += 1;
        Ok(())
    }

    fn opened(&mut self, piece: &SeriesFile) -> Result<&mut (PathBuf, BufWriter<File>), DownloadError> {
        let open = if let Some(open) = self.open.take() {
            open
        } else {
            let path = piece.temporary_path();
            let file = create(&path, self.series.row_kind())
                .map_err(|source| DownloadError::Io { path: path.clone(), source })?;
            (path, file)
        };
        Ok(self.open.insert(open))
    }

    /// Puts the present piece in its place. A piece that may still get rows never gets the name of a complete one.
    fn next_piece(&mut self) -> Result<(), DownloadError> {
        let Some((piece, rest)) = self.pieces.split_first() else { return Ok(()) };
        self.opened(piece)?;
        let Some((path, file)) = self.open.take() else { return Ok(()) };
        let place = if piece.is_over(self.now) { piece.path.clone() } else { piece.unfinished_path() };
        put(file, &path, &place).map_err(|source| DownloadError::Io { path, source })?;
        if place == piece.path {
            // What was known of the day before it was over.
            let _ = fs::remove_file(piece.unfinished_path());
        }
        self.pieces = rest;
        Ok(())
    }
}

impl Drop for Pages<'_> {
    /// A run that ended early leaves no piece that is not whole.
    fn drop(&mut self) {
        if let Some((path, _)) = self.open.take() {
            let _ = fs::remove_file(path);
        }
    }
}

fn create(path: &Path, row_kind: RowKind) -> std::io::Result<BufWriter<File>> {
    let header = match row_kind {
        RowKind::Bar { .. } => "time,open,high,low,close,volume",
        RowKind::Trade => "time,price,size",
        RowKind::Quote => "time,bid,bid_size,ask,ask_size",
        RowKind::Number => "time,value",
    };
    let mut file = BufWriter::with_capacity(1 << 16, File::create(path)?);
    writeln!(file, "{header}")?;
    Ok(file)
}

fn write_row(file: &mut BufWriter<File>, at: Timestamp, values: &[f64]) -> std::io::Result<()> {
    write!(file, "{at}")?;
    for value in values {
        write!(file, ",{value}")?;
    }
    writeln!(file)
}

/// On the disk before it has its name: a power cut leaves the whole file or none.
fn put(file: BufWriter<File>, path: &Path, place: &Path) -> std::io::Result<()> {
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_data()?;
    fs::rename(path, place)
}
