//! Pure: the table of stations with its filters, as the templates show it.

use askama::Template;
use jiff::Timestamp;

use super::links;
use super::markets::{MarketRow, market_rows};
use crate::admin::response::station::{MarketTotals, StationPage, StationResponse};
use crate::admin::station_query::{FilterQuery, MAX_FILTER_CHARS, Order, PageQuery, Sort};
use crate::admin::ui::address::Pair;
use crate::admin::ui::page::Nonce;
use crate::admin::ui::words;

/// The form above the table. It stays when the table is replaced, so that a text field keeps its cursor.
#[derive(Clone, Debug)]
pub struct StationFilters {
    pub search: String,
    pub max_chars: usize,
    /// The markets of all stations.
    pub markets: Vec<Choice>,
    pub statuses: [Choice; 2],
    /// Parameters without a field.
    pub hidden: Vec<Pair>,
}

/// An option of a list.
#[derive(Clone, Debug)]
pub struct Choice {
    pub value: String,
    pub text: String,
    pub is_selected: bool,
}

impl StationFilters {
    pub fn new(filter: &FilterQuery, markets: &[MarketTotals]) -> Self {
        let selected = filter.market.as_deref();
        // A market of the address may have no stations any more.
        let mut names: Vec<&str> = markets
            .iter()
            .map(|market| market.market.as_str())
            .chain(selected)
            .filter(|name| !name.is_empty())
            .collect();
        names.sort_unstable();
        names.dedup();
        let choice = |name: &str| Choice {
            value: name.to_owned(),
            text: name.to_owned(),
            is_selected: selected == Some(name),
        };
        let status = |online: bool, text: &str| Choice {
            value: online.to_string(),
            text: text.to_owned(),
            is_selected: filter.online == Some(online),
        };
        let has_field = |name: &str| ["search", "market", "online"].contains(&name);
        Self {
            search: filter.search.clone().unwrap_or_default(),
            max_chars: MAX_FILTER_CHARS,
            markets: names.into_iter().map(choice).collect(),
            statuses: [status(true, "Online"), status(false, "Offline")],
            hidden: links::filter_pairs(filter)
                .into_iter()
                .filter(|(name, _)| !has_field(name))
                .collect(),
        }
    }
}

/// The section of the page with the markets, the form and the table.
#[derive(Clone, Debug, Template)]
#[template(path = "stations.html")]
pub struct StationSection {
    nonce: Nonce,
    markets: Vec<MarketRow>,
    filters: StationFilters,
    table: StationTable,
}

impl StationSection {
    /// The section with this table, which has the filter.
    pub fn new(nonce: Nonce, filter: &FilterQuery, markets: &[MarketTotals], table: StationTable) -> Self {
        Self {
            nonce,
            markets: market_rows(filter, markets),
            filters: StationFilters::new(filter, markets),
            table,
        }
    }
}

/// The table, its exports and its pages: what a filter, a sort or another page replaces.
#[derive(Clone, Debug, Template)]
#[template(path = "station_table.html")]
pub struct StationTable {
    nonce: Nonce,
    columns: Vec<Column>,
    rows: Vec<TableRow>,
    /// Which of the matching stations are shown.
    range: String,
    /// Number of matching stations.
    total: i64,
    /// Whether the table has no stations, with any filter.
    is_empty: bool,
    /// The address without filters, if there are any.
    unfiltered: Option<String>,
    /// Sort and page size, which the form sends along.
    hidden: Vec<Pair>,
    exports: Vec<Export>,
    /// The map with the same filters.
    map: String,
    /// `None` if there is one page.
    pager: Option<[PageLink; 4]>,
    first_page: String,
}

#[derive(Clone, Debug)]
struct Column {
    title: &'static str,
    /// Sorts by this column, or in the other order.
    address: String,
    sort: Sort,
    aria_sort: Option<Order>,
}

#[derive(Clone, Debug)]
struct TableRow {
    address: String,
    station: StationResponse,
    connections: Option<String>,
    changed: Option<(Timestamp, String)>,
}

#[derive(Clone, Debug)]
struct Export {
    title: &'static str,
    address: String,
}

#[derive(Clone, Debug)]
struct PageLink {
    id: &'static str,
    title: &'static str,
    /// `None` if it is the page that is shown.
    address: Option<String>,
}

const COLUMNS: [(&str, Sort); 8] = [
    ("Serial number", Sort::Serial),
    ("Site", Sort::SiteName),
    ("Host name", Sort::Hostname),
    ("Market", Sort::Market),
    ("Region", Sort::Region),
    ("Status", Sort::Online),
    ("Active connections", Sort::ActiveConnections),
    ("Last changed", Sort::LastUpdated),
];

