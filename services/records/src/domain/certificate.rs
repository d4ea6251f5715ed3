//! The certificate of an erasure: lines of text that say what was done, to be signed. All of it but
//! the last line is in the leaf of the log that says so.

use std::fmt::Write as _;

use shared::ids::TenantId;
use shared::time::Timestamp;

use super::erasure::Erasure;

/// From when on no backup can open what was erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Horizon {
    /// Every epoch that a backup would need was destroyed by then.
    At(Timestamp),
    /// These epochs live.
    None(Vec<i32>),
}

impl Horizon {
    /// The horizon over the epochs that a backup would need, and when each was destroyed.
    pub(crate) fn over(epochs: &[(i32, Option<Timestamp>)]) -> Self {
        let live: Vec<i32> =
            epochs.iter().filter(|(_, time)| time.is_none()).map(|(epoch, _)| *epoch).collect();
        match epochs.iter().filter_map(|(_, time)| *time).max() {
            Some(time) if live.is_empty() => Self::At(time),
            _ => Self::None(live),
        }
    }
}

/// The text of a certificate; none where the erasure is not done.
pub(crate) fn text(tenant: TenantId, erasure: &Erasure, horizon: &Horizon) -> Option<String> {
    let (shred_time, done_time) = (erasure.shred_time?, erasure.done_time?);
    let (first, last) = erasure.epochs?;
    let of = &erasure.destroyed;
    let mut text = format!(
        "strongroom/records/{}/erasure-certificate/v1\n\
         subject {}\n\
         erasure {}\n\
         legal-basis {}\n\
         requested {}\n\
         key-destroyed {shred_time}\n\
         done {done_time}\n\
         destroyed keys={} records={} versions={} index-rows={} objects={} uploads={}\n\
         epochs {first}-{last}\n",
        tenant.uuid(),
        erasure.name.subject,
        erasure.name.name(),
        erasure.legal_basis.name(),
        erasure.create_time,
        of.keys,
        of.records,
        of.versions,
        of.index_rows,
        of.objects,
        of.uploads,
    );
    // Writing to a string does not fail.
    let _ = match horizon {
        Horizon::At(time) => writeln!(text, "horizon {time}"),
        Horizon::None(live) => {
            let live: Vec<String> = live.iter().map(ToString::to_string).collect();
            writeln!(text, "horizon none while epochs {} live", live.join(" "))
        }
    };
    Some(text)
}

/// What an erasure leaves, and why: one sentence each.
pub(crate) const STAYS: [&str; 5] = [
    "The access log stays, as opaque ids, codes and times: it proves who saw what, and why.",
    "The ids of the subject and of its records stay, so that they are never used again.",
    "Holds, retention interests, consents and leases stay without their texts: they prove that the \
     rules were kept.",
    "The erasure and its certificate stay, as proof that it was done; a tombstone outside the \
     database stays, so that a restored backup is erased again.",
    "Backups stay sealed under epochs of the tenant's key until these are destroyed: that is the \
     erasure horizon.",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::erasure::tests::erasure;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn the_horizon_is_when_the_last_epoch_was_destroyed() {
        assert_eq!(Horizon::over(&[(1, Some(at(9))), (2, Some(at(5)))]), Horizon::At(at(9)));
        assert_eq!(Horizon::over(&[(1, Some(at(9))), (2, None)]), Horizon::None(vec![2]));
        assert_eq!(Horizon::over(&[]), Horizon::None(Vec::new()));
    }

    #[test]
    fn a_certificate_says_what_was_done_once_it_is_done() {
        let tenant = TenantId::generate();
        let mut erasure = erasure();
        let horizon = Horizon::None(vec![2, 3]);
        assert_eq!(text(tenant, &erasure, &horizon), None);
        erasure.shred_time = Some(at(1_000_000));
        erasure.done_time = Some(at(2_000_000));
        erasure.epochs = Some((2, 3));
        erasure.destroyed.records = 4;
        let written = text(tenant, &erasure, &horizon).unwrap();
        assert!(written.starts_with(&format!("strongroom/records/{}/", tenant.uuid())));
        assert!(written.contains("\nkey-destroyed 1970-01-01T00:00:01Z\n"), "{written}");
        assert!(written.contains(" records=4 ") && written.contains("\nepochs 2-3\n"));
        assert!(written.ends_with("\nhorizon none while epochs 2 3 live\n"));
        let written = text(tenant, &erasure, &Horizon::At(at(3_000_000))).unwrap();
        assert!(written.ends_with("\nhorizon 1970-01-01T00:00:03Z\n"));
    }
}
