//! A lexer for Rust that is sufficient to separate words from comments and literals, and paths from names.
//!
//! A parser would skip macros; here names in `select!` or `json!` count like all others.

/// A word, a literal or a punctuation mark, and its lines (from 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The word or mark; `""` for a quoted literal.
    pub text: String,
    pub line: usize,
    pub last_line: usize,
}

/// The tokens of `text`, without comments. `::` is one token.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
        found: Vec::new(),
    };
    while lexer.step() {}
    lexer.found
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    found: Vec<Token>,
}

impl Lexer<'_> {
    /// Consumes one token, comment or space; `false` at the end.
    fn step(&mut self) -> bool {
        let Some(first) = self.rest.chars().next() else {
            return false;
        };
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()), None);
        } else if self.rest.starts_with("/*") {
            self.take(block_comment(self.rest), None);
        } else if let Some(len) = literal(self.rest) {
            self.take(len, Some("\"\""));
        } else if first.is_whitespace() {
            self.take(first.len_utf8(), None);
        } else if is_word(first) {
            let len = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
            let word = self.rest[..len].to_owned();
            self.take(len, Some(&word));
        } else if self.rest.starts_with("::") {
            self.take(2, Some("::"));
        } else {
            self.take(first.len_utf8(), Some(&first.to_string()));
        }
        true
    }

    fn take(&mut self, len: usize, token: Option<&str>) {
        let (head, rest) = self.rest.split_at(len);
        let last_line = self.line + head.matches('\n').count();
        if let Some(text) = token {
            self.found.push(Token {
                text: text.to_owned(),
                line: self.line,
                last_line,
            });
        }
        self.line = last_line;
        self.rest = rest;
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of the block comment at the start of `text`; block comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// Length of the quoted literal at the start of `text`, if there is one. A lifetime is not a literal.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|p| {
        let after = text.strip_prefix(p).unwrap_or_default();
        after.starts_with(['"', '\'']) || (p.ends_with('r') && after.trim_start_matches('#').starts_with('"'))
    })?;
    let body = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let fence = format!("\"{}", "#".repeat(body.find('"')?));
        let inside = &body[fence.len()..];
        return Some(prefix.len() + fence.len() + inside.find(&fence)? + fence.len());
    }
    let quote = body.chars().next()?;
    if quote == '\'' && !is_char(body) {
        return None;
    }
    let mut escaped = false;
    let end = body[1..].find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(prefix.len() + end + 2)
}

/// Whether `'` at the start of `text` begins a character and not a lifetime.
fn is_char(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    matches!(
        (chars.next(), chars.next()),
        (Some('\\'), _) | (Some(_), Some('\''))
    )
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn words(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn comments_and_literals_hold_no_words() {
        assert_eq!(words("a // crate::b\n/* c /* d */ e */ f"), ["a", "f"]);
        assert_eq!(
            words(r##"("x \" y", r#"a " b"#, b"z", '"', '\'', b'c')"##)
                .concat()
                .replace('"', ""),
            "(,,,,,)"
        );
        assert_eq!(words("crate::a<'b>"), ["crate", "::", "a", "<", "'", "b", ">"]);
        assert_eq!(words("r#type brief c"), ["r", "#", "type", "brief", "c"]);
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let found = tokens("a\n\"x\ny\"\nb");
        assert_eq!((found[1].line, found[1].last_line, found[2].line), (2, 3, 4));
    }
}
