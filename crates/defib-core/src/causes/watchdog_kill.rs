//! Somebody's timeout, liveness probe or reloader ended a working process.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{base_name, cut, quoted, seconds, signal_name, told, trace_place};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "watchdog-kill",
    title: "Ended by somebody's timeout or watchdog",
    what: "Somebody's timeout, liveness probe or reloader ended a working process.",
    settled_by: "A lifetime that equals a configured number, flat memory, and no out-of-memory line of the kernel.",
    taken_for: "out of memory, a crash",
    by_hand: &["how long did it live? Is that a number somebody configured?", "no out-of-memory line in dmesg"],
    remedies: &["more time, or find out what it was doing"],
    remedy: Remedy::Fresh,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"TimeoutExpired: Command .* timed out after (?P<expired>[\d.]+) seconds",
        r"|\bWORKER TIMEOUT \(pid:\s?(?P<worker>\d+)\)|Worker \(pid:\d+\) was sent SIG(?:KILL|ABRT|TERM)",
        r"|Hard time limit \((?P<hard>[\d.]+)s\) exceeded|\b(?:Soft)?TimeLimitExceeded\b|\bJobTimeoutException\b|exceeded maximum timeout value \((?P<rq>\d+)",
        r"|DUE TO TIME LIMIT|CANCELLED AT .* TIME LIMIT|wall ?time .*exceed|exceeded.* wall ?time",
        r"|(?i:liveness probe failed|readiness probe failed|back-off restarting|startup probe failed)",
        r"|\* Restarting with (?:stat|watchdog)|Detected (?:file )?change in .*reloading|WatchFiles detected changes|StatReload detected changes",
        r"|^Timeout \(\d+:\d\d:\d\d(?:\.\d+)?\)!$",
        r"|(?i:watchdog)[^.]{0,80}(?i:kill|terminat|restart|timeout|timed out|abort|expired|no (?:heartbeat|ping))",
        r"|(?i:\b(?:kill(?:ing|ed)?|terminat(?:ing|ed|e)|restarting|stopping|aborting|reap(?:ing|ed)?)\b[^.]{0,80}\b(?:timeout|timed[ -]out|time limit|deadline|heartbeat|unresponsive|not responding|watchdog|took too long|hung|stale|exceeded)\b)",
        r"|(?i:\b(?:timeout|timed[ -]out|time limit|deadline|no heartbeat|missed heartbeat|heartbeat|unresponsive|not responding|took too long|no progress|exceeded)\b[^.]{0,80}\b(?:kill(?:ing|ed)?|sending sig|sigkill|sigterm|terminat(?:ing|ed|e)|restarting|stopping|aborting|giving up on (?:worker|child|process)))",
        r"|(?i:(?:init|start|startup|worker|subprocess|child|process|job|task)\w* timed out after (?P<after>[\d.]+) ?s)",
    ))
});
static NUMBER: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)(?:timeout|time[_-]?limit|deadline|max[_-]?(?:time|seconds|runtime|wait)|limit|alarm|budget|ttl|watchdog|patience|grace|kill[_-]?after|interval|wait|secs?|seconds)\w*\W{0,4}?(?P<number>\d+(?:\.\d+)?)"));

/// A parent tells that a child was ended by SIGKILL or SIGTERM.
static ENDED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"SIGKILL|SIGTERM|(?i:exit(?:ed|code| code| status)?|ended|died|finished|terminated|return ?code|rc|code|status|signal)\W{0,3}(?:with|code|status)?\W{0,3}(?:code|status)?\W{0,3}(?:-(?:9|15)|137|143)\b")
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if study.case.end == End::Exited(0) || study.was_standing() || oom(study) {
        return None;
    }
    by_sentence(study).or_else(|| by_timeout_program(study)).or_else(|| by_alarm(study)).or_else(|| by_lifetime(study))
}

fn oom(study: &Study<'_>) -> bool {
    let kernel = &study.case.kernel;
    kernel.oom.iter().any(|counter| counter.after > counter.before)
        || kernel.lines.iter().any(|line| line.text.to_lowercase().contains("out of memory"))
}

