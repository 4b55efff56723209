//! Growth over equal units of work: the slope of memory over units, robustly.
//!
//! Time says little: a program that waits does not grow, and one that is fast seems to
//! grow fast. The slope is the median of the slopes between all pairs of points
//! (Theil, 1950; Sen, 1968), so that single jumps do not count, and it is taken again
//! over the last part alone: a plateau is not growth.

/// Memory after so many units of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Units done.
    pub units: f64,
    /// Bytes in use then.
    pub bytes: u64,
}

/// Counts units of work over a run: progress that begins anew goes on from where it was,
/// and heartbeats count where there is no progress.
#[derive(Debug, Clone, Default)]
pub struct Units {
    done: f64,
    last: f64,
    progress: Vec<(f64, f64)>,
    beats: Vec<(f64, f64)>,
}

impl Units {
    /// A bar shows so many units done.
    pub fn progress(&mut self, at_s: f64, shown: f64) {
        // A new bar begins at its first units.
        self.done += if shown >= self.last { shown - self.last } else { shown.max(0.0) };
        self.last = shown;
        self.progress.push((at_s, self.done));
    }

    /// One heartbeat.
    pub fn heartbeat(&mut self, at_s: f64) {
        let done = self.beats.last().map_or(0.0, |(_, done)| *done) + 1.0;
        self.beats.push((at_s, done));
    }

    /// Units done so far, where they are told.
    #[must_use]
    pub fn so_far(&self) -> Option<f64> {
        self.progress.last().or(self.beats.last()).map(|(_, done)| *done)
    }

    /// Units done over time.
    #[must_use]
    pub fn finish(self) -> Vec<(f64, f64)> {
        if self.progress.is_empty() { self.beats } else { self.progress }
    }
}

/// How memory grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// Median growth for each unit, bytes.
    pub bytes_per_unit: f64,
    /// The same over the last half of the units alone.
    pub last_half: f64,
    /// Units from the first to the last point.
    pub units: f64,
    /// Points it was taken from.
    pub points: usize,
    /// Share of the steps between neighbours that go up, 0 to 1.
    pub rising: f64,
}

/// Fewer points or units than this say nothing.
const LEAST_POINTS: usize = 6;
const LEAST_UNITS: f64 = 5.0;
/// The last half must grow at this share of the whole at least.
const GOES_ON: f64 = 0.4;
/// Most points that are paired.
const MOST_PAIRED: usize = 80;

impl Slope {
    /// It still grew in the end, and in more than single jumps.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.bytes_per_unit > 0.0 && self.last_half >= GOES_ON * self.bytes_per_unit && self.rising >= 0.5
    }
}

/// The slope over the last two thirds of the points: the first hold what every start needs.
#[must_use]
pub fn slope(points: &[Point]) -> Option<Slope> {
    let part = &points[points.len() / 3..];
    let (first, last) = (part.first()?, part.last()?);
    let units = last.units - first.units;
    if part.len() < LEAST_POINTS || units < LEAST_UNITS {
        return None;
    }
    let half = first.units + units / 2.0;
    let from = part.iter().position(|point| point.units >= half)?;
    let steps = part.windows(2).filter(|pair| pair[1].units > pair[0].units);
    let (rising, all) =
        steps.fold((0usize, 0usize), |(up, all), pair| (up + usize::from(pair[1].bytes > pair[0].bytes), all + 1));
    #[expect(clippy::cast_precision_loss, reason = "a share of few")]
    let rising = rising as f64 / all.max(1) as f64;
    Some(Slope {
        bytes_per_unit: median_slope(part)?,
        last_half: median_slope(&part[from..])?,
        units,
        points: part.len(),
        rising,
    })
}

#[expect(clippy::cast_precision_loss, reason = "differences of bytes, shown with three digits")]
fn median_slope(points: &[Point]) -> Option<f64> {
    let apart = points.len().div_ceil(MOST_PAIRED).max(1);
    let few: Vec<&Point> = points.iter().step_by(apart).collect();
    let mut slopes = Vec::new();
    for (index, one) in few.iter().enumerate() {
        for other in &few[index + 1..] {
            if other.units > one.units {
                slopes.push((other.bytes as f64 - one.bytes as f64) / (other.units - one.units));
            }
        }
    }
    slopes.sort_by(f64::total_cmp);
    let middle = slopes.len() / 2;
    match slopes.len() {
        0 => None,
        even if even % 2 == 0 => Some(f64::midpoint(slopes[middle - 1], slopes[middle])),
        _ => Some(slopes[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points(bytes: impl IntoIterator<Item = u64>) -> Vec<Point> {
        (0..).zip(bytes).map(|(unit, bytes)| Point { units: f64::from(unit), bytes }).collect()
    }

    #[test]
    fn a_constant_step_is_found_through_noise_and_a_jump() {
        let noisy = (0..30u64)
            .map(|unit| 1_000_000 + unit * 1000 + (unit * 7919 % 13) * 30 + if unit == 20 { 400_000 } else { 0 });
        let found = slope(&points(noisy)).unwrap();
        assert!((found.bytes_per_unit - 1000.0).abs() < 60.0, "{found:?}");
        assert!(found.goes_on());
    }

    #[test]
    fn a_plateau_and_a_single_jump_do_not_go_on() {
        let plateau = (0..40u64).map(|unit| 1_000_000 + unit.min(22) * 50_000);
        assert!(!slope(&points(plateau)).unwrap().goes_on());
        let jump = (0..40u64).map(|unit| if unit < 30 { 1_000_000 } else { 9_000_000 });
        assert!(!slope(&points(jump)).unwrap().goes_on());
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(slope(&points(0..5)), None);
        assert_eq!(slope(&[]), None);
        assert_eq!(slope(&[Point { units: 1.0, bytes: 5 }; 30]), None);
    }

    #[test]
    fn bars_that_begin_anew_go_on_and_beats_count_where_there_is_none() {
        let mut units = Units::default();
        [1.0, 2.0, 4.0, 1.0, 3.0].into_iter().for_each(|shown| units.progress(0.0, shown));
        units.heartbeat(1.0);
        assert_eq!(units.so_far(), Some(7.0));
        let mut beats = Units::default();
        beats.heartbeat(1.0);
        beats.heartbeat(2.0);
        assert_eq!(beats.finish(), [(1.0, 1.0), (2.0, 2.0)]);
    }

    proptest! {
        /// Time does not appear, order and scale of units do: twice the units, half the slope.
        #[test]
        fn the_slope_scales_with_the_units(step in 1u64..1_000_000, count in 12usize..100) {
            let one: Vec<Point> = points((0..count as u64).map(|unit| unit * step));
            let two: Vec<Point> = one.iter().map(|point| Point { units: point.units * 2.0, bytes: point.bytes }).collect();
            let (one, two) = (slope(&one).unwrap(), slope(&two).unwrap());
            prop_assert!((one.bytes_per_unit - step as f64).abs() < 1e-6 * step as f64 + 1e-6);
            prop_assert!((one.bytes_per_unit - 2.0 * two.bytes_per_unit).abs() < 1e-6 * step as f64 + 1e-6);
        }
    }
}
