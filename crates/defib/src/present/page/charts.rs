//! Lines as SVG. The picture holds only what is drawn; names, figures and
//! scales are text beside it, so that it may be stretched to any width.

use maud::PreEscaped;
use plotters::prelude::{AreaSeries, ChartBuilder, Color, IntoDrawingArea, LineSeries, RGBColor, SVGBackend};

use super::series::Chart;

/// Size of the drawing, in its own units.
const WIDTH: u32 = 2000;
/// See [`WIDTH`].
const HEIGHT: u32 = 200;
/// Classes of the lines, in order; the style sheet gives each colour and dash.
pub(super) const CLASSES: [&str; 3] = ["a", "b", "c"];

/// The chart over `end_s` seconds, with `spoken` as its text.
pub(super) fn svg(chart: &Chart, end_s: f64, spoken: &str) -> PreEscaped<String> {
    let drawn = draw(chart, end_s).unwrap_or_default();
    // The drawing's own frame names a namespace by address and a fixed size.
    let inner = drawn.split_once('>').map_or("", |(_, rest)| rest);
    let inner = inner.rsplit_once("</svg>").map_or(inner, |(inner, _)| inner);
    let mut inner = inner.to_owned();
    for (index, class) in CLASSES.iter().enumerate() {
        let hex = format!("#{:02X}{:02X}{:02X}", 1, 2, index + 1);
        inner = inner.replace(&format!("stroke=\"{hex}\""), &format!("class=\"stroke {class}\""));
        inner = inner.replace(&format!("fill=\"{hex}\""), &format!("class=\"area {class}\""));
    }
    let spoken = maud::html! { (spoken) }.into_string();
    PreEscaped(format!(
        "<svg role=\"img\" aria-label=\"{spoken}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\"><title>{spoken}</title>{inner}</svg>"
    ))
}

fn draw(chart: &Chart, end_s: f64) -> Option<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, HEIGHT)).into_drawing_area();
        let top = chart.unit.ceiling(chart.peak());
        let mut plane = ChartBuilder::on(&area).build_cartesian_2d(0.0..end_s.max(0.001), 0.0..top).ok()?;
        for (index, line) in chart.lines.iter().take(CLASSES.len()).enumerate() {
            // Told apart by the last part of a colour that is replaced above.
            #[expect(clippy::cast_possible_truncation, reason = "at most three lines")]
            let colour = RGBColor(1, 2, index as u8 + 1);
            if index == 0 {
                plane.draw_series(AreaSeries::new(line.points.iter().copied(), 0.0, colour.mix(0.15))).ok()?;
            }
            plane.draw_series(LineSeries::new(line.points.iter().copied(), colour)).ok()?;
        }
        area.present().ok()?;
    }
    Some(text)
}
