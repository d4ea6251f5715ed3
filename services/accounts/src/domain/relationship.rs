//! What one customer is to another.

use serde::{Deserialize, Serialize};
use shared::field::{Decoded, invalid};
use shared::ids::{Id, Resource};
use shared::time::Timestamp;

use super::codes::codes;
use super::customer::{CustomerId, CustomerKind};
use super::transition::NotAllowed;

/// All of an organisation, in hundredths of a per cent.
pub(crate) const WHOLE: i32 = 10_000;

/// The kind of a relationship's id. Its name has that of its customer in front.
pub(crate) enum RelationshipResource {}

impl Resource for RelationshipResource {
    const COLLECTION: &'static str = "relationships";
    const TYPE: &'static str = "relationship";
}

/// The id of a relationship.
pub(crate) type RelationshipId = Id<RelationshipResource>;

codes! {
    /// What one customer is to another.
    RelationshipKind {
        /// Owns a share of the organisation.
        BeneficialOwner = 1 "BENEFICIAL_OWNER",
        /// Cares for the person by law.
        Guardian = 2 "GUARDIAN",
        /// Acts for the customer.
        Representative = 3 "REPRESENTATIVE",
    }
}

impl RelationshipKind {
    /// Whether nobody may be this to itself, through others neither.
    pub(crate) fn is_acyclic(self) -> bool {
        match self {
            Self::BeneficialOwner | Self::Guardian => true,
            Self::Representative => false,
        }
    }

    /// Whether a customer of this kind may have one.
    pub(crate) fn allow(self, customer: CustomerKind) -> Decoded<()> {
        match (self, customer) {
            (Self::BeneficialOwner, CustomerKind::Person) => {
                Err(invalid("must be of an organisation where it is BENEFICIAL_OWNER"))
            }
            (Self::Guardian, CustomerKind::Organisation) => {
                Err(invalid("must be of a person where it is GUARDIAN"))
            }
            _ => Ok(()),
        }
    }
}

/// From when, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Span {
    /// From then on.
    pub(crate) start: Timestamp,
    /// Before then; open where there is none.
    pub(crate) end: Option<Timestamp>,
}

impl Span {
    /// Whether it is over, or will never have been.
    pub(crate) fn is_over(self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| end <= now || end <= self.start)
    }

    /// Whether both hold at one time.
    pub(crate) fn meets(self, other: Self) -> bool {
        let starts_before =
            |one: Self, end: Option<Timestamp>| end.is_none_or(|end| one.start < end);
        starts_before(self, other.end) && starts_before(other, self.end)
    }
}

/// What one customer is to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relationship {
    /// The id.
    pub(crate) id: RelationshipId,
    /// Whose it is.
    pub(crate) customer: CustomerId,
    /// What the other is to the customer.
    pub(crate) kind: RelationshipKind,
    /// The other.
    pub(crate) other: CustomerId,
    /// How much an owner owns, in hundredths of a per cent.
    pub(crate) share: Option<i32>,
    /// When.
    pub(crate) span: Span,
    /// When it was recorded.
    pub(crate) create_time: Timestamp,
}

impl Relationship {
    /// The resource name.
    pub(crate) fn name(self) -> String {
        format!("{}/{}", self.customer.name(), self.id.name())
    }

    /// Ends it now; before it begins where it has not begun.
    pub(crate) fn remove(&mut self, now: Timestamp) -> Result<(), NotAllowed> {
        if self.span.is_over(now) {
            let (what, state) = ("relationship", "ENDED");
            return Err(NotAllowed { what, state, allowed: vec!["CURRENT"] });
        }
        self.span.end = Some(now.max(self.span.start));
        Ok(())
    }

    /// Where it stands in a list.
    pub(crate) fn position(&self) -> RelationshipPosition {
        RelationshipPosition { create_time: self.create_time, id: self.id }
    }
}

/// A place in the order of lists: the oldest first, and by id where two are of one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct RelationshipPosition {
    /// When it was recorded.
    pub(crate) create_time: Timestamp,
    /// The relationship.
    pub(crate) id: RelationshipId,
}

/// The most that shares come to together at any one time within a span.
pub(crate) fn most_at_once(shares: &[(Span, i32)], within: Span) -> i32 {
    // The sum only grows where one begins.
    let starts = shares.iter().map(|(span, _)| span.start.max(within.start));
    let at = |time: Timestamp| {
        let holds = |span: &Span| span.start <= time && !span.is_over(time);
        shares.iter().filter(|(span, _)| holds(span)).map(|(_, share)| share).sum()
    };
    starts.filter(|time| !within.is_over(*time)).map(at).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: i64, end: Option<i64>) -> Span {
        Span { start: Timestamp::from_micros(start), end: end.map(Timestamp::from_micros) }
    }

    #[test]
    fn spans_meet_where_both_hold() {
        for (one, other, meet) in [
            (span(1, Some(5)), span(5, None), false),
            (span(1, Some(6)), span(5, None), true),
            (span(1, None), span(5, None), true),
            (span(5, Some(6)), span(1, Some(9)), true),
            (span(7, Some(7)), span(7, None), false),
        ] {
            assert_eq!((one.meets(other), other.meets(one)), (meet, meet), "{one:?} {other:?}");
        }
    }

    #[test]
    fn shares_are_summed_where_they_hold_at_one_time() {
        let shares = [
            (span(0, Some(10)), 6_000),
            (span(10, Some(20)), 4_000),
            (span(15, None), 5_000),
            (span(17, Some(17)), 9_000),
        ];
        for (within, most) in [
            (span(0, Some(10)), 6_000),
            (span(5, Some(12)), 6_000),
            (span(10, Some(15)), 4_000),
            (span(0, None), 9_000),
            (span(20, None), 5_000),
            (span(30, Some(30)), 0),
        ] {
            assert_eq!(most_at_once(&shares, within), most, "{within:?}");
        }
        assert_eq!(most_at_once(&[], span(0, None)), 0);
    }

    #[test]
    fn what_is_over_does_not_end_again() {
        let kind = RelationshipKind::Representative;
        let (id, customer) = (RelationshipId::generate(), CustomerId::generate());
        let (other, create_time) = (CustomerId::generate(), Timestamp::from_micros(0));
        let of = |span| Relationship { id, customer, kind, other, share: None, span, create_time };
        let now = Timestamp::from_micros(10);
        for (before, end) in [(span(5, None), 10), (span(5, Some(20)), 10), (span(30, None), 30)] {
            let mut relationship = of(before);
            relationship.remove(now).unwrap();
            assert_eq!(relationship.span.end, Some(Timestamp::from_micros(end)));
            assert_eq!(relationship.remove(now).unwrap_err().state, "ENDED");
        }
    }

    #[test]
    fn an_owner_is_of_an_organisation_and_a_guardian_of_a_person() {
        use CustomerKind::{Organisation, Person};
        use RelationshipKind::{BeneficialOwner, Guardian, Representative};
        for (kind, customer, allowed) in [
            (BeneficialOwner, Organisation, true),
            (BeneficialOwner, Person, false),
            (Guardian, Person, true),
            (Guardian, Organisation, false),
            (Representative, Person, true),
            (Representative, Organisation, true),
        ] {
            assert_eq!(kind.allow(customer).is_ok(), allowed, "{kind:?} of {customer:?}");
        }
    }
}
