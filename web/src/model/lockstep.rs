//! One clock for two worlds: the view moves, and the worlds are run as far as it needs them to be,
//! never much further. Neither is shown at an instant to which the other has not come.

use crate::model::speed::MAX;

/// How far worlds are kept ahead of a view that moves, in ns of its own time; less at low speed.
const LEAD: f64 = 5e8;
/// At least so far, in ns of the world.
const LEAST: f64 = 2e8;
/// A world that was asked to run and did not for so long is asked once more, in ns of real time.
const PATIENCE: f64 = 4e9;
/// How far worlds are run to find the next event: further each time, up to a minute, in ns.
const STRIDES: (u64, u64) = (250_000_000, 60_000_000_000);

/// A world as it was heard of last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// Its present, in ns.
    pub now: u64,
    /// All up to here is known of it, in ns.
    pub known: u64,
    /// Whether it stands.
    pub stands: bool,
    /// The instant of the first event after the view, in ns.
    pub next: Option<u64>,
}

/// The clock of two worlds.
#[derive(Clone, Debug, PartialEq)]
pub struct Lockstep {
    view: f64,
    playing: bool,
    speed: u32,
    /// How far a search for the next event has come; 0 for none.
    stepping: u64,
    asked: [u64; 2],
    /// Whether an answer is awaited: what is asked must not overtake what was asked before.
    awaits: [bool; 2],
    waited: [f64; 2],
}

impl Lockstep {
    /// A clock that stands at an instant, in ns.
    pub fn new(at: u64) -> Lockstep {
        Lockstep {
            view: at as f64,
            playing: false,
            speed: 1000,
            stepping: 0,
            asked: [0; 2],
            awaits: [false; 2],
            waited: [0.0; 2],
        }
    }

    /// The instant shown, in ns.
    pub fn at(&self) -> u64 {
        self.view as u64
    }

    /// Whether it moves.
    pub fn playing(&self) -> bool {
        self.playing
    }

    /// How fast, in thousandths of real time.
    pub fn speed(&self) -> u32 {
        self.speed
    }

    /// Lets it move, or stand.
    pub fn play(&mut self, playing: bool) {
        (self.playing, self.stepping) = (playing, 0);
    }

    /// It moves so fast from now on.
    pub fn pace(&mut self, speed: u32) {
        self.speed = speed;
    }

    /// Shows an instant and stays there; worlds that have not come so far are run to it.
    pub fn look(&mut self, at: u64) {
        self.play(false);
        self.view = at as f64;
    }

    /// Shows the next thing that happens in either world.
    pub fn step(&mut self) {
        self.play(false);
        self.stepping = STRIDES.0;
    }

    /// Whether it looks for the next thing that happens.
    pub fn steps(&self) -> bool {
        self.stepping != 0
    }

    /// A world was asked to run and has answered; one that refused is asked again after a while.
    pub fn answered(&mut self, side: usize, refused: bool) {
        self.awaits[side] = false;
        if refused {
            self.play(false);
        }
    }

    /// A world has not come so far yet as is shown.
    pub fn waits(&self, heard: [Heard; 2]) -> [bool; 2] {
        heard.map(|h| h.known < self.at())
    }

    fn factor(&self) -> f64 {
        if self.speed == MAX { 100.0 } else { f64::from(self.speed) / 1000.0 }
    }

