//! Profiles: who a customer is. They pass through this service on their way into the records
//! service and out of it, and are stored nowhere here.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

/// Who a customer is. Checked where it comes from a caller; where it comes from the records service
/// every text may be masked. It serialises as `ProtoJSON` does, so that the sealed document is what
/// the contract says, but for the keys of tax numbers.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Profile {
    /// The full name, or the registered name of an organisation.
    pub(crate) full_name: String,
    /// YYYY-MM-DD, of a person.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) birth_date: String,
    /// An address of electronic mail.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) email: String,
    /// A telephone number (E.164).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) phone: String,
    /// Where it lives or is registered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<Address>,
    /// Numbers that tax authorities gave it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tax_ids: Vec<TaxId>,
}

/// A postal address.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Address {
    /// Street, house and the like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) lines: Vec<String>,
    /// The postal code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) postal_code: String,
    /// The town or city.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) city: String,
    /// ISO 3166-1, two letters.
    pub(crate) country: String,
}

/// A number that a tax authority gave.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TaxId {
    /// The country of the authority.
    pub(crate) country: String,
    /// The number.
    pub(crate) number: String,
}

impl TaxId {
    /// Country and number in one: what it is found by, because authorities of two countries may
    /// give one number.
    pub(crate) fn key(&self) -> String {
        format!("{}{}", self.country, self.number)
    }
}

// With the key beside what the contract has.
impl Serialize for TaxId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("TaxId", 3)?;
        fields.serialize_field("country", &self.country)?;
        fields.serialize_field("number", &self.number)?;
        fields.serialize_field("key", &self.key())?;
        fields.end()
    }
}

/// A sealed profile cannot be read. What stands there is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed profile is not the JSON of a profile: see line {line}, column {column}")]
pub(crate) struct Unreadable {
    line: usize,
    column: usize,
}

impl Profile {
    /// The document that is sealed: the same bytes for the same profile, because a repeat must ask
    /// the records service for the same thing.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        // Texts and lists of texts always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the document, as it is or masked. Members that a later version added are passed over.
    pub(crate) fn from_json(json: &[u8]) -> Result<Self, Unreadable> {
        serde_json::from_slice(json)
            .map_err(|error| Unreadable { line: error.line(), column: error.column() })
    }
}

// No log may show a person.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile { .. }")
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address { .. }")
    }
}

impl fmt::Debug for TaxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaxId { .. }")
    }
}

/// Whether this is a day of the Gregorian calendar as YYYY-MM-DD (ISO 8601).
pub(crate) fn is_civil_day(text: &str) -> bool {
    let shape = |(index, byte): (usize, u8)| match index {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    text.len() == 10
        && text.bytes().enumerate().all(shape)
        && text.parse::<jiff::civil::Date>().is_ok()
}

/// Whether mail could be sent here: one "@" with something on both sides, no spaces, and no longer
/// than SMTP carries (RFC 5321, 4.5.3.1). Whether it arrives, only mail can tell.
pub(crate) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '@';
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && !domain.is_empty()
        && local.chars().all(plain)
        && domain.chars().all(plain)
}

/// Whether this is a number as in E.164: a plus sign and at most 15 digits, the first not 0.
pub(crate) fn is_phone(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else {
        return false;
    };
    (2..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        Profile {
            full_name: "Zoë Änderli".to_owned(),
            birth_date: "1990-02-28".to_owned(),
            addresses: vec![Address {
                lines: vec!["Bahnhofstrasse 1".to_owned()],
                postal_code: "8001".to_owned(),
                country: "CH".to_owned(),
                ..Address::default()
            }],
            tax_ids: vec![TaxId { country: "CH".to_owned(), number: "756".to_owned() }],
            ..Profile::default()
        }
    }

    #[test]
    fn the_sealed_document_has_the_names_of_the_contract() {
        let json = String::from_utf8(profile().to_json()).unwrap();
        assert_eq!(
            json,
            "{\"fullName\":\"Zoë Änderli\",\"birthDate\":\"1990-02-28\",\
             \"addresses\":[{\"lines\":[\"Bahnhofstrasse 1\"],\"postalCode\":\"8001\",\
             \"country\":\"CH\"}],\"taxIds\":[{\"country\":\"CH\",\"number\":\"756\",\
             \"key\":\"CH756\"}]}"
        );
        assert_eq!(Profile::from_json(json.as_bytes()), Ok(profile()));
    }

    #[test]
    fn a_document_that_cannot_be_read_does_not_show_itself() {
        let error = Profile::from_json(b"{\"fullName\":[\"SECRET\"]}").unwrap_err();
        assert!(!error.to_string().contains("SECRET"));
        assert!(Profile::from_json(b"{\"later\":1}").is_ok());
        assert!(!format!("{:?}", profile()).contains("Zoë"));
    }

    #[test]
    fn days_are_days_of_the_calendar() {
        assert!(is_civil_day("2024-02-29"));
        for text in ["", "2023-02-29", "20240229", "2024-2-29", "2024-13-01", "+024-01-01", "x"] {
            assert!(!is_civil_day(text), "{text:?}");
        }
    }

    #[test]
    fn mail_and_telephone_have_their_shapes() {
        assert!(is_email("zoe+tag@bücher.example"));
        for text in ["", "a", "@b", "a@", "a b@c", "a@b@c", "a\n@b"] {
            assert!(!is_email(text), "{text:?}");
        }
        assert!(!is_email(&format!("{}@b", "a".repeat(65))));
        assert!(is_phone("+41446681800"));
        for text in ["", "+", "0446681800", "+0446681800", "+41 44", "+1234567890123456", "+٤١"] {
            assert!(!is_phone(text), "{text:?}");
        }
    }
}
