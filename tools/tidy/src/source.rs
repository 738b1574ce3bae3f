//! One Rust file as the rules see it: tokens with lines, functions with lengths, and which lines are tests.

use std::ops::RangeInclusive;

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::tree::TreeError;

/// A word or a sign of the code; literals and comments are not among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its text.
    pub text: String,
    /// Its line, from one.
    pub line: usize,
}

/// A function's extent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its signature.
    pub line: usize,
    /// Lines from the signature to the closing brace.
    pub lines: usize,
}

/// A parsed file.
#[derive(Debug)]
pub struct Source {
    /// Path from the root of the repository.
    pub path: String,
    /// The text.
    pub text: String,
    /// The code's tokens in order.
    pub tokens: Vec<Token>,
    /// The functions outside tests.
    pub functions: Vec<Function>,
    /// Lines of modules and items that exist only in tests.
    pub test_lines: Vec<RangeInclusive<usize>>,
    /// Files (without ending) that this one declares as test modules.
    pub test_module_files: Vec<String>,
    /// Whether the whole file is a test.
    pub all_tests: bool,
}

impl Source {
    /// Reads a file's text.
    pub fn parse(path: &str, text: &str) -> Result<Self, TreeError> {
        let failed = |source| TreeError::Parse { path: path.to_owned(), source };
        let file = syn::parse_file(text).map_err(failed)?;
        let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| failed(error.into()))?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let mut extent = Extent { path, functions: Vec::new(), test_lines: Vec::new(), test_module_files: Vec::new() };
        extent.visit_file(&file);
        let Extent { functions, test_lines, test_module_files, .. } = extent;
        let whole_test_paths = ["/tests/", "/tests.rs", "_tests.rs", "/fuzz_targets/"];
        let all_tests = whole_test_paths.iter().any(|part| path.contains(part));
        Ok(Self {
            path: path.to_owned(),
            text: text.to_owned(),
            tokens,
            functions,
            test_lines,
            test_module_files,
            all_tests,
        })
    }

    /// Whether a line belongs to tests.
    pub fn is_test(&self, line: usize) -> bool {
        self.all_tests || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Lines of code: neither blank, nor comment only, nor tests.
    pub fn code_lines(&self) -> usize {
        let is_code = |line: &str| !line.is_empty() && !line.starts_with("//");
        self.text.lines().enumerate().filter(|(at, line)| is_code(line.trim()) && !self.is_test(at + 1)).count()
    }

    /// The lines at which a run of tokens stands, `Instant::now` being `["Instant", ":", ":", "now"]`.
    pub fn lines_with<'a>(&'a self, run: &'a [&str]) -> impl Iterator<Item = usize> + 'a {
        let matches = move |window: &&[Token]| window.iter().zip(run).all(|(token, word)| token.text == *word);
        self.tokens.windows(run.len()).filter(matches).map(|window| window[0].line)
    }
}

/// Puts a stream's words and signs in a row, delimiters included.
fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                tokens.push(Token { text: close.to_owned(), line: group.span_close().start().line });
            }
            TokenTree::Ident(ident) => tokens.push(Token { text: ident.to_string(), line }),
            TokenTree::Punct(sign) => tokens.push(Token { text: sign.as_char().to_string(), line }),
            TokenTree::Literal(_) => {}
        }
    }
}

/// Walks a file for functions and for what exists only in tests.
struct Extent<'a> {
    path: &'a str,
    functions: Vec<Function>,
    test_lines: Vec<RangeInclusive<usize>>,
    test_module_files: Vec<String>,
}

impl Extent<'_> {
    fn function(&mut self, signature: &syn::Signature, end: proc_macro2::Span) {
        let line = signature.fn_token.span.start().line;
        let lines = end.end().line + 1 - line;
        self.functions.push(Function { name: signature.ident.to_string(), line, lines });
    }

    fn test_item(&mut self, item: &impl Spanned) {
        let span = item.span();
        self.test_lines.push(span.start().line..=span.end().line);
    }
}

impl<'ast> Visit<'ast> for Extent<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test_only(attributes(item)) {
            return visit::visit_item(self, item);
        }
        self.test_item(item);
        if let syn::Item::Mod(module) = item
            && module.content.is_none()
        {
            self.test_module_files.push(module_file(self.path, module));
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.function(&function.sig, function.span());
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.function(&function.sig, function.span());
        visit::visit_impl_item_fn(self, function);
    }
}

/// Where a module without a body stands, without the `.rs`.
fn module_file(parent: &str, module: &syn::ItemMod) -> String {
    let (directory, file) = parent.rsplit_once('/').unwrap_or(("", parent));
    for attribute in module.attrs.iter().filter(|a| a.path().is_ident("path")) {
        if let syn::Meta::NameValue(syn::MetaNameValue {
            value: syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }),
            ..
        }) = &attribute.meta
        {
            return format!("{directory}/{}", name.value());
        }
    }
    match file {
        "mod.rs" | "lib.rs" | "main.rs" => format!("{directory}/{}", module.ident),
        _ => format!("{directory}/{}/{}", file.trim_end_matches(".rs"), module.ident),
    }
}

/// `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, ..))]`, `#[cfg(loom)]` on models; not `#[cfg(not(test))]`.
fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        if attribute.path().is_ident("test") {
            return true;
        }
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string().replace(' ', "");
        list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"//! Header.

/// Says unsafe in a comment.
fn long() {
    let text = "unsafe todo!()";

    drop(text);
}

#[cfg(test)]
mod beside;

#[cfg(test)]
mod tests {
    fn inside() { let x = unsafe { 1 }; }
}
"#;

    #[test]
    fn comments_and_strings_are_not_code() {
        let source = Source::parse("nic/src/port.rs", TEXT).unwrap();
        assert_eq!(source.lines_with(&["unsafe"]).collect::<Vec<_>>(), [15]);
        assert_eq!(source.lines_with(&["todo", "!"]).count(), 0);
    }

    #[test]
    fn tests_are_neither_code_nor_functions() {
        let source = Source::parse("nic/src/port.rs", TEXT).unwrap();
        assert_eq!(source.code_lines(), 4);
        assert_eq!(source.functions, [Function { name: "long".to_owned(), line: 4, lines: 5 }]);
        assert!(source.is_test(15) && !source.is_test(5));
        assert_eq!(source.test_module_files, ["nic/src/port/beside"]);
    }
}