const EXPORTS: [(&str, &str); 3] = [("CSV", "csv"), ("GeoJSON", "geojson"), ("KML", "kml")];

impl StationTable {
    /// `nonce` is that of the page.
    pub fn new(nonce: Nonce, filter: &FilterQuery, page: &PageQuery, stations: StationPage) -> Self {
        let StationPage { items, total, .. } = stations;
        let at = |offset: i64| {
            links::table(
                filter,
                &PageQuery {
                    offset,
                    ..page.clone()
                },
            )
        };
        let unfiltered = filter.is_filtered().then(|| {
            let page = PageQuery {
                offset: 0,
                ..page.clone()
            };
            links::table(&filter.without_filters(), &page)
        });
        let export = |(title, format)| Export {
            title,
            address: links::export(format, filter),
        };
        Self {
            nonce,
            columns: COLUMNS
                .map(|(title, sort)| column(title, sort, filter, page))
                .into(),
            range: range(page.offset, items.len(), total),
            total,
            is_empty: total == 0 && unfiltered.is_none(),
            unfiltered,
            hidden: links::kept_pairs(page),
            exports: EXPORTS.map(export).into(),
            map: links::map(filter, None),
            pager: pager(page, total, &at),
            first_page: at(0),
            rows: items
                .into_iter()
                .map(|station| row(station, filter, page))
                .collect(),
        }
    }
}

fn column(title: &'static str, sort: Sort, filter: &FilterQuery, page: &PageQuery) -> Column {
    let aria_sort = (page.sort == sort).then_some(page.order);
    let order = match aria_sort {
        Some(Order::Ascending) => Order::Descending,
        _ => Order::Ascending,
    };
    let sorted = PageQuery {
        sort,
        order,
        offset: 0,
        limit: page.limit,
    };
    Column {
        title,
        address: links::table(filter, &sorted),
        sort,
        aria_sort,
    }
}

fn row(station: StationResponse, filter: &FilterQuery, page: &PageQuery) -> TableRow {
    TableRow {
        address: links::station(&station.serial, filter, page),
        connections: station.active_connections.map(|n| words::number(n.into())),
        changed: station.last_updated.map(|time| (time, words::utc(time))),
        station,
    }
}

/// Such as "51–100 of 704".
fn range(offset: i64, shown: usize, total: i64) -> String {
    let total_in_words = words::number(total);
    match i64::try_from(shown) {
        Ok(shown) if shown > 0 => format!(
            "{}–{} of {total_in_words}",
            words::number(offset + 1),
            words::number(offset + shown)
        ),
        _ => format!("0 of {total_in_words}"),
    }
}

/// Links to the other pages.
fn pager(page: &PageQuery, total: i64, at: &impl Fn(i64) -> String) -> Option<[PageLink; 4]> {
    let last = (total - 1).max(0) / page.limit * page.limit;
    if last == 0 && page.offset == 0 {
        return None;
    }
    let previous = (page.offset - page.limit).min(last).max(0);
    let back = |offset: i64| (page.offset > 0).then(|| at(offset));
    let forth = |offset: i64| (page.offset < last).then(|| at(offset));
    let link = |id, title, address| PageLink { id, title, address };
    Some([
        link("page-first", "First", back(0)),
        link("page-previous", "Previous", back(previous)),
        link("page-next", "Next", forth(page.offset.saturating_add(page.limit))),
        link("page-last", "Last", forth(last)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_leads_to_the_others() {
        let pages = |offset, total| {
            let page = PageQuery {
                offset,
                ..PageQuery::default()
            };
            let links = pager(&page, total, &|offset| offset.to_string());
            links.map(|links| {
                links
                    .map(|link| link.address.unwrap_or_else(|| "-".to_owned()))
                    .join(" ")
            })
        };
        let cases = [
            (0, 0, None),
            (0, 50, None),
            (0, 51, Some("- - 50 50")),
            (50, 51, Some("0 0 - -")),
            (50, 704, Some("0 0 100 700")),
            // Not at the start of a page.
            (60, 704, Some("0 10 110 700")),
            (5000, 704, Some("0 700 - -")),
            (i64::MAX, 0, Some("0 0 - -")),
        ];
        for (offset, total, expected) in cases {
            assert_eq!(pages(offset, total).as_deref(), expected, "{offset} of {total}");
        }
    }

    #[test]
    fn a_range_is_counted_from_one() {
        assert_eq!(range(0, 50, 704), "1–50 of 704");
        assert_eq!(range(1000, 1, 1001), "1,001–1,001 of 1,001");
        assert_eq!(range(5000, 0, 704), "0 of 704");
    }
}
