//! The process as Linux describes it, under Micrometer's names, and under
//! Prometheus' own where Micrometer has none. Elsewhere than on Linux only the
//! times are known.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{Counter, Gauge, IntGauge, Registry};

use super::{MetricsError, add};

/// Unit of the CPU times in `/proc`: hundredths of a second, whatever the
/// kernel itself counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// The process.
#[derive(Debug)]
pub struct ProcessMetrics {
    start_time: Gauge,
    uptime: Gauge,
    cpu: Counter,
    resident_memory: IntGauge,
    open_files: IntGauge,
    max_files: IntGauge,
}

impl ProcessMetrics {
    pub(super) fn try_new(registry: &Registry) -> Result<Self, MetricsError> {
        let gauge = |name, help| add(registry, Gauge::new(name, help)?);
        let number = |name, help| add(registry, IntGauge::new(name, help)?);
        let start_time = gauge("process_start_time_seconds", "When the server began, since 1970")?;
        start_time.set(seconds_since_1970());
        Ok(Self {
            start_time,
            uptime: gauge("process_uptime_seconds", "Time since the server began")?,
            cpu: add(registry, Counter::new("process_cpu_seconds_total", "CPU time, user and system")?)?,
            resident_memory: number("process_resident_memory_bytes", "Resident memory")?,
            open_files: number("process_files_open_files", "Open file descriptors")?,
            max_files: number("process_files_max_files", "Limit of open file descriptors")?,
        })
    }

    /// Measures. What the system does not tell stays as it was.
    pub(super) fn refresh(&self) {
        self.uptime.set((seconds_since_1970() - self.start_time.get()).max(0.0));
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).ok();
        if let Some(seconds) = read("stat").as_deref().and_then(cpu_seconds) {
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        }
        if let Some(bytes) = read("status").as_deref().and_then(resident_bytes) {
            self.resident_memory.set(bytes);
        }
        if let Some(limit) = read("limits").as_deref().and_then(max_files) {
            self.max_files.set(limit);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            // The directory that is being read is one of them.
            self.open_files.set(i64::try_from(files.count()).unwrap_or(i64::MAX) - 1);
        }
    }
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|time| time.as_secs_f64()).unwrap_or_default()
}

/// Fields 14 and 15 of `/proc/self/stat`; the second one, a name in brackets,
/// may hold blanks and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut times = after_name.split_ascii_whitespace().skip(11);
    let (user, system): (u32, u32) = (times.next()?.parse().ok()?, times.next()?.parse().ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

/// `VmRSS` of `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<i64>().ok()?.checked_mul(1024)
}

/// The soft limit in `/proc/self/limits`.
fn max_files(limits: &str) -> Option<i64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_read() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 4 0 100 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds("7 (a"), None);
        assert_eq!(resident_bytes("Name:\ta\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files   1024   524288   files\n";
        assert_eq!(max_files(limits), Some(1024));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_measured() {
        let process = ProcessMetrics::try_new(&Registry::new()).unwrap();
        process.refresh();
        assert!(process.resident_memory.get() > 1 << 20);
        assert!(process.open_files.get() >= 3 && process.max_files.get() >= process.open_files.get());
        let before = process.cpu.get();
        process.refresh();
        assert!(process.cpu.get() >= before);
    }
}
