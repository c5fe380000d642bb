//! `OperatorList`: all devices of the operator in one list, base nodes and remote nodes of every region mixed, in no
//! documented order. The server may ignore `count` and `type`.

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::station::{Interner, Rejected};
use crate::tarana::http::envelope::{Page, parse_page};
use crate::tarana::http::{Request, RequestClass};
use crate::tarana::listing::device::{Device, decode_device};
use crate::tarana::listing::pages::CountedPages;
use crate::tarana::listing::region::Region;

/// The list of the operator's devices.
pub(crate) struct OperatorList<'a> {
    pub(crate) operator_id: i64,
    /// The regions that are read.
    pub(crate) regions: &'a [Region],
    /// Not all regions are read: a device without a region may belong to another one.
    pub(crate) is_partial: bool,
    pub(crate) interner: &'a Interner,
    pub(crate) page_size: u32,
    /// Includes remote nodes.
    pub(crate) with_remotes: bool,
}

impl CountedPages for OperatorList<'_> {
    type Row = Device;

    fn name(&self) -> String {
        "the list of the operator's devices".into()
    }

    fn page_size(&self) -> u32 {
        self.page_size
    }

    fn request(&self, from: u64) -> Request {
        let filter = if self.with_remotes { "" } else { "&type=BN" };
        let path = format!(
            "/api/nqs/v1/operators/{}/devices?offset={from}&count={}{filter}",
            self.operator_id, self.page_size
        );
        Request::get(RequestClass::Devices, path)
    }

    fn decode(&self, data: &RawValue) -> Result<Page<Device>, String> {
        parse_page(data, |item| {
            self.assign_region(decode_device(item, None, self.interner))
        })
    }
}

impl OperatorList<'_> {
    /// Completes the region of a base node, or marks it as one of a region that is not read. It counts as a row either way.
    fn assign_region(&self, device: Device) -> Device {
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
            Some(None) => Device::OtherRegion(base.station.serial),
            None if self.is_partial => Device::Rejected(Rejected {
                serial: Some(base.station.serial),
                why: "ancestry names no region, and only some are read (spec.api.includeRegionIds, spec.api.excludeRegionIds)"
                    .into(),
            }),
            None => Device::Base(base),
        }
    }
}
