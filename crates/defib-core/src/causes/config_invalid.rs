//! The configuration is wrong: override grammar, unknown key, missing value.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding};
use crate::log::Exception;
use crate::pattern::pattern;
use crate::telling::{base_name, cut, exceptions, program, quoted, told, told_by_line, trace_place};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "config-invalid",
    title: "The configuration is wrong",
    what: "Override grammar, an unknown key or option, or a missing mandatory value.",
    settled_by: "An exit within seconds whose last lines are Hydra's, OmegaConf's, argparse's or pydantic's own.",
    taken_for: "a hang in configuration",
    by_hand: &["run it with --help, or Hydra's --cfg job", "read the last lines of its error output"],
    remedies: &["correct the option or file that the message names"],
    remedy: Remedy::Never,
    judge,
};

/// Sentences of configuration libraries, in exceptions or on lines of their own.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        // Whole names: "gin" stands also within "huggingface".
        r"\b(?:omegaconf|hydra|pydantic|pydantic_core|pydantic_settings|jsonschema|marshmallow|cerberus|dynaconf|confuse|environs|voluptuous|schema|strictyaml|tomllib|tomli|toml|yaml|configparser|decouple|absl|click|typer|gin|tyro|jsonargparse|simple_parsing|cattrs|dacite|configargparse)(?:\.\w+)*\.(?P<type>\w*(?:Error|Exception|Invalid|Missing\w*|UsageError|UndefinedValueError)\w*)",
        r"|^(?:Could not override '(?P<hydra>[^']*)'|LexerNoViableAltException: (?P<lexer>.*)|Key '(?P<key>[^']+)' is not in struct|In '(?P<group>[^']+)': Could not (?:find|load) '[^']*'|Could not (?:find|load) '(?P<hload>[^']+)'|Missing mandatory value: (?P<missing>\S+)|Primary config (?:module|directory) .* not found|Cannot find primary config)",
        r"|\b(?:MissingMandatoryValue|ConfigAttributeError|ConfigKeyError|ConfigCompositionException|MissingConfigException|OverrideParseException|InterpolationKeyError|InterpolationResolutionError|ConfigTypeError|ReadonlyConfigError|UnsupportedInterpolationType)\b",
        r"|\b(?:ScannerError|ParserError|TOMLDecodeError|TomlDecodeError|NoSectionError|NoOptionError|MissingSectionHeaderError|DuplicateOptionError|UndefinedValueError|ImproperlyConfigured|ConfigurationError|ConfigError|InvalidConfig\w*|SettingsError|EnvError|ValidationError|UnrecognizedFlagError|IllegalFlagValueError|BadParameter|NoSuchOption|UsageError)\b(?::|$)",
        r"|^\d+ validation errors? for ",
        r"|^FATAL Flags parsing error",
    ))
});

/// argparse, click, getopt, docopt and clap end with a usage text and status 2.
static USAGE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:\S+(?: \S+)?: )?error: (?P<error>(?:unrecognized arguments|the following arguments are required|argument |invalid choice|ambiguous option|one of the arguments|not allowed|expected|required|unexpected argument|the argument|a value is required|invalid value|unrecognized|unknown).*)$",
        r"|^Error: (?P<click>(?:No such option|Invalid value|Missing (?:option|argument|parameter|command)|Got unexpected extra argument|No such command|Option ).*)$",
        r"|^│ (?P<rich>(?:No such option|Invalid value|Missing (?:option|argument|parameter|command)|Got unexpected extra argument|No such command).*?)\s*│?$",
        r"|^(?:\S+: )?(?P<getopt>(?:unrecognized option|invalid option|unknown option|illegal option|option requires an argument|unknown argument|Unknown option).*)$",
    ))
});

static ANY_ERROR: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\w.-]+(?: [\w-]+)?: error: (?P<error>.+)$"));
static USAGE_HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^usage: "));
static LOADER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)(?:load|read|parse|validate|check|make|build|get|resolve|from)_?(?:the_)?(?:config|cfg|settings|args|arguments|options|conf|params)\b|^(?:config|settings|configuration|validate)$")
});
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)^(?:\W*(?:error|fatal|critical)\W+)?(?:invalid|bad|missing|unknown|unsupported|unrecognized|required) (?:required |mandatory |value for )*(?:config\w*|settings?|option|parameter|key|override|flag|argument)\b.*$",
        r"|(?i)^(?:\W*(?:error|fatal|critical)\W+)?(?:config\w*|settings?) (?:error|file .* (?:invalid|not valid)|invalid)\b.*$",
        r"|(?i)\b(?:environment variable|env var|setting|option|key) [`'\x22]?\w+[`'\x22]? (?:is )?(?:not set|not defined|required|must be set|missing)\b",
    ))
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let finding = usage(study).or_else(|| sentence(study)).or_else(|| by_code(study)).or_else(|| own_line(study))?;
    Some(finding.step_command("see what it accepts", help(study)))
}

