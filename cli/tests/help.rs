//! The examples of the help texts are commands that the grammar takes.

use clap::Command;
use lpctl::plugin::{self, Name};

/// Every command with its examples.
fn examples(command: &Command, found: &mut Vec<(String, String)>) {
    let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    for line in help.lines().filter(|l| l.starts_with("  lpctl ")) {
        found.push((command.get_name().to_owned(), line.trim().to_owned()));
    }
    for sub in command.get_subcommands() {
        examples(sub, found);
    }
}

/// The words of a simple shell command: up to a pipe, a redirection or a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' | '\'' => quoted = !quoted,
            '|' | '>' | '#' | ';' if !quoted => break,
            ' ' if !quoted => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            c => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[test]
fn every_example_is_a_command() {
    let mut found = Vec::new();
    examples(&plugin::command(Name::Lpctl), &mut found);
    assert!(found.len() > 25, "only {} examples", found.len());
    for (command, line) in &found {
        let parsed = plugin::command(Name::Lpctl).try_get_matches_from(words(line));
        assert!(parsed.is_ok(), "{command}: {line}: {}", parsed.unwrap_err());
    }
}

#[test]
fn every_command_opens_its_help_with_examples() {
    for sub in plugin::command(Name::Lpctl).get_subcommands() {
        let help = sub.get_before_help().map(ToString::to_string).unwrap_or_default();
        assert!(help.starts_with("Examples:\n  lpctl "), "{}: {help:?}", sub.get_name());
        assert!(sub.get_about().is_some(), "{}", sub.get_name());
    }
}

#[test]
fn the_grammar_is_sound() {
    plugin::command(Name::Lpctl).debug_assert();
    plugin::command(Name::Plugin).debug_assert();
}
