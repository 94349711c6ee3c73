//! The memory of a process, from `/proc`.

/// Memory of a process in megabytes, by its name in `proc(5)`: `VmRSS` is what it holds now, `VmHWM` the most that it ever held.
pub(crate) fn memory_mb(pid: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("the memory");
    let kilobytes: u32 = line.split_whitespace().next().expect("a number").parse().expect("a number");
    f64::from(kilobytes) / 1_024.0
}
