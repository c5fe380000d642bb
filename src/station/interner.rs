//! Pure: shares one copy of each string that thousands of devices or rows have in common.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The markets, regions and bands of one fetch or one table: a few dozen strings, used by every station.
#[derive(Debug, Default)]
pub struct Interner(Mutex<HashSet<Arc<str>>>);

impl Interner {
    /// The shared copy of `text`.
    pub fn intern(&self, text: &str) -> Arc<str> {
        // No code panics in the middle of a change, so the set behind a poisoned lock is valid.
        let mut strings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = strings.get(text) {
            return Arc::clone(copy);
        }
        let copy: Arc<str> = text.into();
        strings.insert(Arc::clone(&copy));
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
        assert!(Arc::ptr_eq(&interner.intern("JHB"), &interner.intern("JHB")));
        assert!(!Arc::ptr_eq(&interner.intern("JHB"), &interner.intern("CPT")));
    }
}
