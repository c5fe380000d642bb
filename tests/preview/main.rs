//! `tarana-operator preview` as a user runs it: output, exit code and error message of the real binary.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; its helpers are not marked as tests"
)]

use std::process::{Command, Output};

fn preview(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tarana-operator"))
        .env_clear()
        .arg("preview")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The lines of a successful preview.
fn lines(arguments: &[&str]) -> Vec<String> {
    let output = preview(arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    text(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn slots_are_printed_in_utc() {
    let after = ["--after", "2026-03-27T12:00:00Z"];
    let berlin = [
        &["30 2 * * *", "--time-zone", "Europe/Berlin", "--count", "3"][..],
        &after,
    ]
    .concat();
    assert_eq!(
        lines(&berlin),
        [
            "2026-03-28T01:30:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-30T00:30:00Z"
        ]
    );
    assert_eq!(lines(&[&["@daily"][..], &after].concat()).len(), 10);
    let until = ["--until", "2026-04-30T00:00:00Z"];
    assert_eq!(lines(&[&["@daily"][..], &after, &until].concat()).len(), 34);
    assert_eq!(
        lines(&[&["@daily", "--count", "10"][..], &after, &until].concat()).len(),
        10
    );
    assert_eq!(lines(&["0 0 30 2 *"]), ["never"]);
}

#[test]
fn what_the_schema_rejects_ends_with_exit_code_2_and_one_line() {
    let long = format!("{:257}", "0 0 * * *");
    let long_zone = "x".repeat(65);
    for (arguments, message) in [
        (&["@daily "][..], "write @daily"),
        (&[" @daily"], "five"),
        (&["@Daily"], "is not known"),
        (&["@every 5m"], "*/5"),
        (&[&long], "257 characters, the maximum is 256"),
        (&["0 0 0 * * *"], "6 fields"),
        (&["0 0 * *\n*"], "fields"),
        (&["TZ=UTC 0 0 * * *"], "timeZone"),
        (&["0 0 L * *"], "day of month"),
        (&["0 22-6 * * *"], "the range runs down"),
        (&[""], "0 fields"),
        (&["0 0 * * *", "--time-zone", "Etc/Unknown"], "Etc/Unknown"),
        (&["0 0 * * *", "--time-zone", "Factory"], "Factory"),
        (&["0 0 * * *", "--time-zone", "Mars/Olympus"], "Mars/Olympus"),
        (&["0 0 * * *", "--time-zone", ""], "time zone"),
        (&["0 0 * * *", "--time-zone", &long_zone], "time zone"),
    ] {
        let output = preview(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
        let error = text(&output.stderr);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(message), "{arguments:?}: {error}");
    }
}
