//! `RegionSearch`: the devices of a region, with names and a total. The best of the three.

use serde_json::value::RawValue;

use super::of_region;
use crate::tarana::device::{self, Device};
use crate::tarana::envelope::{self, Page};
use crate::tarana::intern::Interner;
use crate::tarana::pages::Source;
use crate::tarana::regions::Region;
use crate::tarana::wire::Request;

const PATH: &str = "/api/nqs/v1/regions/devices/search";
/// The live state only: neither what is configured nor what was.
const BASE_NODES: &str = r#"{"type":"BN","savedConfig":false,"reportedConfig":false,"reportedState":true}"#;
const ALL: &str = r#"{"savedConfig":false,"reportedConfig":false,"reportedState":true}"#;

/// The list of one region.
pub(in crate::tarana) struct RegionSearch<'a> {
    pub(in crate::tarana) region: &'a Region,
    pub(in crate::tarana) interner: &'a Interner,
    pub(in crate::tarana) page_size: u32,
    /// Remote nodes are wanted too.
    pub(in crate::tarana) remotes: bool,
}

impl Source for RegionSearch<'_> {
    type Row = Device;

    fn what(&self) -> String {
        of_region(self.region)
    }

    fn asks(&self) -> u32 {
        self.page_size
    }

    fn request(&self, from: u64) -> Request {
        let filter = if self.remotes { ALL } else { BASE_NODES };
        let body = format!(r#"{{"ids":[{}],"deviceFilter":{filter}}}"#, self.region.id);
        Request::post(
            format!("{PATH}?offset={from}&count={}", self.page_size),
            Some(body),
        )
    }

    fn read(&self, data: &RawValue) -> Result<Page<Device>, String> {
        envelope::page(data, |item| {
            device::decode(item, Some(self.region), self.interner)
        })
    }
}
