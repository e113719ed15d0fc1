//! Encoded rows cut into commands, in one or several lanes.

use std::collections::VecDeque;
use std::sync::Arc;

use mongodb::bson::{RawBsonRef, RawDocument};

use crate::encode::Encoded;
use crate::error::{Error, ErrorKind, Location, Result};
use crate::source::write::write_command::{CommandLimits, StatementKind, WriteCommand};

/// The size from which on a command is sent to a server that has none, although there is room in it.
const IDLE_BYTES: usize = 1 << 20;

/// A slice of the stream after it was encoded.
pub(super) struct EncodedSlice {
    pub(super) encoded: Encoded,
    /// The number of rows before it.
    pub(super) first_row: u64,
}

/// The rows of a command, in the order of its statements.
#[derive(Default)]
pub(super) struct SentRows {
    parts: Vec<Part>,
    rows: usize,
}

/// Consecutive rows of a slice.
struct Part {
    slice: Arc<EncodedSlice>,
    start: usize,
    rows: usize,
}

/// A row of a command.
pub(super) struct SentRow<'a> {
    /// Its number in the stream.
    pub(super) number: u64,
    statement: &'a [u8],
}

impl SentRows {
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    fn push(&mut self, slice: &Arc<EncodedSlice>, row: usize) {
        self.rows += 1;
        match self.parts.last_mut() {
            Some(part) if Arc::ptr_eq(&part.slice, slice) && part.start + part.rows == row => {
                part.rows += 1;
            }
            _ => self.parts.push(Part {
                slice: Arc::clone(slice),
                start: row,
                rows: 1,
            }),
        }
    }

    /// The row of the statement at `index`.
    pub(super) fn get(&self, mut index: usize) -> Option<SentRow<'_>> {
        for part in &self.parts {
            if index < part.rows {
                let row = part.start + index;
                return Some(SentRow {
                    number: part.slice.first_row + row as u64,
                    statement: part.slice.encoded.get(row),
                });
            }
            index -= part.rows;
        }
        None
    }
}

impl<'a> SentRow<'a> {
    /// The `_id` of the document, or of the filter of an update or a deletion.
    pub(super) fn id(&self) -> Option<RawBsonRef<'a>> {
        let statement = RawDocument::from_bytes(self.statement).ok()?;
        let keyed = match statement.get("q").ok()? {
            Some(RawBsonRef::Document(filter)) if statement.iter().next()?.ok()?.0 == "q" => filter,
            _ => statement,
        };
        let id = keyed.get("_id").ok()??;
        let wrapped = id.as_document().and_then(|id| id.get("$eq").ok()?);
        Some(wrapped.unwrap_or(id))
    }
}

/// A command that is ready to be sent.
pub(super) struct ReadyCommand {
    pub(super) command: WriteCommand,
    pub(super) rows: SentRows,
    pub(super) lane: usize,
}

/// Gathers rows in commands. The commands of one lane are sent in their order, those of several lanes in any.
pub(super) struct Lanes {
    kind: StatementKind,
    head: Vec<u8>,
    max_statements: usize,
    lanes: Vec<Lane>,
    begun: usize,
}

#[derive(Default)]
struct Lane {
    open: Option<(WriteCommand, SentRows)>,
    ready: VecDeque<ReadyCommand>,
}

impl Lanes {
    /// # Errors
    /// [`ErrorKind::InvalidQuery`] for a head that cannot be sent.
    pub(super) fn new(
        kind: StatementKind,
        head: Vec<u8>,
        max_statements: usize,
        lanes: usize,
    ) -> Result<Self> {
        WriteCommand::new(kind, &head, CommandLimits::following(0, max_statements))?;
        Ok(Lanes {
            kind,
            head,
            max_statements,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            begun: 0,
        })
    }

