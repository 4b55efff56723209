//! Durations and sizes as people write them: `10s`, `5m`, `4GiB`, `500M`.

use std::time::Duration;

/// Reads a duration: a number with `ms`, `s`, `m`, `h` or `d`; without a unit, seconds.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let factor = match unit {
        "" | "s" | "sec" => 1.0,
        "ms" => 1e-3,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("{text:?} is no duration: write 10s, 5m, 1h30m as 90m, or 500ms")),
    };
    let seconds = number.parse::<f64>().map(|number| number * factor);
    match seconds {
        Ok(seconds) if seconds > 0.0 && seconds < 1e9 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("{text:?} is no duration: write a number above 0 and a unit, like 10s, 5m or 500ms")),
    }
}

/// Reads a size in bytes: a number with `K`, `M`, `G`, `T`, `KiB` … (1024) or `kB`, `MB`, `GB` (1000).
///
/// # Errors
/// A sentence that says what is accepted.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor: f64 = match unit {
        "" | "B" => 1.0,
        "K" | "k" | "KiB" => 1024.0,
        "M" | "MiB" => 1_048_576.0,
        "G" | "GiB" => 1_073_741_824.0,
        "T" | "TiB" => 1_099_511_627_776.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return Err(format!("{text:?} is no size: write 4GiB, 500M or 1.5GB")),
    };
    match number.parse::<f64>().map(|number| number * factor) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to lie between 1 and 2^62"
        )]
        Ok(bytes) if (1.0..4.6e18).contains(&bytes) => Ok(bytes as u64),
        _ => Err(format!("{text:?} is no size: write a number above 0 and a unit, like 4GiB or 500M")),
    }
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|part: char| !(part.is_ascii_digit() || part == '.')).unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_is_read() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        assert_eq!(size("4GiB"), Ok(4 << 30));
        assert_eq!(size("500M"), Ok(500 << 20));
        assert_eq!(size("1.5GB"), Ok(1_500_000_000));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_an_example() {
        for text in ["", "x", "-5s", "0s", "5 parsecs", "nan", "inf"] {
            assert!(duration(text).unwrap_err().contains("10s"), "{text}");
        }
        for text in ["", "many", "0", "-1G", "5X"] {
            assert!(size(text).unwrap_err().contains("500M"), "{text}");
        }
    }
}
