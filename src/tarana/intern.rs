//! Pure: one copy of each text that thousands of devices share.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Markets, regions and bands of one fetch: a few dozen texts, named by every device.
#[derive(Debug, Default)]
pub(super) struct Interner(Mutex<HashSet<Arc<str>>>);

impl Interner {
    /// The shared copy of `text`.
    pub(super) fn get(&self, text: &str) -> Arc<str> {
        // A set of texts cannot be left half changed, so a poisoned lock is as good as another.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = known.get(text) {
            return Arc::clone(copy);
        }
        let copy: Arc<str> = text.into();
        known.insert(Arc::clone(&copy));
        copy
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Interner;

    #[test]
    fn equal_texts_share_one_copy() {
        let interner = Interner::default();
        assert!(Arc::ptr_eq(&interner.get("JHB"), &interner.get("JHB")));
        assert!(!Arc::ptr_eq(&interner.get("JHB"), &interner.get("CPT")));
    }
}
