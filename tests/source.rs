//! Tests of the source against a real server, a replica set with test commands at `MONGODB_URI`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking
#![cfg(feature = "mongodb")]

use std::cell::Cell;
use std::future::IntoFuture;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use data_bridge::error::{Error, ErrorKind, Result};
use data_bridge::reader::{Arrival, Framing, Source};
use data_bridge::source::{
    prefetch_bytes, set_prefetch_bytes, shutdown, Client, CursorSource, RangeOptions, RangeQuery,
    RangesSource, Read, Task,
};
use futures_util::TryStreamExt;
use mongodb::bson::{doc, Document, RawDocument};
use tokio::runtime::Runtime;

const DATABASE: &str = "data_bridge_source";
const ROWS: i32 = 10_000;
const LONG: Duration = Duration::from_secs(30);

/// A second client that prepares and observes the server. Tests run one at a time, because they count the server's
/// cursors.
struct Observer {
    runtime: Runtime,
    client: mongodb::Client,
}

impl Observer {
    fn run<T>(&self, work: impl IntoFuture<Output = mongodb::error::Result<T>>) -> T {
        self.runtime.block_on(async { work.await.unwrap() })
    }

    fn admin(&self, command: Document) -> Document {
        self.run(self.client.database("admin").run_command(command))
    }

    /// Returns the number of cursors on this test's collections, idle or at work. The server lists operations first and
    /// idle cursors behind them: one that a getMore takes up in between is missing, one that it lays down is listed twice.
    fn open_cursors(&self) -> usize {
        let pipeline = [
            doc! {"$currentOp": {"idleCursors": true, "allUsers": true}},
            doc! {"$match": {
                "cursor": {"$exists": true},
                "ns": {"$regex": format!("^{DATABASE}[.]")},
            }},
            doc! {"$group": {"_id": "$cursor.cursorId"}},
        ];
        let admin = self.client.database("admin");
        self.runtime.block_on(async {
            let found = admin.aggregate(pipeline).await.unwrap();
            found.try_collect::<Vec<_>>().await.unwrap().len()
        })
    }

    /// Waits until several looks in a row find no cursor.
    fn wait_until_closed(&self, within: Duration) {
        let missed = Cell::new(0);
        eventually("cursors closed", within, || {
            let closed = self.open_cursors() == 0;
            missed.set(if closed { missed.get() + 1 } else { 0 });
            missed.get() == 5
        });
    }

    fn get_mores(&self) -> i64 {
        let status = self.admin(doc! {"serverStatus": 1});
        status
            .get_document("opcounters")
            .unwrap()
            .get_i64("getmore")
            .unwrap()
    }

    /// Returns the number of times that a command was run.
    fn count(&self, command: &str) -> i64 {
        let status = self.admin(doc! {"serverStatus": 1});
        let metrics = status.get_document("metrics").unwrap();
        let commands = metrics.get_document("commands").unwrap();
        let counts = commands.get_document(command).unwrap();
        counts.get_i64("total").unwrap()
    }

    fn running(&self, comment: &str) -> bool {
        let current = self.admin(doc! {"currentOp": true, "command.comment": comment});
        !current.get_array("inprog").unwrap().is_empty()
    }

    /// Makes commands of the clients named "faulty" fail.
    fn fail(&self, mode: Document, data: Document) -> Fault<'_> {
        let mut data = data;
        data.insert("appName", "faulty");
        self.admin(doc! {"configureFailPoint": "failCommand", "mode": mode, "data": data});
        Fault(self)
    }
}

struct Fault<'a>(&'a Observer);

impl Drop for Fault<'_> {
    fn drop(&mut self) {
        self.0
            .admin(doc! {"configureFailPoint": "failCommand", "mode": "off"});
    }
}

fn uri() -> String {
    std::env::var("MONGODB_URI")
        .expect("these tests need a MongoDB server in MONGODB_URI: run them with `make test`")
}

