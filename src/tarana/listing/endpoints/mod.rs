//! The vendor's three endpoints that list devices.

mod operator_list;
mod radio_search;
mod region_search;

pub(super) use self::operator_list::OperatorList;
pub(super) use self::radio_search::RadioSearch;
pub(super) use self::region_search::RegionSearch;
