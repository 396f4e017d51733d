//! Which column of a table holds which value. Pure.

use super::RowKind;
use super::spec::Columns;

/// What a column's cells are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing that is wanted.
    Other,
    /// The row's time.
    Time,
    /// The value of this place in the row.
    Value(usize),
}

/// A value of a shape.
#[derive(Debug)]
pub(super) struct RowField {
    /// Its name, which is also the usual one of its column.
    pub(super) name: &'static str,
    /// Other usual names.
    also: &'static [&'static str],
    /// False when a table may lack it and its cells may be empty; then it is 0.
    pub(super) needed: bool,
}

const TIME: RowField =
    RowField { name: "time", also: &["datetime", "timestamp", "date", "t", "ts"], needed: true };

const fn field(name: &'static str, also: &'static [&'static str], needed: bool) -> RowField {
    RowField { name, also, needed }
}

/// The values of a shape, in the order of its rows.
pub(super) fn fields(row_kind: RowKind) -> &'static [RowField] {
    const BAR: &[RowField] = &[
        field("open", &["o"], true),
        field("high", &["h"], true),
        field("low", &["l"], true),
        field("close", &["c"], true),
        field("volume", &["v", "vol"], false),
    ];
    const QUOTE: &[RowField] = &[
        field("bid", &["bid_price", "bp"], true),
        field("bid_size", &["bidsize", "bid_qty", "bs"], true),
        field("ask", &["ask_price", "ap"], true),
        field("ask_size", &["asksize", "ask_qty", "as"], true),
    ];
    const TRADE: &[RowField] =
        &[field("price", &["p"], true), field("size", &["qty", "quantity", "s"], false)];
    const NUMBER: &[RowField] = &[field("value", &["score", "number"], true)];
    match row_kind {
        RowKind::Bar { .. } => BAR,
        RowKind::Quote => QUOTE,
        RowKind::Trade => TRADE,
        RowKind::Number => NUMBER,
    }
}

/// The role of each column of a table whose columns have these names.
///
/// # Errors
/// A column that is needed and not there, or there twice, or a field that the shape does not have.
pub(super) fn by_name(columns: &Columns, row_kind: RowKind, names: &[String]) -> Result<Vec<Role>, String> {
    known(columns, row_kind)?;
    assign(row_kind, names.len(), |field| {
        let mut wanted = field.also.to_vec();
        wanted.insert(0, field.name);
        let given = columns.named.iter().find(|(name, _)| name == field.name);
        if let Some((_, column)) = given {
            wanted = vec![column.as_str()];
        }
        let Some(name) = wanted.iter().find(|name| places(names, name).next().is_some()) else {
            if !field.needed && given.is_none() {
                return Ok(None);
            }
            return Err(format!(
                "columns must have {} for {}, were \"{}\"",
                wanted.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" or "),
                field.name,
                names.join(",").chars().take(200).collect::<String>(),
            ));
        };
        let mut places = places(names, name);
        match (places.next(), places.next()) {
            (place, None) => Ok(place),
            (_, Some(_)) => Err(format!("column \"{name}\" must be there once, was there more often")),
        }
    })
}

/// The role of each of `count` columns of a table without names: those that are given by number, the rest in the usual
/// order, time first.
///
/// # Errors
/// A number that is none or beyond the last column, or a column that is needed and not there.
pub(super) fn by_number(columns: &Columns, row_kind: RowKind, count: usize) -> Result<Vec<Role>, String> {
    known(columns, row_kind)?;
    let mut usual = 0..;
    assign(row_kind, count, |field| {
        let place = usual.next().unwrap_or(usize::MAX);
        let Some((_, number)) = columns.named.iter().find(|(name, _)| name == field.name) else {
            return match place {
                place if place < count => Ok(Some(place)),
                _ if !field.needed => Ok(None),
                place => {
                    Err(format!("rows must have {} as column {}, had {count} columns", field.name, place + 1))
                }
            };
        };
        let place = number.trim().parse::<usize>().ok().filter(|number| (1..=count).contains(number));
        let rule =
            || format!("column of {} must be a number from 1 to {count}, was \"{number}\"", field.name);
        place.map(|number| Some(number - 1)).ok_or_else(rule)
    })
}

