//! A drawing of a replay: load against capacity, and pods.

use decide::Time;
use plotters::{coord::types::RangedCoordf64, prelude::*};
use replay::{
    Replay, Step, short,
    trace::{Clock, Trace},
};

const SIZE: (u32, u32) = (1200, 760);
/// About one bucket per pixel of the drawing: more points than that only make the file larger.
const BUCKETS: usize = 1080;
const HOUR: f64 = 3600.0;
const DARK_GREEN: RGBColor = RGBColor(0, 140, 70);
const GREY: RGBColor = RGBColor(160, 160, 160);

/// The most that is drawn: beyond it the drawing library's sums are no numbers, and it would never end.
const MOST: f64 = 1e300;

/// A run of points without a gap.
type Line = Vec<(f64, f64)>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws a replay, and the pods of another beside it; `capacity` is what a Ready pod carries in requests per second.
///
/// # Errors
/// What the drawing library cannot do.
pub fn svg(
    title: &str,
    trace: &Trace,
    replay: &Replay,
    other: Option<&Replay>,
    capacity: Option<f64>,
) -> Result<String, String> {
    let mut text = String::new();
    let drawn =
        draw(&mut text, title, trace, replay, other, capacity).map_err(|error| format!("the drawing failed: {error}"));
    drawn.map(|()| text)
}

fn draw(
    text: &mut String,
    title: &str,
    trace: &Trace,
    replay: &Replay,
    other: Option<&Replay>,
    capacity: Option<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let axis = Axis::of(trace);
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (upper, lower) = root.split_vertically(SIZE.1 * 55 / 100);

    let load = measured(&axis, replay, |step| step.rate);
    let carried = capacity.map(|per_pod| stairs(&axis, replay, |step| per_pod * f64::from(step.ready)));
    let top = highest(load.iter().flatten().chain(carried.iter().flatten()));
    let mut chart = panel(&upper, title, &axis, "requests/s", top)?;
    if let Some(carried) = carried {
        line(&mut chart, "capacity of the Ready pods", DARK_GREEN, vec![carried])?;
    }
    line(&mut chart, "load", BLUE, load)?;
    legend(&mut chart)?;

    let pods = stairs(&axis, replay, |step| f64::from(step.pods));
    let ready = stairs(&axis, replay, |step| f64::from(step.ready));
    let floor = stairs(&axis, replay, |step| f64::from(step.decision.floor));
    let others = other.map(|other| stairs(&axis, other, |step| f64::from(step.pods)));
    let top = highest(pods.iter().chain(&ready).chain(&floor).chain(others.iter().flatten()));
    let mut chart = panel(&lower, "", &axis, "pods", top)?;
    line(&mut chart, "floor", GREY, vec![floor])?;
    line(&mut chart, "Ready", DARK_GREEN, vec![ready])?;
    line(&mut chart, "wanted", RED, vec![pods])?;
    if let Some(others) = others {
        line(&mut chart, "wanted by the other policy", MAGENTA, vec![others])?;
    }
    legend(&mut chart)?;
    root.present()?;
    Ok(())
}

fn panel<'a, 'b>(
    area: &DrawingArea<SVGBackend<'b>, plotters::coord::Shift>,
    title: &str,
    axis: &Axis,
    unit: &str,
    top: f64,
) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>>
where
    'b: 'a,
{
    let mut builder = ChartBuilder::on(area);
    builder.margin(12).margin_right(24).x_label_area_size(36).y_label_area_size(64);
    if !title.is_empty() {
        builder.caption(title, ("sans-serif", 20));
    }
    let mut chart = builder.build_cartesian_2d(axis.from..axis.to, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_labels(12)
        .x_label_formatter(&|x| axis.label(*x))
        .x_desc(axis.unit())
        .y_desc(unit)
        .draw()?;
    Ok(chart)
}

fn line<'a, 'b: 'a>(
    chart: &mut Chart<'a, 'b>,
    label: &str,
    color: RGBColor,
    runs: Vec<Line>,
) -> Result<(), Box<dyn std::error::Error>> {
    for (index, run) in runs.into_iter().enumerate() {
        let drawn = chart.draw_series(LineSeries::new(run, color.stroke_width(2)))?;
        if index == 0 {
            drawn.label(label).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
    }
    Ok(())
}

fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>) -> Result<(), Box<dyn std::error::Error>> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

