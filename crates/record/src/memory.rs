//! Amounts of memory in words. They are kept in MiB, and a small model needs less than one.

/// An amount in MiB with its unit, in KiB below 1 MiB: whatever is more than nothing reads as more than nothing.
pub fn memory(mib: f64) -> String {
    let (value, unit) = if mib != 0.0 && mib < 1.0 { (mib * 1024.0, "KiB") } else { (mib, "MiB") };
    let decimals = if value != 0.0 && value < 9.95 { 1 } else { 0 };
    format!("{value:.decimals$} {unit}")
}

/// What is needed, rounded up to what [`memory`] shows: beside less that is free it never reads as the same.
pub fn needed_mib(mib: f64) -> f64 {
    rounded(mib, f64::ceil)
}

/// What is free, rounded down to what [`memory`] shows.
pub fn free_mib(mib: f64) -> f64 {
    rounded(mib, f64::floor)
}

fn rounded(mib: f64, to_whole: fn(f64) -> f64) -> f64 {
    let (unit, value) = if mib < 1.0 { (1024.0, mib * 1024.0) } else { (1.0, mib) };
    let tenths = if value < 9.95 { 10.0 } else { 1.0 };
    to_whole(value * tenths) / tenths / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_amount_reads_as_nothing_unless_it_is() {
        for (mib, text) in [
            (0.0, "0 MiB"),
            (0.25 / 1024.0, "0.2 KiB"),
            (0.01, "10 KiB"),
            (0.5, "512 KiB"),
            (1.0, "1.0 MiB"),
            (4.26, "4.3 MiB"),
            (12.4, "12 MiB"),
            (40960.2, "40960 MiB"),
        ] {
            assert_eq!(memory(mib), text);
        }
    }

    #[test]
    fn what_is_needed_never_reads_as_the_less_that_is_free() {
        for (needed, free) in [(100.4, 100.2), (9.97, 9.9), (0.0105, 0.0101), (1.02, 1.01), (0.999, 0.9985)] {
            assert_ne!(memory(needed_mib(needed)), memory(free_mib(free)), "{needed} {free}");
        }
    }
}
