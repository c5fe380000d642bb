//! The seam where the dialects of the vendor's listings differ: how a part is asked for and how it is read.
//! Paging, proof, decoding and gathering are the same for all.

pub(super) mod region_search;

use serde_json::value::RawValue;

use super::device::Device;
use super::envelope::Page;
use super::intern::Interner;
use super::pages::Source;
use super::regions::Region;
use super::wire::Request;

/// One dialect.
pub(super) trait Listing: Sync {
    /// Asks for `count` rows of a region from row `from` on.
    fn request(&self, region: &Region, from: u64, count: u32) -> Request;

    /// Reads such a part. Items that are of no use are rows all the same.
    fn read(&self, data: &RawValue, region: &Region, interner: &Interner) -> Result<Page<Device>, String>;
}

/// One region of a listing, as the page pipeline reads it.
pub(super) struct Part<'a, L> {
    pub(super) listing: &'a L,
    pub(super) region: &'a Region,
    pub(super) interner: &'a Interner,
    pub(super) page_size: u32,
}

impl<L: Listing> Source for Part<'_, L> {
    type Row = Device;

    fn what(&self) -> String {
        match &self.region.name {
            Some(name) => format!("the listing of region {} ({name})", self.region.id),
            None => format!("the listing of region {}", self.region.id),
        }
    }

    fn asks(&self) -> u32 {
        self.page_size
    }

    fn request(&self, from: u64) -> Request {
        self.listing.request(self.region, from, self.page_size)
    }

    fn read(&self, data: &RawValue) -> Result<Page<Device>, String> {
        self.listing.read(data, self.region, self.interner)
    }
}
