//! Pure: an example of each kind of fault.

use super::{CutLength, ErrorShape, Fault, RecordDefect};

impl Fault {
    /// One fault of each kind, as mild as detection allows, for tests that cover all kinds.
    pub fn examples() -> Vec<Self> {
        let cut = |length| Self::Cut { bytes: 100, length };
        let record = |defect| Self::Record {
            defect,
            at: 0,
            size: None,
        };
        let mut all = vec![
            Self::Latency { ms: 1 },
            Self::Status {
                status: 500,
                body: None,
            },
            Self::Throttle {
                seconds: 1,
                as_date: false,
            },
            Self::Overload {
                limit: 1,
                status: 503,
                retry_after: None,
            },
            Self::Reset { after_bytes: None },
            Self::SlowBody {
                chunk: 500,
                every_ms: 1,
            },
            Self::Hang { after_bytes: None },
            cut(CutLength::Right),
            record(RecordDefect::NullItem),
            Self::ErrorUnder200 {
                shape: ErrorShape::Nqs,
            },
            Self::Html,
            Self::Redirect { to: None },
            Self::Expire,
            Self::Challenge { result: None },
            Self::HugeBody { bytes: 1 },
            Self::EndlessBody,
            Self::Gzip,
            Self::ByteOrderMark,
            Self::Latin1,
            Self::ContentType {
                name: "text/plain".to_owned(),
            },
        ];
        all.extend(Self::of_a_list());
        all
    }

    fn of_a_list() -> Vec<Self> {
        vec![
            Self::ShortPage { items: 1 },
            Self::EmptyPage,
            Self::MissingItems,
            Self::NoTotal,
            Self::WrongTotal { by: 1, step: 0 },
            Self::RepeatRows {
                rows: 1,
                different: false,
            },
            Self::DropRows { rows: 1 },
            Self::OtherPage { offset: 0 },
            Self::OtherRegion { region: 1073 },
            Self::LongPage { items: 50 },
            Self::AnyKind,
            Self::Hide { rows: 1 },
            Self::WrongOffset { by: 1 },
            Self::WrongCount { by: 1 },
            Self::NumbersAsText,
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Fault;

    /// The kinds that serde accepts, from its error message for an unknown one.
    fn known() -> BTreeSet<String> {
        let error = serde_json::from_str::<Fault>(r#"{"kind":"?"}"#)
            .unwrap_err()
            .to_string();
        let (_, known) = error.split_once("expected one of ").unwrap();
        known
            .split('`')
            .filter(|word| word.starts_with(char::is_alphabetic) && *word != "at")
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn examples_contain_each_kind_once() {
        let kinds: BTreeSet<String> = Fault::examples()
            .iter()
            .map(|fault| {
                serde_json::to_value(fault).unwrap()["kind"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(kinds, known());
        assert_eq!(kinds.len(), Fault::examples().len(), "each once");
    }
}