fn with_option(option: &str) -> String {
    let uri = uri();
    let glue = match (uri.contains('?'), uri.matches('/').count()) {
        (true, _) => "&",
        (false, 2) => "/?",
        (false, _) => "?",
    };
    format!("{uri}{glue}{option}")
}

fn stage() -> (MutexGuard<'static, ()>, &'static Observer) {
    static TURN: Mutex<()> = Mutex::new(());
    static OBSERVER: OnceLock<Observer> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let observer = OBSERVER.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let client = runtime
            .block_on(mongodb::Client::with_uri_str(uri()))
            .unwrap();
        let observer = Observer { runtime, client };
        let database = observer.client.database(DATABASE);
        observer.run(database.drop());
        let rows: Vec<_> = (0..ROWS)
            .map(|i| doc! {"_id": i, "text": "x".repeat(900), "n": i % 7})
            .collect();
        observer.run(database.collection("rows").insert_many(rows));
        observer
    });
    observer.wait_until_closed(LONG); // those of the test before
    (turn, observer)
}

fn client() -> Client {
    Client::new(&uri()).unwrap()
}

fn faulty() -> Client {
    Client::new(&with_option("appName=faulty&heartbeatFrequencyMS=500")).unwrap()
}

fn bytes(document: Document) -> Vec<u8> {
    document.to_vec().unwrap()
}

fn find(client: &Client, filter: Document, options: Document, eager: bool) -> CursorSource {
    find_within(client, filter, options, eager, LONG)
}

fn find_within(
    client: &Client,
    filter: Document,
    options: Document,
    eager: bool,
    timeout: Duration,
) -> CursorSource {
    let read = Read {
        options: &bytes(options),
        timeout: Some(timeout),
        ..Read::default()
    };
    client
        .find(DATABASE, "rows", &bytes(filter), &read, eager)
        .unwrap()
}

/// The `_id`s of a reply's documents.
fn ids(reply: &[u8]) -> Vec<i32> {
    let mut ids = Vec::new();
    let mut at = 0;
    while at < reply.len() {
        assert_eq!(reply[at], 3, "an element that is not a document");
        let key = reply[at + 1..].iter().position(|byte| *byte == 0).unwrap();
        let start = at + key + 2;
        let length = u32::from_le_bytes(reply[start..start + 4].try_into().unwrap()) as usize;
        let document = RawDocument::from_bytes(&reply[start..start + length]).unwrap();
        ids.push(document.get_i32("_id").unwrap());
        at = start + length;
    }
    ids
}

/// Reads to the end or the first error; returns the `_id`s and the outcome.
fn drain(source: &mut dyn Source) -> (Vec<i32>, Result<()>) {
    let mut seen = Vec::new();
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < LONG, "neither end nor error");
        match source.poll(Duration::from_millis(100)) {
            Ok(Arrival::Reply(reply)) => {
                assert_eq!(reply.framing(), Framing::List);
                seen.extend(ids(reply.bytes()));
            }
            Ok(Arrival::Pending) => {}
            Ok(Arrival::End) => return (seen, Ok(())),
            Err(error) => return (seen, Err(error)),
        }
    }
}

fn failure(source: &mut CursorSource) -> Error {
    drain(source).1.unwrap_err()
}

fn outcome<T>(task: &Task<T>) -> Result<T> {
    task.wait_timeout(LONG).expect("no outcome in time")
}

fn eventually(what: &str, within: Duration, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < within, "{what}: not within {within:?}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_document_in_order_at_any_batch_size() {
    let (_turn, _) = stage();
    let client = client();
    let expected: Vec<_> = (0..ROWS).collect();
    for batch_size in [
        None,
        Some(1),
        Some(2),
        Some(3),
        Some(1000),
        Some(ROWS),
        Some(ROWS + 1),
    ] {
        let mut options = doc! {"sort": {"_id": 1}};
        if let Some(size) = batch_size {
            options.insert("batchSize", size);
        }
        for eager in [true, false] {
            let mut source = find(&client, doc! {}, options.clone(), eager);
            let (seen, end) = drain(&mut source);
            end.unwrap();
            assert!(
                seen == expected,
                "batch size {batch_size:?}: {} documents",
                seen.len()
            );
            assert!(matches!(source.poll(Duration::ZERO), Ok(Arrival::End)));
        }
    }
}

