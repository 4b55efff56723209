//! Reads a Python source from its syntax tree: what it imports as it starts, and
//! what kind of program it is.
//!
//! Only what runs when the file is executed counts: bodies of functions do not, those
//! of classes do. Nothing is executed here. The text is foreign; the parser has a
//! bound on nesting, and what it cannot read is left out.

use ruff_python_ast::visitor::{Visitor, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, Stmt, StmtImport, StmtImportFrom, StmtTry};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged as _, TextSize};

/// How much a program needs an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// It is always carried out, and nothing catches its failure.
    Required,
    /// It stands under a condition, or its failure is caught.
    Optional,
}

/// One import statement, of one module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// The statement by itself: `from a.b import c`.
    pub(super) statement: String,
    /// The module: `a.b`; without the dots of a relative import.
    pub(super) module: String,
    /// Dots before it.
    pub(super) level: u32,
    /// Names taken from it.
    pub(super) names: Vec<String>,
    /// Line, from 1.
    pub(super) line: u32,
    /// How much it is needed.
    pub(super) need: Need,
}

impl Import {
    /// First part of the module's name.
    pub(super) fn package(&self) -> &str {
        self.module.split('.').next().unwrap_or(&self.module)
    }
}

/// What a source says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// What it imports when executed, in order.
    pub(super) imports: Vec<Import>,
    /// It builds an `ArgumentParser` that answers `--help`.
    pub(super) argparse: bool,
    /// Its parser leaves words for others, so that a later `--help` may not be its own.
    pub(super) passes_on: bool,
    /// It uses click, typer, fire-like command functions.
    pub(super) click: bool,
    /// A function is decorated with `hydra.main`.
    pub(super) hydra: bool,
    /// First line that asks for a CUDA device by name.
    pub(super) cuda: Option<u32>,
    /// It asks whether there is a GPU before it uses one.
    pub(super) asks_for_gpu: bool,
}

/// Longest source that is read, bytes.
pub(super) const LONGEST: u64 = 4 << 20;
/// Deepest nesting that is read; code written by people stays far below.
const DEEPEST: u16 = 150;

/// Reads a source. `main` tells that it is the program itself, not a module.
pub(super) fn read(text: &str, main: bool) -> Reading {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = ParseOptions::from(Mode::Module).with_max_recursion_depth(DEEPEST);
    let Some(parsed) = parse_unchecked(text, options).try_into_module() else { return Reading::default() };
    let lines = Lines::new(text);
    let mut collector = Collector { lines: &lines, main, reading: Reading::default() };
    let body = &parsed.syntax().body;
    collector.block(body, Need::Required);
    let mut reading = collector.reading;
    let mut kinds = Kinds { lines: &lines, reading: &mut reading };
    for statement in body {
        kinds.visit_stmt(statement);
    }
    reading
}

/// Finds lines of offsets.
struct Lines {
    starts: Vec<u32>,
}

impl Lines {
    fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let ends = |at: usize| bytes[at] == b'\n' || bytes[at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
        let starts = (0..bytes.len()).filter(|&at| ends(at)).map(|at| u32::try_from(at + 1).unwrap_or(u32::MAX));
        Self { starts: starts.collect() }
    }

    fn of(&self, offset: TextSize) -> u32 {
        let before = self.starts.partition_point(|&start| start <= offset.to_u32());
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// Collects the imports of blocks that are executed.
struct Collector<'l> {
    lines: &'l Lines,
    main: bool,
    reading: Reading,
}

impl Collector<'_> {
    fn block(&mut self, body: &[Stmt], need: Need) {
        for statement in body {
            self.statement(statement, need);
        }
    }

    fn statement(&mut self, statement: &Stmt, need: Need) {
        match statement {
            Stmt::Import(import) => self.import(import, need),
            Stmt::ImportFrom(import) => self.import_from(import, need),
            Stmt::If(branch) => match truth(&branch.test) {
                Truth::TypeChecking => self.branches(&branch.elif_else_clauses, need),
                Truth::Main if self.main => self.block(&branch.body, need),
                Truth::Main => {}
                Truth::Open => {
                    self.block(&branch.body, Need::Optional);
                    self.branches(&branch.elif_else_clauses, Need::Optional);
                }
            },
            Stmt::Try(attempt) => self.attempt(attempt, need),
            Stmt::With(with) => self.block(&with.body, need),
            Stmt::ClassDef(class) => self.block(&class.body, need),
            Stmt::For(each) => self.block(&each.body, Need::Optional),
            Stmt::While(again) => self.block(&again.body, Need::Optional),
            Stmt::Match(choice) => choice.cases.iter().for_each(|case| self.block(&case.body, Need::Optional)),
            _ => {}
        }
    }

    fn branches(&mut self, clauses: &[ruff_python_ast::ElifElseClause], need: Need) {
        for clause in clauses {
            let open = clause.test.is_some();
            self.block(&clause.body, if open { Need::Optional } else { need });
        }
    }

