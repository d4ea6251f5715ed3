//! One changed byte, anywhere, is noticed and its line is named.

mod records;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use shared::commitment::Commitment;
use shared::ids::TenantId;
use shared::transparency::{Checkpoint, Hash, LogKey, Root, generate, leaf_hash, origin};
use uuid::Uuid;

use super::{Report, Trust, verify};
use crate::export::{EXPORT, Header, LeafLine, PROOF, Proof, hex};

/// A log that is kept in memory.
struct Log {
    service: &'static str,
    pem: String,
    verifier_key: String,
    leaves: Vec<String>,
}

impl Log {
    /// Something else, and five postings between two accounts.
    fn new() -> Self {
        Self::of(5)
    }

    fn of(postings: i64) -> Self {
        let (pem, verifier_key) = generate().unwrap();
        let mut leaves = vec![json!({"v": 1, "kind": "ledgerAccount.registered"}).to_string()];
        leaves.extend((1..=postings).map(|round| posting(round, "10.00")));
        Self { service: "transactions", pem, verifier_key, leaves }
    }

    fn checkpoint(&self, size: usize) -> Checkpoint {
        let mut root = Root::default();
        self.leaves[..size].iter().for_each(|leaf| root.push(leaf_hash(leaf)));
        let origin = origin(self.service, TenantId::from_uuid(Uuid::nil()), Uuid::nil());
        Checkpoint { origin, size: size as u64, root: root.finish() }
    }

    fn note(&self, size: usize) -> String {
        LogKey::from_pem(&self.pem).unwrap().sign(&self.checkpoint(size)).unwrap()
    }

    fn line(&self, index: usize) -> LeafLine {
        let data = self.leaves[index].clone();
        LeafLine { index: index as u64, hash: hex(&leaf_hash(&data)), data }
    }

    fn export(&self) -> String {
        let Checkpoint { origin, size, .. } = self.checkpoint(self.leaves.len());
        let checkpoint = self.note(self.leaves.len());
        let header = Header { strongroom: EXPORT.to_owned(), origin, size, checkpoint };
        let mut file = serde_json::to_string(&header).unwrap() + "\n";
        for index in 0..self.leaves.len() {
            file += &(serde_json::to_string(&self.line(index)).unwrap() + "\n");
        }
        file
    }

    /// The proof of a leaf in the log as it is.
    fn proof(&self, index: usize) -> String {
        let hashes: Vec<Hash> = self.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let proof = Proof {
            strongroom: PROOF.to_owned(),
            leaf: self.line(index),
            tree_size: self.leaves.len() as u64,
            hashes: path(&hashes, index).iter().map(|hash| STANDARD.encode(hash)).collect(),
            checkpoint: self.note(self.leaves.len()),
        };
        serde_json::to_string(&proof).unwrap() + "\n"
    }

    /// A statement of two lines, with a text that is there and one that is redacted.
    fn statement(&mut self) -> String {
        let memo = Commitment::new("texts/1", "Rent of \u{201c}May\u{201d}");
        let gone = Commitment::new("texts/-1", "whatever it was").hex();
        let head = "\"v\":1,\"kind\":\"statement.created\",\"tenant\":\"tenants/1\",\
            \"statement\":\"accounts/1/statements/2\",\"account\":\"accounts/1\",\
            \"start_date\":\"2026-05-01\",\"end_date\":\"2026-05-31\",\"version\":1,\
            \"currency\":\"EUR\",\"normal_side\":\"CREDIT\",\"opening\":\"-1.00\",\
            \"debits\":\"0.30\",\"credits\":\"5.00\",\"closing\":\"3.70\",\"line_count\":2,\
            \"entry_seq\":9,\"final\":true,\"create_time\":\"2026-06-01T00:00:00Z\"";
        let line = |number: u8, amount: &str, direction: &str, balance: &str, committed: &str| {
            format!(
                "{{\"line\":{number},\"transaction\":\"transactions/{number}\",\"type\":\"PAY\",\
                 \"entry_index\":1,\"direction\":\"{direction}\",\"amount\":\"{amount}\",\
                 \"posted\":\"{balance}\",\"entry_seq\":{number},\"version\":7,\
                 \"effective_time\":\"2026-05-02T00:00:00Z\",\
                 \"record_time\":\"2026-05-03T00:00:00Z\",\"booking_date\":\"2026-05-02\",\
                 \"balance\":\"{balance}\"{committed}}}"
            )
        };
        let lines = [
            line(1, "5.00", "CREDIT", "4.00", &format!(",\"memo\":\"{}\"", memo.hex())),
            line(2, "0.30", "DEBIT", "3.70", &format!(",\"description\":\"{gone}\"")),
        ];
        let sha256 = |text: &str| hex(digest(&SHA256, text.as_bytes()).as_ref());
        let hash = sha256(&format!("{{{head}}}\n{}\n{}\n", lines[0], lines[1]));
        self.leaves.insert(2, format!("{{{head},\"hash\":\"{hash}\"}}"));
        let (data, size) = (json!(self.leaves[2]), self.leaves.len());
        let hashes: Vec<Hash> = self.leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
        let path: Vec<String> = path(&hashes, 2).iter().map(|hash| STANDARD.encode(hash)).collect();
        let (path, note) = (json!(path), json!(self.note(size)));
        let text = json!({"text": "Rent of \u{201c}May\u{201d}", "salt": hex(&memo.salt)});
        let text = format!("{{\"memo\":{{\"text\":{},\"salt\":{}}}}}", text["text"], text["salt"]);
        format!(
            "{{\"strongroom\":\"statement/1\",\"statement\":{{{head}}},\"hash\":\"{hash}\",\
             \"leaf\":{{\"index\":2,\"data\":{data}}},\"tree_size\":{size},\"hashes\":{path},\
             \"checkpoint\":{note}}}\n\
             {{\"line\":{},\"texts\":{text},\"hash\":\"{}\"}}\n\
             {{\"line\":{},\"texts\":{{}},\"hash\":\"{}\"}}\n",
            lines[0],
            sha256(&lines[0]),
            lines[1],
            sha256(&lines[1])
        )
    }