#[test]
fn options_are_sent_to_the_server() {
    let (_turn, _) = stage();
    let client = client();
    let options = doc! {"sort": {"_id": -1}, "skip": 2, "limit": 3, "projection": {"_id": 1}, "hint": {"_id": 1},
    "maxTimeMS": 5000, "comment": "c", "collation": {"locale": "en"}, "let": {"x": 1}};
    let mut source = find(&client, doc! {"n": {"$gte": 0}}, options, true);
    let (seen, end) = drain(&mut source);
    end.unwrap();
    assert_eq!(seen, [ROWS - 3, ROWS - 4, ROWS - 5]);
    assert!(drain(&mut find(&client, doc! {"_id": -1}, doc! {}, true))
        .0
        .is_empty());
    let selection = bytes(doc! {
        "readPreference": {"mode": "nearest"}, "readConcern": {"level": "majority"},
    });
    let read = Read {
        selection: &selection,
        timeout: Some(LONG),
        ..Read::default()
    };
    let pipeline =
        bytes(doc! {"pipeline": [{"$match": {"_id": {"$lt": 3}}}, {"$sort": {"_id": 1}}]});
    let mut source = client
        .aggregate(DATABASE, Some("rows"), &pipeline, &read, true)
        .unwrap();
    assert_eq!(drain(&mut source).0, [0, 1, 2]);
    let pipeline = bytes(doc! {"pipeline": [{"$documents": [{"_id": 1}, {"_id": 2}]}]});
    let read = Read {
        timeout: Some(LONG),
        ..Read::default()
    };
    let mut source = client
        .aggregate(DATABASE, None, &pipeline, &read, true)
        .unwrap();
    assert_eq!(drain(&mut source).0, [1, 2]);
    let mut source = client.find(DATABASE, "missing", &[], &read, true).unwrap();
    assert!(drain(&mut source).0.is_empty());
}

#[test]
fn refusals_of_the_server_are_operation_errors() {
    let (_turn, observer) = stage();
    let kills = observer.count("killSessions");
    let error = failure(&mut find(&client(), doc! {"$nonsense": 1}, doc! {}, true));
    let ErrorKind::Operation {
        code,
        code_name,
        message,
        ..
    } = error.kind()
    else {
        panic!("{error}");
    };
    assert_eq!((*code, code_name.as_str()), (2, "BadValue"));
    assert!(message.contains("$nonsense"), "{message}");
    // No cursor remains to be killed, and other queries use the session again.
    sleep(Duration::from_millis(100));
    assert_eq!(observer.count("killSessions"), kills);
}

#[test]
fn invalid_queries_are_refused_before_they_are_sent() {
    let (_turn, _) = stage();
    let client = client();
    let read = Read::default();
    let find = |database: &str, filter: &[u8]| {
        client
            .find(database, "rows", filter, &read, true)
            .err()
            .unwrap()
    };
    assert!(matches!(
        find("a.b", &[]).kind(),
        ErrorKind::InvalidQuery(_)
    ));
    assert!(matches!(
        find(DATABASE, &[9, 0, 0]).kind(),
        ErrorKind::InvalidQuery(_)
    ));
    let read = Read {
        options: &bytes(doc! {"batch_size": 1}),
        ..Read::default()
    };
    let error = client
        .find(DATABASE, "rows", &[], &read, true)
        .err()
        .unwrap();
    assert!(matches!(error.kind(), ErrorKind::InvalidQuery(_)));
}

