//! Pure: labels and values of series.

use jiff::Timestamp;
use kube::Resource;

/// Namespace and name.
pub(super) fn names(object: &impl Resource) -> [&str; 2] {
    let metadata = object.meta();
    [
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    ]
}

pub(super) fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// Epoch seconds.
pub(super) fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}
