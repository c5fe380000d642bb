//! Pure: the numbers of stations of each market, with links to the table.

use super::links;
use crate::admin::response::station::MarketTotals;
use crate::admin::station_query::{FilterQuery, PageQuery};
use crate::admin::ui::words;

/// A row of the table of the markets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarketRow {
    /// Empty for stations without a market, which no filter selects.
    pub name: String,
    /// All, online and offline.
    pub counts: [LinkedCount; 3],
}

/// A number of stations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedCount {
    pub count: String,
    /// The number, what it counts and the market, for screen readers.
    pub label: String,
    /// The table of these stations; `None` if there are none, or no filter selects them.
    pub address: Option<String>,
}

/// The markets in their order, of the connection of this filter.
pub fn market_rows(filter: &FilterQuery, markets: &[MarketTotals]) -> Vec<MarketRow> {
    let row = |market: &MarketTotals| {
        let linked = |count: i64, what: &str, online: Option<bool>| {
            let selected = FilterQuery {
                market: Some(market.market.clone()),
                online,
                ..filter.without_filters()
            };
            let has_link = count > 0 && !market.market.is_empty();
            LinkedCount {
                count: words::number(count),
                label: format!("{} {what} in {}", words::number(count), market.market),
                address: has_link.then(|| links::table(&selected, &PageQuery::default())),
            }
        };
        let totals = &market.totals;
        MarketRow {
            name: market.market.clone(),
            counts: [
                linked(totals.stations, "stations", None),
                linked(totals.online, "online", Some(true)),
                linked(totals.stations - totals.online, "offline", Some(false)),
            ],
        }
    };
    markets.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::response::station::{Freshness, StationSummary};
    use crate::store::StationCounts;

    #[test]
    fn each_number_leads_to_its_stations() {
        let counts = |market: Option<&str>, stations, online| StationCounts {
            market: market.map(str::to_owned),
            stations,
            online,
            ..StationCounts::default()
        };
        let all = [
            counts(None, 1203, 1201),
            counts(Some("Cape & Co"), 1200, 1200),
            counts(Some(""), 3, 1),
        ];
        let summary = StationSummary::new(&all, Freshness::from(None));
        let filter = FilterQuery {
            connection: Some("east".to_owned()),
            search: Some("a".to_owned()),
            ..FilterQuery::default()
        };
        let rows = market_rows(&filter, &summary.markets);
        let base = "/admin/coverage/base-stations?connection=east&market=Cape%20%26%20Co";
        let numbers = |row: &MarketRow| row.counts.clone().map(|linked| (linked.count, linked.address));
        let linked = |count: &str, address: Option<String>| (count.to_owned(), address);
        assert_eq!(
            numbers(&rows[0]),
            [
                linked("1,200", Some(base.to_owned())),
                linked("1,200", Some(format!("{base}&online=true"))),
                linked("0", None),
            ]
        );
        assert_eq!(
            numbers(&rows[1]),
            ["3", "1", "2"].map(|count| linked(count, None))
        );
    }
}
