//! The page as a whole: complete, escaped, bounded, and alone.

use defib_core::account;
use defib_core::event::{Ending, Entry, Event, Stream};
use defib_core::facts::{Frame, GpuVitals, Look, Pressure, Process, ProcessState, PythonStack, Thread, Vitals, Wait};
use defib_core::log::Log;
use defib_core::report::{Action, Evidence, Leftover, NextStep, Place, RankedCause, Report};

use super::page;

const JOURNAL: &str = include_str!("../../../tests/fixtures/silent_start/journal.jsonl");

fn fixture() -> (Report, Vec<Entry>, Log) {
    let entries: Vec<Entry> = JOURNAL.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let log = Log::read([(Some(Stream::Stdout), &b"service listens on http://127.0.0.1:33893/track\n"[..])]);
    (account::report(&entries, log.clone()), entries, log)
}

fn run(at_s: f64) -> Vec<Entry> {
    let started = Event::Run {
        schema: 1,
        run: "r1".parse().unwrap(),
        command: vec!["python3".into(), "a.py".into()],
        cwd: "/home/u/app".into(),
        started_ms: 1_700_000_000_000,
        pty: false,
        version: "0.1.0".into(),
    };
    let ended = [
        Event::Exited { code: Some(0), signal: None, core: false, max_rss_bytes: 1, cpu_s: 0.1 },
        Event::TreeEnded { ended: 0, survivors: 0, took_s: 0.0 },
    ];
    let mut entries = vec![
        Entry { at_s: 0.0, event: started },
        Entry { at_s: 0.0, event: Event::Started { pid: 11, start_ticks: 1 } },
    ];
    entries.extend(ended.map(|event| Entry { at_s, event }));
    entries
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn sampled(number: usize) -> Vec<Entry> {
    let mut entries = run(number as f64);
    for index in 0..number {
        let (at_s, counter) = (index as f64, index as u64);
        let gpu =
            GpuVitals { utilization: Some(50), used_bytes: 9 << 30, tree_bytes: Some(8 << 30), ..GpuVitals::default() };
        let vitals = Vitals {
            at_s,
            cpu_s: at_s * 0.7,
            rss_bytes: 1 << 30,
            switches: counter * 9,
            net_received: counter * 2000,
            processes: 1,
            threads: 4,
            pressure: Some(Pressure { cpu: 3.0, ..Pressure::default() }),
            gpus: vec![gpu],
            ..Vitals::default()
        };
        entries.push(Entry { at_s, event: Event::Sample { vitals } });
        if number > 1000 {
            entries.push(Entry { at_s, event: Event::Heartbeat });
            entries.push(Entry { at_s, event: Event::Notice { text: "x".repeat(300) } });
        }
    }
    entries
}

fn page_of(entries: &[Entry], log: Log) -> String {
    page(&account::report(entries, log.clone()), entries, &log)
}

#[test]
fn every_section_is_there_and_says_what_was_found() {
    let (report, entries, log) = fixture();
    let page = page(&report, &entries, &log);
    for part in [
        "<html lang=\"en\">",
        "<title>",
        "<h1>",
        "id=\"causes\"",
        "id=\"timeline\"",
        "id=\"stacks\"",
        "id=\"log\"",
        "id=\"did\"",
        "pipe-full",
        "proved",
        "bytes are queued there",
        "child.wait(timeout=180)",
        "child.communicate(timeout=180)",
        "nothing moved for 5.0 s",
        "Context switches",
        "<polyline",
        "prefers-color-scheme: dark",
        "read by",
        "stuck",
        "service listens on",
        "ended 2 processes",
        "defib show rma7q3mew --json",
        "defib logs rma7q3mew",
        "Nothing to show: ",
        "role=\"img\" aria-label=",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
}

#[test]
fn the_page_loads_nothing() {
    let (report, entries, log) = fixture();
    let page = page(&report, &entries, &log);
    for part in [" src=", " href=", "url(", "@import", "xmlns", "<link", "<img", "<iframe", "fetch("] {
        assert!(!page.contains(part), "{part}");
    }
    for (at, _) in page.match_indices("http://") {
        assert!(
            page[at..].starts_with("http://127.0.0.1") || page[at..].starts_with("http://{"),
            "{}",
            &page[at..at + 40]
        );
    }
    assert!(!page.contains("https://"));
    assert!(!page.contains("0x7fff"), "locals are not shown: they may hold anything");
}

#[test]
fn any_number_of_samples_gives_a_page() {
    for (number, expected) in [
        (0, "No vital signs were taken"),
        (1, "One sample, at 0.00 s"),
        (2, "2 samples from"),
        (100_000, "100000 samples from"),
    ] {
        let page = page_of(&sampled(number), Log::default());
        assert!(page.contains(expected), "{number}");
        assert_eq!(page.contains("<polyline"), number > 1, "{number}");
        assert_eq!(page.contains("GPU 0 memory"), number > 1, "{number}");
        assert!(page.len() < 3 << 20, "{number} samples: {} bytes", page.len());
        let points = page
            .split("points=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap_or_default().split_whitespace().count());
        assert!(points.max().unwrap_or_default() <= 604, "{number}");
    }
}

/// Every text of a report, a journal and a log set to `text`.
fn hostile(text: &str) -> (Report, Vec<Entry>, Log) {
    let mut entries = run(2.0);
    // A look holds thousands of texts; each is longer than what is shown of it.
    let inside: String = text.chars().take(700).collect();
    let s = || inside.clone();
    let frame = Frame { function: s(), file: format!("/home/u/app/{inside}"), line: 3, locals: Vec::new() };
    let stack =
        PythonStack { thread_name: Some(s()), owns_gil: true, frames: vec![frame; 200], ..PythonStack::default() };
    let thread = |tid| Thread {
        tid,
        name: s(),
        state: ProcessState::Sleeping,
        wait: Wait::Other { call: s() },
        wchan: Some(s()),
        cpu_s: 0.0,
        switches: 0,
        python: Some(stack.clone()),
    };
    let look: Look = serde_json::from_str(JOURNAL.lines().rfind(|line| line.contains("\"event\":\"look\"")).unwrap())
        .map(|entry: Entry| match entry.event {
            Event::Look { look } => look,
            _ => Look::default(),
        })
        .unwrap();
    let process = |pid| Process {
        pid,
        ppid: pid - 1,
        name: s(),
        command: vec![s(), s()],
        threads: vec![thread(pid), thread(pid + 1)],
        ..look.processes[0].clone()
    };
    let look = Look { at_s: 1.0, root: 11, processes: (11..91).map(process).collect(), ..Look::default() };
    let s = || text.to_owned();
    let events = [
        Event::Look { look },
        Event::Stage { name: s() },
        Event::Notice { text: s() },
        Event::Trouble { text: s() },
        Event::Ending(Ending::Stalled { quiet_s: 1.0 }),
        Event::StreamEnded { stream: Stream::Stderr, bytes: 9, not_kept: 5, reason: Some(s()), reader_gone: true },
    ];
    entries.extend(events.map(|event| Entry { at_s: 1.0, event }));
    let log = Log::read([
        (Some(Stream::Stdout), format!("{text} {text}").as_bytes()),
        (Some(Stream::Stderr), format!("{text}\n").repeat(30).as_bytes()),
    ]);
    let mut report = account::report(&entries, log.clone());
    report.run.command = vec![s(), s()];
    report.run.cwd = s();
    report.run.id = s();
    report.run.started = Some(s());
    report.outcome.stage = Some(s());
    let evidence = |id: &str, noise| Evidence {
        id: id.into(),
        source: s(),
        at_s: Some(1.0),
        pid: Some(1),
        thread: Some(s()),
        says: s(),
        noise,
    };
    report.evidence = vec![evidence("e1", false), evidence("e2", true)];
    report.causes = vec![RankedCause {
        consequence: false,
        id: s(),
        title: s(),
        probability: f64::NAN,
        proved: false,
        evidence: vec!["e1".into()],
        explanation: s(),
        place: Some(Place { file: s(), line: u32::MAX, function: Some(s()) }),
        next_steps: vec![NextStep { say: s(), command: Some(vec![s(), s()]) }],
    }];
    report.actions = vec![Action { at_s: 1.0, did: s() }; 250];
    report.leftovers = vec![Leftover { pid: 1, command: s(), state: s(), wchan: s(), fate: s() }; 120];
    (report, entries, log)
}

#[test]
fn hostile_text_is_escaped() {
    for text in [
        "<script>alert(1)</script>",
        "</style></title><b x=",
        "\" onload=\"x",
        "'\"><svg/onload=x>",
        "a\0b\u{202e}c\u{1b}[31m",
        "</pre></script><!--",
    ] {
        let (report, entries, log) = hostile(text);
        let page = page(&report, &entries, &log);
        let at = page.find(text);
        assert!(
            at.is_none(),
            "{text}: {:?}",
            page.get(at.unwrap_or_default().saturating_sub(200)..at.unwrap_or_default() + 60)
        );
        assert!(!page.contains(['\0', '\u{1b}', '\u{202e}']), "{text}");
        assert_eq!(page.matches("<script").count(), 1, "{text}");
        assert_eq!(page.matches("</style").count(), 1, "{text}");
        assert_eq!(page.matches("<main>").count(), 1);
        assert!(!page.contains("<svg/") && !page.contains("<b x="), "{text}");
    }
}

#[test]
fn large_text_is_bounded() {
    let (report, entries, log) = hostile(&"long <line> ".repeat(90_000));
    let page = page(&report, &entries, &log);
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
    assert!(page.contains("… (cut)"));
}

#[test]
fn secrets_of_commands_and_log_are_hidden() {
    for (text, secret) in [
        ("--api-key s3cr3tvalue", "s3cr3tvalue"),
        ("token=s3cr3tvalue", "s3cr3tvalue"),
        ("http://u:s3cr3tvalue@h/x", "s3cr3tvalue"),
    ] {
        let (report, entries, log) = hostile(text);
        let page = page(&report, &entries, &log);
        let at = page.find(secret).unwrap_or_default();
        assert!(at == 0 && page.contains("•••"), "{text}: {:?}", page.get(at.saturating_sub(200)..at + 20));
    }
    let mut entries = run(1.0);
    if let Event::Run { command, .. } = &mut entries[0].event {
        command.extend(["--hf-token".into(), "s3cr3t value".into(), "--password=it's s3cr3t".into()]);
    }
    assert!(!page_of(&entries, Log::default()).contains("s3cr3t"));
}

#[test]
fn the_traceback_is_shown_though_much_follows_it() {
    let mut text = "before\n".repeat(500);
    text.push_str("Traceback (most recent call last):\n  File \"/home/u/app/a.py\", line 7, in load\n    open(path)\nValueError: no such model\n");
    text.push_str(&"after\n".repeat(500));
    let mut entries = run(1.0);
    for entry in &mut entries {
        if let Event::Exited { code, .. } = &mut entry.event {
            *code = Some(1);
        }
    }
    let log = Log::read([(Some(Stream::Stderr), text.as_bytes())]);
    let page = page_of(&entries, log);
    assert!(page.contains("line fatal") && page.contains("lines not shown here") && page.contains("open(path)"));
}
