use super::*;
#[test]
fn timing() {
    let file = fixture(STORY);
    let mut text = "time,rate,latency\n".to_owned();
    for i in 0..17280 {
        use std::fmt::Write;
        writeln!(
            text,
            "{},{},{}",
            i * 5,
            100.0 + (i as f64 / 700.0).sin().abs() * 1500.0 + (i * 7919 % 101) as f64,
            0.05 + (i * 31 % 17) as f64 / 1000.0
        )
        .unwrap();
    }
    let dense = scratch("dense.csv", &text);
    for trace in [&example("traces/school-day.csv"), &dense] {
        let cli = Cli::try_parse_from(["simulate", "-f", &file, "--app", "web", "--trace", trace]).unwrap();
        let prepared = simulate::Prepared::new(&cli.args).unwrap();
        for _ in 0..4 {
            let start = std::time::Instant::now();
            let replay = prepared.replay();
            println!("{} steps, {:?}, size {}", replay.steps.len(), start.elapsed(), size_of::<simulate::Step>());
        }
        let start = std::time::Instant::now();
        run(STORY, "web", trace, &["-o", "json"]);
        println!("all {:?}", start.elapsed());
    }
}