    /// Adds the rows of a slice, by the hashes of their keys if there are several lanes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] for a row that no command holds.
    pub(super) fn add(&mut self, slice: EncodedSlice) -> Result<()> {
        let slice = Arc::new(slice);
        for row in 0..slice.encoded.len() {
            let lane = match self.lanes.len() {
                1 => 0,
                lanes => {
                    let hash = slice.encoded.key_hash(row).unwrap_or_default();
                    (hash % lanes as u128) as usize
                }
            };
            self.push(lane, &slice, row)?;
        }
        Ok(())
    }

    fn push(&mut self, lane: usize, slice: &Arc<EncodedSlice>, row: usize) -> Result<()> {
        let statement = slice.encoded.get(row);
        loop {
            let mut open = match self.lanes[lane].open.take() {
                Some(open) => open,
                None => (self.begin()?, SentRows::default()),
            };
            let fits = open.0.push(statement);
            if !fits && open.1.len() == 0 {
                return Err(too_large(slice.first_row + row as u64, statement.len()));
            }
            self.lanes[lane].open = Some(open);
            if fits {
                if let Some((_, rows)) = &mut self.lanes[lane].open {
                    rows.push(slice, row);
                }
                return Ok(());
            }
            self.close(lane);
        }
    }

    fn begin(&mut self) -> Result<WriteCommand> {
        let limits = CommandLimits::following(self.begun, self.max_statements);
        self.begun += 1;
        WriteCommand::new(self.kind, &self.head, limits)
    }

    fn close(&mut self, lane: usize) {
        if let Some((command, rows)) = self.lanes[lane].open.take() {
            self.lanes[lane].ready.push_back(ReadyCommand {
                command,
                rows,
                lane,
            });
        }
    }

    /// Closes the command of each lane, after the last slice.
    pub(super) fn close_all(&mut self) {
        for lane in 0..self.lanes.len() {
            self.close(lane);
        }
    }

    /// The next command of a lane. With `idle`, nothing of the lane is in flight, so a command with room in it is sent too.
    pub(super) fn next(&mut self, lane: usize, idle: bool) -> Option<ReadyCommand> {
        if idle && self.lanes[lane].ready.is_empty() {
            let open = self.lanes[lane].open.as_ref();
            if open.is_some_and(|(command, _)| command.size() >= IDLE_BYTES) {
                self.close(lane);
            }
        }
        self.lanes[lane].ready.pop_front()
    }

    /// The number of commands that are ready.
    pub(super) fn ready(&self) -> usize {
        self.lanes.iter().map(|lane| lane.ready.len()).sum()
    }

    /// Drops the rows that were not sent.
    pub(super) fn clear(&mut self) {
        for lane in &mut self.lanes {
            *lane = Lane::default();
        }
    }
}

