//! Feeds a parser of foreign text with mutations of examples for a bounded time.
//!
//! A target is a test whose name begins with `fuzz_`. In `./test` each runs for a
//! second; `bench/fuzz SECONDS TARGET` gives it longer. It works with stable Rust
//! and needs no tool. There is no feedback from coverage: the examples must lead
//! into the parser, and a dictionary made of their words does the rest.
//!
//! Each input is judged by the target's own assertions and by its processor time,
//! which may grow no faster than its length. A failing input is made shorter and
//! kept as a file, and its path is printed with the seed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Longest input.
const LONGEST: usize = 32 << 10;
/// Processor time that any input may take, and what each byte adds to it.
const TIME: Duration = Duration::from_millis(200);
const TIME_A_BYTE: Duration = Duration::from_micros(20);

/// Runs a target for `DEFIB_FUZZ_SECONDS` (one second) from `DEFIB_FUZZ_SEED` (fixed).
///
/// # Panics
/// Where an input fails, with the path of the shortest one found.
pub fn fuzz(name: &str, examples: &[&[u8]], target: impl Fn(&[u8])) {
    let seconds = number("DEFIB_FUZZ_SECONDS").unwrap_or(1);
    let seed = number("DEFIB_FUZZ_SEED").unwrap_or(0x5eed);
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
    let words = words(examples);
    let mut inputs = 0_u64;
    for example in examples {
        check(name, seed, example, &target);
    }
    while Instant::now() < until {
        let mut input = random.choose(examples).map_or_else(Vec::new, |example| example.to_vec());
        for _ in 0..=random.below(8) {
            mutate(&mut input, &mut random, examples, &words);
        }
        input.truncate(LONGEST);
        check(name, seed, &input, &target);
        inputs += 1;
    }
    assert!(inputs > 0 || seconds == 0, "no input in {seconds} s");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The words of the examples: what a parser looks for.
fn words<'a>(examples: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let words = examples.iter().flat_map(|example| example.split(|byte| byte.is_ascii_whitespace()));
    words.filter(|word| !word.is_empty() && word.len() < 40).collect()
}

fn check(name: &str, seed: u64, input: &[u8], target: &impl Fn(&[u8])) {
    let Err(why) = attempt(input, target) else { return };
    let shortest = shorten(input, target);
    let path = keep(name, &shortest);
    #[expect(clippy::panic, reason = "this is how a test fails")]
    {
        panic!("{name}, seed {seed}: {why}\ninput of {} bytes: {}", shortest.len(), path.display());
    }
}

/// Why the input fails.
fn attempt(input: &[u8], target: &impl Fn(&[u8])) -> Result<(), String> {
    let before = processor_time();
    catch_unwind(AssertUnwindSafe(|| target(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
    })?;
    let took = processor_time().saturating_sub(before);
    let allowed = TIME + TIME_A_BYTE * u32::try_from(input.len()).unwrap_or(u32::MAX);
    if took > allowed { Err(format!("{took:?} for {} bytes", input.len())) } else { Ok(()) }
}

/// Of this thread: a busy machine makes no input slow.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0))
}

/// Removes parts as long as the input still fails, for a few seconds.
fn shorten(input: &[u8], target: &impl Fn(&[u8])) -> Vec<u8> {
    let until = Instant::now() + Duration::from_secs(5);
    let mut best = input.to_vec();
    let mut part = best.len() / 2;
    while part > 0 && Instant::now() < until {
        let mut at = 0;
        while at < best.len() && Instant::now() < until {
            let mut shorter = best.clone();
            shorter.drain(at..(at + part).min(best.len()));
            if attempt(&shorter, target).is_err() {
                best = shorter;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    best
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("defib-fuzz-{name}-{}", std::process::id()));
    let _ = std::fs::write(&path, input);
    path
}

/// Changes an input in one way.
fn mutate(input: &mut Vec<u8>, random: &mut Random, examples: &[&[u8]], words: &[&[u8]]) {
    const ODD: [&[u8]; 14] = [
        b"\n",
        b"\r",
        b"\x1b[",
        b"\x08",
        b"\0",
        b"\xff",
        b"\xe2\x84",
        b"-1",
        b"18446744073709551616",
        b"0",
        b"(",
        b")",
        b":",
        b"\"",
    ];
    let at = random.below(input.len() + 1);
    let end = at + random.below((input.len() - at).min(64) + 1);
    match random.below(9) {
        0 => drop(input.drain(at..end)),
        1 => input.truncate(at),
        2 => {
            let byte = random.next().to_le_bytes()[0];
            input[at..end].fill(byte);
        }
        3 => insert(input, at, random.choose(&ODD).copied().unwrap_or_default()),
        4 | 5 => insert(input, at, random.choose(words).copied().unwrap_or_default()),
        6 => {
            let part = input[at..end].to_vec();
            let times = 1 + random.below(LONGEST / 4 / part.len().max(1) + 1);
            insert(input, at, &part.repeat(times));
        }
        7 => {
            let other = random.choose(examples).copied().unwrap_or_default();
            insert(input, at, &other[random.below(other.len() + 1)..]);
        }
        _ => {
            let bytes: Vec<u8> = (0..random.below(12)).map(|_| random.next().to_le_bytes()[1]).collect();
            insert(input, at, &bytes);
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    drop(input.splice(at..at, bytes.iter().copied()));
}

/// xorshift: the same inputs for the same seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or(0) % end.max(1)
    }

    fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_found_and_its_input_is_short() {
        let found =
            catch_unwind(|| fuzz("self", &[b"size: 12 kB\n"], |input| assert!(!input.ends_with(b"kB"), "fault")));
        let text = *found.unwrap_err().downcast::<String>().unwrap();
        assert!(text.contains("fault") && text.contains("input of 2 bytes"), "{text}");
    }

    #[test]
    fn time_that_grows_too_fast_is_a_fault() {
        let slow = |input: &[u8]| {
            for _ in 0..input.len() * input.len() * 40 {
                std::hint::black_box(input);
            }
        };
        assert!(attempt(&[0; 20_000], &slow).is_err());
        assert!(attempt(&[0; 10], &slow).is_ok());
    }
}
