use super::*;

fn log() -> (Arc<Mutex<Vec<String>>>, impl Fn(String) + Clone + Send + 'static) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let l = log.clone();
    (log, move |s| l.lock().unwrap().push(s))
}

#[test]
fn virtual_time_jumps_from_timer_to_timer() {
    let mut sim = Sim::new(1, 0);
    let h = sim.handle();
    let (log, say) = log();
    sim.handle().spawn(async move {
        h.sleep(Duration::from_secs(300)).await;
        say(format!("{}", h.now()));
    });
    assert_eq!(sim.run_until(Time::MAX, u64::MAX), Stop::Idle);
    assert_eq!(*log.lock().unwrap(), ["300.000000000s"]);
}

#[test]
fn simultaneous_tasks_run_in_an_order_the_seed_permutes() {
    let order = |seed| {
        let mut sim = Sim::new(seed, 0);
        let (log, say) = log();
        for i in 0..4 {
            let (h, say) = (sim.handle(), say.clone());
            sim.handle().spawn(async move {
                h.sleep(Duration::from_secs(1)).await;
                say(i.to_string());
            });
        }
        sim.run_until(Time::MAX, u64::MAX);
        log.lock().unwrap().join("")
    };
    assert_eq!(order(7), order(7));
    let all: std::collections::BTreeSet<_> = (0..200).map(order).collect();
    assert_eq!(all.len(), 24, "every permutation of four occurs in 200 seeds");
}

#[test]
fn a_task_that_never_rests_is_reported() {
    let mut sim = Sim::new(1, 0);
    let h = sim.handle();
    sim.handle().spawn(async move {
        loop {
            h.yield_now().await;
        }
    });
    assert_eq!(sim.run_until(Time::from_secs(1), u64::MAX), Stop::Livelock);
}

#[test]
fn abort_drops_the_body_and_wakes_those_who_wait() {
    let mut sim = Sim::new(1, 0);
    let h = sim.handle();
    let (log, say) = log();
    let s2 = say.clone();
    struct Say<F: Fn(String)>(F);
    impl<F: Fn(String)> Drop for Say<F> {
        fn drop(&mut self) {
            (self.0)("dropped".into());
        }
    }
    let h2 = h.clone();
    let task = h.spawn(async move {
        let _s = Say(s2);
        h2.sleep(Duration::from_secs(1000)).await;
    });
    let h3 = h.clone();
    h.spawn(async move {
        h3.sleep(Duration::from_secs(1)).await;
        task.abort();
        task.join().await;
        say(format!("joined at {}", h3.now()));
    });
    assert_eq!(sim.run_until(Time::MAX, u64::MAX), Stop::Idle);
    assert_eq!(*log.lock().unwrap(), ["dropped", "joined at 1.000000000s"]);
    assert_eq!(sim.now(), Time::from_secs(1), "the aborted sleep left no timer behind");
}

#[test]
fn moving_time_on_inside_a_poll_equals_sleeping() {
    // One task pays in small pieces, another ticks: whatever the limits at which the driver
    // stops, and whether or not the short cut is used, all see the same instants.
    let run = |cut: bool, stops: &[u64]| {
        let mut sim = Sim::new(5, 0);
        let (log, say) = log();
        let (h, s) = (sim.handle(), say.clone());
        sim.handle().spawn(async move {
            for i in 0..50u64 {
                let d = Duration::from_nanos(i * 7 % 11);
                if !(cut && h.try_advance(d)) {
                    h.sleep(d).await;
                }
                s(format!("a{i}@{}", h.now().0));
            }
        });
        let h = sim.handle();
        sim.handle().spawn(async move {
            for i in 0..30 {
                h.sleep(Duration::from_nanos(9)).await;
                say(format!("b{i}@{}", h.now().0));
            }
        });
        for s in stops {
            sim.run_until(Time(*s), u64::MAX);
        }
        sim.run_until(Time::MAX, u64::MAX);
        log.lock().unwrap().join(" ")
    };
    let plain = run(false, &[]);
    assert_eq!(plain, run(true, &[]));
    assert_eq!(plain, run(true, &[3, 17, 18, 90, 91, 200]));
}

#[test]
fn timeout_prefers_the_work() {
    let mut sim = Sim::new(1, 0);
    let h = sim.handle();
    let (log, say) = log();
    sim.handle().spawn(async move {
        let s = Duration::from_secs(1);
        say(format!("{:?}", h.timeout(s, h.sleep(s)).await));
        say(format!("{:?}", h.timeout(s, h.sleep(s * 2)).await));
    });
    sim.run_until(Time::MAX, u64::MAX);
    assert_eq!(*log.lock().unwrap(), ["Ok(())", "Err(Elapsed)"]);
}

#[test]
fn a_world_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&Sim::new(1, 0));
}