    /// So much real time has passed, in ns. Returns to which instants the worlds are to be run.
    pub fn advance(&mut self, passed: f64, heard: [Heard; 2]) -> [Option<u64>; 2] {
        let known = heard[0].known.min(heard[1].known);
        if self.playing && known as f64 > self.view {
            self.view = (self.view + passed * self.factor()).min(known as f64);
        }
        if self.stepping != 0 && known >= self.at() {
            let next = heard.iter().filter_map(|h| h.next).min().filter(|at| *at <= known);
            if let Some(at) = next {
                (self.view, self.stepping) = (at as f64, 0);
            } else if known >= self.at().saturating_add(self.stepping.min(STRIDES.1)) {
                // Nothing within a minute: nothing happens in these worlds any more.
                self.stepping = if self.stepping < STRIDES.1 { 2 * self.stepping } else { 0 };
            }
        }
        let lead = (LEAD * self.factor()).max(LEAST);
        let (needed, goal) = if self.playing {
            (self.view + lead / 2.0, self.view + lead)
        } else {
            let to = self.view + self.stepping.min(STRIDES.1) as f64;
            (to, to)
        };
        let mut out = [None; 2];
        for i in 0..2 {
            let (h, goal) = (heard[i], goal as u64);
            // Whoever is under way is not asked again; one that forgot it, later.
            let idle = h.stands && h.now < self.asked[i] && !self.awaits[i];
            self.waited[i] = if idle { self.waited[i] + passed } else { 0.0 };
            if self.waited[i] > PATIENCE {
                (self.asked[i], self.waited[i]) = (0, 0.0);
            }
            // Never back: that would take from a world what happened in it.
            let reaches = h.now.max(self.asked[i]);
            let short = (reaches as f64) < needed.floor();
            if h.stands && short && goal > reaches && !self.awaits[i] {
                (self.asked[i], self.awaits[i]) = (goal, true);
                out[i] = Some(goal);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const FRAME: f64 = 16e6;

    /// Two worlds that run as they are asked; the right one so many ns a frame only.
    struct Worlds {
        now: [u64; 2],
        goal: [u64; 2],
        a_frame: [u64; 2],
        asks: usize,
        /// An answer takes so many frames.
        answers: [usize; 2],
        /// Something happens in the left one at these instants.
        happens: Vec<u64>,
    }

    impl Worlds {
        fn new(now: [u64; 2]) -> Worlds {
            Worlds {
                now,
                goal: now,
                a_frame: [10 * S; 2],
                asks: 0,
                answers: [0; 2],
                happens: Vec::new(),
            }
        }

        fn heard(&self, at: u64) -> [Heard; 2] {
            [0, 1].map(|i| Heard {
                now: self.now[i],
                known: self.now[i],
                stands: self.now[i] == self.goal[i],
                next: self.happens.iter().copied().find(|t| i == 0 && *t > at && *t <= self.now[0]),
            })
        }

        fn frame(&mut self, clock: &mut Lockstep) {
            let asked = clock.advance(FRAME, self.heard(clock.at()));
            for (i, goal) in asked.into_iter().enumerate() {
                if self.answers[i] == 1 {
                    clock.answered(i, false);
                }
                self.answers[i] = self.answers[i].saturating_sub(1);
                if let Some(goal) = goal {
                    assert!(goal > self.now[i].max(self.goal[i]), "a world is never sent back");
                    assert_eq!(self.answers[i], 0, "nor asked twice at once");
                    self.answers[i] = 5;
                    self.goal[i] = goal;
                    self.asks += 1;
                }
                self.now[i] = (self.now[i] + self.a_frame[i]).min(self.goal[i]);
            }
        }
    }

    #[test]
    fn both_run_as_the_view_needs_them_and_little_further() {
        let (mut worlds, mut clock) = (Worlds::new([3 * S; 2]), Lockstep::new(3 * S));
        clock.play(true);
        for frame in 0..625 {
            worlds.frame(&mut clock);
            for now in worlds.now {
                assert!(now >= clock.at() || frame == 0);
                assert!(now <= clock.at() + S, "not much further: {now}");
            }
        }
        // Ten seconds, but for the first frames in which the worlds had nowhere to be.
        assert!(clock.at() > 12_800_000_000 && clock.at() <= 13 * S, "{}", clock.at());
        assert!(worlds.asks < 2 * 10 * 5, "{} calls in ten seconds", worlds.asks);
        clock.play(false);
        let (at, asks) = (clock.at(), worlds.asks);
        for _ in 0..100 {
            worlds.frame(&mut clock);
        }
        assert_eq!((clock.at(), worlds.asks), (at, asks), "a pause is one");
    }

    #[test]
    fn the_view_waits_for_the_slower_world() {
        let (mut worlds, mut clock) = (Worlds::new([S; 2]), Lockstep::new(S));
        worlds.a_frame[1] = 4_000_000;
        clock.play(true);
        for _ in 0..500 {
            worlds.frame(&mut clock);
            assert!(clock.at() <= worlds.now[1]);
            assert!(worlds.now[0] < worlds.now[1] + S, "the faster one does not run away");
        }
        assert!(clock.at() > 2 * S);
    }

    #[test]
    fn a_world_that_is_behind_is_run_to_the_instant_shown() {
        let (mut worlds, mut clock) = (Worlds::new([12 * S, 0]), Lockstep::new(12 * S));
        worlds.a_frame[1] = S;
        assert_eq!(clock.waits(worlds.heard(12 * S)), [false, true]);
        for _ in 0..14 {
            worlds.frame(&mut clock);
        }
        assert_eq!((worlds.now, clock.at(), worlds.asks), ([12 * S; 2], 12 * S, 1));
        assert_eq!(clock.waits(worlds.heard(12 * S)), [false, false]);
        // Back and forth in what is known runs nothing.
        clock.look(4 * S);
        worlds.frame(&mut clock);
        clock.look(12 * S);
        worlds.frame(&mut clock);
        assert_eq!((worlds.now, worlds.asks), ([12 * S; 2], 1));
        clock.look(20 * S);
        for _ in 0..14 {
            worlds.frame(&mut clock);
        }
        assert_eq!(worlds.now, [20 * S; 2]);
    }

    #[test]
    fn a_step_finds_the_next_event_however_far() {
        let (mut worlds, mut clock) = (Worlds::new([S; 2]), Lockstep::new(S));
        worlds.happens = vec![S, S + 7, 40 * S];
        for at in [S + 7, 40 * S] {
            clock.step();
            for _ in 0..100 {
                worlds.frame(&mut clock);
            }
            assert_eq!((clock.at(), clock.steps()), (at, false));
        }
        clock.step();
        for _ in 0..1_000 {
            worlds.frame(&mut clock);
        }
        assert!(!clock.steps(), "where nothing happens the search ends");
        assert_eq!(clock.at(), 40 * S);
    }

    #[test]
    fn what_was_refused_or_forgotten_is_asked_again() {
        let mut clock = Lockstep::new(5 * S);
        let heard = [Heard { now: S, known: S, stands: true, next: None }; 2];
        assert_eq!(clock.advance(FRAME, heard), [Some(5 * S); 2]);
        for _ in 0..1_000 {
            assert_eq!(clock.advance(FRAME, heard), [None; 2], "no answer yet");
        }
        clock.answered(0, false);
        clock.answered(1, true);
        let again = (0..400).find(|_| clock.advance(FRAME, heard) == [Some(5 * S); 2]);
        assert!(again.is_some_and(|n| n > 200), "{again:?}");
        (clock.answered(0, false), clock.answered(1, false));
        // One that somebody else runs is left alone.
        let running = heard.map(|h| Heard { stands: false, ..h });
        clock.look(9 * S);
        assert_eq!(clock.advance(FRAME, running), [None; 2]);
    }
}