    fn verify(&self, file: &[u8], kept: Option<String>) -> Report {
        verify(file, &Trust::new(&self.verifier_key, kept)).unwrap()
    }

    /// Every byte of a file is changed, one at a time: its lowest bit, its case, its highest bit.
    fn assert_each_byte_counts(&self, file: &str) {
        let report = self.verify(file.as_bytes(), None);
        assert!(report.holds(), "{report:?}");
        let mut line = 1;
        for place in 0..file.len() {
            let bit = [0x01, 0x20, 0x80][place % 3];
            let mut changed = file.as_bytes().to_vec();
            changed[place] ^= bit;
            let report = self.verify(&changed, None);
            let text = String::from_utf8_lossy(&changed);
            assert!(!report.holds(), "byte {place} of line {line}, bit {bit}: {text}");
            let is_named = report.findings.iter().any(|finding| finding.line == line);
            assert!(is_named, "byte {place} of line {line}, bit {bit}: {report:?}");
            line += u64::from(file.as_bytes()[place] == b'\n');
        }
    }
}

/// RFC 6962 2.1.1, as it stands there.
fn path(hashes: &[Hash], index: usize) -> Vec<Hash> {
    let root = |hashes: &[Hash]| {
        let mut root = Root::default();
        for hash in hashes {
            root.push(*hash);
        }
        root.finish()
    };
    if hashes.len() <= 1 {
        return Vec::new();
    }
    let half = hashes.len().next_power_of_two() / 2;
    let (left, right) = hashes.split_at(half);
    let (mut inner, other) = match index < half {
        true => (path(left, index), right),
        false => (path(right, index - half), left),
    };
    inner.push(root(other));
    inner
}

/// The posting of a round: the same amount each time, from the house to a customer.
fn posting(round: i64, amount: &str) -> String {
    let posted = format!("{}.00", 10 * round);
    let entry = |account: &str, direction: &str| {
        json!({"account": account, "direction": direction, "amount": amount, "currency": "EUR",
            "posted": posted, "entry_seq": round, "version": round + 1})
    };
    let entries = [entry("accounts/house", "DEBIT"), entry("accounts/ada", "CREDIT")];
    let transaction = format!("transactions/{round}");
    json!({"v": 1, "kind": "transaction.posted", "transaction": transaction, "entries": entries})
        .to_string()
}

#[test]
fn every_byte_of_an_export_counts() {
    let log = Log::of(2);
    log.assert_each_byte_counts(&log.export());
}

#[test]
fn every_byte_of_a_proof_counts() {
    let log = Log::new();
    for index in 0..log.leaves.len() {
        assert!(log.verify(log.proof(index).as_bytes(), None).holds());
    }
    log.assert_each_byte_counts(&log.proof(3));
}

#[test]
fn every_byte_of_a_statement_counts() {
    let mut log = Log::of(2);
    let statement = log.statement();
    log.assert_each_byte_counts(&statement);
    // One that no checkpoint covers is no proof yet.
    let (head, _) = statement.split_once(",\"leaf\"").unwrap();
    let (_, lines) = statement.split_once('\n').unwrap();
    let report = log.verify(format!("{head}}}\n{lines}").as_bytes(), None);
    assert_eq!(report.count, 1, "{report:?}");
    assert_eq!(report.findings[0].what, "the way to a signed checkpoint");
}

