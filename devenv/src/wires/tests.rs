use std::sync::Arc;

use super::postgres::is_commit;
use super::{Effects, Moment, Target};

#[test]
fn only_commit_is_a_commit() {
    for (kind, message) in [
        (b'Q', "COMMIT\0"),
        (b'Q', " commit;\0"),
        (b'P', "\0COMMIT\0\0\0"),
        (b'P', "name\0COMMIT\0\0\0"),
    ] {
        assert!(is_commit(kind, message.as_bytes()), "{message:?}");
    }
    for (kind, message) in [
        (b'Q', "ROLLBACK\0"),
        (b'Q', "COMMIT PREPARED 'x'\0"),
        (b'B', "COMMIT\0"),
        (b'P', "COMMIT\0SELECT 1\0\0\0"),
    ] {
        assert!(!is_commit(kind, message.as_bytes()), "{message:?}");
    }
}

#[tokio::test]
async fn the_nth_effect_alone_is_caught() {
    let effects = Arc::new(Effects::default());
    effects.catch(Target::Nth(2), Moment::After);
    assert_eq!(effects.arrives("a"), None);
    assert_eq!(effects.arrives("b"), Some(Moment::After));
    assert_eq!(effects.arrives("c"), None);
    let (verdict, name) = tokio::join!(effects.hold("b"), async {
        let name = effects.caught().await;
        effects.pass();
        name
    });
    assert_eq!((verdict, name.as_str()), (super::effects::Verdict::Pass, "b"));
    assert_eq!(effects.told(), ["a", "b", "c"]);
}

#[test]
fn the_nth_effect_of_a_name_alone_is_caught() {
    let effects = Effects::default();
    effects.catch(Target::NthNamed(2, "b"), Moment::Before);
    for (name, moment) in [("b", None), ("a", None), ("b", Some(Moment::Before)), ("b", None)] {
        assert_eq!(effects.arrives(name), moment);
    }
}
