//! Numbers over virtual time, on one sheet with one cursor: the instant shown. A table says the
//! same in words.

use web_sys::Element;
use yew::prelude::*;

use crate::i18n::{Texts, fill};
use crate::model::chart::{Chart, Charts, Line, Of, charts};
use crate::model::show;
use crate::session::Shared;
use crate::ui::use_ui;
use crate::view::pod::n;
use crate::view::transport::Action;

/// The sheet, in units of its own.
const WIDTH: f64 = 960.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 16.0;
const HEAD: f64 = 30.0;
const PLOT: f64 = 84.0;
const FOOT: f64 = 26.0;
const BLOCK: f64 = HEAD + PLOT + FOOT;

/// The world.
#[derive(Properties, PartialEq)]
pub struct Props {
    /// The world.
    pub session: Shared,
    /// Changes when there is something new to draw.
    pub tick: u32,
    /// Goes to an instant.
    pub act: Callback<Action>,
}

fn title(t: &Texts, of: Of) -> &'static str {
    match of {
        Of::Rate => t.chart_rate,
        Of::Latency => t.chart_latency,
        Of::Waiting => t.chart_waiting,
        Of::Bytes => t.chart_bytes,
        Of::Programs => t.chart_programs,
        Of::Replicas => t.chart_replicas,
    }
}

fn line_name(t: &Texts, all: &Charts, line: Line) -> String {
    match line {
        Line::Requests => t.chart_requests.into(),
        Line::Errors => t.chart_errors.into(),
        Line::P50 => "p50".into(),
        Line::P95 => "p95".into(),
        Line::P99 => "p99".into(),
        Line::Waiting => t.chart_open.into(),
        Line::Bytes => t.data.into(),
        Line::Running => t.chart_running.into(),
        Line::Failed => t.chart_failed.into(),
        Line::Workload(i) => all.workloads.get(usize::from(i)).cloned().unwrap_or_default(),
    }
}

/// A value as people read it.
fn figure(of: Of, value: f64) -> String {
    let plain = |v: f64| {
        if v >= 100.0 || v.fract() == 0.0 { format!("{v:.0}") } else { format!("{v:.1}") }
    };
    match of {
        Of::Rate => format!("{}/s", plain(value)),
        Of::Latency => show::duration((value * 1e6) as u64),
        Of::Bytes => format!("{}/s", show::size(value as u64)),
        Of::Waiting | Of::Programs | Of::Replicas => plain(value),
    }
}

/// The end of the axis: 1, 2 or 5 and noughts, not below `most`.
fn end_of(most: f64) -> f64 {
    let power = 10f64.powf(most.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|f| f * power).find(|v| *v >= most).unwrap_or(most)
}

/// The line through the values that are there; a value alone becomes a dash.
fn path(values: &[Option<f64>], end: f64, x: impl Fn(usize) -> f64, top: f64) -> String {
    let mut out = String::new();
    let y = |v: f64| top + PLOT * (1.0 - v / end);
    for (i, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        let begins = i == 0 || values[i - 1].is_none();
        let (x, y) = (x(i), y(*value));
        if begins && values.get(i + 1).is_none_or(Option::is_none) {
            out.push_str(&format!("M{:.1} {y:.1}h6", x - 3.0));
        } else {
            out.push_str(&format!("{}{x:.1} {y:.1}", if begins { "M" } else { "L" }));
        }
    }
    out
}

