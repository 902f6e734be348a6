//! An explanation as text: the answer first, then what it is made of.

use super::data::{Explanation, LatencySignal, Signal, Source};
use crate::output::{Mark, Style, age, pad, pods};
use jiff::Timestamp;

/// The explanation as text.
pub fn table(view: &Explanation, style: &Style, now: Timestamp) -> String {
    let mut page = Page { style, out: String::new() };
    page.head(view);
    page.signals(view);
    page.stages(view);
    page.what_would_change(view, now);
    page.queries(view);
    page.history(view, now);
    for note in &view.notes {
        page.line(&format!("{} ", style.mark(Mark::Warning)), note);
    }
    page.out
}

struct Page<'a> {
    style: &'a Style,
    out: String,
}

/// How the core calls a value without any doubt, which goes without saying.
const TRUSTED: &str = "a trusted value";

/// Columns of the words before a text.
const LABEL: usize = 12;

impl Page<'_> {
    fn line(&mut self, prefix: &str, text: &str) {
        let line = self.style.hang(prefix, text);
        self.out.push_str(&line);
    }

    fn labelled(&mut self, label: &str, text: &str) {
        self.line(&format!("  {}", pad(label, LABEL)), text);
    }

    fn head(&mut self, view: &Explanation) {
        let title = self.style.bold(&format!("{}/{} app {}", view.namespace, view.platform, view.app));
        let counts = format!("{}, {} ready; between {} and {}", pods(view.observed), view.ready, view.floor, view.cap);
        self.line(&format!("{title}  "), &counts);
        self.labelled("why", if view.sentence.is_empty() { "nothing has been decided yet" } else { &view.sentence });
        let holds = match (&view.hpa, view.decision.held_by.as_str()) {
            (Some(hpa), "") => hpa.holds(view.observed, view.floor),
            (_, said) => said.to_owned(),
        };
        if !holds.is_empty() {
            self.labelled("held by", &holds);
        }
        if let Some(hold) = &view.hold {
            let by = if hold.by.is_empty() { String::new() } else { format!(" by {}", hold.by) };
            self.labelled("hold", &format!("at least {} until {}{by}: {}", pods(hold.floor), hold.until, hold.reason));
        }
        if let Some(pause) = view.pause.as_str().filter(|p| !matches!(*p, "" | "None" | "none")) {
            self.labelled("paused", &format!("{pause}: decisions go on, but are not carried out"));
        }
        if let Some(written) = &view.written
            && view.decision.floor != written.min_replicas.max(0)
            && view.decision.floor != view.floor
        {
            let (wanted, written) = (view.decision.floor, written.min_replicas);
            self.labelled("not written", &format!("a floor of {wanted} is wanted, {written} stands in the HPA"));
        }
        if let Some(failure) = &view.failure {
            let text = format!("{}: {}", self.style.paint(Mark::Bad, &failure.reason), failure.message);
            self.labelled("failed", &text);
        }
        if view.stale {
            self.labelled("spec", "changed, not seen by the operator yet: this is of the one before");
        }
    }

    fn heading(&mut self, text: &str) {
        let heading = self.style.bold(text);
        self.out.push_str(&format!("\n{heading}\n"));
    }

    fn signals(&mut self, view: &Explanation) {
        let decision = &view.decision;
        if view.source == Source::Status {
            if let Some(metrics) = &decision.metrics {
                self.labelled("metrics", &format!("{}: {}", metrics.reason, metrics.message));
            }
        } else if !decision.signals.is_empty() || decision.latency.is_some() {
            self.heading("Signals");
            for signal in &decision.signals {
                self.signal(signal);
            }
            if let Some(latency) = &decision.latency {
                self.latency(latency);
            }
        }
        for finding in &decision.findings {
            let mark = self.style.mark(Mark::Warning);
            self.line(&format!("  {mark} "), &format!("{}: {}", finding.reason, finding.message));
        }
        if let Some(hpa) = &view.hpa {
            self.heading("HPA");
            let bounds = format!("wants {}; may set {} to {}", pods(hpa.desired), hpa.min_replicas, hpa.max_replicas);
            self.labelled("itself", &bounds);
            for metric in &hpa.metrics {
                let text =
                    format!("{} of {}, asks for {}", number(metric.current), number(metric.target), pods(metric.wants));
                self.labelled(&metric.name, &text);
            }
            if let Some(problem) = &hpa.problem {
                let mark = self.style.mark(Mark::Warning);
                self.line(&format!("  {mark} "), problem);
            }
        }
    }

    fn signal(&mut self, signal: &Signal) {
        let mut parts = Vec::new();
        match signal.value {
            Some(value) => parts.push(format!("{} {}", number(value), signal.unit)),
            None => parts.push(signal.state.clone()),
        }
        if let Some(proposal) = signal.proposal {
            parts.push(format!("asks for {} at {} each", pods(proposal), number(signal.per_pod)));
        }
        if (signal.k - 1.0).abs() > 0.001 && signal.k > 0.0 {
            parts.push(format!(
                "pods are taken to carry {} % of what was planned, because of latency",
                number(signal.k * 100.0)
            ));
        }
        if signal.value.is_some() && !matches!(signal.state.as_str(), "" | TRUSTED) {
            parts.push(signal.state.clone());
        }
        if let Some(milliseconds) = signal.age {
            parts.push(format!("{} old", seconds(milliseconds / 1000.0)));
        }
        if !matches!(signal.failure.as_str(), "" | "Healthy") {
            parts.push(signal.failure.to_lowercase());
        }
        let mark = if signal.value.is_some() { Mark::Good } else { Mark::Warning };
        let prefix = format!("  {} {}", self.style.mark(mark), pad(&format!("{} ", signal.name), LABEL));
        self.line(&prefix, &parts.join("; "));
    }

    fn latency(&mut self, latency: &LatencySignal) {
        let value = match latency.value {
            Some(value) => format!("{} of a budget of {}", seconds(value), seconds(latency.budget)),
            None => latency.state.clone(),
        };
        let over = if latency.over_budget { "; over budget" } else { "" };
        let mark = if latency.over_budget || latency.value.is_none() { Mark::Warning } else { Mark::Good };
        let prefix = format!("  {} {}", self.style.mark(mark), pad(&format!("{} ", latency.name), LABEL));
        self.line(&prefix, &format!("{value}{over}"));
    }

    fn stages(&mut self, view: &Explanation) {
        if view.decision.stages.is_empty() {
            return;
        }
        self.heading("From demand to floor");
        for stage in &view.decision.stages {
            let moved = if stage.before == stage.after {
                format!("{:>5}", stage.after)
            } else {
                format!("{:>2} > {}", stage.before, stage.after)
            };
            self.line(&format!("  {}{} ", pad(&stage.name, LABEL), pad(&moved, 8)), &stage.why);
        }
    }

    fn what_would_change(&mut self, view: &Explanation, now: Timestamp) {
        if view.decision.would_scale_if.is_empty() && view.next_schedule.is_none() {
            return;
        }
        self.heading("What would change it");
        for hint in &view.decision.would_scale_if {
            let up = hint.raises_above.map(|at| format!("up above {} {}", number(at), hint.unit));
            let down = hint.lowers_at.map(|at| format!("down at {} {} for long enough", number(at), hint.unit));
            let text: Vec<String> = [up, down].into_iter().flatten().collect();
            let text = if text.is_empty() {
                "nothing: it is between minimum and cap already".to_owned()
            } else {
                text.join(", ")
            };
            self.line(&format!("  {}", pad(&format!("{} ", hint.signal), LABEL)), &text);
        }
        if let Some(window) = &view.next_schedule {
            let text = if window.open {
                format!("{} is open until {} (for {}): {}", window.name, window.end, age(now, window.end), window.asks)
            } else {
                format!("{} opens at {} (in {}): {}", window.name, window.start, age(now, window.start), window.asks)
            };
            self.labelled("schedule", &text);
        }
    }

    fn queries(&mut self, view: &Explanation) {
        if view.queries.is_empty() {
            return;
        }
        self.heading("Queries");
        for query in &view.queries {
            // Not wrapped: it is there to be copied.
            self.out.push_str(&format!("  {}\n    {}\n", named(&query.signal, view), query.query));
        }
    }

    fn history(&mut self, view: &Explanation, now: Timestamp) {
        if view.decisions.is_empty() {
            return;
        }
        self.heading("Last changes");
        for past in &view.decisions {
            let when = past.at.parse().map_or_else(|_| past.at.clone(), |at| age(at, now));
            self.line(&format!("  {} {:>3} to {:<4}", pad(&when, 5), past.floor, past.cap), &past.reason);
        }
    }
}

/// A query's purpose with the signal's own name: `Demand(0) Long` is the one over the long range of the first signal.
fn named(signal: &str, view: &Explanation) -> String {
    let (which, range) = signal.split_once(' ').unwrap_or((signal, ""));
    let index =
        which.strip_prefix("Demand(").and_then(|rest| rest.strip_suffix(')')).and_then(|n| n.parse::<usize>().ok());
    let name = match index {
        Some(index) => view.decision.signals.get(index).map(|s| s.name.clone()),
        None => view.decision.latency.as_ref().filter(|_| which == "Latency").map(|l| l.name.clone()),
    };
    format!("{} {}", name.unwrap_or_else(|| which.to_owned()), range.to_lowercase()).trim_end().to_owned()
}

/// A number without needless digits.
fn number(value: f64) -> String {
    let text = if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{} ms", number(value * 1000.0)) } else { format!("{} s", number(value)) }
}
