//! Fuzz targets of what reads a program's output.

use defib_fuzz::fuzz;

use super::{Log, LogReader, parse_progress};
use crate::redact::redact;

const EXAMPLES: &[&[u8]] = &[
    b"Traceback (most recent call last):\n  File \"a.py\", line 3, in main\n    x()\n    ~^^\nValueError: bad\n  more\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"b.py\", line 1\nKeyError: 'k'\n",
    b"[rank0]: Traceback (most recent call last):\n[rank0]:   File \"t.py\", line 3, in <module>\n[rank0]:     x()\n[rank0]: RuntimeError: CUDA out of memory.\n",
    b"Fatal Python error: Segmentation fault\n\nThread 0x1 (most recent call first):\n  File \"x.py\", line 1 in a\n\nCurrent thread 0x2 (most recent call first):\n  File \"lib.py\", line 9 in call\n  File \"x.py\", line 4 in <module>\n",
    b" 40%|\xe2\x96\x88\xe2\x96\x88      | 4/10 [00:02<00:03,  1.9it/s]\r100%|##########| 10/10 [00:05<00:00]\n\x1b[31mred\x1b[0m \x1b]0;title\x07 a\x08b\r\n",
    b"kernel: Out of memory: Killed process 4127 (python3) total-vm:1kB\nOSError: [Errno 98] Address already in use\nexit code -9\n",
];

const SECRETS: &[&[u8]] = &[
    b"curl -H 'Authorization: Bearer abcdefgh12345678' https://user:pass@example.org/x?token=abc&sig=9",
    b"HF_TOKEN=hf_abcdefghijklmnop AWS_SECRET_ACCESS_KEY='x y' --api-key sk-123456 password: \"hunter2\"",
];

#[test]
fn fuzz_log() {
    fuzz("log", EXAMPLES, |input| {
        let whole = Log::read([(None, input)]);
        let mut reader = LogReader::new(None);
        input.chunks(7).for_each(|piece| reader.push(piece));
        let pieces = Log::of([reader]);
        assert_eq!(whole.lines, pieces.lines, "cut into pieces it reads otherwise");
        assert_eq!(whole.tracebacks, pieces.tracebacks);
        assert!(whole.lines.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
        for line in &whole.lines {
            assert!(line.text.len() <= super::clean::LONGEST_LINE * 3);
            assert!(!line.text.chars().any(|letter| letter == '\x1b' || letter == '\n' || letter == '\r'));
        }
        for traceback in &whole.tracebacks {
            assert!(!traceback.chain.is_empty() && traceback.first_line < traceback.end_line);
            assert!(traceback.end_line <= whole.lines.len());
            assert!(traceback.chain.iter().all(|exception| exception.line < whole.lines.len()));
        }
        assert!(whole.tracebacks.windows(2).all(|pair| pair[0].end_line <= pair[1].first_line));
        for dump in super::fault_dumps(&whole.lines) {
            assert!(dump.line < whole.lines.len() && dump.frames.len() <= 4000);
        }
    });
}

#[test]
fn fuzz_middle() {
    // Far from both ends nothing is lost that a judgement of the whole would see.
    let filler = "INFO frame handed to the encoder\n";
    let before = filler.repeat(super::reader::MOST_LINES);
    fuzz("middle", EXAMPLES, |input| {
        let input = &input[..input.len().min(2000)];
        let alone = Log::read([(None, input)]);
        let text = [before.as_bytes(), input, b"\n", before.as_bytes()].concat();
        let log = Log::read([(None, &text[..])]);
        assert!(log.lines.windows(2).all(|pair| pair[0].number < pair[1].number));
        assert_eq!(log.left_out.lines_read, log.lines.len() as u64 + log.left_out.lines);
        assert!(log.tracebacks.len() >= alone.tracebacks.len(), "a traceback of the middle is lost");
    });
}

#[test]
fn fuzz_progress() {
    fuzz("progress", EXAMPLES, |input| {
        for line in String::from_utf8_lossy(input).lines() {
            let Some(progress) = parse_progress(line) else { continue };
            assert!(progress.done.is_finite() && progress.done >= 0.0);
            assert!(progress.total.is_none_or(|total| total > 0.0 && progress.done <= total));
        }
    });
}

#[test]
fn fuzz_redact() {
    fuzz("redact", SECRETS, |input| {
        let text = String::from_utf8_lossy(input);
        let once = redact(&text).into_owned();
        assert_eq!(redact(&once), once, "what is hidden once stays as it is");
        assert!(once.len() <= text.len() * 8 + 64);
    });
}
