//! A snapshot as one page.

use defib_core::snapshot::{Process, Snapshot};
use defib_core::telling::{seconds, size};
use maud::{Markup, html};

use super::{count, document, tell, tell_within};

/// The page of a snapshot, complete in itself.
pub(crate) fn snapshot_page(snapshot: &Snapshot) -> String {
    let title = format!("snapshot of {} at {}", tell_within(&snapshot.system.host, 60), snapshot.taken);
    let parts = html! {
        h1 { (title) }
        (head(snapshot))
        (memory(snapshot))
        (gpus(snapshot))
        (processes(snapshot))
        (python(snapshot))
        (disks(snapshot))
        (events(snapshot))
        (environment(snapshot))
    };
    document(&title, &parts).into_string()
}

/// Most files of /dev/shm that are shown; the JSON has more.
const MOST_FILES: usize = 12;

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (tell_within(value, 300)) } } }
}

fn head(snapshot: &Snapshot) -> Markup {
    let system = &snapshot.system;
    html! {
        dl.facts {
            (fact("kernel", &format!("{} on {}", system.kernel, system.architecture)))
            (fact("distribution", system.distribution.as_deref().unwrap_or("not told")))
            (fact("cores", &system.cores.to_string()))
            (fact("up", &seconds(system.up_s)))
            (fact("load", &system.load.iter().map(|load| format!("{load:.1}")).collect::<Vec<_>>().join(" ")))
            @if let Some(engine) = &system.container { (fact("container", engine)) }
            @if let Some(run) = &snapshot.run { (fact("taken at the end of run", run)) }
        }
        @if !snapshot.unanswered.is_empty() {
            p.warn {
                "Not read: "
                @for (index, one) in snapshot.unanswered.iter().enumerate() {
                    @if index > 0 { "; " } (tell_within(&one.what, 100)) ": " (tell_within(&one.why, 100))
                }
            }
        }
    }
}

