//! ObjectIds for documents without an `_id`, made by the client so that an insert can be repeated after a lost reply.
//!
//! Source: <https://github.com/mongodb/specifications/blob/master/source/bson-objectid/objectid.md>: seconds, five random
//! bytes of the process, a counter of three bytes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Error, ErrorKind, Result};
use crate::reader::fork::PerProcess;

/// The random bytes and the counter; a forked child gets its own. They come from the operating system: the state of a generator
/// of the process is the same in a child.
static PROCESS: PerProcess<([u8; 5], AtomicU32)> = PerProcess::new();

/// A new ObjectId.
///
/// # Errors
/// [`ErrorKind::Io`] if the operating system has no random bytes, for the first one of a process.
pub fn new_object_id() -> Result<[u8; 12]> {
    Ok(ObjectIds::reserve(1)?.get(0))
}

/// Consecutive ObjectIds.
pub(super) struct ObjectIds {
    seconds: u32,
    random: [u8; 5],
    counter: u32,
}

impl ObjectIds {
    /// Reserves `count` ids.
    pub(super) fn reserve(count: usize) -> Result<ObjectIds> {
        let (random, counter) = PROCESS.get_or_try_init(|| {
            let mut random = [0; 8];
            getrandom::fill(&mut random)
                .map_err(|error| Error::new(ErrorKind::Io(format!("no random bytes: {error}"))))?;
            let [a, b, c, d, e, first @ ..] = random;
            let start = u32::from_be_bytes([0, first[0], first[1], first[2]]);
            Ok(([a, b, c, d, e], AtomicU32::new(start)))
        })?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(ObjectIds {
            seconds: now.map_or(0, |now| now.as_secs() as u32),
            random: *random,
            counter: counter.fetch_add(count as u32, Ordering::Relaxed),
        })
    }

    /// The id numbered `number`, below the count that was reserved.
    pub(super) fn get(&self, number: usize) -> [u8; 12] {
        let mut id = [0; 12];
        id[..4].copy_from_slice(&self.seconds.to_be_bytes());
        id[4..9].copy_from_slice(&self.random);
        let counter = self.counter.wrapping_add(number as u32).to_be_bytes();
        id[9..].copy_from_slice(&counter[1..]);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_differ_and_rise() {
        let (first, second) = (
            ObjectIds::reserve(100).unwrap(),
            ObjectIds::reserve(100).unwrap(),
        );
        let ids = |ids: &ObjectIds| (0..100).map(|number| ids.get(number)).collect::<Vec<_>>();
        let all: HashSet<_> = ids(&first).into_iter().chain(ids(&second)).collect();
        assert_eq!(all.len(), 200);
        assert_eq!(first.random, second.random);
        let wraps = first.counter & 0xff_ffff > 0xff_ff00;
        assert!(wraps || ids(&first).is_sorted());
    }
}
