//! The moving marks: one canvas over the picture, drawn outside of Yew.

use std::collections::BTreeMap;
use std::f64::consts::{FRAC_PI_3, TAU};

use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use podlab_trace::event::Seq;

use crate::model::flight::{Flight, Shape};
use crate::model::route::{End, Route, route};
use crate::session::Session;

/// More marks than this at once, and those that go the same way become one with a number.
const MANY: usize = 150;

/// The colours of the marks, and what lies below and above them.
#[derive(Clone, Debug)]
pub struct Palette {
    colours: [String; 8],
    paper: String,
    ink: String,
}

impl Palette {
    /// The colours that the style sheet has for an element right now.
    pub fn read(element: &web_sys::Element) -> Palette {
        let style = crate::ui::window().get_computed_style(element).ok().flatten();
        let get = |name: &str| {
            style
                .as_ref()
                .and_then(|s| s.get_property_value(name).ok())
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let names = ["request", "response", "data", "datagram", "write", "read", "probe", "error"];
        Palette {
            colours: names.map(|n| get(&format!("--mark-{n}"))),
            paper: get("--paper"),
            ink: get("--ink"),
        }
    }

    fn of(&self, shape: Shape) -> &str {
        &self.colours[shape as usize]
    }
}

/// Lines between places, found once for as long as nothing new stands anywhere.
#[derive(Default)]
pub struct Routes {
    known: BTreeMap<(End, End, String), Option<Route>>,
    stands: (usize, u64),
}

impl Routes {
    /// The line of a mark.
    pub fn of(&mut self, session: &Session, flight: &Flight) -> Option<&Route> {
        let layout = &session.layout;
        let stands = (layout.columns(), layout.version);
        if stands != self.stands {
            self.known.clear();
            self.stands = stands;
        }
        let key = (flight.from.clone(), flight.to.clone(), flight.via.clone());
        self.known
            .entry(key)
            .or_insert_with_key(|(from, to, via)| {
                route(layout, session.around().head(), from, to, via)
            })
            .as_ref()
    }
}

/// Draws all marks under way.
pub fn draw(
    canvas: &HtmlCanvasElement,
    session: &mut Session,
    routes: &mut Routes,
    palette: &Palette,
    still: bool,
    chosen: Option<Seq>,
) {
    let Some(context) = canvas.get_context("2d").ok().flatten() else { return };
    let Ok(pen) = context.dyn_into::<CanvasRenderingContext2d>() else { return };
    let ratio = crate::ui::window().device_pixel_ratio().clamp(1.0, 2.0);
    let (w, h) = (f64::from(canvas.client_width()), f64::from(canvas.client_height()));
    let (pw, ph) = ((w * ratio) as u32, (h * ratio) as u32);
    if (canvas.width(), canvas.height()) != (pw, ph) {
        canvas.set_width(pw);
        canvas.set_height(ph);
    }
    let (lw, _) = session.layout.size();
    let scale = w * ratio / lw;
    // A 2D context refuses numbers that are not finite only; these are.
    let _ = pen.set_transform(1.0, 0.0, 0.0, 1.0, 0.0, 0.0);
    pen.clear_rect(0.0, 0.0, f64::from(pw), f64::from(ph));
    let _ = pen.set_transform(scale, 0.0, 0.0, scale, 0.0, 0.0);
    pen.set_line_width(1.6);

    let shown = session.shown();
    let marks: Vec<(Flight, f64)> =
        session.flights().at(shown, session.around()).map(|(f, part)| (f.clone(), part)).collect();
    let mut drawn = Vec::with_capacity(marks.len());
    let group = still || marks.len() > MANY;
    let mut groups: BTreeMap<(End, End, Shape), (Flight, f64, usize)> = BTreeMap::new();
    let mut singles = Vec::new();
    for (flight, part) in marks {
        if group && flight.shape != Shape::Error {
            let key = (flight.from.clone(), flight.to.clone(), flight.shape);
            let entry = groups.entry(key).or_insert((flight, 0.0, 0));
            entry.1 += part;
            entry.2 += 1;
        } else {
            singles.push((flight, part, 1));
        }
    }
    singles.extend(groups.into_values().map(|(f, sum, n)| (f, sum / n as f64, n)));
    for (flight, part, count) in singles {
        let Some(line) = routes.of(session, &flight) else { continue };
        let along = match (still, flight.lost) {
            (true, _) => 0.5,
            (_, true) => (part * 1.6).min(0.5),
            _ => ease(part),
        };
        let ((x, y), angle) = line.at(along);
        if still {
            trail(&pen, line.points(), palette.of(flight.shape));
        }
        let chosen = chosen == Some(flight.seq);
        mark(&pen, (x, y), angle, flight.shape, palette, 7.5, chosen);
        if flight.lost && part > 0.35 {
            cross(&pen, (x, y), palette);
        }
        if count > 1 {
            label(&pen, (x, y), &format!("×{count}"), palette);
        }
        drawn.push((x, y, flight.seq));
    }
    session.drawn = drawn;
}

/// Slow at both ends, so that leaving and arriving are seen.
fn ease(part: f64) -> f64 {
    if part < 0.5 { 2.0 * part * part } else { 1.0 - 2.0 * (1.0 - part) * (1.0 - part) }
}

fn trail(pen: &CanvasRenderingContext2d, points: &[(f64, f64)], colour: &str) {
    pen.begin_path();
    for (i, (x, y)) in points.iter().enumerate() {
        if i == 0 { pen.move_to(*x, *y) } else { pen.line_to(*x, *y) }
    }
    pen.set_stroke_style_str(colour);
    pen.set_global_alpha(0.55);
    pen.set_line_width(3.0);
    pen.stroke();
    pen.set_global_alpha(1.0);
    pen.set_line_width(1.6);
}

fn cross(pen: &CanvasRenderingContext2d, (x, y): (f64, f64), palette: &Palette) {
    pen.begin_path();
    for (a, b) in [(-6.0, -6.0), (-6.0, 6.0)] {
        pen.move_to(x + a, y + b);
        pen.line_to(x - a, y - b);
    }
    pen.set_stroke_style_str(palette.of(Shape::Error));
    pen.set_line_width(3.0);
    pen.stroke();
    pen.set_line_width(1.6);
}

fn label(pen: &CanvasRenderingContext2d, (x, y): (f64, f64), text: &str, palette: &Palette) {
    pen.set_font("600 12px system-ui, sans-serif");
    pen.set_line_width(4.0);
    pen.set_stroke_style_str(&palette.paper);
    pen.set_fill_style_str(&palette.ink);
    // Drawing text fails only on a context that is lost.
    let _ = pen.stroke_text(text, x + 11.0, y + 4.0);
    let _ = pen.fill_text(text, x + 11.0, y + 4.0);
    pen.set_line_width(1.6);
}

fn polygon(pen: &CanvasRenderingContext2d, points: impl Iterator<Item = (f64, f64)>) {
    pen.begin_path();
    for (i, (x, y)) in points.enumerate() {
        if i == 0 { pen.move_to(x, y) } else { pen.line_to(x, y) }
    }
    pen.close_path();
}

fn mark(
    pen: &CanvasRenderingContext2d,
    (x, y): (f64, f64),
    angle: f64,
    shape: Shape,
    palette: &Palette,
    r: f64,
    chosen: bool,
) {
    let colour = palette.of(shape);
    let turn = |(a, b): (f64, f64)| {
        (x + a * angle.cos() - b * angle.sin(), y + a * angle.sin() + b * angle.cos())
    };
    let shift = |(a, b): (f64, f64)| (x + a * r, y + b * r);
    match shape {
        Shape::Request => {
            let tips =
                [(r * 1.2, 0.0), (-r * 0.9, r * 0.95), (-r * 0.4, 0.0), (-r * 0.9, -r * 0.95)];
            polygon(pen, tips.into_iter().map(turn));
        }
        Shape::Response | Shape::Probe => {
            pen.begin_path();
            // The radius is positive: an arc of a circle cannot fail.
            let _ = pen.arc(x, y, r * 0.85, 0.0, TAU);
        }
        Shape::Data => polygon(
            pen,
            [(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)].into_iter().map(shift),
        ),
        Shape::Datagram => {
            let corner = |i: i32| {
                shift(((f64::from(i) * FRAC_PI_3).cos(), (f64::from(i) * FRAC_PI_3).sin()))
            };
            polygon(pen, (0..6).map(corner));
        }
        Shape::Write | Shape::Read => {
            let sheet = [(-0.75, -1.0), (0.25, -1.0), (0.75, -0.5), (0.75, 1.0), (-0.75, 1.0)];
            polygon(pen, sheet.into_iter().map(shift));
        }
        Shape::Error => polygon(
            pen,
            [(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)].into_iter().map(shift),
        ),
    }
    let hollow = matches!(shape, Shape::Probe | Shape::Read);
    pen.set_fill_style_str(if hollow { &palette.paper } else { colour });
    pen.set_stroke_style_str(if hollow { colour } else { &palette.paper });
    pen.set_line_width(if hollow { 2.4 } else { 1.6 });
    pen.stroke();
    pen.fill();
    if hollow {
        pen.stroke();
    }
    pen.set_line_width(1.6);
    if chosen {
        pen.begin_path();
        let _ = pen.arc(x, y, r * 1.9, 0.0, TAU);
        pen.set_stroke_style_str(&palette.ink);
        pen.set_line_width(2.0);
        pen.stroke();
        pen.set_line_width(1.6);
    }
}