fn by_sentence(study: &Study<'_>) -> Option<Finding> {
    let (told, found) = told(study, &SENTENCE)?;
    let text = told.text();
    if is_network_timeout(&text) {
        return None;
    }
    let limit = ["expired", "hard", "rq", "after"].iter().find_map(|group| found.name(group));
    let explanation = match limit {
        Some(limit) => format!("a time limit of {} that somebody set ended it, not a fault of its own: {}", limit_words(limit.as_str()), cut(&text, 160)),
        None => format!("a watchdog or reloader ended it, not a fault of its own: {}", cut(&text, 200)),
    };
    let exception = crate::telling::exceptions(study).into_iter().find(|exception| exception.name() == "TimeoutExpired");
    let place = exception.and_then(|exception| trace_place(&exception.frames)).or_else(|| told.place());
    let mut finding = told.proof(explanation).place(place).rank(told.rank().min(25));
    if let Some(lived) = study.case.lifetimes.iter().find(|lifetime| limit.is_some_and(|limit| near(lifetime.lived_s, limit.as_str()))) {
        let says = format!("{} (pid {}) lived {}", cut(&lived.command, 60), lived.pid, seconds(lived.lived_s));
        finding.facts.push(Fact::new("exit", says).of(lived.pid));
    }
    if text.contains("Perhaps out of memory") {
        let mut noise = Fact::new("log", "\"Perhaps out of memory?\" is printed after any SIGKILL of the server's own; no out-of-memory kill was seen");
        noise.noise = true;
        finding.facts.push(noise);
    }
    Some(finding.step("give it more time, or find what it was doing: run it alone under defib with --timeout"))
}

/// `2` for the 1.99997 that is left of it when the exception is made.
fn limit_words(limit: &str) -> String {
    limit.parse::<f64>().map_or_else(|_| limit.to_owned(), |limit| seconds((limit * 100.0).round() / 100.0))
}

/// A network call's own timeout is an error of that call, not a watchdog.
fn is_network_timeout(text: &str) -> bool {
    ["collective operation", "ProcessGroup", "NCCL", "ReadTimeout", "ConnectTimeout", "ConnectionError", "socket.timeout", "urlopen error", "HTTPSConnectionPool", "HTTPConnectionPool"]
        .iter()
        .any(|word| text.contains(word))
}

fn near(lived_s: f64, limit: &str) -> bool {
    limit.parse::<f64>().is_ok_and(|limit| matches_limit(lived_s, limit))
}

fn matches_limit(lived_s: f64, limit: f64) -> bool {
    let over = lived_s - limit;
    limit >= 0.5 && over >= -0.3 - 0.02 * limit && over <= 0.8 + 0.03 * limit
}

/// `timeout 30 python …` of coreutils: status 124, or 137 with -k.
fn by_timeout_program(study: &Study<'_>) -> Option<Finding> {
    let words = &study.case.command;
    let at = words.iter().position(|word| base_name(word) == "timeout")?;
    let limit = words[at + 1..].iter().find(|word| word.starts_with(|first: char| first.is_ascii_digit()))?;
    let ended = matches!(study.case.end, End::Exited(124 | 137) | End::Signaled(9));
    ended.then(|| {
        let says = format!("the command is started by timeout {limit}, and it ended after {}", seconds(study.case.wall_s));
        let facts = vec![Fact::new("exit", says).at(study.case.wall_s), Fact::new("exit", "exit status 124 is timeout's own")];
        Finding::proof(format!("timeout {limit} ended it when its time was over"), facts)
            .rank(6)
            .step("give timeout a larger limit, or use defib run --timeout, which says what it was doing")
    })
}

/// A program that set itself an alarm, or a CPU limit of its session.
fn by_alarm(study: &Study<'_>) -> Option<Finding> {
    let (signal, what) = match study.signal()? {
        14 => (14, "an alarm clock that the program (or a wrapper) had set"),
        24 => (24, "a CPU time limit (ulimit -t)"),
        _ => return None,
    };
    let after = seconds(study.case.wall_s);
    let fact = Fact::new("exit", format!("ended by {} after {after}", signal_name(signal))).at(study.case.wall_s);
    Some(Finding::proof(format!("{what} ended it after {after}"), vec![fact]).rank(20))
}

