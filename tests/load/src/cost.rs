//! What the measured process spends, if the target names one.

use anyhow::Result;

use crate::outcome::{Better, Outcome, Unit};
use crate::process;
use crate::record::number;

/// Processor time and memory of a process from some moment on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pid: u32,
    processor: f64,
    memory: u64,
}

impl Cost {
    /// From now on; none without a process.
    ///
    /// # Errors
    /// When there is no such process.
    pub(crate) fn from_now(pid: Option<u32>) -> Result<Option<Self>> {
        let Some(pid) = pid else { return Ok(None) };
        Ok(Some(Self { pid, processor: process::processor_time(pid)?, memory: process::memory(pid)? }))
    }

    /// Processor time since then, in microseconds.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn processor(&self) -> Result<f64> {
        Ok(process::processor_time(self.pid)? - self.processor)
    }

    /// Notes processor time for each of `count` as a figure, in microseconds.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn note_each(&self, outcome: &mut Outcome, name: &str, count: u64) -> Result<()> {
        let each = self.processor()? / number(count.max(1));
        outcome.figure(name, each, Unit::Microseconds, Better::Lower);
        outcome.figure("memory", number(process::memory(self.pid)?), Unit::Bytes, Better::Lower);
        Ok(())
    }

    /// Notes memory that was added since then, for each of `count`, in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn note_memory(&self, outcome: &mut Outcome, count: u64) -> Result<()> {
        let memory = process::memory(self.pid)?;
        let each = number(memory.saturating_sub(self.memory)) / number(count.max(1));
        outcome.figure("memory", number(memory), Unit::Bytes, Better::Lower);
        outcome.figure("memory_per_connection", each, Unit::Bytes, Better::Lower);
        Ok(())
    }
}
