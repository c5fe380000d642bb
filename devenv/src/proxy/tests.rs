use std::sync::Arc;

use super::interceptor::Disposition;
use super::postgres::is_commit;
use super::{Interceptor, Moment, Target};

#[test]
fn is_commit_recognizes_only_commit() {
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
async fn only_the_nth_side_effect_is_intercepted() {
    let interceptor = Arc::new(Interceptor::default());
    interceptor.intercept(Target::Nth(2), Moment::After);
    assert_eq!(interceptor.record("a"), None);
    assert_eq!(interceptor.record("b"), Some(Moment::After));
    assert_eq!(interceptor.record("c"), None);
    let (disposition, name) = tokio::join!(interceptor.hold("b"), async {
        let name = interceptor.wait_until_intercepted().await;
        interceptor.forward();
        name
    });
    assert_eq!((disposition, name.as_str()), (Disposition::Forward, "b"));
    assert_eq!(interceptor.recorded(), ["a", "b", "c"]);
}

#[test]
fn only_the_nth_side_effect_of_a_name_is_intercepted() {
    let interceptor = Interceptor::default();
    interceptor.intercept(Target::NthNamed(2, "b"), Moment::Before);
    for (name, moment) in [("b", None), ("a", None), ("b", Some(Moment::Before)), ("b", None)] {
        assert_eq!(interceptor.record(name), moment);
    }
}
