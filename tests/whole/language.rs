//! The suite and the manual as texts: laid out, and the same after printing and reading.

use conntruth::language::{ast::Story, format, parse};
use conntruth_tests::embedded;
use conntruth_tests::manual::examples;

const MANUAL: &str = include_str!("../../scenarios/README.md");

#[test]
fn every_scenario_is_laid_out() {
    let mut names = Vec::new();
    for file in embedded() {
        let laid_out = format(&file.id, &file.script.text).unwrap_or_else(|messages| panic!("{messages}"));
        if laid_out != file.script.text {
            names.push(file.id);
        }
    }
    assert!(names.is_empty(), "`conntruth fmt scenarios` lays these out: {names:#?}");
}

#[test]
fn every_example_of_the_manual_is_laid_out() {
    for example in examples(MANUAL).iter().filter(|example| !example.kind.contains("wrong")) {
        let laid_out = format("the manual", &example.text).unwrap_or_else(|messages| panic!("{messages}"));
        assert_eq!(laid_out, example.text, "scenarios/README.md line {}", example.line);
    }
}

#[test]
fn every_scenario_is_the_same_when_printed_and_read_again() {
    for file in embedded() {
        for story in &file.script.stories {
            let printed = story.to_string();
            let again =
                parse(&file.id, &printed).unwrap_or_else(|messages| panic!("{messages}\nin\n{printed}"));
            // `each` has done its work before there is a tree.
            let story = Story { variant: Vec::new(), ..story.clone() };
            assert_eq!(again.stories, [story], "in\n{printed}");
        }
    }
}

#[test]
fn the_mistake_in_the_manual_is_shown_as_the_manual_says() {
    for example in examples(MANUAL).iter().filter(|example| example.kind == "ct wrong") {
        let messages = parse("my-case.ct", &example.text).expect_err("it has a mistake");
        assert!(MANUAL.contains(&messages.to_string()), "scenarios/README.md does not show:\n{messages}");
    }
}