/// The charts.
#[component]
pub fn ChartsView(props: &Props) -> Html {
    let t = use_ui().t();
    let sheet = use_node_ref();
    let (told, key) = {
        let s = props.session.0.borrow();
        let timeline = s.around();
        let now = if s.past.is_some() { 0 } else { s.clock.now };
        // While it runs a second is soon enough; when it stands every event counts.
        let (next, now) = if s.stands() {
            (timeline.next(), now)
        } else {
            (timeline.next() / 512, now / 1_000_000_000 * 1_000_000_000)
        };
        (s.told(), (timeline.first(), next, now, s.past.is_some()))
    };
    let all = use_memo(key, |(.., now, past)| {
        let s = props.session.0.borrow();
        charts(s.around(), if *past { 0 } else { *now })
    });
    if all.charts.is_empty() {
        return html! { <div class="charts" data-testid="charts"><p class="quiet">{ t.nothing_yet }</p></div> };
    }
    let span = (all.width * all.columns as u64).max(1) as f64;
    let wide = WIDTH - LEFT - RIGHT;
    let x_of = move |at: f64| LEFT + wide * (at / span).clamp(0.0, 1.0);
    let (since, width) = (all.since, all.width);
    let x = move |column: usize| x_of((column as f64 + 0.5) * width as f64);
    let cursor = x_of(told.saturating_sub(since) as f64);
    // While it runs, the sheet is a moment behind.
    let column = all.column(told).or(all.columns.checked_sub(1).filter(|_| told >= since));
    let seek = {
        let (sheet, act) = (sheet.clone(), props.act.clone());
        move |client_x: i32| {
            let Some(sheet) = sheet.cast::<Element>() else { return };
            let r = sheet.get_bounding_client_rect();
            let at = (f64::from(client_x) - r.x()) / r.width().max(1.0) * WIDTH;
            let part = ((at - LEFT) / wide).clamp(0.0, 1.0);
            act.emit(Action::Look(since + (part * span) as u64));
        }
    };
    let onpointerdown = {
        let seek = seek.clone();
        Callback::from(move |e: PointerEvent| seek(e.client_x()))
    };
    let onpointermove = Callback::from(move |e: PointerEvent| {
        if e.buttons() == 1 {
            seek(e.client_x());
        }
    });
    let onkeydown = {
        let act = props.act.clone();
        let last = since + span as u64;
        Callback::from(move |e: KeyboardEvent| {
            let to = match e.key().as_str() {
                "ArrowRight" | "ArrowUp" => told.saturating_add(width).min(last),
                "ArrowLeft" | "ArrowDown" => told.saturating_sub(width).max(since),
                "Home" => since,
                "End" => last,
                _ => return,
            };
            e.prevent_default();
            act.emit(Action::Look(to));
        })
    };
    let said = |chart: &Chart| {
        let values = chart.lines.iter().filter_map(|(line, values)| {
            let value = (*values.get(column?)?)?;
            Some(format!("{} {}", line_name(t, &all, *line), figure(chart.of, value)))
        });
        values.collect::<Vec<_>>().join(", ")
    };
    let spoken: Vec<String> =
        all.charts.iter().map(|c| format!("{}: {}", title(t, c.of), said(c))).collect();
    let block = |(i, chart): (usize, &Chart)| {
        let top = i as f64 * BLOCK + HEAD;
        let end = end_of(chart.most());
        let mut legend = LEFT;
        let lines = chart.lines.iter().enumerate().map(|(i, (line, values))| {
            let name = line_name(t, &all, *line);
            let value = column.and_then(|c| *values.get(c)?);
            let text = match value {
                Some(value) => format!("{name} {}", figure(chart.of, value)),
                None => format!("{name} –"),
            };
            let at = legend + 190.0;
            // Letters of both scripts are at most this wide.
            legend +=
                34.0 + text.chars().map(|c| if c.is_ascii() { 7.2 } else { 13.0 }).sum::<f64>();
            let class = match line {
                Line::Errors | Line::Failed => "line bad".to_owned(),
                _ => format!("line l{}", i % 6),
            };
            html! { <g {class}>
                <path d={path(values, end, x, top)} class="curve" />
                <path d={format!("M{} {}h18", n(at), n(top - 14.0))} class="curve" />
                <text x={n(at + 23.0)} y={n(top - 10.0)}>{ text }</text>
            </g> }
        });
        let lines: Vec<Html> = lines.collect();
        html! { <g class="chart">
            <text x={n(LEFT)} y={n(top - 10.0)} class="chart-title">{ title(t, chart.of) }</text>
            <path class="axis" d={format!("M{} {}v{}h{}", n(LEFT), n(top), n(PLOT), n(wide))} />
            <path class="grid" d={format!("M{} {}h{}m-{} {}h{}", n(LEFT), n(top), n(wide), n(wide), n(PLOT / 2.0), n(wide))} />
            <text x={n(LEFT - 8.0)} y={n(top + 4.0)} text-anchor="end">{ figure(chart.of, end) }</text>
            <text x={n(LEFT - 8.0)} y={n(top + PLOT + 4.0)} text-anchor="end">{ "0" }</text>
            { for lines }
            <text x={n(LEFT)} y={n(top + PLOT + 15.0)}>{ show::instant(since) }</text>
            <text x={n(WIDTH - RIGHT)} y={n(top + PLOT + 15.0)} text-anchor="end">{ show::instant(since + span as u64) }</text>
        </g> }
    };
    let height = all.charts.len() as f64 * BLOCK;
    html! {
        <div class="charts" data-testid="charts" data-columns={all.columns.to_string()}>
            <svg ref={sheet} viewBox={format!("0 0 {WIDTH} {height}")} role="slider" tabindex="0" aria-label={t.charts_help}
                aria-valuemin="0" aria-valuemax={(span / 1e6).round().to_string()} aria-valuenow={(told.saturating_sub(since) / 1_000_000).to_string()}
                aria-valuetext={format!("{}. {}", show::instant(told), spoken.join(". "))} data-testid="chart-sheet"
                {onpointerdown} {onpointermove} {onkeydown}>
                { for all.charts.iter().enumerate().map(block) }
                <rect class="ahead" x={n(cursor)} y="0" width={n((WIDTH - RIGHT - cursor).max(0.0))} height={n(height)} />
                <path class="cursor" d={format!("M{} 0v{}", n(cursor), n(height))} />
            </svg>
            <details class="chart-table"><summary>{ t.charts_table }</summary>{ table(t, &all, column, &props.act) }</details>
        </div>
    }
}