fn memory(snapshot: &Snapshot) -> Markup {
    let memory = &snapshot.memory;
    let limits = &snapshot.limits;
    html! {
        h2 { "Memory and limits" }
        dl.facts {
            (fact("available", &format!("{} of {}", size(memory.available_bytes), size(memory.total_bytes))))
            (fact("page cache", &size(memory.cache_bytes)))
            (fact("shared", &size(memory.shared_bytes)))
            (fact("swap in use", &format!("{} of {}", size(memory.swap_used_bytes), size(memory.swap_total_bytes))))
            @for pressure in &memory.pressure {
                (fact(&format!("pressure, {}", pressure.resource), &format!("{:.1} % of the last 10 s", pressure.some_10s)))
            }
            @if let Some(limit) = limits.memory_limit_bytes { (fact("memory limit of the group", &size(limit))) }
            @if let Some(used) = limits.memory_used_bytes { (fact("memory used by the group", &size(used))) }
            @if let Some(quota) = limits.cpu_quota { (fact("CPU quota", &format!("{quota:.2} cores"))) }
            @if let Some(pids) = limits.pids_limit { (fact("limit of processes", &pids.to_string())) }
        }
        @if let Some(shm) = &snapshot.shared_memory {
            h3 { "/dev/shm " span.quiet { (size(shm.free_bytes)) " of " (size(shm.size_bytes)) " free, " (count(usize::try_from(shm.files).unwrap_or(0), "file", "files")) } }
            @if !shm.largest.is_empty() {
                div.scroll { table {
                    thead { tr { th { "file" } th { "size" } th { "owner" } th { "held by" } } }
                    tbody { @for file in shm.largest.iter().take(MOST_FILES) { tr {
                        td { code { (tell_within(&file.path, 200)) } }
                        td { (size(file.bytes)) }
                        td { "uid " (file.uid) }
                        td {
                            @if file.held == Some(false) { span.bad { "nobody" } }
                            @else { (file.holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                        }
                    } } }
                } }
            }
        }
    }
}

fn gpus(snapshot: &Snapshot) -> Markup {
    let gpus = &snapshot.gpus;
    html! {
        h2 { "GPUs" }
        @if let Some(why) = &gpus.absent { p.quiet { (tell_within(why, 300)) } }
        @if let Some(driver) = &gpus.driver {
            p { "driver " (tell_within(driver, 60)) @if let Some(cuda) = &gpus.cuda { ", CUDA up to " (tell_within(cuda, 20)) } }
        }
        @for gpu in &gpus.list {
            h3 { "GPU " (gpu.index) ": " (tell_within(&gpu.name, 80)) }
            dl.facts {
                (fact("memory", &format!("{} of {} in use", size(gpu.used_bytes), size(gpu.total_bytes))))
                @if let Some(share) = gpu.utilization { (fact("utilisation", &format!("{share} %"))) }
                @if let Some(degrees) = gpu.temperature { (fact("temperature", &format!("{degrees} °C"))) }
                @if let Some(watts) = gpu.power_w { (fact("power", &format!("{watts:.0} W"))) }
                @if let Some((now, most)) = gpu.clock_mhz.zip(gpu.clock_max_mhz) { (fact("clock", &format!("{now} of {most} MHz"))) }
                @if !gpu.throttle.is_empty() { (fact("held down by", &gpu.throttle.join(", "))) }
                @if let Some(errors) = gpu.ecc_uncorrected { (fact("memory errors", &errors.to_string())) }
            }
            @for process in &gpu.processes {
                p { "pid " (process.pid) ": " (process.bytes.map_or_else(|| "memory not told".to_owned(), size)) }
            }
        }
    }
}

fn processes(snapshot: &Snapshot) -> Markup {
    let all = &snapshot.processes;
    html! {
        h2 { "Processes" }
        p.quiet { "Trees with GPU memory, a port, Python or more than a hundredth of the memory; " (all.others) " others." }
        div.scroll { table {
            thead { tr { th { "pid" } th { "command" } th { "memory" } th { "GPU" } th { "ports" } th { "age" } th { "run" } } }
            tbody { @for process in &all.list { (row(process)) } }
        } }
        @if all.left_out > 0 { p.warn { (all.left_out) " more that matter are not listed" } }
    }
}

fn row(process: &Process) -> Markup {
    let ports: Vec<String> = process.ports().iter().map(ToString::to_string).collect();
    html! { tr {
        td { (process.pid) }
        td { code { (tell_within(&process.command.join(" "), 160)) } }
        td { (size(process.memory_bytes())) }
        td { (process.gpu_bytes.map(size).unwrap_or_default()) }
        td { (ports.join(", ")) }
        td { (seconds(process.age_s)) }
        td { (process.run.as_deref().unwrap_or_default()) }
    } }
}

fn python(snapshot: &Snapshot) -> Markup {
    html! {
        h2 { "Python" }
        @for python in &snapshot.python {
            h3 {
                (python.version.as_deref().unwrap_or("version not told")) " in " code { (tell_within(&python.prefix, 200)) }
                span.quiet {
                    @if python.on_path { "what python3 starts " }
                    @if !python.pids.is_empty() { "runs as pid " (python.pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")) }
                }
            }
            @if python.packages.is_empty() { p.quiet { "none of the packages that matter" } }
            ul { @for package in &python.packages { li {
                (tell_within(&package.name, 80)) " " (tell_within(&package.version, 60))
                @if !package.others.is_empty() { " " span.bad { "also " (tell_within(&package.others.join(", "), 120)) } }
            } } }
        }
    }
}

fn disks(snapshot: &Snapshot) -> Markup {
    html! {
        h2 { "Disks" }
        div.scroll { table {
            thead { tr { th { "mount" } th { "kind" } th { "free" } th { "size" } th { "free inodes" } th { "holds" } } }
            tbody { @for disk in &snapshot.disks { tr {
                td { code { (tell_within(&disk.mount, 120)) } }
                td { (tell_within(&disk.kind, 30)) }
                @if disk.answered {
                    td { @if disk.nearly_full() { span.bad { (size(disk.free_bytes)) } } @else { (size(disk.free_bytes)) } }
                    td { (size(disk.size_bytes)) }
                    td { (disk.inodes_free.map(|free| free.to_string()).unwrap_or_default()) }
                } @else { td colspan="3" { span.bad { "does not answer" } } }
                td { (tell_within(&disk.roles(), 160)) }
            } } }
        } }
    }
}

fn events(snapshot: &Snapshot) -> Markup {
    let log = &snapshot.kernel_log;
    html! {
        h2 { "Kernel log" }
        @if let Some(why) = &log.denied { p.quiet { "could not be read: " (tell_within(why, 200)) } }
        @else if log.lines.is_empty() { p.quiet { "no line about memory, crashes, disks or GPUs" } }
        ul { @for line in &log.lines { li { span.quiet { (tell_within(&line.about, 30)) " " } code { (tell(&line.text)) } } } }
        h2 { "Last runs" }
        @if snapshot.runs.is_empty() { p.quiet { "none yet" } }
        ul { @for run in &snapshot.runs { li {
            code { (run.id) } " "
            @if run.healthy { span.good { (run.outcome) } } @else { span.bad { (run.outcome) } }
            @if let Some(cause) = &run.cause { ", " (tell_within(cause, 60)) }
            span.quiet { " " (tell_within(&run.command.join(" "), 120)) }
        } } }
    }
}

fn environment(snapshot: &Snapshot) -> Markup {
    let (told, named): (Vec<_>, Vec<_>) = snapshot.environment.iter().partition(|one| one.value.is_some());
    html! {
        h2 { "Environment" }
        ul { @for one in told { li { code { (tell_within(&one.name, 80)) "=" (tell_within(one.value.as_deref().unwrap_or_default(), 400)) } } } }
        p.quiet { "Set as well, values not kept: " (tell(&named.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(" "))) }
    }
}
