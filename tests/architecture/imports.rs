//! Which file imports which: resolves the paths of `use` declarations and of `crate::…` and `super::…` expressions.
//!
//! A name that a module re-exports belongs to the file that defines it. So a `mod.rs` that only declares and re-exports
//! depends on its children, and nothing depends on it. Code in `#[cfg(test)] mod … { … }` does not count.

use std::collections::{BTreeMap, BTreeSet};

use super::files::Source;
use super::lexer::{Token, tokens};

/// A module path: `src/sync/plan.rs` is `[sync, plan]`.
type Module = Vec<String>;

/// Files and what they import, both by path.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// A path in the code, such as `[super, plan, Planner]`.
struct CodePath {
    segments: Vec<String>,
    /// The name under which a `pub use` re-exports it.
    exported_as: Option<String>,
}

struct Tree {
    files: BTreeMap<Module, String>,
    paths: BTreeMap<Module, Vec<CodePath>>,
}

/// The imports between these files of `src`.
pub fn imports(sources: &[Source]) -> Imports {
    let mut tree = Tree {
        files: BTreeMap::new(),
        paths: BTreeMap::new(),
    };
    for source in sources {
        let module = module_of(&source.path);
        tree.paths
            .insert(module.clone(), code_paths(&without_tests(&tokens(&source.text))));
        tree.files.insert(module, source.path.clone());
    }
    let targets = |module: &Module| -> BTreeSet<String> {
        let paths = tree.paths[module].iter();
        let resolved = paths.filter_map(|path| tree.resolve(module, &path.segments, 0));
        resolved
            .filter(|target| target != module)
            .filter_map(|target| tree.files.get(&target).cloned())
            .collect()
    };
    let modules = tree.files.iter();
    modules
        .map(|(module, path)| (path.clone(), targets(module)))
        .collect()
}

/// `src/a/mod.rs` and `src/a.rs` are `[a]`; `src/lib.rs` is the root.
fn module_of(path: &str) -> Module {
    let path = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    if path == "lib" {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

impl Tree {
    /// The module that defines what `path` names in `module`; `None` for a path of another crate.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        // Re-exports of re-exports; the bound only ends a circle of them.
        if depth > 8 {
            return None;
        }
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        let (mut at, mut rest) = match path.first()?.as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => (
                module[..module.len().checked_sub(supers)?].to_vec(),
                &path[supers..],
            ),
            first => {
                self.files.get(&child(module, first))?;
                (module.clone(), path)
            }
        };
        while let Some(next) = rest.first().map(|name| child(&at, name))
            && self.files.contains_key(&next)
        {
            (at, rest) = (next, &rest[1..]);
        }
        let defined = rest.first().and_then(|name| self.follow_export(&at, name, depth));
        Some(defined.unwrap_or(at))
    }

    fn follow_export(&self, module: &Module, name: &str, depth: usize) -> Option<Module> {
        let mut paths = self.paths.get(module)?.iter();
        let export = paths.find(|path| path.exported_as.as_deref() == Some(name))?;
        self.resolve(module, &export.segments, depth + 1)
    }
}

fn child(module: &Module, name: &str) -> Module {
    [module.as_slice(), &[name.to_owned()]].concat()
}

/// The tokens outside of `#[cfg(test)] mod … { … }`.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let texts: Vec<&str> = tokens[at..].iter().take(10).map(|t| t.text.as_str()).collect();
        if let ["#", "[", "cfg", "(", "test", ")", "]", "mod", _, "{"] = texts[..] {
            at += 9 + block(&tokens[at + 9..]);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Number of tokens of the block that starts here, with both braces.
fn block(tokens: &[Token]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The paths of all `use` declarations, and all other paths that begin with `crate` or `super`.
fn code_paths(tokens: &[Token]) -> Vec<CodePath> {
    let text = |at: usize| tokens.get(at).map_or("", |t| t.text.as_str());
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if text(at) == "use" {
            let is_public = at > 0 && matches!(text(at - 1), "pub" | ")");
            let end = (at..tokens.len()).find(|&end| text(end) == ";").unwrap_or(at);
            expand(&tokens[at + 1..end], &[], is_public, &mut found);
            at = end;
        } else if matches!(text(at), "crate" | "super")
            && text(at + 1) == "::"
            && (at == 0 || text(at - 1) != "in")
        {
            let mut segments = vec![text(at).to_owned()];
            while text(at + 1) == "::" {
                segments.push(text(at + 2).to_owned());
                at += 2;
            }
            found.push(CodePath {
                segments,
                exported_as: None,
            });
        }
        at += 1;
    }
    found
}

/// Expands the tree of a `use` declaration into paths.
fn expand(tree: &[Token], prefix: &[String], is_public: bool, found: &mut Vec<CodePath>) {
    let mut segments = prefix.to_vec();
    let mut exported_as = None;
    let mut at = 0;
    while let Some(token) = tree.get(at) {
        match token.text.as_str() {
            "::" => {}
            "{" => {
                let end = block(&tree[at..]) - 1;
                for branch in split(&tree[at + 1..at + end]) {
                    expand(branch, &segments, is_public, found);
                }
                return;
            }
            "as" => {
                exported_as = tree.get(at + 1).map(|t| t.text.clone());
                break;
            }
            segment => segments.push(segment.to_owned()),
        }
        at += 1;
    }
    segments.pop_if(|last| last == "self" || last == "*");
    let name = exported_as.or_else(|| segments.last().cloned());
    found.push(CodePath {
        segments,
        exported_as: name.filter(|_| is_public),
    });
}

/// Splits the branches of a `{…}` list at its top-level commas.
fn split(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0;
    tokens
        .split(|token| {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            depth == 0 && token.text == ","
        })
        .filter(|branch| !branch.is_empty())
        .collect()
}
