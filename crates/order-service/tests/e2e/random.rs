//! Chance that can be repeated.

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(crate) struct Random(u64);

impl Random {
    /// The seed is printed, and can be given again as `E2E_SEED`. Threads and system add chance of their own.
    pub(crate) fn seeded(test: &str, default: u64) -> Self {
        let given = std::env::var("E2E_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(default);
        eprintln!("{test}: E2E_SEED={seed}");
        Self(seed)
    }

    /// Chance of its own for somebody else, as repeatable.
    #[cfg(feature = "full-tests")]
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
}
