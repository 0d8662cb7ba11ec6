//! What a process and its children cost, from `/proc`.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result};

/// Linux reports processor time in hundredths of a second.
const MICROSECONDS_PER_TICK: f64 = 10_000.0;

/// Processor time, user and kernel together, in microseconds.
pub(crate) fn processor_time(pid: u32) -> Result<f64> {
    let mut ticks = 0.0;
    for pid in family(pid)? {
        // A child may have ended meanwhile.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let fields: Vec<&str> =
            stat.rsplit_once(')').context("a process status")?.1.split_whitespace().collect();
        for field in fields.get(11..13).context("processor times")? {
            ticks += field.parse::<f64>()?;
        }
    }
    Ok(ticks * MICROSECONDS_PER_TICK)
}

/// Resident memory in bytes.
pub(crate) fn memory(pid: u32) -> Result<u64> {
    let mut bytes = 0;
    for pid in family(pid)? {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|rest| rest.split_whitespace().next()).unwrap_or("0");
        bytes += kilobytes.parse::<u64>()? * 1024;
    }
    Ok(bytes)
}

/// The process and all that descend from it.
fn family(pid: u32) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(child) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{child}/stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(child);
        }
    }
    anyhow::ensure!(fs::exists(format!("/proc/{pid}"))?, "no process {pid}");
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        all.extend(children.remove(&parent).unwrap_or_default());
        next += 1;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_time_and_memory() {
        let mut sum: u64 = 0;
        while processor_time(std::process::id()).unwrap() == 0.0 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(memory(std::process::id()).unwrap() > 100_000);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(processor_time(u32::MAX).is_err());
    }
}