fn too_large(row: u64, bytes: usize) -> Error {
    let mut error = Error::new(ErrorKind::InvalidArgument(format!(
        "the statement of this row has {bytes} bytes, and no command can have more than 16 MiB"
    )));
    *error.location_mut() = Location {
        document: Some(row),
        ..Location::default()
    };
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use mongodb::bson::doc;

    use crate::encode::{EncodeOptions, Operation, Plan};

    fn slice(ids: std::ops::Range<i64>, text: usize, operation: Operation) -> EncodedSlice {
        let (first_row, rows) = (ids.start as u64, ids.clone().count());
        let ids = Int64Array::from_iter_values(ids);
        let texts = StringArray::from(vec!["x".repeat(text); rows]);
        encoded(Arc::new(ids), texts, first_row, operation)
    }

    fn encoded(
        ids: ArrayRef,
        texts: StringArray,
        first_row: u64,
        operation: Operation,
    ) -> EncodedSlice {
        let columns: [(&str, ArrayRef); 2] = [("_id", ids), ("t", Arc::new(texts))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let options = EncodeOptions {
            hash_keys: !matches!(operation, Operation::Insert { .. }),
            operation,
            ..EncodeOptions::default()
        };
        let plan = Plan::new(&batch.schema(), options).unwrap();
        EncodedSlice {
            encoded: plan.encode(&batch, first_row).unwrap(),
            first_row,
        }
    }

    fn insert() -> Operation {
        Operation::Insert { make_ids: true }
    }

    fn replace() -> Operation {
        Operation::Replace {
            on: vec![vec!["_id".into()]],
            upsert: true,
        }
    }

    fn lanes(kind: StatementKind, statements: usize, lanes: usize) -> Lanes {
        let head = doc! {kind.name(): "c"}.to_vec().unwrap();
        Lanes::new(kind, head, statements, lanes).unwrap()
    }

    /// The numbers and ids of the rows of a command.
    fn rows(ready: &ReadyCommand) -> Vec<(u64, i64)> {
        let rows = (0..ready.rows.len()).map(|index| ready.rows.get(index).unwrap());
        assert!(ready.rows.get(ready.rows.len()).is_none());
        let id = |row: &SentRow<'_>| row.id().unwrap().as_i64().unwrap();
        rows.map(|row| (row.number, id(&row))).collect()
    }

    #[test]
    fn commands_have_their_rows() {
        for (kind, operation) in [
            (StatementKind::Insert, insert()),
            (StatementKind::Update, replace()),
        ] {
            let mut lanes = lanes(kind, 4, 1);
            lanes.add(slice(0..6, 1, operation.clone())).unwrap();
            lanes.add(slice(6..11, 1, operation)).unwrap();
            assert_eq!(lanes.ready(), 2);
            assert!(lanes.next(0, true).is_some() && lanes.next(0, true).is_some());
            assert!(lanes.next(0, true).is_none(), "there is room in the third");
            lanes.close_all();
            let last = lanes.next(0, false).unwrap();
            assert_eq!(rows(&last), [(8, 8), (9, 9), (10, 10)]);
            assert_eq!(last.command.statements(), 3);
        }
    }

    #[test]
    fn a_full_command_is_sent_to_an_idle_server() {
        let mut lanes = lanes(StatementKind::Insert, 100_000, 1);
        lanes.begun = 1;
        lanes.add(slice(0..3, IDLE_BYTES / 2, insert())).unwrap();
        assert!(lanes.next(0, false).is_none());
        assert_eq!(rows(&lanes.next(0, true).unwrap()).len(), 3);
        lanes.add(slice(3..4, 1, insert())).unwrap();
        lanes.clear();
        lanes.close_all();
        assert!(lanes.next(0, true).is_none());
    }

    #[test]
    fn rows_of_one_key_are_in_one_lane_in_order() {
        let mut lanes = lanes(StatementKind::Update, 3, 4);
        for _ in 0..5 {
            lanes.add(slice(0..20, 1, replace())).unwrap();
        }
        lanes.close_all();
        let mut used = 0;
        for lane in 0..4 {
            let mut numbers: Vec<(u64, i64)> = Vec::new();
            while let Some(ready) = lanes.next(lane, false) {
                assert_eq!(ready.lane, lane);
                numbers.extend(rows(&ready));
            }
            used += numbers.len();
            let keys: std::collections::HashSet<i64> = numbers.iter().map(|row| row.1).collect();
            for key in keys {
                let of_key = numbers.iter().filter(|row| row.1 == key);
                assert_eq!(of_key.count(), 5, "all rows of a key are in its lane");
            }
        }
        assert_eq!(used, 100);
    }

    #[test]
    fn a_row_that_no_command_holds_is_named() {
        let mut lanes = lanes(StatementKind::Update, 100, 1);
        // The document has less than 16 MiB, and the filter repeats its key.
        let ids = StringArray::from(vec!["k".repeat(20_000)]);
        let texts = StringArray::from(vec!["x".repeat((16 << 20) - 20_100)]);
        let slice = encoded(Arc::new(ids), texts, 7, replace());
        let error = lanes.add(slice).expect_err("the statement is too large");
        assert_eq!(error.location().document, Some(7));
    }
}