#[test]
fn a_refused_port_fails_within_server_selection() {
    let client =
        Client::new("mongodb://joe:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=400").unwrap();
    let begun = Instant::now();
    let error = failure(&mut find(&client, doc! {}, doc! {}, true));
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert!(matches!(error.kind(), ErrorKind::Connection(_)), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("127.0.0.1:1") && text.contains("refused"),
        "{text}"
    );
    assert!(
        !text.contains("hunter2") && !text.contains("labels"),
        "{text}"
    );
}

/// The error of a closed client, closed before or during the call.
fn closed() -> ErrorKind {
    ErrorKind::Connection("the client is closed".into())
}

#[test]
fn stopping_does_not_wait_for_a_connection() {
    let client = Client::new("mongodb://127.0.0.1:1/").unwrap();
    let mut source = find(&client, doc! {}, doc! {}, true);
    assert!(matches!(
        source.poll(Duration::from_millis(50)),
        Ok(Arrival::Pending)
    ));
    let begun = Instant::now();
    outcome(&client.close()).unwrap();
    assert!(
        begun.elapsed() < Duration::from_millis(500),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(failure(&mut source).kind(), &closed());
}

#[test]
fn a_wrong_replica_set_name_is_reported() {
    let (_turn, _) = stage();
    let (hosts, _) = uri()
        .split_once("/?")
        .map(|(hosts, rest)| (hosts.to_owned(), rest.to_owned()))
        .unwrap_or((uri(), String::new()));
    let client = Client::new(&format!(
        "{hosts}/?replicaSet=wrong&serverSelectionTimeoutMS=500"
    ))
    .unwrap();
    let text = failure(&mut find(&client, doc! {}, doc! {}, true)).to_string();
    assert!(
        text.contains("no host belongs to the replica set \"wrong\""),
        "{text}"
    );
}

#[test]
fn a_wrong_password_is_a_connection_error() {
    let (_turn, _) = stage();
    let uri = uri().replacen("://", "://joe:hunter2@", 1);
    let client = Client::new(&uri).unwrap();
    let error = failure(&mut find(&client, doc! {}, doc! {}, true));
    let ErrorKind::Connection(text) = error.kind() else {
        panic!("{error}");
    };
    assert!(text.contains("authentication failed"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("joe"), "{text}");
}

#[test]
fn dropping_a_source_kills_its_cursor() {
    let (_turn, observer) = stage();
    let client = client();
    for eager in [true, false] {
        let mut source = find(&client, doc! {}, doc! {"batchSize": 2}, eager);
        while matches!(source.poll(LONG).unwrap(), Arrival::Pending) {}
        drop(source);
        let begun = Instant::now();
        observer.wait_until_closed(Duration::from_secs(2));
        println!("killed after {:?}", begun.elapsed());
    }
    // The connection and the client remain usable.
    drain(&mut find(&client, doc! {}, doc! {}, true)).1.unwrap();
}

#[test]
fn dropping_a_source_ends_a_query_in_flight() {
    let (_turn, observer) = stage();
    let client = client();
    let slow = doc! {"$where": "sleep(5) || true"};
    let source = find(
        &client,
        slow.clone(),
        doc! {"comment": "slow find", "batchSize": 1000},
        true,
    );
    eventually("started", LONG, || observer.running("slow find"));
    drop(source);
    eventually("stopped", Duration::from_secs(1), || {
        !observer.running("slow find")
    });
    // The same fault during a getMore.
    let mut source = find(
        &client,
        slow,
        doc! {"comment": "slow more", "batchSize": 2},
        true,
    );
    while matches!(source.poll(LONG).unwrap(), Arrival::Pending) {}
    drop(source);
    eventually("stopped", Duration::from_secs(1), || {
        !observer.running("slow more")
    });
    observer.wait_until_closed(Duration::from_secs(2));
}

#[test]
fn a_lost_get_more_is_final() {
    let (_turn, observer) = stage();
    for data in [
        doc! {"failCommands": ["getMore"], "closeConnection": true},
        doc! {"failCommands": ["getMore"], "errorCode": 11601},
        doc! {"failCommands": ["getMore"], "errorCode": 43},
    ] {
        let fault = observer.fail(doc! {"times": 1}, data.clone());
        let mut source = find(&faulty(), doc! {}, doc! {"batchSize": 100}, true);
        let (seen, end) = drain(&mut source);
        let error = end.unwrap_err();
        assert_eq!(seen.len(), 100, "{data}: {error}");
        match error.kind() {
            ErrorKind::Connection(_) => assert!(data.contains_key("closeConnection")),
            ErrorKind::Operation { code, .. } => {
                assert_eq!(*code, data.get_i32("errorCode").unwrap())
            }
            _ => panic!("{error}"),
        }
        for _ in 0..3 {
            assert!(matches!(
                source.poll(Duration::from_millis(50)),
                Ok(Arrival::End)
            ));
        }
        drop(fault);
        observer.wait_until_closed(Duration::from_secs(3));
    }
}

#[test]
fn a_lost_find_is_retried() {
    let (_turn, observer) = stage();
    let data = doc! {"failCommands": ["find"], "closeConnection": true};
    let _fault = observer.fail(doc! {"times": 1}, data);
    let (seen, end) = drain(&mut find(&faulty(), doc! {}, doc! {}, true));
    end.unwrap();
    assert_eq!(seen.len() as i32, ROWS);
}

#[test]
fn deadlines_expire() {
    let (_turn, observer) = stage();
    for command in ["find", "getMore"] {
        for eager in [true, false] {
            let data =
                doc! {"failCommands": [command], "blockConnection": true, "blockTimeMS": 2000};
            let _fault = observer.fail(doc! {"times": 1}, data);
            let limit = Duration::from_millis(500);
            let mut source = find_within(&faulty(), doc! {}, doc! {"batchSize": 10}, eager, limit);
            let begun = Instant::now();
            let error = failure(&mut source);
            assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
            assert!(
                begun.elapsed() < Duration::from_millis(1500),
                "{:?}",
                begun.elapsed()
            );
        }
    }
    observer.wait_until_closed(Duration::from_secs(5));
    let error = failure(&mut find(
        &client(),
        doc! {"$where": "sleep(5) || true"},
        doc! {"maxTimeMS": 100},
        true,
    ));
    let code = match error.kind() {
        ErrorKind::Operation { code, .. } => *code,
        _ => 0,
    };
    assert_eq!(code, 50, "{error}");
}

#[test]
fn a_slow_reader_does_not_exhaust_the_deadline() {
    let (_turn, _) = stage();
    let budget = prefetch_bytes();
    set_prefetch_bytes(1);
    let limit = Duration::from_millis(400);
    for eager in [true, false] {
        let options = doc! {"batchSize": 10, "limit": 50};
        let mut source = find_within(&client(), doc! {}, options, eager, limit);
        let mut seen = 0;
        loop {
            match source.poll(LONG).unwrap() {
                Arrival::Reply(reply) => {
                    seen += ids(reply.bytes()).len();
                    sleep(Duration::from_millis(300));
                }
                Arrival::Pending => {}
                Arrival::End => break,
            }
        }
        assert_eq!(seen, 50);
    }
    set_prefetch_bytes(budget);
}

#[test]
fn the_budget_is_in_bytes() {
    let (_turn, observer) = stage();
    let budget = prefetch_bytes();
    set_prefetch_bytes(1_000_000);
    // A document has about 950 bytes, a reply of 100 about 95 kB: 10 replies fit.
    let mut source = find(&client(), doc! {}, doc! {"batchSize": 100}, true);
    set_prefetch_bytes(budget);
    let before = observer.get_mores();
    sleep(Duration::from_millis(700));
    let fetched = observer.get_mores() - before;
    assert!(
        (5..=12).contains(&fetched),
        "{fetched} replies fetched ahead"
    );
    let (seen, end) = drain(&mut source);
    end.unwrap();
    assert_eq!(seen.len() as i32, ROWS);
}

#[test]
fn closing_a_client_ends_its_runs() {
    let (_turn, observer) = stage();
    let budget = prefetch_bytes();
    set_prefetch_bytes(1);
    let client = client();
    let mut sources: Vec<_> = (0..5)
        .map(|_| find(&client, doc! {}, doc! {"batchSize": 2}, false))
        .collect();
    for source in &mut sources {
        while matches!(source.poll(LONG).unwrap(), Arrival::Pending) {}
    }
    set_prefetch_bytes(budget);
    eventually("five cursors", LONG, || observer.open_cursors() == 5);
    let begun = Instant::now();
    outcome(&client.close()).unwrap();
    println!("closed after {:?}", begun.elapsed());
    assert_eq!(observer.open_cursors(), 0);
    for source in &mut sources {
        assert_eq!(failure(source).kind(), &closed());
    }
    let again = client.find(DATABASE, "rows", &[], &Read::default(), true);
    assert_eq!(again.err().unwrap().kind(), &closed());
}

#[test]
fn process_exit_kills_cursors() {
    let (_turn, observer) = stage();
    let client = client();
    let mut source = find(&client, doc! {}, doc! {"batchSize": 2}, false);
    while matches!(source.poll(LONG).unwrap(), Arrival::Pending) {}
    let begun = Instant::now();
    shutdown(Duration::from_secs(2));
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(observer.open_cursors(), 0);
    assert!(drain(&mut source).1.is_err());
}

#[test]
fn commands_return_replies() {
    let (_turn, _) = stage();
    let client = client();
    let read = Read {
        timeout: Some(LONG),
        ..Read::default()
    };
    let reply = outcome(
        &client
            .run_command("admin", &bytes(doc! {"ping": 1}), &read)
            .unwrap(),
    );
    let reply = Document::from_reader(reply.unwrap().as_slice()).unwrap();
    assert_eq!(reply.get_f64("ok").unwrap(), 1.0);
    let filter = bytes(doc! {"n": 3});
    let count = client
        .count_documents(DATABASE, "rows", &filter, &read)
        .unwrap();
    assert_eq!(outcome(&count).unwrap(), 1429);
    let count = client
        .estimated_document_count(DATABASE, "rows", &read)
        .unwrap();
    assert_eq!(outcome(&count).unwrap(), ROWS as u64);
    let values = client.distinct(DATABASE, "rows", "n", &[], &read).unwrap();
    let values = Document::from_reader(outcome(&values).unwrap().as_slice()).unwrap();
    assert_eq!(values, doc! {"values": [0, 1, 2, 3, 4, 5, 6]});
    let names = client.list_database_names(&[], None, Some(LONG)).unwrap();
    assert!(outcome(&names).unwrap().contains(&DATABASE.to_owned()));
    let filter = bytes(doc! {"name": "rows"});
    let names = client
        .list_collection_names(DATABASE, &filter, None, Some(LONG))
        .unwrap();
    assert_eq!(outcome(&names).unwrap(), ["rows"]);
    let wrong = client
        .run_command("admin", &bytes(doc! {"noSuchCommand": 1}), &read)
        .unwrap();
    let error = outcome(&wrong).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Operation { code: 59, .. }),
        "{error}"
    );
    assert!(client.run_command("admin", &[], &read).is_err());
}