/// SIGKILL or SIGTERM without an out-of-memory kill, at an age that somebody wrote down.
fn by_lifetime(study: &Study<'_>) -> Option<Finding> {
    let signal = study.signal().filter(|signal| [9, 15, 6].contains(signal));
    let by_exception = crate::telling::exceptions(study).iter().any(|exception| {
        ENDED.is_match(&exception.headline()) || exception.name() == "BrokenProcessPool"
    });
    let reported = by_exception || study.case.log.last_lines(5).iter().any(|line| ENDED.is_match(&line.text));
    if signal.is_none() && !reported {
        return None;
    }
    if let Some(finding) = by_health_check(study, reported) {
        return Some(finding);
    }
    let mut lives: Vec<(i32, f64)> = study.case.lifetimes.iter().map(|lifetime| (lifetime.pid, lifetime.lived_s)).collect();
    if signal.is_some() || reported {
        lives.push((study.case.root, study.case.wall_s));
    }
    for (text, source) in written_numbers(study) {
        for found in NUMBER.captures_iter(&text) {
            let Ok(limit) = found["number"].parse::<f64>() else { continue };
            if let Some((pid, lived)) = lives.iter().find(|life| life.1 > 0.9 && matches_limit(life.1, limit)) {
                let says = format!("it lived {}, and {source} says: {}", seconds(*lived), cut(&text, 160));
                let facts = vec![Fact::new("exit", says).of(*pid)];
                let explanation = format!("it was ended from outside after {}, the {limit} s that {source} names", seconds(*lived));
                return Some(Finding::signs(vec![Sign::seen(Group::Kernel, "lived as long as a written limit")], explanation, facts));
            }
        }
    }
    (signal == Some(9)).then(|| {
        let says = "ended by SIGKILL, and no out-of-memory kill was counted by the kernel";
        let facts = vec![Fact::new("exit", says).at(study.case.wall_s)];
        let explanation = format!("somebody outside killed it with SIGKILL after {}; the kernel's memory killer did not", seconds(study.case.wall_s));
        Finding::signs(vec![Sign::seen(Group::Kernel, "SIGKILL without an out-of-memory kill")], explanation, facts)
            .step("look for a supervisor, probe or script with a time limit, or a kill -9 by hand")
    })
}

/// A supervisor asked a process for a sign of life, got none, and then the process was killed.
fn by_health_check(study: &Study<'_>, reported: bool) -> Option<Finding> {
    static CHECK: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\b(?:health|liveness|heartbeat|alive|ping|probe|watchdog|respons\w+|answer\w*)\b.*\b(?:timed? ?out|timeout|failed|fail|missed|no answer|not answer\w*|unhealthy|dead|late|stale|lost|down|refused|overdue|expired)\b|\b(?:unhealthy|unresponsive|not responding|missed \d+ (?:heartbeats?|pings?)|no (?:heartbeat|answer|response|sign of life|ping))\b")
    });
    let killed = study.case.lifetimes.iter().find(|life| matches!(life.signal(), Some(9 | 15 | 6)));
    if !(reported || killed.is_some()) {
        return None;
    }
    let checks: Vec<&str> = study.case.log.last_lines(25).into_iter().map(|line| line.text.as_str()).filter(|text| CHECK.is_match(text)).collect();
    let last = checks.last()?;
    let mut facts = vec![quoted(last)];
    facts.extend(study.case.log.last_lines(5).into_iter().find(|line| ENDED.is_match(&line.text)).map(|line| quoted(&line.text)));
    facts.extend(killed.map(|life| Fact::new("exit", format!("{} (pid {}) was ended by {}", cut(&life.command, 60), life.pid, signal_name(life.signal().unwrap_or(9)))).of(life.pid)));
    let signs = vec![Sign::seen(Group::Log, "a check of life failed"), Sign::when(reported || killed.is_some(), Group::Kernel, "a process was killed then")];
    let explanation = format!("a supervisor killed a process that did not answer its check ({} times): {}", checks.len(), cut(last, 120));
    Some(Finding::signs(signs, explanation, facts).step("find out what kept it from answering: one long request in a server that does one at a time looks like death").step("let the check ask something that is answered while the work goes on, or give it more time"))
}

/// Texts that may name a limit: command lines of the tree, sources around the frames, the log.
fn written_numbers(study: &Study<'_>) -> Vec<(String, String)> {
    let mut texts = vec![(study.case.command.join(" "), "the command line".to_owned())];
    for look in &study.case.looks {
        for process in &look.processes {
            texts.push((process.command.join(" "), format!("the command line of pid {}", process.pid)));
        }
        for excerpt in &look.sources {
            let lines = excerpt.lines.iter().enumerate();
            texts.extend(lines.map(|(index, line)| {
                (line.trim().to_owned(), format!("{}:{}", base_name(&excerpt.file), excerpt.first_line as usize + index))
            }));
        }
    }
    texts.extend(study.case.log.last_lines(40).into_iter().map(|line| (line.text.clone(), "the log".to_owned())));
    texts
}
