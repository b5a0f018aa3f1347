//! Memory and CPU of this process, read from `/proc/self` at each scrape. Elsewhere than on Linux there is nothing to read
//! and nothing is shown.

use std::fmt;
use std::fs;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// The unit of CPU times in `/proc/self/stat`, per second: `USER_HZ`, which is 100 in the ABI of every architecture that
/// we build for (proc(5), time(7)).
const USER_HZ: f64 = 100.0;

/// Reads `/proc/self` when asked.
#[derive(Debug)]
pub(super) struct ProcessCollector;

#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    /// Resident memory now, in bytes.
    resident: i64,
    /// The most that it ever was, in bytes.
    resident_peak: i64,
    /// CPU time of all threads, user and system, in seconds.
    cpu: f64,
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let Some(usage) = Usage::read() else { return Ok(()) };
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Resident memory", usage.resident),
            ("process_resident_memory_max_bytes", "The most resident memory so far", usage.resident_peak),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        let cpu = ConstCounter::new(usage.cpu);
        cpu.encode(encoder.encode_descriptor("process_cpu_seconds", "CPU time", None, cpu.metric_type())?)
    }
}

impl Usage {
    fn read() -> Option<Self> {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        Self::parse(&status, &stat)
    }

    fn parse(status: &str, stat: &str) -> Option<Self> {
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix(" kB")?.parse::<i64>().ok()
        };
        // The second field is the program's name in parentheses, and may hold anything; `utime` is the 14th, `stime` the 15th.
        let (_, after_name) = stat.rsplit_once(')')?;
        let mut times = after_name.split_ascii_whitespace().skip(11).map(str::parse::<f64>);
        let (user, system) = (times.next()?.ok()?, times.next()?.ok()?);
        Some(Self {
            resident: kilobytes("VmRSS")? * 1024,
            resident_peak: kilobytes("VmHWM")? * 1024,
            cpu: (user + system) / USER_HZ,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood_whatever_the_program_is_called() {
        let status = "Name:\tlamia\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t3\n";
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194304 1 2 3 4 150 50 7 8 20 0 3 0 100 1 2\n";
        let usage = Usage::parse(status, stat).expect("understood");
        assert_eq!(usage, Usage { resident: 10 << 20, resident_peak: 20 << 20, cpu: 2.0 });
    }

    #[test]
    fn a_file_that_makes_no_sense_is_no_figure() {
        assert_eq!(Usage::parse("VmRSS: many\n", "42 (x) S"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory() {
        assert!(Usage::read().is_some_and(|usage| usage.resident > 0 && usage.resident_peak >= usage.resident));
    }
}