#[test]
fn sessions_and_transactions() {
    let (_turn, observer) = stage();
    let client = client();
    let session = outcome(&client.start_session(&[]).unwrap()).unwrap();
    let read = Read {
        session: Some(&session),
        timeout: Some(LONG),
        ..Read::default()
    };
    outcome(
        &session
            .start_transaction(&bytes(doc! {"readConcern": {"level": "snapshot"}}))
            .unwrap(),
    )
    .unwrap();
    let options = bytes(doc! {"batchSize": 1000});
    let mut source = client
        .find(
            DATABASE,
            "rows",
            &[],
            &Read {
                options: &options,
                ..read
            },
            true,
        )
        .unwrap();
    let Arrival::Reply(first) = source.poll(LONG).unwrap() else {
        panic!("no reply");
    };
    // Another operation of the session during the read, and a write that the read must not see.
    let rows = observer
        .client
        .database(DATABASE)
        .collection::<Document>("rows");
    observer.run(rows.insert_one(doc! {"_id": ROWS}));
    let count = client
        .count_documents(DATABASE, "rows", &[], &read)
        .unwrap();
    assert_eq!(outcome(&count).unwrap(), ROWS as u64);
    let (rest, end) = drain(&mut source);
    end.unwrap();
    assert_eq!(ids(first.bytes()).len() + rest.len(), ROWS as usize);
    outcome(&session.commit_transaction(None)).unwrap();
    let count = client
        .count_documents(DATABASE, "rows", &[], &read)
        .unwrap();
    assert_eq!(outcome(&count).unwrap(), ROWS as u64 + 1);
    observer.run(rows.delete_one(doc! {"_id": ROWS}));
    let error = outcome(&session.abort_transaction(None)).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::InvalidArgument(_)),
        "{error}"
    );

    outcome(&session.end()).unwrap();
    assert!(session.ended());
    assert!(client.find(DATABASE, "rows", &[], &read, true).is_err());
    let other = Client::new(&uri()).unwrap();
    let session = outcome(&other.start_session(&[]).unwrap()).unwrap();
    let read = Read {
        session: Some(&session),
        ..Read::default()
    };
    let error = client
        .find(DATABASE, "rows", &[], &read, true)
        .err()
        .unwrap();
    assert!(error.to_string().contains("another client"), "{error}");
}

