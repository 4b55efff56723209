//! What the words of a command mean: wrappers, the interpreter, its options, what it runs.
//!
//! Pure: words in, parts out. What the words name is looked up by the stages.

use defib_core::telling::base_name;

/// What a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A file: a Python script, a folder or an archive with `__main__`, a shell script.
    Script(String),
    /// `-m module`.
    Module(String),
    /// `-c code`.
    Code(String),
    /// Code from standard input, or an interactive session.
    Input,
}

/// Which program runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// CPython or PyPy.
    Python,
    /// `sh`, `bash` and their kin.
    Shell,
    /// Anything else.
    Other,
}

/// A command taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts {
    /// Which program runs it.
    pub(super) kind: Kind,
    /// Words before the program: `env X=1`, `uv run`, `timeout 10`.
    pub(super) wrapper: Vec<String>,
    /// The program, an interpreter or not.
    pub(super) program: String,
    /// Options of the interpreter, those that change how it imports.
    pub(super) options: Vec<String>,
    /// What an interpreter runs.
    pub(super) target: Target,
    /// What follows.
    pub(super) arguments: Vec<String>,
}

impl Parts {
    /// The command without its wrapper, as the judgement wants to read it.
    pub(super) fn inner(&self) -> Vec<String> {
        let mut words = self.interpreter();
        match &self.target {
            Target::Script(path) => words.push(path.clone()),
            Target::Module(module) => words.extend(["-m".to_owned(), module.clone()]),
            Target::Code(code) => words.extend(["-c".to_owned(), code.clone()]),
            Target::Input => {}
        }
        words.extend(self.arguments.iter().cloned());
        words.split_off(self.wrapper.len())
    }

    /// Wrapper, program and options: what a helper is started with.
    pub(super) fn interpreter(&self) -> Vec<String> {
        let mut words = self.wrapper.clone();
        words.push(self.program.clone());
        words.extend(self.options.iter().cloned());
        words
    }

    /// The interpreter leaves the script's folder out of its path (`-I`, `-P`).
    pub(super) fn safe_path(&self) -> bool {
        self.options.iter().any(|option| {
            !option.starts_with("--")
                && !option.starts_with("-W")
                && !option.starts_with("-X")
                && option.contains(['I', 'P'])
        })
    }
}

/// Wrappers with a word of their own before the command (`uv run`, `poetry run`).
const RUNNERS: &[(&str, &[&str])] = &[
    ("uv", &["run"]),
    ("poetry", &["run"]),
    ("pipenv", &["run"]),
    ("pdm", &["run"]),
    ("rye", &["run"]),
    ("hatch", &["run"]),
    ("pixi", &["run"]),
    ("conda", &["run"]),
    ("mamba", &["run"]),
    ("micromamba", &["run"]),
];

/// Wrappers, with how many words of their own stand before the command, and which
/// of their options take a word.
const WRAPPERS: &[(&str, usize, &[&str])] = &[
    ("nohup", 0, &[]),
    ("setsid", 0, &[]),
    ("time", 0, &["-f", "-o"]),
    ("nice", 0, &["-n"]),
    ("ionice", 0, &["-c", "-n"]),
    ("stdbuf", 0, &["-i", "-o", "-e"]),
    ("timeout", 1, &["-k", "-s", "--signal", "--kill-after"]),
    ("taskset", 1, &[]),
    ("chrt", 1, &[]),
    ("xvfb-run", 0, &["-n", "-s", "-e"]),
    ("exec", 0, &[]),
];

/// Options of runners that take a word.
const RUNNER_OPTIONS: &[&str] = &[
    "--with",
    "--extra",
    "--group",
    "--python",
    "-p",
    "--project",
    "--directory",
    "-n",
    "--name",
    "-e",
    "--environment",
    "--env-file",
    "--index-url",
    "--package",
];

