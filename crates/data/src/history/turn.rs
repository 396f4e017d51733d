//! Turns CSV files that are done into Parquet files, so that a crash at any point loses and doubles nothing.
//!
//! The CSV file counts until it is removed; what it was turned into, which is on the disk by then, counts from there on.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use super::file::{DayFile, FileForm};
use super::lines::EventLines;
use super::parquet::{DayWriter, Rows};
use super::reader::SkippedFaults;
use super::{HistoryError, OnFault};

/// Turns all files that `is_done` says; those that cannot be turned stay as they are, and the first reason is told.
pub(super) fn turn_all(directory: &Path, is_done: impl Fn(DayFile) -> bool) -> Result<(), HistoryError> {
    let mut result = Ok(());
    for file in DayFile::list(directory)?.into_iter().filter(|file| is_done(*file)) {
        let turned = match file.form {
            FileForm::Csv => turn(directory, file),
            FileForm::Turned => settle(directory, file),
            FileForm::Parquet => Ok(()),
        };
        result = result.and(turned);
    }
    result
}

/// Gives what a CSV file was turned into its name, where a crash came before that; needed before there is another CSV file.
pub(super) fn settle(directory: &Path, file: DayFile) -> Result<(), HistoryError> {
    let [csv, new, old] =
        [FileForm::Csv, FileForm::Turned, FileForm::Parquet].map(|form| file.in_form(form).path(directory));
    if csv.exists() || !new.exists() {
        return Ok(());
    }
    fs::rename(&new, old).map_err(HistoryError::io(&new))?;
    sync(directory)
}

/// Writes the rows of the Parquet file that is there and those of the CSV file, in this order, to a new Parquet file.
fn turn(directory: &Path, file: DayFile) -> Result<(), HistoryError> {
    let [csv, new, old] =
        [FileForm::Csv, FileForm::Turned, FileForm::Parquet].map(|form| file.in_form(form).path(directory));
    let lock = File::open(&csv).map_err(HistoryError::io(&csv))?;
    if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
        tracing::warn!(file = %csv.display(), "another recorder writes to a file; it is not turned into Parquet");
        return Ok(());
    }
    let mut writer = DayWriter::create(file.kind, &new)?;
    let mut strict = SkippedFaults::new(OnFault::Error);
    if old.exists() {
        let mut rows = Rows::open(file.kind, &old)?;
        while let Some((_, event)) = rows.next(&mut strict)? {
            writer.push(&event)?;
        }
    }
    let mut lines = EventLines::open(file.kind, &csv)?;
    while let Some((_, event)) = lines.next(&mut strict)? {
        writer.push(&event)?;
    }
    writer.finish()?;
    sync(directory)?;
    fs::remove_file(&csv).map_err(HistoryError::io(&csv))?;
    sync(directory)?;
    settle(directory, file)
}

/// Waits until the disk has the directory's names.
fn sync(directory: &Path) -> Result<(), HistoryError> {
    File::open(directory).and_then(|place| place.sync_all()).map_err(HistoryError::io(directory))
}