#[test]
fn many_threads_share_a_client() {
    let (_turn, observer) = stage();
    let client = client();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let client = &client;
            scope.spawn(move || {
                let options = doc! {"batchSize": 50 + thread, "limit": 1000, "sort": {"_id": 1}};
                let (seen, end) = drain(&mut find(client, doc! {}, options, true));
                end.unwrap();
                assert_eq!(seen, (0..1000).collect::<Vec<_>>());
            });
        }
    });
    observer.wait_until_closed(Duration::from_secs(2));
}

fn write(client: &Client, command: Document, retry: bool) -> Result<Document> {
    let task = client.write(
        DATABASE,
        &command.to_vec().unwrap(),
        None,
        retry,
        Some(LONG),
    )?;
    let reply = task.wait_timeout(LONG).unwrap()?;
    Ok(Document::try_from(RawDocument::from_bytes(&reply).unwrap()).unwrap())
}

#[test]
fn a_retried_write_is_applied_once() {
    let (_turn, observer) = stage();
    let client = client();
    let increment = doc! {"update": "writes", "updates": [
    {"q": {"_id": 1}, "u": {"$inc": {"n": 1}}, "upsert": true}]};
    for fault in [
        doc! {"failCommands": ["update"], "closeConnection": true},
        doc! {"failCommands": ["update"], "errorLabels": ["RetryableWriteError"],
        "writeConcernError": {"code": 91, "errmsg": "later"}},
    ] {
        let drop = doc! {"delete": "writes", "deletes": [{"q": {}, "limit": 0}]};
        write(&client, drop, false).unwrap();
        observer
            .admin(doc! {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": fault});
        let reply = write(&client, increment.clone(), true).unwrap();
        assert_eq!(reply.get_i32("n").unwrap(), 1);
        let found = observer.run(
            observer
                .client
                .database(DATABASE)
                .collection::<Document>("writes")
                .find_one(doc! {}),
        );
        assert_eq!(found, Some(doc! {"_id": 1, "n": 1}));
    }
    observer.admin(
        doc! {"configureFailPoint": "failCommand", "mode": {"times": 1}, "data": {
        "failCommands": ["update"], "closeConnection": true}},
    );
    let error = write(&client, increment, false).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Connection(_)), "{error}");
}

