//! How left-over processes look on a terminal.

use std::fmt::Write as _;

use defib_core::orphan::{Candidate, Holdings};
use defib_core::telling::{one_line, seconds, size};
use defib_engine::orphans::{LeftOver, Listing};

use super::style;

/// Most processes that one line names.
const NAMED: usize = 3;

/// `ended 2 processes that run r7f3a had left: python server.py (pid 41, 1.2 GiB, port 7860), …`.
pub(crate) fn swept_line(did: &str, all: &[LeftOver]) -> String {
    let mut runs: Vec<&str> = all.iter().map(|one| one.orphan.run.as_str()).collect();
    runs.sort_unstable();
    runs.dedup();
    let of = if let [run] = runs[..] { format!("run {run}") } else { format!("{} earlier runs", runs.len()) };
    let named: Vec<String> = all
        .iter()
        .take(NAMED)
        .map(|one| {
            let command = one_line(&one.orphan.command, 50);
            format!("{command} (pid {}, {})", one.orphan.process.pid, held(&one.holdings))
        })
        .collect();
    let more = if all.len() > NAMED { format!(" and {} more", all.len() - NAMED) } else { String::new() };
    let processes = if all.len() == 1 { "process" } else { "processes" };
    format!("{did} {} {processes} that {of} had left: {}{more}", all.len(), named.join(", "))
}

fn held(holdings: &Holdings) -> String {
    let more = holdings.words();
    let memory = size(holdings.memory_bytes);
    if more.is_empty() { memory } else { format!("{memory}, {more}") }
}

/// The whole listing.
pub(crate) fn listing(listing: &Listing) -> String {
    let mut out = String::new();
    if listing.orphans.is_empty() && listing.candidates.is_empty() {
        let _ = writeln!(out, "{}✔{:#} nothing is left over", style::GOOD, style::GOOD);
    }
    if !listing.orphans.is_empty() {
        let total = listing.orphans.iter().map(|one| one.holdings.memory_bytes).sum();
        let many = count(listing.orphans.len(), "process", "processes");
        let _ = writeln!(out, "{}{many} that earlier runs left{:#}, {}", style::STRONG, style::STRONG, size(total));
        for one in &listing.orphans {
            out.push_str(&row(one.orphan.process.pid, one.age_s, &one.holdings, &one.orphan.command));
            let _ = writeln!(out, "          {}of run {}{:#}", style::DIM, one.orphan.run, style::DIM);
        }
        let _ = writeln!(out, "  next    defib orphans --kill");
    }
    if !listing.candidates.is_empty() {
        if !listing.orphans.is_empty() {
            out.push('\n');
        }
        let many = count(listing.candidates.len(), "process looks", "processes look");
        let _ = writeln!(out, "{}{many} left over{:#}; defib did not start it", style::STRONG, style::STRONG);
        for one in &listing.candidates {
            out.push_str(&candidate(one));
            let (pid, start) = (one.standing.pid, one.standing.start_ticks);
            let _ = writeln!(out, "  next    defib orphans --kill --pid {pid} --start {start}");
        }
    }
    if listing.incomplete {
        let _ = writeln!(out, "{}not every process could be read in time{:#}", style::WARN, style::WARN);
    }
    out
}

/// One process that looks left over, with what speaks for and against it.
pub(crate) fn candidate(candidate: &Candidate) -> String {
    let standing = &candidate.standing;
    let mut out = row(standing.pid, standing.age_s, &standing.holdings, &standing.command.join(" "));
    for (index, reason) in candidate.reasons.iter().enumerate() {
        let _ = writeln!(out, "  {:<8}{}", if index == 0 { "for" } else { "" }, one_line(reason, 200));
    }
    for (index, reason) in candidate.against.iter().enumerate() {
        let _ = writeln!(out, "  {:<8}{reason}", if index == 0 { "against" } else { "" });
    }
    out
}

fn row(pid: i32, age_s: f64, holdings: &Holdings, command: &str) -> String {
    let command = one_line(command, 100);
    let (age, held) = (age(age_s), held(holdings));
    format!("  {}pid {pid}{:#}  {age} old, {held}\n          {command}\n", style::STRONG, style::STRONG)
}

/// `3 min`, `5 h 12 min`, `4 days`: seconds matter only for what is young.
fn age(age_s: f64) -> String {
    const DAY: f64 = 86_400.0;
    if age_s > 2.0 * DAY { format!("{:.0} days", (age_s / DAY).floor()) } else { seconds(age_s) }
}

/// `1 process`, `2 processes`.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use defib_core::orphan::{Standing, judge};

    #[test]
    fn a_candidate_reads_like_this() {
        let standing = Standing {
            pid: 990,
            start_ticks: 5_531_234,
            age_s: 300_000.0,
            command: vec!["python".into(), "launch.py".into(), "--api-key=abcdefghijklmnop1234".into()],
            session: 950,
            parent: 1,
            parent_command: vec!["/sbin/init".into()],
            hangup_ignored: true,
            holdings: Holdings {
                memory_bytes: 23 << 30,
                memory_is_share: true,
                ports: vec!["127.0.0.1:7860".into()],
                ..Holdings::default()
            },
            ..Standing::default()
        };
        let listing = Listing { candidates: vec![judge(standing).unwrap()], ..Listing::default() };
        insta::assert_snapshot!(anstream::adapter::strip_str(&super::listing(&listing)).to_string());
    }
}
