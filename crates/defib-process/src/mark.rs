//! The second mark of a run's processes, for those that wipe their environment.
//!
//! The program is started with an odd soft RLIMIT_MSGQUEUE that follows from the
//! id of its run. Limits are inherited and survive `env -i`, `setsid`, closed
//! descriptors and renaming. Sixteen bits are not proof by themselves: the sweep
//! also wants the same boot, a start after that of the run, and a run that ended.

use defib_core::run::RunId;

/// The range of marks: odd numbers from here, below the kernel's default of 819,200.
const FIRST: u64 = 640_001;
const COUNT: u64 = 1 << 16;

/// Soft limit of bytes in message queues that marks the processes of this run.
#[must_use]
pub fn mark_of(run: &RunId) -> u64 {
    // FNV-1a: stable over versions, unlike std's hasher.
    let hash = run
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    FIRST + 2 * ((hash ^ (hash >> 32)) % COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_odd_and_below_the_default() {
        for entropy in 0..1000 {
            let mark = mark_of(&RunId::from_entropy(entropy * 7919));
            assert!(mark % 2 == 1 && mark < 819_200);
        }
    }
}
