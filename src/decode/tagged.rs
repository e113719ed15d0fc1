//! Columns of several types: each cell as BSON in normal form, with its type.

use super::frame::Positions;
use super::Gather;
use crate::chunk::{Tagged, Values};
use crate::index::NULL_POSITION;
use crate::raw::{normalise_value, value_len, ElementType, Malformed};

impl Gather<'_> {
    pub(super) fn tagged(
        &self,
        positions: &Positions<'_>,
        level: usize,
    ) -> Result<Values, Malformed> {
        let mut tagged = Tagged::with_capacity(positions.at.len());
        for (&at, &tag) in positions.at.iter().zip(positions.tags.iter()) {
            match ElementType::from_byte(tag) {
                Some(kind) if at != NULL_POSITION => {
                    let start = at as usize;
                    let len = value_len(kind, self.bytes, start)?;
                    let value = &self.bytes[start..start + len];
                    tagged.push_with(tag, |out| {
                        normalise_value(kind, value, level, self.text, out)
                            .map(|duplicates| self.count_duplicates(duplicates))
                    })?;
                    if u32::try_from(tagged.byte_len()).is_err() {
                        return Err(Malformed {
                            offset: 0,
                            reason: "over 4 GiB of values of several types in one piece",
                        });
                    }
                }
                Some(_) => tagged.push_with(tag, |_| Ok::<_, Malformed>(()))?,
                None => tagged.push_missing(),
            }
        }
        Ok(Values::Tagged(tagged))
    }
}
