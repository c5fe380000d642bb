//! Pure: addresses of the stations, with filters, sort and page. What has its default is left out.

use crate::admin::map_view::MapView;
use crate::admin::station_query::{FilterQuery, Order, PageQuery, Sort};
use crate::admin::ui::address::{Pair, address, encode, given};
use crate::admin::ui::return_path::{MAP, START};

/// A page of the table.
pub fn table(filter: &FilterQuery, page: &PageQuery) -> String {
    address(START, &[filter_pairs(filter), page_pairs(page)].concat())
}

/// A station. The address has the table's parameters, so that its page leads back to the same table.
pub fn station(serial: &str, filter: &FilterQuery, page: &PageQuery) -> String {
    let path = format!("{START}/{}", encode(serial));
    address(&path, &[filter_pairs(filter), page_pairs(page)].concat())
}

/// An export of the matching stations: `csv`, `geojson` or `kml`.
pub fn export(format: &str, filter: &FilterQuery) -> String {
    address(&format!("/api/v1/stations.{format}"), &filter_pairs(filter))
}

/// The map of the matching stations. Without a view it shows all of them.
pub fn map(filter: &FilterQuery, view: Option<&MapView>) -> String {
    let view = given([
        ("zoom", view.map(|view| view.zoom.to_string())),
        ("lat", view.map(|view| format!("{:.5}", view.lat))),
        ("lng", view.map(|view| format!("{:.5}", view.lng))),
    ]);
    address(MAP, &[filter_pairs(filter), view].concat())
}

/// The stations of an area of the map, without the area.
pub fn map_area(filter: &FilterQuery) -> String {
    address("/api/v1/map", &filter_pairs(filter))
}

/// The parameters of a filter.
pub fn filter_pairs(filter: &FilterQuery) -> Vec<Pair> {
    let pairs = [
        ("namespace", filter.namespace.clone()),
        ("connection", filter.connection.clone()),
        ("search", filter.search.clone()),
        ("market", filter.market.clone()),
        ("region", filter.region.clone()),
        ("online", filter.online.map(|online| online.to_string())),
    ];
    given(pairs)
}

/// The parameters of a page that a new filter keeps.
pub fn kept_pairs(page: &PageQuery) -> Vec<Pair> {
    let default = PageQuery::default();
    given([
        (
            "sort",
            (page.sort != Sort::default()).then(|| page.sort.to_string()),
        ),
        (
            "order",
            (page.order != Order::default()).then(|| page.order.to_string()),
        ),
        (
            "limit",
            (page.limit != default.limit).then(|| page.limit.to_string()),
        ),
    ])
}

fn page_pairs(page: &PageQuery) -> Vec<Pair> {
    let offset = given([("offset", (page.offset > 0).then(|| page.offset.to_string()))]);
    [kept_pairs(page), offset].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_only_what_is_not_the_default() {
        let all = (FilterQuery::default(), PageQuery::default());
        assert_eq!(table(&all.0, &all.1), START);
        let filter = FilterQuery {
            connection: Some("east".to_owned()),
            search: Some("a&b <\u{5d0}>".to_owned()),
            online: Some(false),
            ..FilterQuery::default()
        };
        let page = PageQuery {
            sort: Sort::SiteName,
            order: Order::Descending,
            offset: 50,
            limit: 50,
        };
        let query = "connection=east&search=a%26b%20%3C%D7%90%3E&online=false";
        assert_eq!(
            table(&filter, &page),
            format!("{START}?{query}&sort=siteName&order=descending&offset=50")
        );
        assert_eq!(
            station("S/1?", &filter, &all.1),
            format!("{START}/S%2F1%3F?{query}")
        );
        let view = MapView {
            zoom: 7,
            lng: 28.0,
            lat: -26.5,
        };
        assert_eq!(
            map(&filter, Some(&view)),
            format!("{MAP}?{query}&zoom=7&lat=%2D26%2E50000&lng=28%2E00000")
        );
        assert_eq!(export("csv", &filter), format!("/api/v1/stations.csv?{query}"));
    }
}
