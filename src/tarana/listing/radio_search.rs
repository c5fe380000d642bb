//! `RadioSearch` (TMQ v1): the base nodes of a region, without a total, without names, and without remote nodes.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::of_region;
use crate::tarana::device::{Device, radio};
use crate::tarana::envelope::object;
use crate::tarana::hierarchy::Names;
use crate::tarana::intern::Interner;
use crate::tarana::pages::Trail;
use crate::tarana::regions::Region;
use crate::tarana::wire::Request;

/// The list of one region, from one of its ends.
pub(in crate::tarana) struct RadioSearch<'a> {
    pub(in crate::tarana) region: &'a Region,
    pub(in crate::tarana) names: &'a Names,
    pub(in crate::tarana) interner: &'a Interner,
    pub(in crate::tarana) page_size: u32,
    /// From the last to the first.
    pub(in crate::tarana) backwards: bool,
}

impl Trail for RadioSearch<'_> {
    type Row = Device;

    fn what(&self) -> String {
        of_region(self.region)
    }

    fn request(&self, from: u64) -> Request {
        let direction = if self.backwards { "DESC" } else { "ASC" };
        let body = json!({
            "query": {
                "deviceType": "BN",
                "pagination": {"offset": from, "limit": self.page_size},
                "sort": [{"field": "deviceId", "direction": direction}],
                "conditions": [{"logicalOperator": "AND", "conditions": [
                    {"type": "hierarchy", "logicalOperator": "AND", "conditions": [
                        {"field": "regionId", "operation": "EXIST", "values": [self.region.id]}]}]}],
            },
            "outputSchema": {"deviceFields": radio::FIELDS},
        });
        Request::post("/api/tmq/v1/radios/search", Some(body.to_string()))
    }

    fn read(&self, data: &RawValue) -> Result<Vec<Device>, String> {
        #[derive(Deserialize)]
        struct List<'a> {
            #[serde(borrow)]
            devices: Option<Vec<&'a RawValue>>,
        }
        let list: List<'_> = object(data.get()).map_err(|_| "`data` is not a list with devices")?;
        let devices = list.devices.ok_or("`data.devices` is missing")?;
        let read = |item: &RawValue| radio::decode(item.get(), self.region, self.names, self.interner);
        Ok(devices.into_iter().map(read).collect())
    }
}
