//! The seam where the dialects of the vendor's listings differ: into which lists a fleet is cut, how each is asked for
//! and how it is read. Paging, decoding and gathering are the same for all; see `README.md` for what each can prove.

pub(super) mod operator_list;
pub(super) mod radio_search;
pub(super) mod region_search;

use super::regions::Region;

/// A region's list, as a person reads it.
fn of_region(region: &Region) -> String {
    match &region.name {
        Some(name) => format!("the listing of region {} ({name})", region.id),
        None => format!("the listing of region {}", region.id),
    }
}