fn assign(
    row_kind: RowKind,
    count: usize,
    mut place_of: impl FnMut(&RowField) -> Result<Option<usize>, String>,
) -> Result<Vec<Role>, String> {
    let mut roles = vec![Role::Other; count];
    let values = fields(row_kind).iter().enumerate().map(|(place, field)| (Role::Value(place), field));
    for (role, field) in std::iter::once((Role::Time, &TIME)).chain(values) {
        let Some(place) = place_of(field)? else { continue };
        if roles[place] != Role::Other {
            return Err(format!("column {} must be one thing, was also {}", place + 1, field.name));
        }
        roles[place] = role;
    }
    Ok(roles)
}

fn places(names: &[String], wanted: &str) -> impl Iterator<Item = usize> {
    let is_wanted = move |name: &String| name.eq_ignore_ascii_case(wanted);
    names.iter().enumerate().filter(move |(_, name)| is_wanted(name)).map(|(place, _)| place)
}

fn known(columns: &Columns, row_kind: RowKind) -> Result<(), String> {
    let is_known = |name: &str| name == TIME.name || fields(row_kind).iter().any(|field| field.name == name);
    match columns.named.iter().find(|(name, _)| !is_known(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let names: Vec<_> = fields(row_kind).iter().map(|field| field.name).collect();
            Err(format!("columns must be of time, {}, was \"{name}\"", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BAR: RowKind = RowKind::Bar { span: Duration::from_mins(1) };

    fn columns(has_header: bool, named: &[(&str, &str)]) -> Columns {
        let named = named.iter().map(|(field, column)| ((*field).to_owned(), (*column).to_owned())).collect();
        Columns { has_header, named }
    }

    #[track_caller]
    fn check(row_kind: RowKind, named: &[(&str, &str)], header: &str, expected: &str) {
        let header_names: Vec<_> = header.split(',').map(str::to_owned).collect();
        let found = by_name(&columns(true, named), row_kind, &header_names)
            .map_or_else(|fault| fault, |roles| shown(&roles));
        assert_eq!(found, expected, "{header}");
    }

    fn shown(roles: &[Role]) -> String {
        let sign = |role: &Role| match role {
            Role::Other => "-".to_owned(),
            Role::Time => "t".to_owned(),
            Role::Value(place) => place.to_string(),
        };
        roles.iter().map(sign).collect()
    }

    #[test]
    fn columns_go_by_their_usual_names_in_any_case_and_order() {
        check(BAR, &[], "datetime,open,high,low,close,volume", "t01234");
        check(BAR, &[], "V,C,L,H,O,T", "43210t");
        check(BAR, &[], "Date,Open,High,Low,Close", "t0123");
        check(BAR, &[], "symbol,timestamp,open,high,low,close,trade_count,vwap", "-t0123--");
        check(RowKind::Quote, &[], "time,bid,bid_size,ask,ask_size", "t0123");
        check(RowKind::Trade, &[], "t,p,s", "t01");
        check(RowKind::Number, &[], "time,score", "t0");
    }

    #[test]
    fn named_columns_win_and_what_lacks_is_told() {
        check(BAR, &[("close", "adj close")], "date,open,high,low,close,adj close,volume", "t012-34");
        check(
            BAR,
            &[("volume", "x")],
            "date,o,h,l,c",
            "columns must have \"x\" for volume, were \"date,o,h,l,c\"",
        );
        check(BAR, &[], "date,o,h,l", "columns must have \"close\" or \"c\" for close, were \"date,o,h,l\"");
        check(
            BAR,
            &[("bid", "x")],
            "date",
            "columns must be of time, open, high, low, close, volume, was \"bid\"",
        );
        check(RowKind::Trade, &[], "t,p,P", "column \"p\" must be there once, was there more often");
        check(RowKind::Number, &[("value", "t")], "t", "column 1 must be one thing, was also value");
    }

    #[test]
    fn columns_without_names_go_by_number_or_their_usual_order() {
        let roles = |named: &[(&str, &str)], count| {
            by_number(&columns(false, named), BAR, count).map_or_else(|fault| fault, |roles| shown(&roles))
        };
        assert_eq!(roles(&[], 6), "t01234");
        assert_eq!(roles(&[], 5), "t0123");
        assert_eq!(roles(&[], 4), "rows must have close as column 5, had 4 columns");
        assert_eq!(roles(&[("time", "6"), ("volume", "1")], 6), "40123t");
        assert_eq!(roles(&[("time", "2")], 6), "column 2 must be one thing, was also open");
        assert_eq!(roles(&[("time", "7")], 6), "column of time must be a number from 1 to 6, was \"7\"");
    }
}
