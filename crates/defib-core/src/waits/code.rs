//! What the source around a frame says: the lock a line waits for, the locks
//! held around it, the loop it polls in.
//!
//! Python keeps no owner for its locks. The text does: a thread that stands
//! inside `with a:` holds `a`. Two names are the same lock when the objects
//! they start from have the same address (locals) or, without locals, the same text.

use std::sync::LazyLock;

use regex::Regex;

use crate::facts::{Frame, Look};
use crate::pattern::pattern;

/// A lock as named in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Expression as written: `self.lock`, `lock_a`.
    pub name: String,
    /// What tells it apart: the address of its first part, where known, and the rest of the path.
    pub key: String,
    /// Line where it is or was taken.
    pub line: u32,
}

static WITH: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*with\s+(.+):\s*(?:#.*)?$"));
static ACQUIRE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[\s(=!])((?:[A-Za-z_]\w*)(?:\.[A-Za-z_]\w*|\[[^\]]+\])*)\.acquire\("));
static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:[A-Za-z_]\w*)(?:\.[A-Za-z_]\w*|\[[^\]]+\])*$"));
static LOOP: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(?:while|for)\b(.*)$"));

/// The lock that the line of this frame takes.
#[must_use]
pub fn named_lock(look: &Look, frame: &Frame) -> Option<Lock> {
    let line = look.source_line(&frame.file, frame.line)?;
    let names = taken_by(line);
    // `with a, b:` waits for the last that is not yet held; without more
    // knowledge the first is as good as any, and a single one is the rule.
    let name = names.into_iter().next_back()?;
    Some(lock(frame, name, frame.line))
}

/// The locks held around the line of this frame, outermost first.
#[must_use]
pub fn held_locks(look: &Look, frame: &Frame) -> Vec<Lock> {
    let Some(current) = look.source_line(&frame.file, frame.line) else {
        return Vec::new();
    };
    let mut indent = indentation(current);
    let mut held = Vec::new();
    let mut released: Vec<String> = Vec::new();
    for number in (1..frame.line).rev() {
        let Some(text) = look.source_line(&frame.file, number) else {
            break;
        };
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let here = indentation(text);
        if here < indent || (here == indent && !trimmed.starts_with("with ")) {
            let encloses = here < indent;
            if encloses && WITH.is_match(text) {
                held.extend(taken_by(text).into_iter().map(|name| lock(frame, name, number)));
            } else if here <= indent {
                note_explicit(text, number, frame, &mut held, &mut released);
            }
            indent = indent.min(here);
        }
        if encloses_all(trimmed) && here < indentation(current) {
            break;
        }
    }
    held.reverse();
    held
}

fn encloses_all(trimmed: &str) -> bool {
    trimmed.starts_with("def ") || trimmed.starts_with("async def ") || trimmed.starts_with("class ")
}

/// `x.acquire()` above the line holds, unless `x.release()` stands between.
fn note_explicit(text: &str, number: u32, frame: &Frame, held: &mut Vec<Lock>, released: &mut Vec<String>) {
    let trimmed = text.trim();
    if let Some(name) = trimmed.strip_suffix(".release()") {
        released.push(name.to_owned());
    } else if let Some(found) = ACQUIRE.captures(text) {
        let name = found[1].to_owned();
        if !released.contains(&name) {
            held.push(lock(frame, name, number));
        }
    }
}

/// Lock expressions taken by a line: `with a, b:` or `a.acquire()`.
fn taken_by(line: &str) -> Vec<String> {
    if let Some(found) = ACQUIRE.captures(line) {
        return vec![found[1].to_owned()];
    }
    let Some(found) = WITH.captures(line) else {
        return Vec::new();
    };
    let items = found[1].split(',').map(|item| item.split(" as ").next().unwrap_or(item).trim().to_owned());
    items.filter(|item| EXPRESSION.is_match(item)).collect()
}

fn lock(frame: &Frame, name: String, line: u32) -> Lock {
    let first = name.split(['.', '[']).next().unwrap_or(&name);
    let address = frame.locals.iter().find(|local| local.name == first && local.address != 0);
    let key = match address {
        Some(local) => format!("{:x}{}", local.address, &name[first.len()..]),
        None if first == "self" => format!("{}:{name}", frame.file),
        None => name.clone(),
    };
    Lock { name, key, line }
}

fn indentation(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// The condition of the loop around the line of this frame: `while child.poll() is None:`.
#[must_use]
pub fn enclosing_loop<'a>(look: &'a Look, frame: &Frame) -> Option<&'a str> {
    loop_around(look, frame).map(|(_, text)| text)
}

/// The loop around the line of this frame: number and text of its head.
#[must_use]
pub fn loop_around<'a>(look: &'a Look, frame: &Frame) -> Option<(u32, &'a str)> {
    let current = look.source_line(&frame.file, frame.line)?;
    let mut indent = indentation(current);
    for number in (1..frame.line).rev() {
        let text = look.source_line(&frame.file, number)?;
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') || indentation(text) >= indent {
            continue;
        }
        indent = indentation(text);
        if LOOP.is_match(text) {
            return Some((number, trimmed));
        }
        if encloses_all(trimmed) {
            return None;
        }
    }
    None
}

