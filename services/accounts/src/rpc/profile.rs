//! Profiles from the wire, checked, and back to it.

use shared::field::{self, At as _, Decoded, invalid};
use strongroom_proto::accounts::v1 as wire;

use crate::domain::{
    Address, CustomerKind, Profile, TaxId, is_civil_day, is_country, is_email, is_phone,
};

const NAME_MAX: usize = 256;
const ADDRESSES_MAX: usize = 16;
const LINES_MAX: usize = 4;
const LINE_MAX: usize = 256;
const POSTAL_CODE_MAX: usize = 32;
const CITY_MAX: usize = 128;
const TAX_IDS_MAX: usize = 16;
const TAX_NUMBER_MAX: usize = 64;

/// Reads the profile of a customer.
pub(super) fn decode(wire: wire::Profile) -> Decoded<Profile> {
    Ok(Profile {
        full_name: field::text(wire.full_name, 1, NAME_MAX).at("full_name")?,
        birth_date: optional(wire.birth_date, is_civil_day, "must be a day as YYYY-MM-DD")
            .at("birth_date")?,
        email: optional(wire.email, is_email, "must be an address of electronic mail")
            .at("email")?,
        phone: optional(wire.phone, is_phone, "must be a number such as \"+41446681800\"")
            .at("phone")?,
        addresses: all(wire.addresses, "addresses", ADDRESSES_MAX, address)?,
        tax_ids: all(wire.tax_ids, "tax_ids", TAX_IDS_MAX, tax_id)?,
    })
}

/// Whether a customer of this kind may have such a profile.
pub(super) fn check_kind(profile: &Profile, kind: CustomerKind) -> Decoded<()> {
    if kind == CustomerKind::Organisation && !profile.birth_date.is_empty() {
        return Err(invalid("must be empty for an organisation")).at("birth_date");
    }
    Ok(())
}

fn address(wire: wire::Address) -> Decoded<Address> {
    Ok(Address {
        lines: all(wire.lines, "lines", LINES_MAX, |line| field::text(line, 1, LINE_MAX))?,
        postal_code: field::text(wire.postal_code, 0, POSTAL_CODE_MAX).at("postal_code")?,
        city: field::text(wire.city, 0, CITY_MAX).at("city")?,
        country: country(wire.country).at("country")?,
    })
}

/// Reads a number that a tax authority gave.
pub(super) fn tax_id(wire: wire::TaxId) -> Decoded<TaxId> {
    Ok(TaxId {
        country: country(wire.country).at("country")?,
        number: field::text(wire.number, 1, TAX_NUMBER_MAX).at("number")?,
    })
}

fn country(code: String) -> Decoded<String> {
    if is_country(&code) {
        Ok(code)
    } else {
        Err(invalid("must be a country of ISO 3166-1, two upper case letters"))
    }
}

/// A text that may be empty, and otherwise has to have its shape.
fn optional(text: String, fits: fn(&str) -> bool, sentence: &str) -> Decoded<String> {
    if text.is_empty() || fits(&text) { Ok(text) } else { Err(invalid(sentence)) }
}

/// Every element of a repeated field, at most so many.
fn all<W, T>(
    wire: Vec<W>,
    name: &str,
    max: usize,
    decode: impl Fn(W) -> Decoded<T>,
) -> Decoded<Vec<T>> {
    if wire.len() > max {
        let count = wire.len();
        return Err(invalid(format!("must be at most {max}, and are {count}"))).at(name);
    }
    let elements = wire.into_iter().enumerate();
    elements.map(|(index, element)| decode(element).at_index(name, index)).collect()
}

/// The profile as the wire has it.
pub(super) fn encode(profile: Profile) -> wire::Profile {
    let address = |address: Address| wire::Address {
        lines: address.lines,
        postal_code: address.postal_code,
        city: address.city,
        country: address.country,
    };
    let tax_id = |tax_id: TaxId| wire::TaxId { country: tax_id.country, number: tax_id.number };
    wire::Profile {
        full_name: profile.full_name,
        birth_date: profile.birth_date,
        email: profile.email,
        phone: profile.phone,
        addresses: profile.addresses.into_iter().map(address).collect(),
        tax_ids: profile.tax_ids.into_iter().map(tax_id).collect(),
    }
}
