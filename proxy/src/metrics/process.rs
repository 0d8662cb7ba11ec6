//! The process as Linux sees it, under the names that Prometheus' own libraries
//! give it: what dashboards and alerts for any process look for.
//!
//! Read from `/proc` when somebody asks. Elsewhere than on Linux all are 0, and so
//! is what `/proc` does not tell; but for the start, which is about when this is made:
//! under systemd's `ProcSubset=pid` there is no `/proc/stat`, and alerts of processes
//! that start again and again go by it.

use std::{fs, time::SystemTime};

use prometheus::{Counter, Gauge, IntGauge, Registry, core::Collector};

/// Unit of the times in `/proc`: hundredths of a second, whatever the kernel itself counts in.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the process uses.
#[derive(Debug)]
pub(super) struct ProcessUsage {
    start_time: Gauge,
    cpu: Counter,
    resident_memory: IntGauge,
    virtual_memory: IntGauge,
    threads: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
}

impl ProcessUsage {
    /// Registers the metrics; [`Self::measure`] gives them values.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let number = |name, help| add(registry, IntGauge::new(name, help)?);
        let usage = Self {
            start_time: add(
                registry,
                Gauge::new("process_start_time_seconds", "When the process began, in seconds since 1970.")?,
            )?,
            cpu: add(
                registry,
                Counter::new("process_cpu_seconds_total", "CPU time of the process, user and system.")?,
            )?,
            resident_memory: number("process_resident_memory_bytes", "Resident memory.")?,
            virtual_memory: number("process_virtual_memory_bytes", "Virtual memory.")?,
            threads: number("process_threads", "Threads of the operating system.")?,
            open_fds: number("process_open_fds", "Open file descriptors.")?,
            max_fds: number("process_max_fds", "Limit of open file descriptors: LimitNOFILE, ulimit -n.")?,
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        usage.start_time.set(now.as_secs_f64());
        Ok(usage)
    }

    /// Reads `/proc`; what it does not tell stays as it was.
    pub(super) fn measure(&self) {
        if let Some(stat) = read("/proc/self/stat").as_deref().and_then(Stat::parse) {
            self.cpu.inc_by((stat.cpu_seconds - self.cpu.get()).max(0.0));
            if let Some(booted) = read("/proc/stat").as_deref().and_then(boot_time) {
                self.start_time.set(booted + stat.started_seconds);
            }
        }
        if let Some(status) = read("/proc/self/status") {
            for (gauge, key, unit) in [
                (&self.resident_memory, "VmRSS:", 1024),
                (&self.virtual_memory, "VmSize:", 1024),
                (&self.threads, "Threads:", 1),
            ] {
                if let Some(value) = number_after(&status, key) {
                    gauge.set(value.saturating_mul(unit));
                }
            }
        }
        if let Some(limit) =
            read("/proc/self/limits").and_then(|limits| number_after(&limits, "Max open files"))
        {
            self.max_fds.set(limit);
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The directory that is being read is among them.
            self.open_fds.set(i64::try_from(open.count()).unwrap_or(i64::MAX) - 1);
        }
    }
}

/// Times of `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    /// After the system's start.
    started_seconds: f64,
}

impl Stat {
    /// Fields 14, 15 and 22; the second one, the program's name in brackets, may hold blanks and brackets.
    fn parse(stat: &str) -> Option<Self> {
        let (_, third_and_later) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = third_and_later.split_ascii_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        let (user, system, started) = (ticks(14)?, ticks(15)?, ticks(22)?);
        Some(Self {
            cpu_seconds: (user + system) / TICKS_PER_SECOND,
            started_seconds: started / TICKS_PER_SECOND,
        })
    }
}

/// `btime` of `/proc/stat`, in seconds since 1970.
fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The number behind `key` at the beginning of a line.
fn number_after(text: &str, key: &str) -> Option<i64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(file).ok()
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_past_a_name_with_blanks_and_brackets() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 4 0 12345 1 2 3";
        assert_eq!(Stat::parse(stat), Some(Stat { cpu_seconds: 2.0, started_seconds: 123.45 }));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(Stat::parse("7 (a"), None);
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\nprocesses 9\n"), Some(1_700_000_000.0));
    }

    #[test]
    fn numbers_are_read_and_unlimited_is_none() {
        assert_eq!(number_after("VmPeak: 9 kB\nVmRSS:\t    2048 kB\n", "VmRSS:"), Some(2048));
        assert_eq!(number_after("Max open files   1024   524288   files\n", "Max open files"), Some(1024));
        assert_eq!(number_after("Max open files   unlimited   unlimited   files\n", "Max open files"), None);
        assert_eq!(number_after("", "Threads:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_measured() {
        let usage = ProcessUsage::register(&Registry::new()).unwrap();
        // What stays if `/proc/stat` is hidden.
        assert!(usage.start_time.get() > 1_600_000_000.0, "{}", usage.start_time.get());
        usage.measure();
        assert!(
            usage.resident_memory.get() > 1 << 20 && usage.virtual_memory.get() > usage.resident_memory.get()
        );
        assert!(usage.open_fds.get() >= 3 && usage.max_fds.get() >= usage.open_fds.get());
        assert!(usage.threads.get() >= 1);
        assert!(usage.start_time.get() > 1_600_000_000.0, "{}", usage.start_time.get());
        let before = (usage.cpu.get(), usage.start_time.get());
        usage.measure();
        assert!(usage.cpu.get() >= before.0);
        assert_eq!(usage.start_time.get(), before.1);
    }
}
