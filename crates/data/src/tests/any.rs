//! What holds for any rows, any cuts and any bytes.

use proptest::prelude::*;

use super::*;

fn load(spec: &Spec) -> Result<Loaded, DataError> {
    Loaded::load(&mut *open(spec)?)
}

/// Rows of a shape with any numbers that it may have, in order of time.
fn any_rows(row_kind: RowKind) -> impl Strategy<Value = Vec<Row>> {
    let price = prop_oneof![1e-9_f64..1e12, (1_u32..1_000_000).prop_map(|cents| f64::from(cents) / 100.0)];
    let amount = prop_oneof![Just(0.0), 0.0_f64..1e18, (0_u32..1_000_000).prop_map(f64::from)];
    let number = proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO;
    let values =
        (proptest::array::uniform4(price), amount, number).prop_map(move |(prices, amount, number)| {
            let [one, two, ..] = prices;
            let (low, high) =
                prices.iter().fold((one, one), |(low, high), price| (low.min(*price), high.max(*price)));
            match row_kind {
                RowKind::Bar { .. } => [one, high, low, two, amount],
                RowKind::Quote => [one, amount, two, amount, 0.0],
                RowKind::Trade => [one, amount, 0.0, 0.0, 0.0],
                RowKind::Number => [number, 0.0, 0.0, 0.0, 0.0],
            }
        });
    let step = prop_oneof![1_i64..1_000_000_000, Just(60_000_000_000_i64), 1_i64..100_000_000_000_000];
    let first = -1_000_000_000_000_000_000_i64..2_000_000_000_000_000_000;
    (first, proptest::collection::vec((step, values), 0..40)).prop_map(|(first, steps)| {
        let mut at = first;
        steps
            .into_iter()
            .map(|(step, values)| {
                at += step;
                Row { at: Timestamp::from_nanos(at), values }
            })
            .collect()
    })
}

/// Some rows as a source.
struct Writing<'a> {
    row_kind: RowKind,
    rows: Option<&'a [Row]>,
}

impl Source for Writing<'_> {
    fn next_chunk(&mut self) -> Result<Option<Arc<Chunk>>, DataError> {
        let rows = self.rows.take().filter(|rows| !rows.is_empty());
        let chunk = |rows: &[Row]| Chunk::Rows {
            symbol: "NVDA".parse().unwrap(),
            row_kind: self.row_kind,
            rows: rows.to_vec(),
        };
        Ok(rows.map(|rows| Arc::new(chunk(rows))))
    }

    fn report(&self) -> ReadReport {
        ReadReport::default()
    }
}

fn any_shape() -> impl Strategy<Value = RowKind> {
    // Rows that stand closer together than their span would be pieces of bars.
    let bar = RowKind::Bar { span: Duration::from_nanos(1) };
    prop_oneof![Just(bar), Just(RowKind::Quote), Just(RowKind::Trade), Just(RowKind::Number)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_rows_in_any_files_read_back_to_the_same_bits(
        (row_kind, all) in any_shape().prop_flat_map(|row_kind| (Just(row_kind), any_rows(row_kind))),
        cuts in proptest::collection::vec(0_usize..40, 0..4),
        parquet in any::<bool>(),
        local in any::<bool>(),
    ) {
        let directory = TempDir::new().unwrap();
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
        cuts.sort_unstable();
        let ending = if parquet { "parquet" } else { "csv" };
        let paths: Vec<_> = (1..cuts.len()).map(|file| directory.path().join(format!("{file}.{ending}"))).collect();
        for (path, ends) in paths.iter().zip(cuts.windows(2)) {
            let zone = local.then_some(New_York);
            write(path, row_kind, zone, &mut Writing { row_kind, rows: Some(&all[ends[0]..ends[1]]) }).unwrap();
        }
        let columns = Columns { has_header: true, named: Vec::new() };
        let origin = if parquet {
            Origin::Parquet { paths, columns, timezone: New_York }
        } else {
            Origin::Csv { paths, columns, timezone: New_York }
        };
        let mut spec = spec(origin, row_kind);
        spec.on_bad_row = OnBadRow::Error;
        let mut source = open(&spec).unwrap();
        let (read, error) = rows(&mut *source);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(&read, &all);
        let mut digest = Digest::default();
        for row in &all {
            digest.update(&Chunk::Mixed(vec![row.event(spec.symbol, row_kind)]));
        }
        prop_assert_eq!(load(&spec).unwrap().digest().to_owned(), digest.finish());
    }

    #[test]
    fn a_file_cut_between_any_two_lines_is_the_same_as_one(lines in proptest::collection::vec(0_usize..4, 0..30), cut in 0_usize..30) {
        // Some lines are broken: the second half has no header, and its notes name its own lines.
        let kinds = ["1757943000.5,5", "x,5", "1757943000.5,,", "1757943001,-5e-1"];
        let all: Vec<_> = lines.iter().map(|kind| kinds[*kind]).collect();
        let cut = cut.min(all.len());
        let header = "time,value";
        let one = [&[header], &all[..], &[""]].concat().join("\n");
        let (first, second) = ([&[header], &all[..cut], &[""]].concat().join("\n"), all[cut..].join("\r\n"));
        // What follows a header can only be told to be rows when the first of them is one.
        prop_assume!(all.get(cut).is_none_or(|line| !line.ends_with(",,") && !line.starts_with('x')));
        let read = |texts: &[&str]| {
            let (_directory, paths) = files(texts);
            let loaded = load(&spec(csv(paths, true), RowKind::Number)).unwrap();
            (loaded.digest().to_owned(), loaded.report().skipped)
        };
        prop_assert_eq!(read(&[&one]), read(&[&first, &second]));
    }

    #[test]
    fn broken_files_end_with_an_error_or_rows_and_never_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        text in "([0-9]{1,4}-[0-9]{2}-[0-9]{2} [0-9:]{0,8},|[-0-9.eE,;\"\r\n\t é]){0,40}",
        has_header in any::<bool>(),
        row_kind in any_shape(),
    ) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a");
        let heads = [&b""[..], b"time,open,high,low,close,volume,value,price,size,bid,ask,bid_size,ask_size\n", b"t,value\n"];
        for body in [&bytes[..], text.as_bytes()] {
            for head in heads {
                fs::write(&path, [head, body].concat()).unwrap();
                let mut spec = spec(csv(vec![path.clone()], has_header), row_kind);
                spec.on_gap = OnGap::Fill;
                let _ = load(&spec);
                let columns = Columns { has_header: true, named: Vec::new() };
                spec.origin = Origin::Parquet { paths: vec![path.clone()], columns, timezone: New_York };
                prop_assert!(load(&spec).is_err());
            }
        }
    }

    #[test]
    fn a_parquet_file_with_any_byte_changed_never_panics(place in 0_usize..10_000, byte in any::<u8>(), cut in 0_usize..100) {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a.parquet");
        write(&path, MINUTE, None, &mut generated(MINUTE, 20).source()).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let place = place % bytes.len();
        bytes[place] = byte;
        bytes.truncate(bytes.len() - if cut < 10 { cut } else { 0 });
        fs::write(&path, bytes).unwrap();
        let columns = Columns { has_header: true, named: Vec::new() };
        let origin = Origin::Parquet { paths: vec![path], columns, timezone: New_York };
        let _ = load(&spec(origin, MINUTE));
    }
}
