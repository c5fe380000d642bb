//! RegionSearch: the devices of a region, with names and a total. The best of the three.

use serde_json::value::RawValue;

use super::Listing;
use crate::tarana::device::{self, Device};
use crate::tarana::envelope::{self, Page};
use crate::tarana::intern::Interner;
use crate::tarana::regions::Region;
use crate::tarana::wire::Request;

const PATH: &str = "/api/nqs/v1/regions/devices/search";
/// The live state only: neither what is configured nor what was.
const BASE_NODES: &str = r#"{"type":"BN","savedConfig":false,"reportedConfig":false,"reportedState":true}"#;
const ALL: &str = r#"{"savedConfig":false,"reportedConfig":false,"reportedState":true}"#;

/// The listing, with or without remote nodes.
#[derive(Clone, Copy, Debug)]
pub(in crate::tarana) struct RegionSearch {
    /// Remote nodes are wanted too.
    pub(in crate::tarana) remotes: bool,
}

impl Listing for RegionSearch {
    fn request(&self, region: &Region, from: u64, count: u32) -> Request {
        let filter = if self.remotes { ALL } else { BASE_NODES };
        let body = format!(r#"{{"ids":[{}],"deviceFilter":{filter}}}"#, region.id);
        Request::post(format!("{PATH}?offset={from}&count={count}"), Some(body))
    }

    fn read(&self, data: &RawValue, region: &Region, interner: &Interner) -> Result<Page<Device>, String> {
        envelope::page(data, |item| device::decode(item, region, interner))
    }
}