/// Head room above the highest point.
fn highest<'a>(points: impl Iterator<Item = &'a (f64, f64)>) -> f64 {
    let highest = points.map(|(_, y)| *y).fold(0.0, f64::max);
    if highest > 0.0 { highest * 1.1 } else { 1.0 }
}

/// A measured figure: the least and the greatest of each bucket, and a gap where there is none.
fn measured(axis: &Axis, replay: &Replay, of: impl Fn(&Step) -> Option<f64>) -> Vec<Line> {
    let size = replay.steps.len().div_ceil(BUCKETS).max(1);
    let mut runs: Vec<Line> = vec![Line::new()];
    for bucket in replay.steps.chunks(size) {
        let values: Vec<f64> = bucket.iter().filter_map(&of).map(|value| value.clamp(-MOST, MOST)).collect();
        let (Some(least), Some(most)) =
            (values.iter().copied().reduce(f64::min), values.iter().copied().reduce(f64::max))
        else {
            runs.push(Line::new());
            continue;
        };
        let x = axis.place(bucket[0].time);
        if let Some(run) = runs.last_mut() {
            run.push((x, least));
            if most > least {
                run.push((x, most));
            }
        }
    }
    runs.retain(|run| !run.is_empty());
    runs
}

/// A count that jumps: its corners.
fn stairs(axis: &Axis, replay: &Replay, of: impl Fn(&Step) -> f64) -> Line {
    let mut corners = Line::new();
    for step in &replay.steps {
        let (x, y) = (axis.place(step.time), of(step).min(MOST));
        match corners.last().copied() {
            Some((_, before)) if before == y => {}
            Some((_, before)) => corners.extend([(x, before), (x, y)]),
            None => corners.push((x, y)),
        }
    }
    if let Some((_, last)) = corners.last().copied() {
        corners.push((axis.to, last));
    }
    corners
}

/// The axis of time, in a unit that gives round labels.
struct Axis {
    clock: Clock,
    /// Where the axis counts from: the midnight before a trace with dates, else 0.
    zero: f64,
    /// Seconds per unit.
    scale: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn of(trace: &Trace) -> Self {
        let seconds = |time: Time| time.as_millis() as f64 / 1000.0;
        let (start, end) = (seconds(trace.start), seconds(trace.end));
        let zero = match trace.clock {
            Clock::Rfc3339 => (start / (24.0 * HOUR)).floor() * 24.0 * HOUR,
            Clock::Seconds => 0.0,
        };
        // The library puts labels at multiples of 1, 2, 5, 10..., which is what these units are chosen for.
        let scale = match end - start {
            span if span > 96.0 * HOUR => 24.0 * HOUR,
            span if span > 12.0 * HOUR => 3.0 * HOUR,
            span if span > 2.0 * HOUR => HOUR,
            span if span > 600.0 || trace.clock == Clock::Rfc3339 => 60.0,
            _ => 1.0,
        };
        Self { clock: trace.clock, zero, scale, from: (start - zero) / scale, to: (end - zero) / scale }
    }

    fn place(&self, time: Time) -> f64 {
        (time.as_millis() as f64 / 1000.0 - self.zero) / self.scale
    }

    fn unit(&self) -> &'static str {
        match (self.clock, self.scale) {
            (Clock::Rfc3339, _) => "UTC",
            (_, 1.0) => "seconds",
            (_, 60.0) => "minutes",
            _ => "hours",
        }
    }

    fn label(&self, x: f64) -> String {
        if self.clock == Clock::Seconds {
            return short(x * (self.scale / HOUR.min(self.scale)));
        }
        let minutes = (x * self.scale / 60.0).round();
        let (days, minute) = (minutes.div_euclid(1440.0), minutes.rem_euclid(1440.0));
        let time = format!("{:02}:{:02}", (minute / 60.0).floor(), minute % 60.0);
        if days == 0.0 { time } else { format!("{time} +{days}d") }
    }
}
