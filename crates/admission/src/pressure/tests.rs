use super::*;
use crate::keyed::Keyed;

fn millis(millis: u64) -> Moment {
    Moment::from_start(Duration::from_millis(millis))
}

fn memory(used: u64) -> Signal {
    Signal::Memory { used, limit: 1_000 }
}

fn delay(millis: u64) -> Signal {
    Signal::SchedulingDelay(Duration::from_millis(millis))
}

#[test]
fn loads_are_thousandths_of_the_threshold() {
    let all = Overload { cpu_pressure_percent: Some(50), ..Overload::default() };
    for (signal, load) in [
        (Signal::Descriptors { free: 100, limit: 1_000 }, 1_000),
        (Signal::Descriptors { free: 1_000, limit: 1_000 }, 0),
        (Signal::Descriptors { free: 0, limit: 0 }, u32::MAX),
        (Signal::Descriptors { free: u64::MAX, limit: 10 }, 0),
        (memory(400), 500),
        (memory(u64::MAX), u32::MAX),
        (Signal::CpuPressure(25.0), 500),
        (Signal::CpuPressure(f64::NAN), 0),
        (delay(100), 1_000),
        (delay(250), 2_500),
        (Signal::StorageLatency(Duration::from_secs(4)), 800),
        (Signal::StorageLatency(Duration::MAX), u32::MAX),
    ] {
        assert_eq!(signal.load_permille(all), Some(load), "{signal:?}");
    }
    assert_eq!(Signal::CpuPressure(99.0).load_permille(Overload::default()), None, "off by default");
}

#[test]
fn levels_rise_at_once_and_fall_below_nine_tenths_after_five_seconds() {
    let overload = Overload::default();
    let mut pressure = Pressure::new();
    // Of 1,000 the threshold is 800: busy from 640, strained from 720, full from 800.
    for (at, used, level) in [
        (0, 639, Level::Calm),
        (100, 640, Level::Busy),
        (200, 720, Level::Strained),
        (300, 800, Level::Full),
        (400, 100, Level::Full),
        (5_299, 100, Level::Full),
        (5_300, 720, Level::Full),
        (5_400, 719, Level::Strained),
        (10_400, 648, Level::Strained),
        (10_500, 647, Level::Busy),
        (15_500, 576, Level::Busy),
        (15_600, 575, Level::Calm),
        (15_700, 900, Level::Full),
        (20_800, 100, Level::Calm),
    ] {
        pressure.observe(memory(used), overload, millis(at));
        assert_eq!(pressure.worst(millis(at)).0, level, "{used} at {at}");
    }
}

#[test]
fn one_late_reading_tightens_and_does_not_refuse() {
    let overload = Overload::default();
    let mut pressure = Pressure::new();
    for (at, level) in [(0, Level::Busy), (100, Level::Strained), (200, Level::Full)] {
        pressure.observe(delay(500), overload, millis(at));
        assert_eq!(pressure.worst(millis(at)).0, level);
    }
}

#[test]
fn the_worst_signal_is_named() {
    let overload = Overload::default();
    let mut pressure = Pressure::new();
    assert_eq!(pressure.worst(millis(0)), (Level::Calm, None));
    pressure.observe(memory(700), overload, millis(0));
    pressure.observe(Signal::Descriptors { free: 0, limit: 100 }, overload, millis(0));
    assert_eq!(pressure.worst(millis(1)), (Level::Full, Some(SignalKind::Descriptors)));
    pressure.relimit(Overload { descriptors_percent: None, ..overload });
    assert_eq!(pressure.worst(millis(1)), (Level::Busy, Some(SignalKind::Memory)));
    let gauges = pressure.gauges(millis(1));
    assert_eq!(gauges.map(|gauge| gauge.kind), SignalKind::ALL);
    assert_eq!((gauges[1].level, gauges[1].load_permille), (Level::Busy, 875));
}

#[test]
fn a_signal_that_is_not_read_any_more_closes_nothing() {
    let overload = Overload::default();
    let mut pressure = Pressure::new();
    for at in 0..3 {
        pressure.observe(Signal::StorageLatency(Duration::from_mins(1)), overload, millis(at));
    }
    assert_eq!(pressure.next_deadline(millis(3)), Some(millis(15_002)));
    assert_eq!(pressure.worst(millis(15_001)).0, Level::Full);
    assert_eq!(pressure.worst(millis(15_002)), (Level::Calm, None));
    assert_eq!(pressure.next_deadline(millis(15_002)), None);
    pressure.observe(Signal::StorageLatency(Duration::from_mins(1)), overload, millis(16_000));
    assert_eq!(pressure.worst(millis(16_000)).0, Level::Busy, "it rises again from the start");
}

#[test]
fn the_retry_grows_with_the_time_and_is_spread() {
    let overload = Overload::default();
    let mut pressure = Pressure::new();
    let mut random = Keyed::new(1).jitter();
    for (secs, expected) in [(0, 5), (10, 15), (60, 65), (600, 120)] {
        let now = millis(secs * 1_000);
        // A reading every ten seconds keeps the signal alive.
        for reading in (0..=secs).step_by(10) {
            pressure.observe(memory(900), overload, millis(reading * 1_000));
        }
        assert_eq!(pressure.expect(now), expected, "{secs}");
        let told = pressure.tell(now, &mut random);
        assert!((expected..=expected * 3 / 2 + 2).contains(&told), "{told}");
    }
    let mut counts = [0_u32; 301];
    for _ in 0..1_000 {
        counts[pressure.tell(millis(600_000), &mut random) as usize] += 1;
    }
    assert!(counts.iter().all(|count| *count <= 40), "{counts:?}");
}

#[test]
fn factors_fall_with_the_level() {
    for (level, percent) in [(Level::Calm, 100), (Level::Busy, 50), (Level::Strained, 25), (Level::Full, 25)]
    {
        let scaled = Duration::from_secs(100).mul_f64(level.timeout_factor());
        assert_eq!(scaled, Duration::from_secs(percent), "{level:?}");
    }
}
