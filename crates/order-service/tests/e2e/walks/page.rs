//! What a page says to do.

/// One thing after the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// An `sh` block.
    Run(String),
    /// A `text` block: what the last one prints.
    Prints(String),
    /// What serves is stopped.
    Stop,
}

pub(super) fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "<!-- stop -->" {
            steps.push(Step::Stop);
        }
        let Some(kind) = line.strip_prefix("```") else { continue };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        match kind {
            "sh" => steps.push(Step::Run(block.join("\n"))),
            "text" => steps.push(Step::Prints(block.join("\n"))),
            // What is shown and not run.
            _ => {}
        }
    }
    steps
}

/// Whether something was said as expected; `…` is anything, also nothing.
pub(super) fn matches(expected: &str, said: &str) -> bool {
    let mut pieces = expected.trim_end().split('…');
    let Some(mut rest) = said.trim_end().strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let mut pieces: Vec<_> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn blocks_are_steps_and_only_those_that_are_to_be_run() {
    let page = "# A\n\n```sh\na\nb\n```\n\n```text\nc…\n```\n\n```console\n$ d\n```\n\n<!-- stop -->\n\n```toml\ne\n```\n";
    assert_eq!(steps(page), [Step::Run("a\nb".to_owned()), Step::Prints("c…".to_owned()), Step::Stop]);
}

#[test]
fn what_stands_for_anything_is_anything_and_the_rest_is_to_the_letter() {
    for (expected, said) in [
        ("a", "a\n"),
        ("a…", "abc"),
        ("…c", "abc\n"),
        ("a…c…", "a b c d"),
        ("…b…", "b"),
        ("a\n…\nd", "a\nb\nc\nd\n"),
    ] {
        assert!(matches(expected, said), "{expected:?} {said:?}");
    }
    for (expected, said) in
        [("a", "ab"), ("a…", "ba"), ("…c", "cb"), ("a…c…b", "a b c"), ("a…a", "a"), ("a", "")]
    {
        assert!(!matches(expected, said), "{expected:?} {said:?}");
    }
}
