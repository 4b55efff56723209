//! The reliability picture: what was promised against what came true.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::measure::Bin;

/// Draws one point for each bin; its size grows with the number of programs.
pub(crate) fn reliability(bins: &[Bin], path: &Path) -> Result<()> {
    let wrong = |error: &dyn std::fmt::Display| anyhow!("{}: {error}", path.display());
    let area = SVGBackend::new(path, (560, 480)).into_drawing_area();
    area.fill(&WHITE).map_err(|error| wrong(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .caption("probability of the first cause against how often it was right", ("sans-serif", 15))
        .x_label_area_size(36)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..1.0, 0.0..1.0)
        .map_err(|error| wrong(&error))?;
    chart
        .configure_mesh()
        .x_desc("stated probability")
        .y_desc("share that was right")
        .draw()
        .map_err(|error| wrong(&error))?;
    let line = LineSeries::new([(0.0, 0.0), (1.0, 1.0)], BLACK.mix(0.4));
    chart.draw_series(line).map_err(|error| wrong(&error))?;
    let points = bins.iter().filter(|bin| bin.programs > 0).map(|bin| {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a radius")]
        let radius = (3.0 + (bin.programs as f64).sqrt()) as i32;
        Circle::new((bin.stated, bin.right), radius, BLUE.mix(0.7).filled())
    });
    chart.draw_series(points).map_err(|error| wrong(&error))?;
    area.present().map_err(|error| wrong(&error))
}
