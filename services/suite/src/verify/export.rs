//! Verifies an export: the checkpoint, every leaf, the root over them, and the books.

use std::borrow::Cow;
use std::io::{self, BufRead};

use shared::transparency::{Checkpoint, Hash, Root, leaf_hash};

use super::books::Books;
use super::lines::{Lines, Next, parse};
use super::report::Report;
use super::seal::{Trust, compare_roots};
use crate::export::{Header, LeafLine, LeafSlices, hex, spells, unescape, unhex};

/// The service whose log has books.
const BOOKS: &str = "strongroom/transactions/";

/// What is hashed on the way through the leaves.
#[derive(Default)]
struct Roots {
    /// Of what the leaves say.
    of_data: Root,
    /// Of the hashes that stand beside them, from the first on that is another.
    of_hashes: Option<Root>,
}

impl Roots {
    /// Takes the hash of what a leaf says, and the one beside it where that is another.
    fn push(&mut self, data: Hash, other: Option<Hash>) {
        if other.is_some() && self.of_hashes.is_none() {
            self.of_hashes = Some(self.of_data.clone());
        }
        if let Some(hashes) = &mut self.of_hashes {
            hashes.push(other.unwrap_or(data));
        }
        self.of_data.push(data);
    }
}

/// Verifies an export whose first line was read.
pub(super) fn verify(
    first: &str,
    mut lines: Lines<impl BufRead>,
    trust: &Trust,
    report: &mut Report,
) -> io::Result<()> {
    let header: Option<Header> = parse(first, 1, report);
    let checkpoint = header.as_ref().and_then(|header| trust.open(&header.checkpoint, 1, report));
    if let (Some(header), Some(checkpoint)) = (&header, &checkpoint) {
        if header.origin != checkpoint.origin {
            report.find(1, "the origin", &checkpoint.origin, &header.origin);
        }
        if header.size != checkpoint.size {
            report.find(1, "the size", checkpoint.size, header.size);
        }
    }
    let kept = checkpoint.as_ref().and_then(|signed| trust.kept(&signed.origin, report));
    let mut kept = kept.unwrap_or_default().into_iter().peekable();

    let has_books = checkpoint.as_ref().is_none_or(|signed| signed.origin.starts_with(BOOKS));
    let mut books = has_books.then(Books::default);
    let (mut roots, mut data) = (Roots::default(), String::new());
    let before = report.count;
    while lines.advance(report)? {
        let (hash, other) = leaf(&lines, &mut data, books.as_mut(), report);
        roots.push(hash, other);
        while let Some(at) = kept.next_if(|kept| kept.size <= roots.of_data.size()) {
            if at.size == roots.of_data.size() {
                compare_roots(at.root, roots.of_data.finish(), lines.number, report);
            }
        }
    }
    report.check("leaves", format!("{} leaves", roots.of_data.size()), before);
    let before = report.count;
    if let Some(checkpoint) = &checkpoint {
        root(checkpoint, &roots, lines.number, report);
    }
    if let Some(larger) = kept.next() {
        let what = "a checkpoint that was kept";
        let found = roots.of_data.size();
        report.find(lines.number, what, format!("{} leaves or more", larger.size), found);
    }
    report.check("root", hex(&roots.of_data.finish()), before);
    if let Some(books) = books {
        // What is wrong with the books was found with the leaves.
        let before = report.count.saturating_sub(usize::from(!report.holds()));
        report.check("books", books.sum_up(), before);
    }
    Ok(())
}

/// Judges the line of a leaf, and gives the hash of what it says, and the one beside it where that
/// is another. A line that is spelled as most are is read without making a value of it.
fn leaf(
    lines: &Lines<impl BufRead>,
    data: &mut String,
    books: Option<&mut Books>,
    report: &mut Report,
) -> (Hash, Option<Hash>) {
    let line = lines.number;
    let cut = LeafSlices::cut(lines.text());
    let cut = cut.filter(|cut| unescape(cut.spelled, data).is_some());
    let (found, digits) = match cut {
        Some(cut) => (cut.index, Cow::Borrowed(cut.hash)),
        None => match lines.value::<LeafLine>(report) {
            Next::Line(leaf) => {
                *data = leaf.data;
                (leaf.index, Cow::Owned(leaf.hash))
            }
            Next::Bad | Next::End => return (Hash::default(), None),
        },
    };
    let index = line - 2;
    if found != index {
        report.find(line, format!("the index of leaf {index}"), index, found);
    }
    let hash = leaf_hash(data);
    let is_same = spells(&digits, &hash);
    if !is_same {
        report.find(line, format!("the hash of leaf {index}"), hex(&hash), &digits);
    }
    if let Some(books) = books {
        books.take(data, line, report);
    }
    let other = || unhex(&digits).and_then(|hash| hash.try_into().ok()).unwrap_or_default();
    (hash, (!is_same).then(other))
}

/// Judges the root over all leaves. Where the data has changed, the hashes beside it tell that
/// these have not, and the other way round.
fn root(checkpoint: &Checkpoint, roots: &Roots, line: u64, report: &mut Report) {
    let found = roots.of_data.size();
    if found != checkpoint.size {
        return report.find(line, "the number of leaves", checkpoint.size, found);
    }
    let data = roots.of_data.finish();
    let hashes = roots.of_hashes.as_ref().map_or(data, Root::finish);
    if data == checkpoint.root {
        return;
    }
    let what = match hashes == checkpoint.root {
        true => "the root: the hashes are those that were signed, and the data has changed",
        false => "the root over all leaves",
    };
    report.find(line, what, hex(&checkpoint.root), hex(&data));
}