/// Takes a command apart.
pub(super) fn parts(command: &[String]) -> Parts {
    let at = program_at(command);
    let wrapper = command[..at.min(command.len())].to_vec();
    let program = command.get(at).cloned().unwrap_or_default();
    let rest = command.get(at + 1..).unwrap_or_default();
    // `uv run track.py` starts the script with the project's own interpreter.
    let by_runner = wrapper.first().is_some_and(|word| RUNNERS.iter().any(|row| row.0 == base_name(word)));
    if by_runner && program.ends_with(".py") {
        let target = Target::Script(program);
        return Parts {
            kind: Kind::Python,
            wrapper,
            program: "python".to_owned(),
            options: Vec::new(),
            target,
            arguments: rest.to_vec(),
        };
    }
    let name = base_name(&program);
    if name.starts_with("python") || name.starts_with("pypy") {
        let (options, target, arguments) = python(rest);
        return Parts { kind: Kind::Python, wrapper, program, options, target, arguments };
    }
    if ["sh", "bash", "dash", "zsh", "ksh"].contains(&name) {
        let (target, arguments) = shell(rest);
        return Parts { kind: Kind::Shell, wrapper, program, options: Vec::new(), target, arguments };
    }
    Parts { kind: Kind::Other, wrapper, program, options: Vec::new(), target: Target::Input, arguments: rest.to_vec() }
}

/// Where the program itself stands, after all wrappers.
fn program_at(command: &[String]) -> usize {
    let mut at = 0;
    while let Some(word) = command.get(at) {
        let name = base_name(word);
        let next = if name == "env" {
            after_env(command, at + 1)
        } else if let Some((_, own)) = RUNNERS.iter().find(|row| row.0 == name) {
            match command.get(at + 1) {
                Some(word) if own.contains(&word.as_str()) => after_options(command, at + 2, RUNNER_OPTIONS, 0),
                _ => return at,
            }
        } else if let Some((_, own, options)) = WRAPPERS.iter().find(|row| row.0 == name) {
            after_options(command, at + 1, options, *own)
        } else {
            return at;
        };
        if next >= command.len() {
            return at;
        }
        at = next;
    }
    at
}

/// `env -i -u NAME NAME=value command`.
fn after_env(command: &[String], mut at: usize) -> usize {
    while let Some(word) = command.get(at) {
        match word.as_str() {
            "-u" | "--unset" | "-C" | "--chdir" => at += 2,
            word if word.starts_with('-') || word.contains('=') => at += 1,
            _ => return at,
        }
    }
    at
}

/// Passes over options and `own` further words.
fn after_options(command: &[String], mut at: usize, with_word: &[&str], own: usize) -> usize {
    while let Some(word) = command.get(at).filter(|word| word.starts_with('-')) {
        if word == "--" {
            at += 1;
            break;
        }
        at += if with_word.contains(&word.as_str()) { 2 } else { 1 };
    }
    at + own
}

/// Options that would make a helper do something else.
const NOT_FOR_HELPERS: [char; 6] = ['i', 'v', 'V', 'x', 'h', '?'];

/// Options, target and arguments of a Python interpreter.
fn python(words: &[String]) -> (Vec<String>, Target, Vec<String>) {
    let mut options = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let rest = |at: usize| words.get(at..).unwrap_or_default().to_vec();
        if word == "-" {
            return (options, Target::Input, rest(at));
        }
        let Some(flags) = word.strip_prefix('-') else {
            return (options, Target::Script(word.clone()), rest(at));
        };
        if flags.starts_with('-') {
            if word == "--check-hash-based-pycs" {
                at += 1;
            }
            continue;
        }
        // The first flag with a value takes what is left of the word, or the next one.
        match flags.find(['c', 'm', 'W', 'X']) {
            None => {
                let kept: String = flags.chars().filter(|flag| !NOT_FOR_HELPERS.contains(flag)).collect();
                options.extend((!kept.is_empty()).then(|| format!("-{kept}")));
            }
            Some(place) => {
                let (before, flag) = (&flags[..place], &flags[place..=place]);
                options.extend((!before.is_empty()).then(|| format!("-{before}")));
                let value = match &flags[place + 1..] {
                    "" => {
                        at += 1;
                        words.get(at - 1).cloned().unwrap_or_default()
                    }
                    value => value.to_owned(),
                };
                match flag {
                    "c" => return (options, Target::Code(value), rest(at)),
                    "m" => return (options, Target::Module(value), rest(at)),
                    flag => options.push(format!("-{flag}{value}")),
                }
            }
        }
    }
    (options, Target::Input, Vec::new())
}