/// Ranges of `step` ids each, in the order of `_id`.
fn ranges(client: &Client, step: i32, batch: i32, parallel: usize, ordered: bool) -> RangesSource {
    let queries = (0..ROWS).step_by(step as usize).map(|start| RangeQuery {
        body: bytes(doc! {}),
        options: bytes(doc! {
            "hint": {"_id": 1}, "min": {"_id": start}, "max": {"_id": start + step}, "batchSize": batch,
        }),
    });
    let options = RangeOptions {
        pipelines: false,
        parallel,
        ordered,
    };
    let read = Read {
        timeout: Some(LONG),
        ..Read::default()
    };
    client
        .ranges(DATABASE, "rows", queries.collect(), &read, false, options)
        .unwrap()
}

#[test]
fn ranges_are_one_result() {
    let (_guard, _) = stage();
    let client = client();
    let before = prefetch_bytes();
    // With one byte, each range has one reply ahead of its turn.
    for bytes in [1, 4096, before] {
        set_prefetch_bytes(bytes);
        for (step, batch, parallel) in [(10_000, 0, 1), (1_000, 7, 1), (500, 64, 3), (97, 10, 8)] {
            let mut source = ranges(&client, step, batch, parallel, true);
            let (seen, outcome) = drain(&mut source);
            outcome.unwrap();
            assert!(
                seen.iter().copied().eq(0..ROWS),
                "{bytes} {step} {parallel}"
            );
            let mut source = ranges(&client, step, batch, parallel, false);
            let (mut seen, outcome) = drain(&mut source);
            outcome.unwrap();
            seen.sort_unstable();
            assert!(
                seen.iter().copied().eq(0..ROWS),
                "{bytes} {step} {parallel}"
            );
            assert!(!source.is_fetching());
        }
    }
    set_prefetch_bytes(before);
}

