//! Encoding of what does not match.

use strongroom_proto::transactions::v1 as wire;
use wire::mismatch::Check as Wire;

use crate::domain::{Check, Finding, Mismatch};

/// A mismatch that is written down.
pub(crate) fn mismatch(mismatch: Mismatch) -> wire::Mismatch {
    let resolution = mismatch.resolution;
    wire::Mismatch {
        name: mismatch.id.name(),
        create_time: Some(mismatch.create_time.encode()),
        resolve_time: resolution.as_ref().map(|resolution| resolution.time.encode()),
        resolution_code: resolution.as_ref().map(|one| one.code.clone()).unwrap_or_default(),
        resolver: resolution.map(|resolution| resolution.resolver).unwrap_or_default(),
        ..finding(mismatch.finding)
    }
}

/// A finding that nobody keeps.
pub(crate) fn finding(finding: Finding) -> wire::Mismatch {
    wire::Mismatch {
        check: check(finding.check).into(),
        resource: finding.resource,
        found: finding.found,
        expected: finding.expected,
        ..Default::default()
    }
}

fn check(check: Check) -> Wire {
    match check {
        Check::Balance => Wire::Balance,
        Check::RunningBalance => Wire::RunningBalance,
        Check::EntrySeq => Wire::EntrySeq,
        Check::DayTotals => Wire::DayTotals,
        Check::Held => Wire::Held,
        Check::ZeroSum => Wire::ZeroSum,
        Check::Leaf => Wire::Leaf,
        Check::Log => Wire::Log,
    }
}
