//! `RegionSearch`: the devices of a region, with names and a total. The best of the three listings.

use serde_json::value::RawValue;

use crate::station::Interner;
use crate::tarana::http::Request;
use crate::tarana::http::envelope::{Page, parse_page};
use crate::tarana::listing::device::{Device, decode_device};
use crate::tarana::listing::pages::CountedPages;
use crate::tarana::listing::region::Region;

const PATH: &str = "/api/nqs/v1/regions/devices/search";
/// Only the reported state, without saved and reported configurations.
const BASE_NODES: &str = r#"{"type":"BN","savedConfig":false,"reportedConfig":false,"reportedState":true}"#;
const ALL_DEVICES: &str = r#"{"savedConfig":false,"reportedConfig":false,"reportedState":true}"#;

/// The list of one region.
pub(crate) struct RegionSearch<'a> {
    pub(crate) region: &'a Region,
    pub(crate) interner: &'a Interner,
    pub(crate) page_size: u32,
    /// Includes remote nodes.
    pub(crate) with_remotes: bool,
}

impl CountedPages for RegionSearch<'_> {
    type Row = Device;

    fn name(&self) -> String {
        self.region.listing_name()
    }

    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn request(&self, from: u64) -> Request {
        let filter = if self.with_remotes {
            ALL_DEVICES
        } else {
            BASE_NODES
        };
        let body = format!(r#"{{"ids":[{}],"deviceFilter":{filter}}}"#, self.region.id);
        Request::search(format!("{PATH}?offset={from}&count={}", self.page_size), body)
    }

    fn decode(&self, data: &RawValue) -> Result<Page<Device>, String> {
        parse_page(data, |item| decode_device(item, Some(self.region), self.interner))
    }
}