#[test]
fn what_has_changed_is_named() {
    let log = Log::new();
    let named = |from: &str, to: &str| {
        let changed = log.export().replacen(from, to, 1);
        assert_ne!(changed, log.export());
        let report = log.verify(changed.as_bytes(), None);
        report.findings.into_iter().map(|finding| (finding.line, finding.what)).collect::<Vec<_>>()
    };
    let hash = log.line(3).hash;
    // The data of leaf 3, on the line behind the header and leaves 0 to 2.
    let data = named("transactions/3", "transactions/9");
    assert_eq!(data[0], (5, "the hash of leaf 3".to_owned()));
    assert!(data[1].1.contains("the data has changed"), "{data:?}");
    assert_eq!(data.len(), 2);
    // Its hash: what is hashed is what was signed.
    let flipped = if hash.starts_with('0') { '1' } else { '0' };
    let found = named(&hash, &format!("{flipped}{}", &hash[1..]));
    assert_eq!(found, [(5, "the hash of leaf 3".to_owned())]);
    let found = named("\"index\":3", "\"index\":4");
    assert_eq!(found, [(5, "the index of leaf 3".to_owned())]);
    let found = named("\"size\":6", "\"size\":7");
    assert_eq!(found, [(1, "the size".to_owned())]);
}

#[test]
fn leaves_that_are_missing_or_too_many_or_moved_are_found() {
    let log = Log::new();
    let export = log.export();
    let lines: Vec<&str> = export.lines().collect();
    let without: Vec<&str> = [&lines[..3], &lines[4..]].concat();
    let swapped = [&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat();
    let twice = [&lines[..], &lines[6..]].concat();
    for changed in [&without[..], &swapped, &twice, &lines[..6], &lines[..1], &lines[1..], &[]] {
        let report = log.verify((changed.join("\n") + "\n").as_bytes(), None);
        assert!(!report.holds(), "{changed:?}");
    }
}

#[test]
fn books_that_were_wrong_before_they_were_signed_are_found() {
    let right = Log::new();
    let cases: [(&str, &str, &str); 4] = [
        ("\"amount\":\"10.00\"", "\"amount\":\"10.01\"", "the sum of transactions/3 in EUR"),
        ("\"posted\":\"30.00\"", "\"posted\":\"30.01\"", "the balance of accounts/house after"),
        ("\"entry_seq\":3", "\"entry_seq\":4", "the place of entry 0 of transactions/3"),
        ("\"currency\":\"EUR\"", "\"currency\":\"USD\"", "the currency of entry 0"),
    ];
    for (from, to, what) in cases {
        let mut log = Log { leaves: right.leaves.clone(), ..Log::new() };
        log.leaves[3] = log.leaves[3].replacen(from, to, 1);
        assert_ne!(log.leaves, right.leaves, "{from}");
        let report = log.verify(log.export().as_bytes(), None);
        let found = report.findings.iter().find(|finding| finding.what.starts_with(what));
        assert_eq!(found.map(|finding| finding.line), Some(5), "{what}: {report:?}");
        assert!(report.checks.iter().any(|check| check.what == "books" && !check.holds));
    }
}

#[test]
fn a_log_that_was_written_anew_is_not_the_one_that_was_kept() {
    let log = Log::new();
    let kept = |sizes: &[usize]| Some(sizes.iter().map(|size| log.note(*size)).collect());
    assert!(log.verify(log.export().as_bytes(), kept(&[2, 5, 6])).holds());
    assert!(log.verify(log.proof(2).as_bytes(), kept(&[2, 5, 6])).holds());
    // The same key signs another past.
    let (pem, verifier_key) = (log.pem.clone(), log.verifier_key.clone());
    let mut other = Log { pem, verifier_key, leaves: log.leaves.clone(), ..Log::new() };
    other.leaves[2] = posting(2, "20.00");
    for (file, kept) in [
        (other.export(), kept(&[6])),
        (other.export(), kept(&[3])),
        (other.proof(1), kept(&[6])),
        // Nothing that was kept says anything of it.
        (log.proof(1), kept(&[5])),
        (log.export(), Some(String::new())),
    ] {
        assert!(!log.verify(file.as_bytes(), kept).holds());
    }
    // What was signed by somebody else is no checkpoint.
    let stranger = Log::new();
    assert!(!stranger.verify(log.export().as_bytes(), None).holds());
    let report = log.verify(log.export().as_bytes(), Some(stranger.note(6)));
    assert!(!report.holds());
}

#[test]
fn what_is_no_such_file_is_said_to_be_none() {
    let log = Log::new();
    for file in ["", "\n", "{}", "[1]\n", "{\"strongroom\":\"export/2\"}\n", "\u{feff}{}\n"] {
        let report = log.verify(file.as_bytes(), None);
        assert_eq!(report.findings.first().map(|finding| finding.line), Some(1), "{file:?}");
    }
}
