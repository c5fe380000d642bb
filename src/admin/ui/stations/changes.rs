//! Pure: the changes of a station in words, as before → after.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::admin::response::station::ChangeResponse;
use crate::admin::ui::words;

/// Columns of the table and their names, in the order in which a page shows them.
const COLUMNS: [(&str, &str); 19] = [
    ("serial_number", "Serial number"),
    ("device_status", "Status"),
    ("active_connections", "Active connections"),
    ("site_name", "Site"),
    ("hostname", "Host name"),
    ("cell_name", "Cell"),
    ("sector_name", "Sector"),
    ("market", "Market"),
    ("region", "Region"),
    ("lat", "Latitude"),
    ("lng", "Longitude"),
    ("height_m", "Height in m"),
    ("azimuth_deg", "Azimuth in degrees"),
    ("band", "Band"),
    ("site_id", "Site id"),
    ("cell_id", "Cell id"),
    ("sector_id", "Sector id"),
    ("market_id", "Market id"),
    ("region_id", "Region id"),
];

/// A change of a station.
#[derive(Clone, Debug)]
pub struct StationChangeView {
    pub title: &'static str,
    /// Serial number of the station.
    pub serial: String,
    pub time: Timestamp,
    pub time_text: String,
    /// Id of the run.
    pub run: Uuid,
    /// Whether it was only planned.
    pub is_planned: bool,
    /// Whether only some fields changed.
    pub is_update: bool,
    /// The fields that changed; of a station that was added or removed, those with a value.
    pub fields: Vec<ChangedField>,
}

/// A field before and after a change. `None` means empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedField {
    pub name: String,
    pub before: Option<String>,
    pub after: Option<String>,
}

impl StationChangeView {
    /// The change. `planned_deletion` is the title of a deletion that was not applied: by a dry run, or because it was withheld.
    pub fn new(change: ChangeResponse, planned_deletion: &'static str) -> Self {
        let title = match (change.op.as_str(), change.applied) {
            ("insert", true) => "Added",
            ("insert", false) => "Would be added",
            ("delete", true) => "Removed",
            ("delete", false) => planned_deletion,
            (_, true) => "Changed",
            (_, false) => "Would be changed",
        };
        Self {
            title,
            serial: change.serial,
            time: change.at,
            time_text: words::utc(change.at),
            run: change.run,
            is_planned: !change.applied,
            is_update: change.before.is_some() && change.after.is_some(),
            fields: changed_fields(change.before.as_ref(), change.after.as_ref()),
        }
    }
}

/// The fields that differ, in the order of [`COLUMNS`]; unknown ones last.
fn changed_fields(before: Option<&Value>, after: Option<&Value>) -> Vec<ChangedField> {
    let keys = |side: Option<&Value>| -> Vec<String> {
        let object = side.and_then(Value::as_object);
        object
            .map(|object| object.keys().cloned().collect())
            .unwrap_or_default()
    };
    let mut names = [keys(before), keys(after)].concat();
    let place = |name: &String| COLUMNS.iter().position(|(column, _)| column == name);
    names.sort_by_key(|name| (place(name).unwrap_or(COLUMNS.len()), name.clone()));
    names.dedup();
    let text = |side: Option<&Value>, name: &str| side.and_then(|side| value_text(name, side.get(name)?));
    let fields = names.into_iter().map(|name| ChangedField {
        before: text(before, &name),
        after: text(after, &name),
        name: place(&name).map_or_else(|| name.clone(), |at| COLUMNS[at].1.to_owned()),
    });
    fields.filter(|field| field.before != field.after).collect()
}

/// A value in words; `None` if it is empty.
fn value_text(column: &str, value: &Value) -> Option<String> {
    let text = match (column, value) {
        (_, Value::Null) => return None,
        ("device_status", value) if value.as_i64() == Some(1) => "Online".to_owned(),
        ("device_status", _) => "Offline".to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, value) => value.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_that_was_not_applied_is_not_called_done() {
        let title = |op: &str, applied: bool| {
            let change = ChangeResponse {
                run: Uuid::nil(),
                at: Timestamp::UNIX_EPOCH,
                seq: 1,
                serial: "S1".to_owned(),
                op: op.to_owned(),
                before: None,
                after: None,
                applied,
            };
            StationChangeView::new(change, "Kept").title
        };
        let titles = ["insert", "update", "delete"].map(|op| (title(op, true), title(op, false)));
        let expected = [
            ("Added", "Would be added"),
            ("Changed", "Would be changed"),
            ("Removed", "Kept"),
        ];
        assert_eq!(titles, expected);
    }

    #[test]
    fn only_fields_that_differ_are_shown_in_words() {
        let field = |name: &str, before: Option<&str>, after: Option<&str>| ChangedField {
            name: name.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let before =
            json!({"market": "East", "device_status": 1, "height_m": 12.50, "band": null, "new_column": 1});
        let after =
            json!({"market": "<b>", "device_status": 0, "height_m": 12.50, "band": "5ghz", "new_column": 2});
        assert_eq!(
            changed_fields(Some(&before), Some(&after)),
            [
                field("Status", Some("Online"), Some("Offline")),
                field("Market", Some("East"), Some("<b>")),
                field("Band", None, Some("5ghz")),
                field("new_column", Some("1"), Some("2")),
            ]
        );
        let inserted = json!({"serial_number": "S1", "site_name": "", "device_status": null});
        assert_eq!(
            changed_fields(None, Some(&inserted)),
            [field("Serial number", None, Some("S1"))]
        );
        assert_eq!(changed_fields(None, None), []);
    }
}
