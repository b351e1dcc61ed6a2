use std::error::Error;

/// An error with its causes, in one line. A cause that the text so far has already told is not told again.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Layer(&'static str, #[source] Option<Box<Layer>>);

    #[test]
    fn every_cause_is_told_once_in_one_line() {
        let root = Layer("connection\nrefused", None);
        let middle = Layer("cannot connect", Some(Box::new(root)));
        let top = Layer("cannot publish", Some(Box::new(middle)));
        assert_eq!(error_chain(&top), "cannot publish: cannot connect: connection refused");
        let wordy = Layer("closed: end of file", Some(Box::new(Layer("end of file", None))));
        assert_eq!(error_chain(&wordy), "closed: end of file");
    }
}
