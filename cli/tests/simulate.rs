//! `lpctl simulate` as a user calls it: arguments and files in, bytes and a verdict out.

use clap::Parser;
use lpctl::simulate::{self, Args, Verdict};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

struct Ran {
    verdict: Result<Verdict, String>,
    out: String,
    err: String,
}

fn ran(words: &[&str]) -> Ran {
    let cli = Cli::try_parse_from(std::iter::once(&"simulate").chain(words)).unwrap_or_else(|e| panic!("{e}"));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let verdict = simulate::run(&cli.args, &mut out, &mut err).map_err(|error| format!("{error:#}"));
    Ran { verdict, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

#[test]
fn scratch() {
    let words = std::env::var("W").unwrap();
    let words: Vec<&str> = words.split(' ').collect();
    let start = std::time::Instant::now();
    let ran = ran(&words);
    println!("{}", ran.out);
    println!("{:?}\n{} {:?}", ran.verdict, ran.err, start.elapsed());
}
