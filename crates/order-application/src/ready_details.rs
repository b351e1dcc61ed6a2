//! What else the process depends on: readiness beyond the store's.

/// Something that runs beside the requests, such as a relay to a broker, and has a word in whether traffic should come.
pub trait ReadyDetails: Send + Sync {
    /// What there is to say: for each check its name and its value, which is JSON. Names are members of one JSON object
    /// with all others, so they should be unlike.
    fn checks(&self) -> Vec<(String, String)>;

    /// Whether traffic may come as far as this is concerned.
    fn is_ready(&self) -> bool;
}
