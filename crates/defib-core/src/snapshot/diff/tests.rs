//! What changed between two snapshots: nothing, everything, and the same from both sides.

use proptest::prelude::*;

use super::*;
use crate::snapshot::{Gpu, Package, Process, PythonEnvironment, RunOutcome, Variable};

fn base() -> Snapshot {
    let mut snapshot = Snapshot { schema: 1, taken_ms: 1, ..Snapshot::default() };
    snapshot.system.boot_id = "b".into();
    snapshot.memory.total_bytes = 32 << 30;
    snapshot.memory.available_bytes = 20 << 30;
    snapshot
}

fn process(pid: i32, port: Option<u16>, gib: u64) -> Process {
    Process {
        pid,
        start_ticks: u64::from(pid.unsigned_abs()),
        command: vec!["python".into(), "serve.py".into()],
        rss_bytes: gib << 30,
        matters: true,
        listens: port.map(|port| format!("127.0.0.1:{port}")).into_iter().collect(),
        ..Process::default()
    }
}

fn says(a: &Snapshot, b: &Snapshot) -> Vec<String> {
    diff(a, b).into_iter().map(|change| change.says).collect()
}

#[test]
fn what_matters_is_named_and_the_gravest_group_comes_first() {
    let (a, mut b) = (base(), base());
    b.memory.available_bytes = 3 << 30;
    b.processes.list.push(process(41, Some(7860), 22));
    b.environment.push(Variable { name: "HF_HOME".into(), value: Some("/data".into()) });
    b.runs.push(RunOutcome { id: "r1".into(), outcome: "stalled".into(), started_ms: 5, ..RunOutcome::default() });
    let changes = diff(&a, &b);
    let all = changes.iter().map(|change| change.says.as_str()).collect::<Vec<_>>().join("\n");
    for part in ["memory available: 20.0 GiB → 3.0 GiB", "port 7860", "HF_HOME", "run r1"] {
        assert!(all.contains(part), "{part}\n{all}");
    }
    let first: Vec<Importance> = changes.iter().map(|change| change.importance).collect();
    assert_eq!(first.first(), Some(&Importance::High));
    let groups: Vec<Group> = changes.iter().map(|change| change.group).collect();
    let mut once = groups.clone();
    once.dedup();
    let mut sorted = once.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(once.len(), sorted.len(), "a group stands in one place: {groups:?}");
}

#[test]
fn small_differences_are_noise() {
    let (a, mut b) = (base(), base());
    b.memory.available_bytes -= 100 << 20;
    b.memory.cache_bytes += 50 << 20;
    b.system.up_s = 500.0;
    b.system.load = vec![0.3, 0.1, 0.0];
    assert_eq!(says(&a, &b), Vec::<String>::new());
}

#[test]
fn a_reused_pid_is_another_process() {
    let (mut a, mut b) = (base(), base());
    a.processes.list.push(process(41, Some(7860), 1));
    b.processes.list.push(Process { start_ticks: 99, ..process(41, Some(7861), 1) });
    let all = says(&a, &b).join("\n");
    assert!(all.contains("7860") && all.contains("7861"), "{all}");
}

#[test]
fn a_package_a_driver_and_a_limit_are_told_with_both_values() {
    let (mut a, mut b) = (base(), base());
    let python = |version: &str| PythonEnvironment {
        prefix: "/venv".into(),
        packages: vec![Package { name: "torch".into(), version: version.into(), ..Package::default() }],
        ..PythonEnvironment::default()
    };
    (a.python, b.python) = (vec![python("2.3.0")], vec![python("2.4.0")]);
    (a.gpus.driver, b.gpus.driver) = (Some("550".into()), Some("560".into()));
    a.limits.memory_limit_bytes = Some(16 << 30);
    let all = says(&a, &b).join("\n");
    for part in ["2.3.0 → 2.4.0", "550 → 560", "16.0 GiB → no limit"] {
        assert!(all.contains(part), "{part}\n{all}");
    }
}

prop_compose! {
    fn any_snapshot()(
        available in 1u64..32, swap in 0u64..4, limit in proptest::option::of(1u64..64),
        processes in proptest::collection::vec((1i32..9, proptest::option::of(7000u16..7004), 0u64..30), 0..5),
        packages in proptest::collection::vec((0usize..3, 0u8..3), 0..3),
        gpu in proptest::option::of(0u64..24), runs in proptest::collection::vec((0u8..6, any::<bool>()), 0..5),
        variables in proptest::collection::vec((0u8..4, proptest::option::of(0u8..3)), 0..4),
    ) -> Snapshot {
        let mut snapshot = base();
        snapshot.memory.available_bytes = available << 30;
        snapshot.memory.swap_total_bytes = 8 << 30;
        snapshot.memory.swap_used_bytes = swap << 30;
        snapshot.limits.memory_limit_bytes = limit.map(|gib| gib << 30);
        snapshot.processes.list = processes.into_iter().map(|(pid, port, gib)| process(pid, port, gib)).collect();
        let packages = packages.into_iter().map(|(name, version)| Package {
            name: ["torch", "numpy", "diffusers"][name].into(), version: version.to_string(), ..Package::default()
        });
        snapshot.python = vec![PythonEnvironment { prefix: "/v".into(), packages: packages.collect(), ..PythonEnvironment::default() }];
        snapshot.gpus.list = gpu.into_iter().map(|gib| Gpu {
            uuid: "g".into(), total_bytes: 24 << 30, used_bytes: gib << 30, ..Gpu::default()
        }).collect();
        snapshot.runs = runs.into_iter().map(|(id, healthy)| RunOutcome {
            id: format!("r{id}"), healthy, outcome: if healthy { "completed" } else { "failed" }.into(), ..RunOutcome::default()
        }).collect();
        snapshot.environment = variables.into_iter().map(|(name, value)| Variable {
            name: format!("HF_{name}"), value: value.map(|value| value.to_string())
        }).collect();
        snapshot
    }
}

proptest! {
    #[test]
    fn nothing_changed_is_nothing(a in any_snapshot()) {
        prop_assert_eq!(says(&a, &a), Vec::<String>::new());
    }

    /// Both directions mention the same subjects, with before and after exchanged.
    #[test]
    fn both_directions_mention_the_same(a in any_snapshot(), b in any_snapshot()) {
        let mut there: Vec<_> = diff(&a, &b).into_iter().map(|it| (it.group, it.subject, it.before, it.after)).collect();
        let mut back: Vec<_> = diff(&b, &a).into_iter().map(|it| (it.group, it.subject, it.after, it.before)).collect();
        there.sort();
        back.sort();
        prop_assert_eq!(there, back);
    }
}
