//! Reads a listing until it is proven complete, or until that proves impossible.

mod operator_list;
mod radio_search;
mod read;
mod region_search;
mod rejection;
mod result;

pub(super) use self::read::read;
pub(super) use self::rejection::ReadError;