fn shell(words: &[String]) -> (Target, Vec<String>) {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let rest = words.get(at + 1..).unwrap_or_default();
        match word.strip_prefix(['-', '+']) {
            None => return (Target::Script(word.clone()), rest.to_vec()),
            Some(flags) if !word.starts_with("--") && flags.contains('c') => {
                let code = rest.first().cloned().unwrap_or_default();
                return (Target::Code(code), rest.get(1..).unwrap_or_default().to_vec());
            }
            Some("o" | "O" | "-rcfile" | "-init-file") => at += 2,
            Some(_) => at += 1,
        }
    }
    (Target::Input, Vec::new())
}

/// The interpreter that the first line of a script names: `#!/usr/bin/env python3`.
pub(super) fn shebang(start: &str) -> Option<Vec<String>> {
    let line = start.strip_prefix("#!")?.lines().next()?;
    let mut words = line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if words.first().is_some_and(|word| base_name(word) == "env") {
        words.remove(0);
        words.retain(|word| word != "-S");
    }
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn taken(command: &str) -> Parts {
        parts(&command.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn wrappers_are_passed_over() {
        for (command, wrapper) in [
            ("python3 track.py --size 3", 0),
            ("env CUDA_VISIBLE_DEVICES=0 python3 track.py --size 3", 2),
            ("env -u A -i B=1 nice -n 5 python3 track.py --size 3", 8),
            ("uv run --with numpy python3 track.py --size 3", 4),
            ("timeout -k 5 60 stdbuf -oL python3 track.py --size 3", 6),
        ] {
            let parts = taken(command);
            assert_eq!(parts.wrapper.len(), wrapper, "{command}");
            assert_eq!((parts.kind, parts.program.as_str()), (Kind::Python, "python3"), "{command}");
            assert_eq!(parts.target, Target::Script("track.py".into()), "{command}");
            assert_eq!(parts.inner().join(" "), "python3 track.py --size 3");
        }
        assert_eq!(taken("uv run app.py x").target, Target::Script("app.py".into()));
        assert_eq!(taken("uv sync").program, "uv");
    }

    #[test]
    fn options_of_the_interpreter_are_kept() {
        let parts = taken("python3.11 -uE -W ignore -Xdev -m pkg.app --x");
        assert_eq!(parts.options, ["-uE", "-Wignore", "-Xdev"]);
        assert_eq!((parts.target, parts.arguments), (Target::Module("pkg.app".into()), vec!["--x".to_owned()]));
        assert!(taken("python -I x.py").safe_path() && !taken("python -Xdev -WI x.py").safe_path());
        assert_eq!(taken("python -cprint(1)").target, Target::Code("print(1)".into()));
        assert_eq!(taken("python -i").options, Vec::<String>::new());
    }

    #[test]
    fn shells_and_first_lines() {
        assert_eq!(taken("bash -eu run.sh a").target, Target::Script("run.sh".into()));
        assert_eq!(taken("sh -c exit").target, Target::Code("exit".into()));
        assert_eq!(shebang("#!/usr/bin/env -S python3 -u\nx"), Some(vec!["python3".into(), "-u".into()]));
        assert_eq!(shebang("#!/venv/bin/python\n"), Some(vec!["/venv/bin/python".into()]));
        assert_eq!(shebang("import os"), None);
    }

    proptest! {
        /// No words are lost or made up but for options of the interpreter, and nothing panics.
        #[test]
        fn any_words_can_be_taken_apart(words in proptest::collection::vec("(-[a-zA-Z]{0,3}|env|uv|run|python3?|timeout|A=1|[a-z.]{0,6}|--|-)", 0..8)) {
            let parts = parts(&words);
            prop_assert!(words.starts_with(&parts.wrapper));
            prop_assert!(words.ends_with(&parts.arguments));
            let _ = parts.inner();
        }
    }
}
