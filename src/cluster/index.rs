//! Objects of a watch cache by a key, like an `Indexer` of client-go.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use kube::ResourceExt;

use super::kind::Kind;

/// The keys under which an object is found.
pub type IndexKeys<K> = fn(&K) -> Vec<String>;

/// Namespace and name of an object.
type Name = Arc<(String, String)>;

/// The objects by key. An object may have any number of keys.
#[derive(Debug)]
pub(super) struct Index<K> {
    keys: IndexKeys<K>,
    content: RwLock<Content<K>>,
}

#[derive(Debug)]
struct Content<K> {
    objects: HashMap<String, BTreeMap<Name, Arc<K>>>,
    /// The keys of each object that has any.
    keys: HashMap<Name, Vec<String>>,
}

impl<K> Default for Content<K> {
    fn default() -> Self {
        Self {
            objects: HashMap::new(),
            keys: HashMap::new(),
        }
    }
}

impl<K: Kind> Index<K> {
    pub fn new(keys: IndexKeys<K>) -> Self {
        Self {
            keys,
            content: RwLock::default(),
        }
    }

    /// The objects under a key, by name.
    pub fn find(&self, key: &str) -> Vec<Arc<K>> {
        // No code panics while it changes the content, so a poisoned lock still guards a consistent index.
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let objects = content.objects.get(key);
        objects.map_or_else(Vec::new, |objects| objects.values().cloned().collect())
    }

    /// Adds an object or replaces its former state.
    pub fn insert(&self, object: &Arc<K>) {
        self.change(|content| {
            content.remove(&name(object.as_ref()));
            content.insert(object, (self.keys)(object));
        });
    }

    pub fn remove(&self, object: &K) {
        self.change(|content| content.remove(&name(object)));
    }

    /// Replaces all objects.
    pub fn replace(&self, objects: &[Arc<K>]) {
        let mut listed = Content::default();
        for object in objects {
            listed.insert(object, (self.keys)(object));
        }
        self.change(|content| *content = listed);
    }

    fn change(&self, change: impl FnOnce(&mut Content<K>)) {
        change(&mut self.content.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<K: Kind> Content<K> {
    fn insert(&mut self, object: &Arc<K>, keys: Vec<String>) {
        if keys.is_empty() {
            return;
        }
        let name = name(object.as_ref());
        for key in &keys {
            let objects = self.objects.entry(key.clone()).or_default();
            objects.insert(Arc::clone(&name), Arc::clone(object));
        }
        self.keys.insert(name, keys);
    }

    fn remove(&mut self, name: &Name) {
        for key in self.keys.remove(name).unwrap_or_default() {
            if let Some(objects) = self.objects.get_mut(&key) {
                objects.remove(name);
                if objects.is_empty() {
                    self.objects.remove(&key);
                }
            }
        }
    }
}

fn name(object: &impl ResourceExt) -> Name {
    Arc::new((object.namespace().unwrap_or_default(), object.name_any()))
}

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
        index.replace(&[run("b", "x"), run("a", "x"), run("c", "")]);
        assert_eq!(
            (names("x"), names("all")),
            (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()])
        );
        index.insert(&run("b", "y"));
        assert_eq!(
            (names("x"), names("y")),
            (vec!["a".to_owned()], vec!["b".to_owned()])
        );
        index.insert(&run("b", ""));
        index.remove(&run("a", "whatever"));
        assert!(names("x").is_empty() && names("y").is_empty() && names("all").is_empty());
        assert!(index.content.read().unwrap().objects.is_empty());
        assert!(index.content.read().unwrap().keys.is_empty());
    }
}