#[test]
fn ranges_are_read_at_once_and_end_together() {
    let (_guard, observer) = stage();
    let client = client();
    let before = prefetch_bytes();
    set_prefetch_bytes(1);
    let mut source = ranges(&client, 1_000, 5, 4, true);
    source.poll(LONG).unwrap();
    eventually("four cursors", LONG, || observer.open_cursors() >= 4);
    drop(source);
    set_prefetch_bytes(before);
    observer.wait_until_closed(LONG);
}

#[test]
fn an_error_of_a_range_comes_after_the_rows_before_it() {
    let (_guard, _) = stage();
    let client = client();
    let query = |filter, options| RangeQuery {
        body: bytes(filter),
        options: bytes(options),
    };
    for broken in [
        query(doc! {"_id": {"$nonsense": 1}}, doc! {}),
        query(doc! {}, doc! {"nonsense": 1}),
    ] {
        let queries = vec![
            query(doc! {"_id": {"$lt": 500}}, doc! {"sort": {"_id": 1}}),
            query(doc! {"_id": {"$gte": 9_990}}, doc! {"sort": {"_id": 1}}),
            query(doc! {"_id": 1}, doc! {}),
            query(doc! {"_id": 2}, doc! {}),
            broken,
            query(doc! {}, doc! {}),
        ];
        let options = RangeOptions {
            pipelines: false,
            parallel: 2,
            ordered: true,
        };
        let read = Read::default();
        let mut source = client
            .ranges(DATABASE, "rows", queries, &read, true, options)
            .unwrap();
        let (seen, outcome) = drain(&mut source);
        // An error of the server has its turn; one of an option is found when the range is opened.
        assert!(seen
            .iter()
            .copied()
            .take(500)
            .eq(0..seen.len().min(500) as i32));
        assert!(matches!(
            outcome.unwrap_err().kind(),
            ErrorKind::Operation { .. }
                | ErrorKind::InvalidQuery(_)
                | ErrorKind::InvalidArgument(_)
        ));
        assert!(matches!(source.poll(LONG).unwrap(), Arrival::End));
    }
}
