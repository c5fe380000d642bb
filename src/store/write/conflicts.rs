//! Pure: groups updates that exchange values of unique columns among each other, such as two stations that swap their names.

use super::item::Item;
use crate::store::columns::{Value, values};

/// A unique constraint or index, by the positions of its columns in [`crate::store::columns::COLUMNS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub columns: Vec<usize>,
}

/// Groups of at least two items, in which one takes a value that another one gives up.
pub(super) fn groups<'i>(items: &[Item<'i>], keys: &[Key]) -> Vec<Vec<Item<'i>>> {
    // The group of each item, as the number of one of its members.
    let mut group: Vec<usize> = (0..items.len()).collect();
    for (taker, item) in items.iter().enumerate() {
        for (giver, other) in items.iter().enumerate() {
            if taker != giver && keys.iter().any(|key| takes(item, other, key)) {
                let (from, to) = (group[taker], group[giver]);
                group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
            }
        }
    }
    let members = |of: usize| {
        let all = items.iter().zip(&group);
        all.filter(move |(_, g)| **g == of)
            .map(|(item, _)| item.clone())
            .collect::<Vec<_>>()
    };
    (0..items.len())
        .map(members)
        .filter(|members| members.len() > 1)
        .collect()
}

fn takes(item: &Item<'_>, other: &Item<'_>, key: &Key) -> bool {
    let Some(given) = other.before else {
        return false;
    };
    let (taken, given): ([Value<'_>; _], [Value<'_>; _]) = (values(item.after()), values(given));
    !key.columns.is_empty() && key.columns.iter().all(|at| taken[*at] == given[*at])
}