/// Lines of the function around the line of this frame, as far as they are known; of
/// module code, the lines near it that stand in no function.
#[must_use]
pub fn function_lines<'a>(look: &'a Look, frame: &Frame) -> Vec<(u32, &'a str)> {
    let Some(current) = look.source_line(&frame.file, frame.line) else { return Vec::new() };
    let known = |number: u32| Some((number, look.source_line(&frame.file, number)?));
    let mut indent = indentation(current);
    let mut head = None;
    for (number, text) in (1..frame.line).rev().map_while(known) {
        if text.trim().is_empty() || indentation(text) >= indent {
            continue;
        }
        indent = indentation(text);
        if is_function(text) {
            head = Some((number, indent));
            break;
        }
    }
    let Some((first, indent)) = head else { return outside_functions(look, frame) };
    let inside =
        |(number, text): &(u32, &str)| *number == first || text.trim().is_empty() || indentation(text) > indent;
    (first..).map_while(known).take_while(inside).collect()
}

fn is_function(text: &str) -> bool {
    let trimmed = text.trim_start();
    trimmed.starts_with("def ") || trimmed.starts_with("async def ")
}

/// Lines near a frame of module code.
fn outside_functions<'a>(look: &'a Look, frame: &Frame) -> Vec<(u32, &'a str)> {
    let mut inside: Option<usize> = None;
    let mut lines = Vec::new();
    for number in frame.line.saturating_sub(40).max(1)..frame.line + 40 {
        let Some(text) = look.source_line(&frame.file, number).filter(|text| !text.trim().is_empty()) else { continue };
        inside = inside.filter(|&indent| indentation(text) > indent);
        if inside.is_none() && is_function(text) {
            inside = Some(indentation(text));
        }
        if inside.is_none() {
            lines.push((number, text));
        }
    }
    lines
}

/// Lines of a loop's body that are reached in every round: those indented as its first.
#[must_use]
pub fn loop_body<'a>(look: &'a Look, file: &str, head: u32) -> Vec<(u32, &'a str)> {
    let Some(first) = look.source_line(file, head) else { return Vec::new() };
    let lines = (head + 1..).map_while(|number| Some((number, look.source_line(file, number)?)));
    let lines = lines.filter(|(_, text)| !text.trim().is_empty());
    let inside: Vec<(u32, &str)> = lines.take_while(|(_, text)| indentation(text) > indentation(first)).collect();
    let indent = inside.first().map_or(0, |(_, text)| indentation(text));
    inside.into_iter().filter(|(_, text)| indentation(text) == indent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Excerpt, Local};

    fn look(text: &str) -> Look {
        let lines = text.lines().map(str::to_owned).collect();
        Look { sources: vec![Excerpt { file: "t.py".into(), first_line: 1, lines }], ..Look::default() }
    }

    fn frame(line: u32) -> Frame {
        Frame { function: "f".into(), file: "t.py".into(), line, locals: vec![] }
    }

    const TEXT: &str = "def f(a, b):\n    with a.lock:\n        x = 1\n        with b.lock:\n            pass\n    c.acquire()\n    d.acquire()\n    d.release()\n    while child.poll() is None:\n        if y:\n            time.sleep(1)\n";

    #[test]
    fn what_a_line_waits_for_and_holds() {
        let look = look(TEXT);
        assert_eq!(named_lock(&look, &frame(4)).unwrap().name, "b.lock");
        let held: Vec<_> = held_locks(&look, &frame(4)).into_iter().map(|lock| lock.name).collect();
        assert_eq!(held, ["a.lock"]);
        let held: Vec<_> = held_locks(&look, &frame(11)).into_iter().map(|lock| lock.name).collect();
        assert_eq!(held, ["c"]);
        assert_eq!(enclosing_loop(&look, &frame(11)), Some("while child.poll() is None:"));
        assert_eq!(loop_around(&look, &frame(11)), Some((9, "while child.poll() is None:")));
        assert_eq!(function_lines(&look, &frame(4)).len(), 11);
        let module = self::look("def f():\n    print(1)\nprint(2)\nif x:\n    f()\n    print(3)\n");
        let lines: Vec<u32> = function_lines(&module, &frame(5)).into_iter().map(|(number, _)| number).collect();
        assert_eq!(lines, [3, 4, 5, 6]);
        let lines: Vec<u32> = function_lines(&module, &frame(2)).into_iter().map(|(number, _)| number).collect();
        assert_eq!(lines, [1, 2]);
        assert_eq!(loop_body(&look, "t.py", 9), [(10, "        if y:")]);
    }

    #[test]
    fn addresses_tell_equal_names_apart() {
        let look = look(TEXT);
        let mut one = frame(4);
        one.locals.push(Local { name: "b".into(), value: String::new(), address: 0x10 });
        assert_eq!(named_lock(&look, &one).unwrap().key, "10.lock");
    }
}