    fn attempt(&mut self, attempt: &StmtTry, need: Need) {
        let caught = attempt.handlers.iter().any(|handler| {
            let ruff_python_ast::ExceptHandler::ExceptHandler(handler) = handler;
            // What is caught only to be raised again is not optional.
            let raises = matches!(handler.body.last(), Some(Stmt::Raise(_))) || exits(handler.body.last());
            handler.type_.as_deref().is_none_or(catches_import_errors) && !raises
        });
        self.block(&attempt.body, if caught { Need::Optional } else { need });
        for handler in &attempt.handlers {
            let ruff_python_ast::ExceptHandler::ExceptHandler(handler) = handler;
            self.block(&handler.body, Need::Optional);
        }
        self.block(&attempt.orelse, if caught { Need::Optional } else { need });
        self.block(&attempt.finalbody, need);
    }

    fn import(&mut self, import: &StmtImport, need: Need) {
        let line = self.lines.of(import.range.start());
        for alias in &import.names {
            let module = alias.name.to_string();
            let statement = format!("import {module}");
            self.add(Import { statement, module, level: 0, names: Vec::new(), line, need });
        }
    }

    fn import_from(&mut self, import: &StmtImportFrom, need: Need) {
        let module = import.module.as_ref().map(ToString::to_string).unwrap_or_default();
        if module == "__future__" {
            return;
        }
        let names: Vec<String> = import.names.iter().map(|alias| alias.name.to_string()).collect();
        let dots = ".".repeat(import.level as usize);
        let statement = format!("from {dots}{module} import {}", names.join(", "));
        let line = self.lines.of(import.range.start());
        self.add(Import { statement, module, level: import.level, names, line, need });
    }

    fn add(&mut self, import: Import) {
        // Half a statement, as the parser recovers it, is none.
        let whole = !import.statement.ends_with("import ") && (import.level > 0 || !import.module.is_empty());
        if whole {
            self.reading.imports.push(import);
        }
    }
}

/// What is known of a condition.
enum Truth {
    TypeChecking,
    Main,
    Open,
}

fn truth(test: &Expr) -> Truth {
    match test {
        Expr::Name(name) if name.id.as_str() == "TYPE_CHECKING" => Truth::TypeChecking,
        Expr::Attribute(attribute) if attribute.attr.as_str() == "TYPE_CHECKING" => Truth::TypeChecking,
        Expr::Compare(compare) => match (&*compare.left, compare.comparators.first()) {
            (Expr::Name(name), Some(Expr::StringLiteral(text)))
                if name.id.as_str() == "__name__" && text.value.to_str() == "__main__" =>
            {
                Truth::Main
            }
            _ => Truth::Open,
        },
        _ => Truth::Open,
    }
}

fn catches_import_errors(kind: &Expr) -> bool {
    match kind {
        Expr::Tuple(kinds) => kinds.elts.iter().any(catches_import_errors),
        other => ["ImportError", "ModuleNotFoundError", "Exception", "BaseException"].contains(&last_name(other)),
    }
}

/// `sys.exit(…)`, `exit(…)`, `quit(…)` as a statement.
fn exits(statement: Option<&Stmt>) -> bool {
    match statement {
        Some(Stmt::Expr(expression)) => match &*expression.value {
            Expr::Call(call) => ["exit", "_exit", "quit"].contains(&last_name(&call.func)),
            _ => false,
        },
        _ => false,
    }
}

/// `c` of `a.b.c` and of `c`.
fn last_name(expression: &Expr) -> &str {
    match expression {
        Expr::Name(name) => name.id.as_str(),
        Expr::Attribute(attribute) => attribute.attr.as_str(),
        Expr::Call(call) => last_name(&call.func),
        _ => "",
    }
}

/// `a.b.c` as it is written, where it is a plain name.
fn dotted(expression: &Expr) -> String {
    match expression {
        Expr::Name(name) => name.id.to_string(),
        Expr::Attribute(attribute) => format!("{}.{}", dotted(&attribute.value), attribute.attr),
        Expr::Call(call) => dotted(&call.func),
        _ => String::new(),
    }
}

/// Finds out what kind of program it is, in functions too.
struct Kinds<'l, 'r> {
    lines: &'l Lines,
    reading: &'r mut Reading,
}

impl<'a> Visitor<'a> for Kinds<'_, '_> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        if let Stmt::FunctionDef(function) = statement {
            for decorator in &function.decorator_list {
                let name = dotted(&decorator.expression);
                self.reading.hydra |=
                    name == "hydra.main" || name == "main" && imports_from(self.reading, "hydra", "main");
                self.reading.click |= name.starts_with("click.") || name.ends_with(".command");
            }
        }
        walk_stmt(self, statement);
    }

    fn visit_expr(&mut self, expression: &'a Expr) {
        match expression {
            Expr::Call(call) => self.call(call),
            Expr::StringLiteral(text) if is_cuda(text.value.to_str()) => self.cuda(expression),
            Expr::Attribute(attribute) if ["is_available", "device_count"].contains(&attribute.attr.as_str()) => {
                self.reading.asks_for_gpu = true;
            }
            Expr::Attribute(attribute) if ["REMAINDER", "PARSER"].contains(&attribute.attr.as_str()) => {
                self.reading.passes_on = true;
            }
            _ => {}
        }
        walk_expr(self, expression);
    }
}

