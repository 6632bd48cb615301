//! The name that was probably meant.

/// The candidate that differs least from `word`, if it differs little: by a third of its letters or so.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(MAX_LEN + 1).collect();
    if word.len() > MAX_LEN {
        return None;
    }
    let near = |candidate: &&'a str| edit_distance(&word, candidate);
    let best = candidates.into_iter().filter(|c| c.len() <= MAX_LEN).min_by_key(near)?;
    let allowed = word.len().div_ceil(3).min(word.len().saturating_sub(1));
    (edit_distance(&word, best) <= allowed).then_some(best)
}

/// As [`nearest`], as the end of a sentence: "; did you mean 'tanh'?", or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|name| format!("; did you mean '{name}'?")).unwrap_or_default()
}

/// Nobody means a longer name.
const MAX_LEN: usize = 64;

/// Insertions, deletions and replacements that turn one into the other (Levenshtein 1966).
fn edit_distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, y) in b.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &x) in a.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        let distance = |a: &str, b: &str| edit_distance(&a.chars().collect::<Vec<_>>(), b);
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("tanh", "tanh")), (3, 3, 0));
    }

    #[test]
    fn suggests_what_is_near_and_nothing_else() {
        let names = ["conv2d", "tanh", "linear"];
        assert_eq!(nearest("conv2", names), Some("conv2d"));
        assert_eq!(nearest("Tanh", names), Some("tanh"));
        assert_eq!(nearest("tnah", names), Some("tanh"));
        assert_eq!(nearest("transformer", names), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), names), None);
    }
}
