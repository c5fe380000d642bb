//! Pure: the JSON fields of an item that are read. Every value stays raw, so that an invalid one does not affect the others.

use serde::Deserialize;
use serde_json::value::RawValue;

pub(super) type Raw<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item<'a> {
    #[serde(borrow, rename = "serialNumber")]
    pub(super) serial: Raw<'a>,
    #[serde(borrow, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow)]
    pub(super) host_name: Raw<'a>,
    #[serde(borrow)]
    pub(super) connected: Raw<'a>,
    #[serde(borrow)]
    pub(super) band: Raw<'a>,
    #[serde(borrow)]
    pub(super) last_update_time_seconds: Raw<'a>,
    #[serde(borrow)]
    pub(super) install_params: Raw<'a>,
    #[serde(borrow)]
    pub(super) ancestry: Raw<'a>,
    #[serde(borrow)]
    pub(super) master_serial: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Install<'a> {
    #[serde(borrow)]
    pub(super) latitude: Raw<'a>,
    #[serde(borrow)]
    pub(super) longitude: Raw<'a>,
    #[serde(borrow)]
    pub(super) height: Raw<'a>,
    #[serde(borrow)]
    pub(super) antenna_azimuth: Raw<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ancestry<'a> {
    #[serde(borrow)]
    pub(super) region: Raw<'a>,
    #[serde(borrow)]
    pub(super) market: Raw<'a>,
    #[serde(borrow)]
    pub(super) site: Raw<'a>,
    #[serde(borrow)]
    pub(super) cell: Raw<'a>,
    #[serde(borrow)]
    pub(super) cell_details: Raw<'a>,
    #[serde(borrow)]
    pub(super) sector: Raw<'a>,
    #[serde(borrow)]
    pub(super) sector_details: Raw<'a>,
}

#[derive(Default, Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    pub(super) id: Raw<'a>,
    #[serde(borrow)]
    pub(super) name: Raw<'a>,
}

#[derive(Deserialize)]
pub(super) struct Presence<'a> {
    #[serde(borrow, rename = "serialNumber")]
    pub(super) serial: Raw<'a>,
}