/// The same as a table: a row for each column of the charts, with a button that goes there.
fn table(t: &Texts, all: &Charts, shown: Option<usize>, act: &Callback<Action>) -> Html {
    let lines: Vec<(Of, Line, &Vec<Option<f64>>)> =
        all.charts.iter().flat_map(|c| c.lines.iter().map(move |(l, v)| (c.of, *l, v))).collect();
    let row = |column: usize| {
        let at = all.since + column as u64 * all.width;
        let go = act.reform(move |_: MouseEvent| Action::Look(at));
        html! { <tr aria-current={(shown == Some(column)).then_some("true")}>
            <th scope="row"><button class="jump" onclick={go} aria-label={fill(t.charts_go, &[&show::instant(at)])}>{ show::instant(at) }</button></th>
            { for lines.iter().map(|(of, _, values)| {
                let value = values.get(column).copied().flatten();
                html! { <td>{ value.map_or_else(|| "–".to_owned(), |v| figure(*of, v)) }</td> }
            }) }
        </tr> }
    };
    html! {
        <div class="chart-rows" tabindex="0" role="region" aria-label={t.charts}><table>
            <thead><tr><th scope="col">{ t.col_time }</th>{ for lines.iter().map(|(of, line, _)| html! { <th scope="col">{ format!("{}: {}", title(t, *of), line_name(t, all, *line)) }</th> }) }</tr></thead>
            <tbody>{ for (0..all.columns).map(row) }</tbody>
        </table></div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_at_a_round_number_that_is_enough() {
        for (most, end) in
            [(1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (7.0, 10.0), (0.03, 0.05), (250.0, 500.0)]
        {
            assert!((end_of(most) - end).abs() < 1e-9, "{most}: {}", end_of(most));
        }
    }

    #[test]
    fn a_line_breaks_where_there_is_nothing_and_a_value_alone_is_a_dash() {
        let x = |i: usize| i as f64 * 10.0;
        let values = [Some(0.0), Some(1.0), None, Some(0.5), None];
        assert_eq!(path(&values, 1.0, x, 0.0), "M0.0 84.0L10.0 0.0M27.0 42.0h6");
    }

    #[test]
    fn figures_have_their_units() {
        assert_eq!(figure(Of::Rate, 2.25), "2.2/s");
        assert_eq!(figure(Of::Rate, 120.4), "120/s");
        assert_eq!(figure(Of::Programs, 3.0), "3");
        assert!(figure(Of::Latency, 1.5).ends_with("ms"));
    }
}
