//! `OperatorList`: all devices of the operator in one list, base nodes and remote nodes mixed, of every region, in no
//! documented order. The server need not heed `count` or `type`.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::station::Rejected;
use crate::tarana::device::{self, Device};
use crate::tarana::envelope::{self, Page};
use crate::tarana::intern::Interner;
use crate::tarana::pages::Source;
use crate::tarana::regions::Region;
use crate::tarana::wire::Request;

/// The one list.
pub(in crate::tarana) struct OperatorList<'a> {
    pub(in crate::tarana) operator_id: i64,
    /// The regions that are read.
    pub(in crate::tarana) regions: &'a [Region],
    /// These are not all that there are: a device that names no region may belong to one that is not read.
    pub(in crate::tarana) chosen: bool,
    pub(in crate::tarana) interner: &'a Interner,
    pub(in crate::tarana) page_size: u32,
    /// Remote nodes are wanted too.
    pub(in crate::tarana) remotes: bool,
}

impl Source for OperatorList<'_> {
    type Row = Device;

    fn what(&self) -> String {
        "the list of the operator's devices".into()
    }

    fn asks(&self) -> u32 {
        self.page_size
    }

    fn request(&self, from: u64) -> Request {
        let filter = if self.remotes { "" } else { "&type=BN" };
        Request::get(format!(
            "/api/nqs/v1/operators/{}/devices?offset={from}&count={}{filter}",
            self.operator_id, self.page_size
        ))
    }

    fn read(&self, data: &RawValue) -> Result<Page<Device>, String> {
        envelope::page(data, |item| {
            self.sort_out(device::decode(item, None, self.interner))
        })
    }
}

impl OperatorList<'_> {
    /// Only the regions that are read; whatever is left out is a row all the same.
    fn sort_out(&self, device: Device) -> Device {
        let Device::Base(mut base) = device else {
            return device;
        };
        let station = &mut base.station;
        let region = station
            .region_id
            .map(|id| self.regions.iter().find(|region| region.id == id));
        match region {
            Some(Some(region)) => {
                if station.region.is_none() {
                    station.region = region.name.as_ref().map(Arc::clone);
                }
                Device::Base(base)
            }
            Some(None) => Device::Elsewhere(base.station.serial),
            None if self.chosen => Device::Rejected(Rejected {
                serial: Some(base.station.serial),
                why: "ancestry names no region, and only some are read (spec.api.includeRegionIds, spec.api.excludeRegionIds)"
                    .into(),
            }),
            None => Device::Base(base),
        }
    }
}
