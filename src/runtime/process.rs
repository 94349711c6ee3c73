//! What the process takes of its machine, as `/proc` has it, under the names that Prometheus's own clients use.

use std::fmt::Write;
use std::fs;

use rustix::time::{ClockId, clock_gettime};

/// How many ticks of a second programs are shown: the same on every machine that Volley is built for.
const TICKS_PER_SECOND: u64 = 100;

/// The lines of `/metrics` about this process. What the system does not tell is left out.
#[must_use]
pub fn measured() -> String {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let cpu = format!("{}.{:02}", cpu.tv_sec, cpu.tv_nsec / 10_000_000);
    let whole = |number: Option<u64>| number.map(|number| number.to_string());
    let mut lines = String::new();
    for (head, value) in [
        (
            "# HELP process_cpu_seconds_total time that the process has used on processors\n\
             # TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total",
            Some(cpu),
        ),
        (
            "# HELP process_resident_memory_bytes memory of the process that is in use and not swapped out\n\
             # TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes",
            whole(resident_bytes()),
        ),
        (
            "# HELP process_open_fds open files and sockets of the process\n\
             # TYPE process_open_fds gauge\nprocess_open_fds",
            whole(open_files()),
        ),
        (
            "# HELP process_max_fds how many of them the process may have\n\
             # TYPE process_max_fds gauge\nprocess_max_fds",
            whole(most_files()),
        ),
        (
            "# HELP process_start_time_seconds when the process started, since 1970\n\
             # TYPE process_start_time_seconds gauge\nprocess_start_time_seconds",
            whole(started_at()),
        ),
    ] {
        if let Some(value) = value {
            // Writing to a text cannot fail.
            let _ = writeln!(lines, "{head} {value}");
        }
    }
    lines
}

/// The number behind a name at the beginning of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn resident_bytes() -> Option<u64> {
    let kib = number(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")?;
    kib.checked_mul(1 << 10)
}

fn open_files() -> Option<u64> {
    // The folder itself is open while it is read.
    let open = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1);
    u64::try_from(open).ok()
}

fn most_files() -> Option<u64> {
    number(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files")
}

/// In whole seconds since 1970.
fn started_at() -> Option<u64> {
    let booted = number(&fs::read_to_string("/proc/stat").ok()?, "btime")?;
    let about = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may have blanks. Behind it the start is the twentieth.
    let (_, fields) = about.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().nth(19)?.parse().ok()?;
    booted.checked_add(ticks / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_living_process_has_memory_files_and_a_start_in_the_past() {
        assert!(resident_bytes().unwrap() > 1 << 20);
        assert!((3..most_files().unwrap()).contains(&open_files().unwrap()));
        // By the machine's clock, as a file that is made now has it.
        let now = tempfile::tempfile().unwrap().metadata().unwrap().modified().unwrap();
        let age = now.duration_since(UNIX_EPOCH).unwrap().as_secs() - started_at().unwrap();
        assert!(age < 86_400, "started {age} s ago");
        let text = measured();
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), 5, "{text}");
    }
}
