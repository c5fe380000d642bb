//! Pure: connections that write the same regions of one table from different data of the vendor. Each takes the base stations of the other for
//! stale, or overwrites them.

use super::key::Key;
use crate::tarana::{Verified, is_same_address};

/// Regions and connections that a message names.
const NAMED: usize = 3;

/// What a connection reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// Address of the vendor's API.
    pub url: &'a str,
    /// Operator and regions.
    pub verified: &'a Verified,
}

impl Source<'_> {
    /// The regions of both, if they read different data. The users of one operator see the same base stations.
    pub fn regions_shared_with(self, other: Source<'_>) -> Vec<String> {
        let is_same_data =
            is_same_address(self.url, other.url) && self.verified.operator_id == other.verified.operator_id;
        if is_same_data {
            return Vec::new();
        }
        let others = &other.verified.regions;
        let shared = self.verified.regions.iter();
        shared
            .filter(|region| others.iter().any(|other| other.id == region.id))
            .map(ToString::to_string)
            .collect()
    }
}

/// Another connection that writes regions of the same table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    pub(super) other: Key,
    pub(super) regions: Vec<String>,
}

/// What a user can do about them; `None` if there are none.
pub(super) fn message(overlaps: &[Overlap], schema: &str) -> Option<String> {
    let regions: Vec<String> = {
        let all = overlaps
            .iter()
            .flat_map(|overlap| overlap.regions.iter().cloned());
        let mut all: Vec<String> = all.collect();
        all.sort();
        all.dedup();
        all
    };
    let others: Vec<String> = overlaps
        .iter()
        .map(|Overlap { other, .. }| format!("{}/{}", other.namespace, other.name))
        .collect();
    (!overlaps.is_empty()).then(|| {
        // What to do is first: a long message is cut at its end.
        format!(
            "each sync deletes or overwrites base stations of another account: divide the regions (spec.api.includeRegionIds, excludeRegionIds), set another \
             spec.database.schema, or suspend one connection; region(s) {} of {schema}.tarana_base_stations are also written by {}",
            list("", &regions),
            list("TaranaConnection ", &others),
        )
    })
}

/// The first few.
fn list(what: &str, items: &[String]) -> String {
    let named = items.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(NAMED) {
        0 => format!("{what}{named}"),
        more => format!("{what}{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tarana::Region;

    fn verified(operator_id: i64, regions: &[i32]) -> Verified {
        let region = |id: &i32| Region {
            id: *id,
            name: (*id == 1).then(|| "Lowveld".into()),
        };
        Verified {
            operator_id,
            regions: regions.iter().map(region).collect(),
        }
    }

    fn shared(own: (&str, &Verified), other: (&str, &Verified)) -> Vec<String> {
        let source = |(url, verified)| Source { url, verified };
        source(own).regions_shared_with(source(other))
    }

    #[test]
    fn only_different_data_of_one_region_overlaps() {
        let (one, two) = (verified(1, &[1, 2, 3]), verified(2, &[3, 1]));
        assert_eq!(
            shared(("https://a", &one), ("https://a", &two)),
            ["Lowveld (1)", "3"]
        );
        assert_eq!(shared(("https://a", &one), ("https://b", &one)).len(), 3);
        for same in ["https://a/", "https://a:443", " HTTPS://A//"] {
            assert!(
                shared(("https://a", &one), (same, &one)).is_empty(),
                "the same account at {same:?}"
            );
        }
        assert_eq!(shared(("https://a", &one), ("https://a:8443", &one)).len(), 3);
        let apart = verified(2, &[4]);
        assert!(shared(("https://a", &one), ("https://a", &apart)).is_empty());
    }

    #[test]
    fn the_message_names_a_few_connections_and_regions() {
        let overlap = |n: usize| Overlap {
            other: Key {
                namespace: "team".to_owned(),
                name: format!("c-{n}"),
            },
            regions: vec![n.to_string(), "9".to_owned()],
        };
        assert_eq!(message(&[], "s"), None);
        let one = message(&[overlap(1)], "s").unwrap();
        let end = "region(s) 1, 9 of s.tarana_base_stations are also written by TaranaConnection team/c-1";
        assert!(one.ends_with(end), "{one}");
        let many: Vec<Overlap> = (1..6).map(overlap).collect();
        let many = message(&many, "s").unwrap();
        assert!(many.contains("region(s) 1, 2, 3 and 3 more of"), "{many}");
        assert!(
            many.ends_with("team/c-1, team/c-2, team/c-3 and 2 more"),
            "{many}"
        );
    }

    proptest! {
        #[test]
        fn property_both_connections_are_told_or_none(
            (one, two) in (prop::collection::vec(0..6_i32, 0..4), prop::collection::vec(0..6_i32, 0..4)),
            (first, second) in (0..2_i64, 0..2_i64),
        ) {
            let (one, two) = (verified(first, &one), verified(second, &two));
            let (there, back) = (shared(("u", &one), ("u", &two)), shared(("u", &two), ("u", &one)));
            prop_assert_eq!(there.is_empty(), back.is_empty());
        }
    }
}
