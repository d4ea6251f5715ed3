//! Which values a look-up takes for the same.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

/// The most characters of a value that is indexed.
pub(crate) const VALUE_MAX: usize = 1024;
/// The most digits of a telephone number (ITU-T E.164, section 6.1).
const PHONE_DIGITS_MAX: usize = 15;

/// How a value is brought into the form that is compared. The same value gives the same form for
/// ever: another rule is another normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Normalisation {
    /// Unicode NFC, without space at either end.
    Exact,
    /// Unicode NFKC in lower case, without space at either end.
    CaseFold,
    /// Letters and digits only, in upper case: tax numbers, cards, passports.
    Digits,
    /// As `CaseFold`, of something with one at sign.
    Email,
    /// Digits, behind a plus sign where there is one or a leading 00. No country is guessed.
    Phone,
}

/// A value of more than [`VALUE_MAX`] characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at most {VALUE_MAX} characters, because it is indexed")]
pub(crate) struct TooLong;

impl Normalisation {
    /// The form of a value; none where nothing is left of it, or where it is no email address or
    /// telephone number at all. Such a value is not indexed.
    pub(crate) fn apply(self, value: &str) -> Result<Option<Zeroizing<String>>, TooLong> {
        if value.chars().nth(VALUE_MAX).is_some() {
            return Err(TooLong);
        }
        let form = match self {
            Self::Exact => Some(value.trim().nfc().collect()),
            Self::CaseFold => Some(fold(value)),
            Self::Digits => Some(letters_and_digits(value)),
            Self::Email => email(value),
            Self::Phone => phone(value),
        };
        Ok(form.filter(|form| !form.is_empty()).map(Zeroizing::new))
    }
}

/// Upper case first, because some letters meet only there: ß and ss, σ and ς. The end is trimmed
/// last, because NFKC makes spaces of other characters.
fn fold(value: &str) -> String {
    let upper = Zeroizing::new(value.nfkc().collect::<String>().to_uppercase());
    let lower = Zeroizing::new(upper.to_lowercase().nfkc().collect::<String>());
    lower.trim().to_owned()
}

/// Filtered last, because a letter in upper case may be one with a mark behind it.
fn letters_and_digits(value: &str) -> String {
    let upper = Zeroizing::new(value.nfkc().collect::<String>().to_uppercase());
    upper.nfkc().filter(|c| c.is_alphanumeric()).collect()
}

fn email(value: &str) -> Option<String> {
    let address = fold(value);
    let (local, domain) = address.split_once('@')?;
    let one = !local.is_empty() && !domain.is_empty() && !domain.contains('@');
    (one && !address.contains(char::is_whitespace)).then_some(address)
}

fn phone(value: &str) -> Option<String> {
    let compact: String = value.nfkc().filter(|c| !is_separator(*c)).collect();
    let international = compact.strip_prefix('+').or_else(|| compact.strip_prefix("00"));
    let digits = international.unwrap_or(&compact);
    let fits = (1..=PHONE_DIGITS_MAX).contains(&digits.len());
    let plus = if international.is_some() { "+" } else { "" };
    (fits && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| format!("{plus}{digits}"))
}

/// What people write between the digits of a telephone number.
fn is_separator(c: char) -> bool {
    c.is_whitespace() || "()[]-./\u{2010}\u{2011}\u{2012}\u{2013}\u{2212}".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(how: Normalisation, value: &str) -> Option<String> {
        how.apply(value).unwrap().map(|form| form.to_string())
    }

    #[test]
    fn values_that_are_the_same_have_one_form() {
        use Normalisation::{CaseFold, Digits, Email, Exact, Phone};
        for (how, values, expected) in [
            (Exact, [" José ", "Jose\u{301}", "José\n"], "José"),
            (CaseFold, ["Straße", "STRASSE", " ｓtrasse\u{a0}"], "strasse"),
            (CaseFold, ["ΟΔΟΣ", "οδος", "οδοσ"], "οδος"),
            (Digits, ["de 123-456.789", "DE123456789", "ＤＥ 123 456 789"], "DE123456789"),
            (
                Email,
                [" Jane.Doe@Example.COM", "jane.doe@example.com", "JANE.DOE@EXAMPLE.COM\t"],
                "jane.doe@example.com",
            ),
            (
                Phone,
                ["+49 (151) 234-567", "0049151234567", "＋49\u{2011}151.234/567"],
                "+49151234567",
            ),
            (Phone, ["0151 234567", "(0151) 234-567", "0151/234567"], "0151234567"),
        ] {
            for value in values {
                assert_eq!(form(how, value).as_deref(), Some(expected), "{value}");
            }
        }
        assert_ne!(form(Exact, "Jane"), form(Exact, "jane"));
        assert_ne!(form(Phone, "+151234567"), form(Phone, "151234567"));
    }

    #[test]
    fn what_has_no_form_is_not_indexed() {
        use Normalisation::{CaseFold, Digits, Email, Exact, Phone};
        for (how, value) in [
            (Exact, " \n"),
            (CaseFold, "\u{a0}"),
            (Digits, "--"),
            (Email, "jane"),
            (Email, "a@b@c"),
            (Email, "Jane <jane@example.com>"),
            (Phone, "+"),
            (Phone, "call me"),
            (Phone, "+49 151 234567 ext 12"),
            (Phone, "1234567890123456"),
        ] {
            assert_eq!(form(how, value), None, "{value}");
        }
    }

    #[test]
    fn long_values_are_refused() {
        assert!(Normalisation::Exact.apply(&"é".repeat(VALUE_MAX)).is_ok());
        assert_eq!(Normalisation::Exact.apply(&"e".repeat(VALUE_MAX + 1)), Err(TooLong));
    }

    proptest! {
        #[test]
        fn a_form_is_its_own_form(value in "\\PC{0,20}") {
            use Normalisation::{CaseFold, Digits, Email, Exact, Phone};
            for how in [Exact, CaseFold, Digits, Email, Phone] {
                if let Some(once) = form(how, &value) {
                    prop_assert_eq!(form(how, &once), Some(once), "{:?}", how);
                }
            }
        }
    }
}