fn help(study: &Study<'_>) -> Vec<String> {
    let command = &study.case.command;
    let script = command.iter().position(|word| word.ends_with(".py")).unwrap_or(0);
    let mut help: Vec<String> = command.iter().take(script + 1).cloned().collect();
    if help.is_empty() {
        help.push(program(study));
    }
    help.push("--help".to_owned());
    help
}

fn usage(study: &Study<'_>) -> Option<Finding> {
    if !matches!(study.case.end, End::Exited(1..=2 | 64) | End::Unknown) {
        return None;
    }
    let showed_usage = study.case.log.lines.iter().any(|line| USAGE_HEAD.is_match(&line.text));
    let (told, found) = told_by_line(study, &USAGE).or_else(|| {
        showed_usage.then(|| told_by_line(study, &ANY_ERROR)).flatten()
    })?;
    if study.fatal.is_some() {
        return None;
    }
    let error = ["error", "click", "rich", "getopt"].iter().find_map(|group| found.name(group))?.as_str();
    let name = crate::telling::short_command(&study.case.command);
    let mut finding = told.proof(format!("{name} does not accept its arguments: {}", cut(error, 160)));
    if let End::Exited(code) = study.case.end {
        finding.facts.push(Fact::new("exit", format!("exit status {code} after {}", crate::telling::seconds(study.case.wall_s))));
    }
    Some(finding)
}

fn sentence(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let text = told.text();
    if unrelated(study, &text) {
        return None;
    }
    Some(told.proof(format!("the configuration was refused: {}", cut(&text, 200))))
}

/// Parsers that also read data: only a configuration where the code around says so.
fn unrelated(study: &Study<'_>, text: &str) -> bool {
    let data_parser = text.contains("ParserError") && text.contains("pandas");
    let request = text.contains("ValidationError") && study.case.wall_s > 60.0 && study.case.output_bytes > 100_000;
    data_parser || request
}

/// An exception raised by the program's own code that reads its configuration.
fn by_code(study: &Study<'_>) -> Option<Finding> {
    if study.was_standing() {
        return None;
    }
    let chain = exceptions(study);
    let exception = chain.iter().find(|exception| reads_configuration(exception))?;
    let place = trace_place(&exception.frames);
    let explanation = match environment_key(exception) {
        Some(key) => format!("the environment variable {key} is not set"),
        None => format!("the program refused its configuration: {}", cut(&exception.headline(), 200)),
    };
    Some(Finding::proof(explanation, vec![quoted(&exception.headline())]).place(place).rank(15))
}

fn reads_configuration(exception: &Exception) -> bool {
    if environment_key(exception).is_some() {
        return true;
    }
    let kind = matches!(
        exception.name(),
        "ValueError" | "KeyError" | "TypeError" | "AttributeError" | "AssertionError" | "JSONDecodeError" | "SystemExit" | "RuntimeError"
    );
    let users: Vec<_> = exception.frames.iter().filter(|frame| crate::place::is_user_file(&frame.file)).collect();
    let Some(frame) = users.last() else { return false };
    let by_name = LOADER.is_match(&frame.function)
        || users.len() > 1 && LOADER.is_match(&users[users.len() - 2].function) && exception.name() == "JSONDecodeError";
    let source = frame.source.as_deref().unwrap_or_default();
    let unknown_field = exception.name() == "TypeError"
        && (exception.message.contains("unexpected keyword argument") || exception.message.contains("missing") && exception.message.contains("required"))
        && (source.contains("**cfg") || source.contains("**conf") || source.contains("onfig(**") || source.contains("ettings(**"));
    let file_json = exception.name() == "JSONDecodeError" && (source.contains("conf") || source.contains("cfg") || source.contains("setting"));
    let of_config_file = ["config.py", "settings.py", "cfg.py", "conf.py", "configuration.py"].contains(&base_name(&frame.file));
    kind && (by_name || unknown_field || file_json || of_config_file)
}

/// `os.environ["X"]` of a variable that is not set.
fn environment_key(exception: &Exception) -> Option<&str> {
    let frame = exception.frames.last()?;
    let library = base_name(&frame.file) == "os.py" || frame.file.contains("<frozen os>");
    let library = library && frame.function == "__getitem__";
    (exception.name() == "KeyError" && library).then(|| exception.message.trim_matches('\''))
}

fn own_line(study: &Study<'_>) -> Option<Finding> {
    if study.fatal.is_some() || !matches!(study.case.end, End::Exited(_) | End::Unknown) {
        return None;
    }
    let (told, _) = told_by_line(study, &LINE)?;
    let text = told.text();
    Some(told.proof(format!("the program refused its configuration: {}", cut(&text, 200))).rank(40))
}
