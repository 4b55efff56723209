//! Vital signs of real trees.

use std::io::{Read, Write};

use defib_core::facts::Vitals;
use defib_observe::{OomWatch, Sample, Sampler};

use crate::support::{Program, until};

fn never_falls(before: &Vitals, after: &Vitals) {
    assert!(after.cpu_s >= before.cpu_s);
    assert!(after.read_chars >= before.read_chars);
    assert!(after.written_chars >= before.written_chars);
    assert!(after.switches >= before.switches);
    assert!(after.births >= before.births);
    assert!(after.net_received >= before.net_received && after.net_sent >= before.net_sent);
}

/// Samples until the condition holds; no counter may fall meanwhile.
fn sample_until(sampler: &mut Sampler, holds: impl Fn(&Sample) -> bool) -> Sample {
    let mut last = sampler.sample(0.0);
    until(|| {
        let next = sampler.sample(1.0);
        never_falls(&last.vitals, &next.vitals);
        last = next;
        holds(&last).then_some(())
    })
    .unwrap_or_else(|| panic!("never held: {last:#?}"));
    last
}

const WORKERS: &str = "\
import os, sys, time, threading
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
for n in range(3):
    if os.fork() == 0:
        os.write(1, b'x' * 2000)
        burn(0.3)
        os._exit(0)
for n in range(3): os.wait()
print('done', flush=True)
time.sleep(60)
";

#[test]
fn counters_keep_what_ended_children_used() {
    let mut program = Program::python(WORKERS);
    let mut sampler = Sampler::new(program.pid(), true);
    let mut output = program.child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut chunk = [0; 4096];
        while !text.ends_with(b"done\n") {
            let count = output.read(&mut chunk).unwrap();
            text.extend_from_slice(&chunk[..count]);
        }
    });
    let found = sample_until(&mut sampler, |sample| sample.vitals.processes == 1 && sample.vitals.cpu_s > 0.85);
    assert!(found.vitals.cpu_s < 2.0, "{:?}", found.vitals);
    assert!(found.vitals.written_chars >= 6000);
    assert_eq!(found.processes[0].pid, program.pid());
    assert!(found.processes[0].command[1].ends_with("program.py"));
    reader.join().unwrap();
}

#[test]
fn births_are_counted_and_the_root_can_stand_outside() {
    let code = "for i in 1 2 3; do sleep 60 & done; wait";
    let program = Program::shell(code);
    let mut sampler = Sampler::new(program.pid(), false);
    let found = sample_until(&mut sampler, |sample| sample.vitals.processes == 3);
    assert_eq!(found.vitals.births, 3);
    assert!(found.processes.iter().all(|process| process.ppid == program.pid()));
    let named =
        sample_until(&mut sampler, |sample| sample.processes.iter().all(|process| process.command == ["sleep", "60"]));
    assert_eq!(named.vitals.processes, 3);
}

#[test]
fn a_moving_download_is_seen() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let code = format!("import socket\ns=socket.create_connection(('127.0.0.1',{port}))\nwhile s.recv(65536): pass");
    let program = Program::python(&code);
    let (mut stream, _) = listener.accept().unwrap();
    let mut sampler = Sampler::new(program.pid(), true);
    for round in 1..=3u64 {
        stream.write_all(&vec![0; 200_000]).unwrap();
        sample_until(&mut sampler, |sample| sample.vitals.net_received >= round * 200_000);
    }
    let found = sampler.sample(2.0);
    assert_eq!(found.vitals.net_received, 600_000);
    drop(stream);
    let closed = sample_until(&mut sampler, |sample| {
        sample.vitals.processes == 0
            || sample.processes[0].name != "python3"
            || sample.processes[0].state == defib_core::facts::ProcessState::Zombie
    });
    assert_eq!(closed.vitals.net_received, 600_000);
}

#[test]
fn memory_descriptors_and_pressure() {
    let program = Program::python("import time\nx=bytearray(30_000_000)\ntime.sleep(60)");
    let mut sampler = Sampler::new(program.pid(), true);
    let found = sample_until(&mut sampler, |sample| sample.vitals.rss_bytes > 30_000_000);
    assert!(found.vitals.descriptors.is_some_and(|count| count >= 3));
    assert_eq!(found.vitals.threads, 1);
    let mut later = Sampler::new(program.pid(), true);
    sample_until(&mut later, |sample| sample.vitals.pss_bytes.is_some_and(|bytes| bytes > 30_000_000));
    assert!(found.vitals.pressure.is_some() || !std::path::Path::new("/proc/pressure").exists());
}

#[test]
fn a_quiet_machine_has_no_kernel_news() {
    let kernel = OomWatch::start().finish(&[i32::MAX]);
    assert!(kernel.lines.is_empty());
    assert!(kernel.oom.iter().all(|counter| counter.after >= counter.before));
}
