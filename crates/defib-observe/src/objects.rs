//! Asks Python processes of a run to count their live objects.
//!
//! Only where the user asked for it: the program was then started with our
//! `sitecustomize` in front of its path, and each of its Python processes waits on an
//! abstract socket that is named after the run and the process.

use std::io::{Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::{Duration, Instant};

use defib_core::facts::Objects;

/// What stands in front of the program's path, as `sitecustomize.py`.
pub const OBJECTS_SOURCE: &str = include_str!("../python/sitecustomize.py");

/// Longest answer that is read.
const MOST_BYTES: u64 = 4 << 20;

/// The Python processes of a run that can be asked.
#[must_use]
pub fn countable(run: &str) -> Vec<i32> {
    let text = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let mark = format!("@defib-memory-{run}-");
    let pid = |line: &str| line.split_once(&mark)?.1.trim().parse().ok();
    let mut pids: Vec<i32> = text.lines().filter_map(pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Asks one process, within the limit.
///
/// # Errors
/// In words, why there is no answer.
pub fn count_objects(run: &str, pid: i32, within: Duration) -> Result<Objects, String> {
    let deadline = Instant::now() + within;
    let words = |error: std::io::Error| format!("pid {pid} does not count its objects: {error}");
    let address = SocketAddr::from_abstract_name(format!("defib-memory-{run}-{pid}")).map_err(words)?;
    let mut stream = UnixStream::connect_addr(&address).map_err(words)?;
    stream.write_all(b"count\n").map_err(words)?;
    let mut answer = Vec::new();
    let mut buffer = [0; 64 << 10];
    while (answer.len() as u64) < MOST_BYTES {
        // Each piece has what is left of the time, so that a slow drip ends too.
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).map_err(words)?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => answer.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if Instant::now() >= deadline => {
                return Err(format!("pid {pid} did not count its objects within {} s ({error})", within.as_secs()));
            }
            Err(error) => return Err(words(error)),
        }
    }
    let mut objects = read(&answer).map_err(|error| format!("pid {pid} could not count its objects: {error}"))?;
    objects.pid = pid;
    Ok(objects)
}

/// Reads an answer; a process that failed says why instead.
fn read(answer: &[u8]) -> Result<Objects, String> {
    let value: serde_json::Value = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
    if let Some(error) = value.get("error").and_then(serde_json::Value::as_str) {
        return Err(error.to_owned());
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failure_in_the_process_is_told_in_its_words() {
        assert_eq!(read(b"{\"error\": \"KeyError: 'x'\"}").unwrap_err(), "KeyError: 'x'");
        assert!(read(b"").is_err());
        assert!(read(b"{\"resident_bytes\": -1}").is_err());
    }

    #[test]
    fn nobody_answers_for_a_run_that_is_not() {
        assert_eq!(countable("rnone0"), Vec::<i32>::new());
        let error = count_objects("rnone0", 1, Duration::from_secs(1)).unwrap_err();
        assert!(error.contains("does not count"), "{error}");
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
