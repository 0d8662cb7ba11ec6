//! Numbers and times in log lines.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

pub(super) fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend(digits.iter().skip(20 - used));
}

/// Seconds with at most nine decimals, cut.
pub(super) fn seconds<const DECIMALS: usize>(out: &mut Vec<u8>, time: Duration) {
    decimal(out, time.as_secs());
    out.push(b'.');
    out.extend(digits::<9>(time.subsec_nanos()).iter().take(DECIMALS));
}

/// ISO 8601 with microseconds in UTC: `2018-07-02T22:23:00.186641Z`.
pub(super) fn timestamp(out: &mut Vec<u8>, time: SystemTime) {
    whole_seconds(out, time);
    out.push(b'.');
    padded::<6>(out, OffsetDateTime::from(time).microsecond());
    out.push(b'Z');
}

/// ISO 8601 in UTC without saying so: `2018-12-20T02:59:40`.
pub(super) fn whole_seconds(out: &mut Vec<u8>, time: SystemTime) {
    let time = OffsetDateTime::from(time);
    padded::<4>(out, time.year().unsigned_abs());
    out.push(b'-');
    padded::<2>(out, u8::from(time.month()).into());
    out.push(b'-');
    padded::<2>(out, time.day().into());
    out.push(b'T');
    padded::<2>(out, time.hour().into());
    out.push(b':');
    padded::<2>(out, time.minute().into());
    out.push(b':');
    padded::<2>(out, time.second().into());
}

/// The last `WIDTH` decimal digits of `value`.
fn padded<const WIDTH: usize>(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&digits::<WIDTH>(value));
}

fn digits<const WIDTH: usize>(mut value: u32) -> [u8; WIDTH] {
    let mut digits = [b'0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
    digits
}
