//! `RadioSearch` (TMQ v1): the base nodes of a region, without a total, without names, and without remote nodes.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::station::Interner;
use crate::tarana::http::Request;
use crate::tarana::http::envelope::parse_object;
use crate::tarana::listing::device::{Device, RADIO_FIELDS, decode_radio};
use crate::tarana::listing::hierarchy::Names;
use crate::tarana::listing::pages::UncountedPages;
use crate::tarana::listing::region::Region;

/// The list of one region, in ascending or descending order.
pub(crate) struct RadioSearch<'a> {
    pub(crate) region: &'a Region,
    pub(crate) names: &'a Names,
    pub(crate) interner: &'a Interner,
    pub(crate) page_size: u32,
    pub(crate) descending: bool,
}

impl UncountedPages for RadioSearch<'_> {
    type Row = Device;

    fn name(&self) -> String {
        self.region.listing_name()
    }

    fn request(&self, from: u64) -> Request {
        let direction = if self.descending { "DESC" } else { "ASC" };
        let body = json!({
            "query": {
                "deviceType": "BN",
                "pagination": {"offset": from, "limit": self.page_size},
                "sort": [{"field": "deviceId", "direction": direction}],
                "conditions": [{"logicalOperator": "AND", "conditions": [
                    {"type": "hierarchy", "logicalOperator": "AND", "conditions": [
                        {"field": "regionId", "operation": "EXIST", "values": [self.region.id]}]}]}],
            },
            "outputSchema": {"deviceFields": RADIO_FIELDS},
        });
        Request::search("/api/tmq/v1/radios/search", body.to_string())
    }

    fn decode(&self, data: &RawValue) -> Result<Vec<Device>, String> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            devices: Option<Vec<&'a RawValue>>,
        }
        let list: List<'_> = parse_object(data.get()).map_err(|_| "`data` is not a list with devices")?;
        let devices = list.devices.ok_or("`data.devices` is missing")?;
        let decode = |item: &RawValue| decode_radio(item.get(), self.region, self.names, self.interner);
        Ok(devices.into_iter().map(decode).collect())
    }
}
