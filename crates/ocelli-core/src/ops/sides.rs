//! Two sizes, for rows and columns, that users write as one where they agree.

use std::fmt;

use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserializer, Serialize, Serializer};

/// A size along the height and one along the width: `3` for both, or `[3, 5]`. What builders take; files write them
/// in the same two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides(pub [usize; 2]);

impl From<usize> for Sides {
    fn from(both: usize) -> Sides {
        Sides([both; 2])
    }
}

impl From<[usize; 2]> for Sides {
    fn from(sides: [usize; 2]) -> Sides {
        Sides(sides)
    }
}

impl fmt::Display for Sides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.0[0], self.0[1])
    }
}

/// Writes equal sides as one number. (With [`deserialize`], for `#[serde(with)]`.)
pub(super) fn serialize<S: Serializer>(sides: &[usize; 2], to: S) -> Result<S::Ok, S::Error> {
    match sides {
        [height, width] if height == width => height.serialize(to),
        both => both.serialize(to),
    }
}

/// Reads one number or two.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[usize; 2], D::Error> {
    from.deserialize_any(SidesVisitor)
}

/// The same for sides that may be missing.
pub(super) mod optional {
    use serde::{Deserializer, Serializer};

    pub(in super::super) fn serialize<S: Serializer>(
        sides: &Option<[usize; 2]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match sides {
            Some(sides) => super::serialize(sides, to),
            None => to.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<[usize; 2]>, D::Error> {
        super::deserialize(from).map(Some)
    }
}

struct SidesVisitor;

impl<'de> Visitor<'de> for SidesVisitor {
    type Value = [usize; 2];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number for height and width, or both as [height, width]")
    }

    fn visit_u64<E: Error>(self, both: u64) -> Result<[usize; 2], E> {
        let both = usize::try_from(both).map_err(|_| E::invalid_value(Unexpected::Unsigned(both), &self))?;
        Ok([both; 2])
    }

    fn visit_i64<E: Error>(self, both: i64) -> Result<[usize; 2], E> {
        let both = usize::try_from(both).map_err(|_| E::invalid_value(Unexpected::Signed(both), &self))?;
        Ok([both; 2])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sides: A) -> Result<[usize; 2], A::Error> {
        let mut side = |i| sides.next_element()?.ok_or_else(|| A::Error::invalid_length(i, &self));
        let both = [side(0)?, side(1)?];
        match sides.next_element::<usize>()? {
            None => Ok(both),
            Some(_) => Err(A::Error::invalid_length(3, &self)),
        }
    }
}
