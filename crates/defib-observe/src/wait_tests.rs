//! The decoder against made-up memory; real waits are in `tests/waits.rs`.

use super::*;
use proptest::prelude::*;

/// Memory that holds `bytes` at `base`; thread 77 is alive.
struct Made {
    base: u64,
    bytes: Vec<u8>,
}

impl Surroundings for Made {
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        let Some(start) = address.checked_sub(self.base).map(|start| start as usize) else {
            return false;
        };
        let Some(end) = start.checked_add(buffer.len()) else {
            return false;
        };
        self.bytes.get(start..end).map(|bytes| buffer.copy_from_slice(bytes)).is_some()
    }
    fn is_socket(&self, fd: i32) -> bool {
        fd == 9
    }
    fn watched(&self, _: i32) -> Vec<(i32, u32)> {
        vec![(5, libc::EPOLLIN as u32)]
    }
    fn thread(&self, tid: u32) -> Option<i32> {
        (tid == 77).then_some(77)
    }
    fn lock_owner(&self, _: i32) -> Option<i32> {
        None
    }
    fn now(&self, _: i32) -> f64 {
        100.0
    }
    fn wchan(&self) -> Option<&str> {
        None
    }
}

fn made(words: &[u64]) -> Made {
    Made { base: 0x1000, bytes: words.iter().flat_map(|word| word.to_le_bytes()).collect() }
}

fn wait(number: i64, arguments: [u64; 6], around: &Made) -> Wait {
    decode(ProcessState::Sleeping, Some(Call::In { number, arguments }), around)
}

#[test]
fn a_plain_lock_wait_has_no_limit_and_no_owner() {
    let found = wait(libc::SYS_futex, [0x1000, 0x189, 0, 0, 0, 0], &made(&[0, 77]));
    let expected = Wait::Futex { address: 0x1000, shared: false, bound: Bound::Unlimited, owner: None };
    assert_eq!(found, expected);
}

#[test]
fn absolute_deadlines_are_told_from_now() {
    let memory = made(&[0, 130, 500_000_000]);
    let found = wait(libc::SYS_futex, [0x1000, 0x189, 0, 0x1008, 0, 0], &memory);
    assert!(matches!(found, Wait::Futex { bound: Bound::Within(s), .. } if s == 30.5));
    let relative = wait(libc::SYS_futex, [0x1000, 0x80, 2, 0x1008, 0, 0], &memory);
    assert!(matches!(relative, Wait::Futex { bound: Bound::Within(s), .. } if s == 130.5));
}

#[test]
fn a_contended_mutex_names_its_owner() {
    let found = wait(libc::SYS_futex, [0x1000, 0x80, 2, 0, 0, 0], &made(&[2, 77]));
    assert!(matches!(found, Wait::Futex { owner: Some(77), .. }));
    let stranger = wait(libc::SYS_futex, [0x1000, 0x80, 2, 0, 0, 0], &made(&[2, 78]));
    assert!(matches!(stranger, Wait::Futex { owner: None, .. }));
}

#[test]
fn unreadable_memory_leaves_the_bound_open() {
    let found = wait(libc::SYS_futex, [0x1000, 0x189, 0, 0x9000, 0, 0], &made(&[0]));
    assert!(matches!(found, Wait::Futex { bound: Bound::Unknown, .. }));
}

#[test]
fn a_select_on_nothing_is_a_sleep() {
    let found = wait(libc::SYS_pselect6, [0, 0, 0, 0, 0x1000, 0], &made(&[3, 0]));
    assert_eq!(found, Wait::Sleep { bound: Bound::Within(3.0) });
}

#[test]
fn reads_of_sockets_receive() {
    let memory = made(&[]);
    assert_eq!(wait(libc::SYS_read, [3, 0, 0, 0, 0, 0], &memory), Wait::Read { fd: 3 });
    let socket = wait(libc::SYS_read, [9, 0, 0, 0, 0, 0], &memory);
    assert_eq!(socket, Wait::Receive { fd: 9, bound: Bound::Unlimited });
}

proptest! {
    #[test]
    fn any_call_is_decoded_without_panic(
        number in prop_oneof![0..600i64, any::<i64>()],
        arguments in prop::array::uniform6(prop_oneof![0x1000..0x1100u64, 0..5u64, any::<u64>()]),
        bytes in proptest::collection::vec(any::<u8>(), 0..256),
    ) {
        let memory = Made { base: 0x1000, bytes };
        let _ = wait(number, arguments, &memory);
    }
}
