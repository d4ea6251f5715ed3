//! Verifies an export: the checkpoint, every leaf, the root over them, and the books.

use std::io::{self, BufRead};

use shared::transparency::{Checkpoint, Hash, Root, leaf_hash};

use super::books::Books;
use super::lines::{Lines, Next, parse};
use super::report::Report;
use super::seal::{Trust, compare_roots};
use crate::export::{Header, LeafLine, hex, unhex};

/// What is hashed on the way through the leaves.
#[derive(Default)]
struct Roots {
    /// Of what the leaves say.
    of_data: Root,
    /// Of the hashes that stand beside them.
    of_hashes: Root,
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

    let (mut roots, mut books) = (Roots::default(), Books::default());
    let before = report.count;
    loop {
        let leaf = match lines.read::<LeafLine>(report)? {
            Next::Line(leaf) => Some(leaf),
            Next::Bad => None,
            Next::End => break,
        };
        let line = lines.number;
        let index = line - 2;
        let (data, hash) = match leaf {
            Some(leaf) => {
                if leaf.index != index {
                    report.find(line, format!("the index of leaf {index}"), index, leaf.index);
                }
                let hash = leaf_hash(&leaf.data);
                if hex(&hash) != leaf.hash {
                    report.find(line, format!("the hash of leaf {index}"), hex(&hash), &leaf.hash);
                }
                books.take(&leaf.data, line, report);
                (hash, unhex(&leaf.hash).and_then(|hash| hash.try_into().ok()).unwrap_or_default())
            }
            None => (Hash::default(), Hash::default()),
        };
        roots.of_data.push(data);
        roots.of_hashes.push(hash);
        while let Some(at) = kept.next_if(|kept| kept.size <= roots.of_data.size()) {
            if at.size == roots.of_data.size() {
                compare_roots(at.root, roots.of_data.finish(), line, report);
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
    // What is wrong with the books was found with the leaves.
    let before = report.count.saturating_sub(usize::from(!report.holds()));
    report.check("books", books.sum_up(), before);
    Ok(())
}

/// Judges the root over all leaves. Where the data has changed, the hashes beside it tell that
/// these have not, and the other way round.
fn root(checkpoint: &Checkpoint, roots: &Roots, line: u64, report: &mut Report) {
    let found = roots.of_data.size();
    if found != checkpoint.size {
        return report.find(line, "the number of leaves", checkpoint.size, found);
    }
    let (data, hashes) = (roots.of_data.finish(), roots.of_hashes.finish());
    if data == checkpoint.root {
        return;
    }
    let what = match hashes == checkpoint.root {
        true => "the root: the hashes are those that were signed, and the data has changed",
        false => "the root over all leaves",
    };
    report.find(line, what, hex(&checkpoint.root), hex(&data));
}