impl Kinds<'_, '_> {
    fn call(&mut self, call: &ruff_python_ast::ExprCall) {
        match last_name(&call.func) {
            "ArgumentParser" | "HfArgumentParser" => {
                let silent = call.arguments.keywords.iter().any(|keyword| {
                    let named = keyword.arg.as_ref().is_some_and(|name| name.as_str() == "add_help");
                    named && matches!(&keyword.value, Expr::BooleanLiteral(value) if !value.value)
                });
                self.reading.argparse |= !silent;
                self.reading.passes_on |= silent;
            }
            "parse_known_args" => self.reading.passes_on = true,
            "Typer" => self.reading.click = true,
            "cuda" if call.arguments.args.is_empty() && matches!(&*call.func, Expr::Attribute(_)) => {
                let line = self.lines.of(call.range().start());
                self.reading.cuda.get_or_insert(line);
            }
            _ => {}
        }
    }

    fn cuda(&mut self, expression: &Expr) {
        let line = self.lines.of(expression.range().start());
        self.reading.cuda.get_or_insert(line);
    }
}

fn imports_from(reading: &Reading, module: &str, name: &str) -> bool {
    reading.imports.iter().any(|import| import.module == module && import.names.iter().any(|known| known == name))
}

/// `cuda`, `cuda:1`.
fn is_cuda(text: &str) -> bool {
    let rest = text.strip_prefix("cuda");
    rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix(':').is_some_and(|index| index.parse::<u8>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn imports(text: &str) -> Vec<(String, u32, bool)> {
        let found = read(text, true).imports.into_iter();
        found.map(|import| (import.statement, import.line, import.need == Need::Required)).collect()
    }

    #[test]
    fn what_is_executed_counts() {
        let text = "\
from __future__ import annotations
import os, numpy as np
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import never
else:
    import always
try:
    import orjson as json
except ImportError:
    import json
try:
    import must
except ImportError as error:
    raise SystemExit('install must') from error
def later():
    import inside
class Now:
    from . import x
if __name__ == '__main__':
    from a.b import (c,
        d)
";
        assert_eq!(
            imports(text),
            [
                ("import os".into(), 2, true),
                ("import numpy".into(), 2, true),
                ("from typing import TYPE_CHECKING".into(), 3, true),
                ("import always".into(), 7, true),
                ("import orjson".into(), 9, false),
                ("import json".into(), 11, false),
                ("import must".into(), 13, true),
                ("from . import x".into(), 19, true),
                ("from a.b import c, d".into(), 21, true),
            ]
        );
        assert!(read(text, false).imports.iter().all(|import| import.module != "a.b"));
    }

    #[test]
    fn kinds_of_programs_are_seen() {
        let hydra = read("import hydra\n@hydra.main(version_base=None)\ndef main(cfg):\n    pass\n", true);
        assert!(hydra.hydra && !hydra.argparse && !hydra.click);
        assert!(read("from hydra import main\n@main()\ndef run(cfg): ...", true).hydra);
        let parser = read("import argparse\ndef f():\n    p = argparse.ArgumentParser()\n", true);
        assert!(parser.argparse && !parser.passes_on);
        assert!(!read("p = ArgumentParser(add_help=False)", true).argparse);
        assert!(read("import click\n@click.command()\ndef main(): ...", true).click);
        let gpu = read("x = 1\nmodel.to('cuda:0')\n", true);
        assert_eq!((gpu.cuda, gpu.asks_for_gpu), (Some(2), false));
        assert_eq!(read("model.cuda()", true).cuda, Some(1));
        assert!(read("d = 'cuda' if torch.cuda.is_available() else 'cpu'", true).asks_for_gpu);
        assert_eq!(read("# cuda\nx = 'barracuda'", true).cuda, None);
    }

    #[test]
    fn a_broken_or_deep_source_is_read_as_far_as_it_goes() {
        assert_eq!(imports("import os\nx = (\n").first().map(|import| import.0.clone()), Some("import os".into()));
        let deep = format!("import os\nx = {}1{}\n", "(".repeat(20_000), ")".repeat(20_000));
        let _ = read(&deep, true);
        let _ = read(&format!("import os\n{}x\n", "-".repeat(50_000)), true);
        assert_eq!(
            imports("import a\r\nimport b\rimport c\n").iter().map(|import| import.1).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    proptest! {
        /// Foreign text never panics; what is found is a statement that can be compiled alone.
        #[test]
        fn any_text_is_read(text in "((import|from|if|try:|except|class|def|with|x|\\.|,|\\(|\\)|:|=|'|\"|#|a\\.b|\n|\n    | ) ?){0,40}") {
            for import in read(&text, true).imports {
                prop_assert!(import.line >= 1 && !import.statement.contains('\n'), "{import:?}");
            }
        }

        #[test]
        fn any_characters_are_read(text in ".{0,200}") {
            let _ = read(&text, false);
        }
    }
}
