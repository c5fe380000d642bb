//! Objects of a watch cache by a key, like an `Indexer` of client-go.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use super::kind::Kind;

/// The keys under which an object is found.
pub type IndexKeys<K> = fn(&K) -> Vec<String>;

/// The objects by key. An object may have any number of keys.
///
/// There may be tens of thousands of objects, so the index keeps no copy of an object's keys: whoever changes an object names its
/// former state.
#[derive(Debug)]
pub(super) struct Index<K: Kind> {
    keys: IndexKeys<K>,
    objects: RwLock<Objects<K>>,
}

type Objects<K> = HashMap<String, BTreeSet<ByName<K>>>;

impl<K: Kind> Index<K> {
    pub fn new(keys: IndexKeys<K>) -> Self {
        Self {
            keys,
            objects: RwLock::default(),
        }
    }

    /// The objects under a key, by name.
    pub fn find(&self, key: &str) -> Vec<Arc<K>> {
        // No code panics while it changes the index, so a poisoned lock still guards a consistent one.
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        let objects = objects.get(key);
        objects.map_or_else(Vec::new, |objects| {
            objects.iter().map(|o| Arc::clone(&o.0)).collect()
        })
    }

    /// Replaces the former state of an object, if there was one, by its present one, if it still exists.
    pub fn update(&self, former: Option<&Arc<K>>, present: Option<&Arc<K>>) {
        self.change(|objects| {
            if let Some(former) = former {
                self.remove(objects, former);
            }
            if let Some(present) = present {
                self.insert(objects, present);
            }
        });
    }

    /// Replaces all objects.
    pub fn replace(&self, present: &[Arc<K>]) {
        let mut listed = Objects::default();
        for object in present {
            self.insert(&mut listed, object);
        }
        self.change(|objects| *objects = listed);
    }

    fn change(&self, change: impl FnOnce(&mut Objects<K>)) {
        change(&mut self.objects.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn insert(&self, objects: &mut Objects<K>, object: &Arc<K>) {
        for key in (self.keys)(object) {
            objects
                .entry(key)
                .or_default()
                .replace(ByName(Arc::clone(object)));
        }
    }

    fn remove(&self, objects: &mut Objects<K>, object: &Arc<K>) {
        let name = ByName(Arc::clone(object));
        for key in (self.keys)(object) {
            if let Some(with_key) = objects.get_mut(&key) {
                with_key.remove(&name);
                if with_key.is_empty() {
                    objects.remove(&key);
                }
            }
        }
    }
}

/// An object that is compared by namespace and name.
#[derive(Debug)]
struct ByName<K>(Arc<K>);

impl<K: Kind> ByName<K> {
    fn name(&self) -> (Option<&str>, Option<&str>) {
        let metadata = self.0.meta();
        (metadata.namespace.as_deref(), metadata.name.as_deref())
    }
}

impl<K: Kind> Ord for ByName<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(&other.name())
    }
}

impl<K: Kind> PartialOrd for ByName<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Kind> PartialEq for ByName<K> {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl<K: Kind> Eq for ByName<K> {}

#[cfg(test)]
mod tests {
    use super::Index;
    use crate::api::sync::{TaranaSync, TaranaSyncSpec};
    use kube::ResourceExt;
    use std::sync::Arc;

    fn run(name: &str, connection: &str) -> Arc<TaranaSync> {
        let mut spec = TaranaSyncSpec::default();
        spec.connection_ref.name = connection.to_owned();
        Arc::new(TaranaSync::new(name, spec))
    }

    #[test]
    fn an_object_is_found_under_its_present_keys_only() {
        let index = Index::<TaranaSync>::new(|sync| match sync.spec.connection_ref.name.as_str() {
            "" => vec![],
            name => vec![name.to_owned(), "all".to_owned()],
        });
        let names = |key: &str| {
            index
                .find(key)
                .iter()
                .map(|run| run.name_any())
                .collect::<Vec<_>>()
        };
        let (a, b) = (run("a", "x"), run("b", "x"));
        index.replace(&[b.clone(), a.clone(), run("c", "")]);
        assert_eq!(
            (names("x"), names("all")),
            (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()])
        );
        let moved = run("b", "y");
        index.update(Some(&b), Some(&moved));
        assert_eq!(
            (names("x"), names("y")),
            (vec!["a".to_owned()], vec!["b".to_owned()])
        );
        index.update(Some(&moved), Some(&run("b", "")));
        index.update(Some(&a), None);
        assert!(index.objects.read().unwrap().is_empty());
        index.update(None, Some(&run("d", "x")));
        assert_eq!(names("x"), ["d"]);
    }
}
