//! Counter-based random numbers: a value depends on its key and position alone, never on who drew before.
//!
//! Philox-4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).

/// A key for one independent stream, made from the seed and whatever identifies the use
/// (`[PURPOSE, step, node, sample]`, say).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    key: [u32; 2],
    high: [u32; 2],
}

impl Key {
    /// The key of `seed` for the stream that `words` name. Different words give independent streams.
    pub fn new(seed: u64, words: &[u64]) -> Key {
        let mut state = [seed as u32, (seed >> 32) as u32, 0x6f63_656c, words.len() as u32];
        let mut key = [0x6c69_0001, 0x5eed_0001];
        for &word in words {
            state[0] ^= word as u32;
            state[1] ^= (word >> 32) as u32;
            state = philox(state, key);
            key = [state[2], state[3]];
        }
        let out = philox(state, key);
        Key { key: [out[0], out[1]], high: [out[2], out[3]] }
    }

    /// The key of another stream, independent of this one and of those of other words: for a part of what this key is for.
    pub fn derive(&self, word: u64) -> Key {
        let out = philox([word as u32, (word >> 32) as u32, !self.high[0], !self.high[1]], self.key);
        Key { key: [out[0], out[1]], high: [out[2], out[3]] }
    }

    /// The four 32-bit words at position `counter` of the stream.
    pub fn block(&self, counter: u64) -> [u32; 4] {
        philox([counter as u32, (counter >> 32) as u32, self.high[0], self.high[1]], self.key)
    }

    /// The 32-bit word at position `index` of the stream.
    pub fn word(&self, index: u64) -> u32 {
        self.block(index / 4)[(index % 4) as usize]
    }

    /// A sequential reader of this stream, from its start.
    pub fn stream(&self) -> Stream {
        Stream { key: *self, counter: 0, buffer: [0; 4], left: 0 }
    }
}

/// Reads a [`Key`]'s stream in order.
#[derive(Clone, Debug)]
pub struct Stream {
    key: Key,
    counter: u64,
    buffer: [u32; 4],
    left: usize,
}

impl Stream {
    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.left == 0 {
            self.buffer = self.key.block(self.counter);
            self.counter += 1;
            self.left = 4;
        }
        self.left -= 1;
        self.buffer[3 - self.left]
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform over 0..n without bias. `n` must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "below(0) has no value to return");
        let zone = u64::MAX - u64::MAX % n;
        loop {
            let x = self.next_u64();
            if x < zone {
                return x % n;
            }
        }
    }

    /// Normal with mean 0 and variance 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts `items` in a uniformly random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

fn philox(mut c: [u32; 4], mut k: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
        }
        let a = u64::from(c[0]) * 0xD251_1F53;
        let b = u64::from(c[2]) * 0xCD9E_8D57;
        c = [(b >> 32) as u32 ^ c[1] ^ k[0], b as u32, (a >> 32) as u32 ^ c[3] ^ k[1], a as u32];
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_known_answers() {
        // kat_vectors of Random123 1.09.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
    }

    #[test]
    fn streams_of_neighbouring_words_differ_and_a_word_can_be_read_out_of_order() {
        let a = Key::new(1, &[2, 3]);
        assert_ne!(a.block(0), Key::new(1, &[2, 4]).block(0));
        assert_ne!(a.block(0), Key::new(2, &[2, 3]).block(0));
        assert_ne!(a.block(0), Key::new(1, &[2, 3, 0]).block(0));
        let mut stream = a.stream();
        for i in 0..9 {
            assert_eq!(stream.next_u32(), a.word(i));
        }
    }

    #[test]
    fn derived_streams_differ_from_each_other_and_from_their_origin() {
        let key = Key::new(1, &[2, 3]);
        let streams =
            [key, key.derive(0), key.derive(1), key.derive(1).derive(0), Key::new(1, &[2, 4]).derive(0)];
        for (i, a) in streams.iter().enumerate() {
            for b in &streams[..i] {
                assert!((0..4).all(|at| a.block(at) != b.block(at)));
            }
        }
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let mut s = Key::new(7, &[]).stream();
        let draws: Vec<f64> = (0..100_000).map(|_| s.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }
}
