//! A hash of what data says, whatever files it came from and however they are split.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::{Chunk, Row, RowKind};
use bot_core::symbol::Symbol;

/// Takes in chunks as they come; equal events in equal order give equal digests.
#[derive(Debug, Clone, Default)]
pub struct Digest {
    hash: Sha256,
    /// Of the last event.
    kind: Option<(Symbol, RowKind)>,
    bytes: Vec<u8>,
}

/// Bytes are hashed some thousand at a time.
const BYTES_MAX: usize = 1 << 14;

impl Digest {
    /// Takes in a chunk behind all others.
    pub fn update(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Rows { symbol, row_kind, rows } => {
                self.kind(*symbol, *row_kind);
                for row in rows {
                    self.row(row);
                }
            }
            Chunk::Mixed(events) => {
                for event in events {
                    let (symbol, row_kind, row) = event.to_row();
                    self.kind(symbol, row_kind);
                    self.row(&row);
                }
            }
        }
    }

    /// SHA-256 in 64 hexadecimal digits.
    pub fn finish(mut self) -> String {
        self.hash.update(&self.bytes);
        HEXLOWER.encode(&self.hash.finalize())
    }

    /// Says once what the rows that follow are. It is as long as a row, with a time that no row has.
    fn kind(&mut self, symbol: Symbol, row_kind: RowKind) {
        if self.kind == Some((symbol, row_kind)) {
            return;
        }
        self.kind = Some((symbol, row_kind));
        let (tag, span) = match row_kind {
            RowKind::Bar { span } => (1_u64, u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
            RowKind::Quote => (2, 0),
            RowKind::Trade => (3, 0),
            RowKind::Number => (4, 0),
        };
        let mut name = [0; 24];
        for (to, from) in name.iter_mut().zip(symbol.as_str().bytes()) {
            *to = from;
        }
        self.put(&i64::MIN.to_le_bytes());
        self.put(&tag.to_le_bytes());
        self.put(&span.to_le_bytes());
        self.put(&name);
    }

    #[inline]
    fn row(&mut self, row: &Row) {
        let [one, two, three, four, five] = row.values.map(f64::to_bits);
        let words = [row.at.nanos().cast_unsigned(), one, two, three, four, five];
        let mut bytes = [0; 48];
        for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        self.put(&bytes);
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > BYTES_MAX {
            self.hash.update(&self.bytes);
            self.bytes.clear();
        }
        self.bytes.extend_from_slice(bytes);
    }
}
