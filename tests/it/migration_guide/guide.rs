//! Reads the blocks of the guide, and compares an output with the one that it shows.

/// A block of commands.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// `sh` or `sql`.
    pub language: String,
    pub text: String,
    /// The `text` block that follows directly: the output that the guide promises.
    pub output: Option<String>,
}

/// The blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let parts: Vec<&str> = page.split("\n```").collect();
    assert_eq!(parts.len() % 2, 1, "a block is not closed");
    for (index, pair) in parts[1..].chunks(2).enumerate() {
        let (language, text) = pair[0].split_once('\n').unwrap();
        if language == "text" {
            let follows = parts[2 * index].trim().is_empty();
            assert!(follows, "an output without its command: {text}");
            blocks.last_mut().unwrap().output = Some(text.to_owned());
            continue;
        }
        assert!(["sh", "sql"].contains(&language), "{language}");
        blocks.push(Block {
            language: language.to_owned(),
            text: text.to_owned(),
            output: None,
        });
    }
    blocks
}

/// Each expected line is in the output, in order. Spaces are equal to each other, and `…` stands for anything. Returns the first line that is
/// missing.
pub fn compare(expected: &str, output: &str) -> Result<(), String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = output.lines().map(words);
    for wanted in expected.lines().map(words) {
        if !lines.any(|line| matches(&wanted, &line)) {
            return Err(wanted);
        }
    }
    Ok(())
}

fn matches(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut ends_open = false;
    for part in parts {
        ends_open = part.is_empty();
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || ends_open
}

#[test]
fn blocks_have_the_output_that_follows_them() {
    let page = "a\n```sh\nls\n```\n\n```text\nx\n```\nb\n```sql\nSELECT 1;\n```\n";
    let block = |language: &str, text: &str, output: Option<&str>| Block {
        language: language.into(),
        text: text.into(),
        output: output.map(Into::into),
    };
    assert_eq!(
        blocks(page),
        [block("sh", "ls", Some("x")), block("sql", "SELECT 1;", None)]
    );
}

#[test]
fn outputs_are_compared_line_by_line() {
    for (expected, output, same) in [
        ("a b", "x\n a   b\ny", true),
        ("a\nb", "b\na", false),
        ("a …", "a 5m", true),
        ("a … c", "a b c", true),
        ("a … c", "a b d", false),
        ("0", "10", false),
    ] {
        assert_eq!(compare(expected, output).is_ok(), same, "{expected:?} {output:?}");
    }
}
