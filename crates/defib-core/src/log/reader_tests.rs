use super::*;
use crate::log::Log;
use proptest::prelude::*;

const DECISIVE: &str = "Out of memory: Killed process 4127 (python3) total-vm:31457280kB";
const TRACEBACK: &str = "Exception in thread Thread-3 (load):\nTraceback (most recent call last):\n  File \"/srv/app/load.py\", line 7, in load\n    return torch.load(path)\nRuntimeError: PytorchStreamReader failed reading zip archive\n";

fn read(text: &[u8], piece: usize) -> Log {
    let mut reader = LogReader::new(None);
    text.chunks(piece).for_each(|part| reader.push(part));
    Log::of([reader])
}

fn filler(lines: usize) -> String {
    (0..lines).map(|number| format!("INFO frame {number} rendered in 0.{:03} s\n", number % 1000)).collect()
}

fn holds_together(log: &Log) -> Result<(), TestCaseError> {
    prop_assert!(log.lines.windows(2).all(|pair| pair[0].number < pair[1].number));
    prop_assert_eq!(log.left_out.lines_read, log.lines.len() as u64 + log.left_out.lines);
    Ok(())
}

#[test]
fn what_matters_in_the_middle_stays_with_its_number() {
    let around = filler(60_000);
    let text = format!("{around}{DECISIVE}\n{around}{TRACEBACK}{around}");
    let log = read(text.as_bytes(), 70_001);
    let line = log.lines.iter().find(|line| line.text == DECISIVE).unwrap();
    assert_eq!(line.number, 60_001);
    assert_eq!(log.tracebacks.len(), 1);
    assert_eq!(log.tracebacks[0].thread.as_deref(), Some("Thread-3 (load)"));
    assert_eq!(log.tracebacks[0].root().frames[0].line, 7);
    assert_eq!(log.left_out.matches, 0);
    assert!(log.lines.len() < MOST_LINES + 40, "{}", log.lines.len());
    holds_together(&log).unwrap();
}

#[test]
fn a_colour_within_a_text_hides_nothing() {
    let around = filler(60_000);
    let text = format!("{around}\x1b[31mOut of \x1b[1mmemory\x1b[0m: Killed process 4127 (python3)\n{around}");
    assert!(read(text.as_bytes(), 1 << 20).lines.iter().any(|line| line.text.starts_with("Out of memory: Killed")));
}

#[test]
fn a_flood_of_one_text_is_counted_and_pushes_out_no_other() {
    let flood = format!("{}{DECISIVE}\n", "CUDA out of memory. Tried to allocate 2.00 GiB\n".repeat(90));
    let mut text = filler(30_000);
    (0..1500).for_each(|_| text.push_str(&flood[..flood.len() - DECISIVE.len() - 1]));
    text.push_str(DECISIVE);
    text.push('\n');
    (0..1500).for_each(|_| text.push_str(&flood[..flood.len() - DECISIVE.len() - 1]));
    text.push_str(&filler(30_000));
    let log = read(text.as_bytes(), 1 << 20);
    assert!(log.lines.iter().any(|line| line.text == DECISIVE));
    assert!(log.left_out.matches > 200_000, "{:?}", log.left_out);
    assert!(log.lines.len() < 2 * MOST_LINES + LONGEST_LINE, "{}", log.lines.len());
    holds_together(&log).unwrap();
}

#[test]
fn a_line_without_end_takes_no_memory() {
    let mut reader = LogReader::new(None);
    for number in 0..40_000 {
        reader.push(format!("\r {number:>5}/40000 [00:01<00:02] {}", "#".repeat(500)).as_bytes());
        assert!(reader.filling.len() <= BLOCK);
    }
    let log = Log::of([reader]);
    assert_eq!(log.lines.len(), 1);
    assert!(log.lines[0].text.starts_with(" 39999/40000"));
}

#[test]
fn a_traceback_across_the_end_of_the_beginning_stays_whole() {
    for lines in HEAD_LINES - 6..HEAD_LINES + 2 {
        let text = format!("{}{TRACEBACK}{}", filler(lines), filler(60_000));
        let log = read(text.as_bytes(), 1 << 20);
        assert_eq!(log.tracebacks.len(), 1, "{lines}");
        assert_eq!(log.tracebacks[0].root().name(), "RuntimeError");
    }
}

proptest! {
    #[test]
    fn pieces_of_any_size_read_the_same(bytes in prop::collection::vec(prop::sample::select(b"ab \r\n\n\x1b[m\x08\t\xff".to_vec()), 0..2000), piece in 1usize..300) {
        let (one, other) = (read(&bytes, piece), read(&bytes, usize::MAX));
        prop_assert_eq!(&one.lines, &other.lines);
        let expected = bytes.split_inclusive(|&byte| byte == b'\n').count();
        prop_assert_eq!(one.lines.len(), expected);
        holds_together(&one)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_large_log_keeps_its_order_and_every_rare_line(
        places in prop::collection::vec(0usize..70_000, 1..20),
        piece in 1usize..400_000,
    ) {
        let mut lines: Vec<String> = filler(70_000).lines().map(str::to_owned).collect();
        for &place in &places {
            lines[place] = DECISIVE.to_owned();
        }
        let log = read(lines.join("\n").as_bytes(), piece);
        holds_together(&log)?;
        let kept: Vec<usize> = log.lines.iter().filter(|line| line.text == DECISIVE).map(|line| line.number - 1).collect();
        let mut wanted = places;
        wanted.sort_unstable();
        wanted.dedup();
        prop_assert_eq!(kept, wanted);
        for line in &log.lines {
            prop_assert_eq!(&line.text, &lines[line.number - 1]);
        }
    }
}
