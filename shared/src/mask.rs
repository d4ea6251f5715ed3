//! Update masks (AIP-134).

use crate::field::{Decoded, invalid};

/// All fields.
const ALL: &str = "*";

/// Which fields an update takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mask {
    /// Those that are named.
    Named(Vec<&'static str>),
    /// Those that are populated.
    Populated(&'static [&'static str]),
}

impl Mask {
    /// Reads the paths of a mask over these fields.
    pub fn decode(paths: &[String], known: &'static [&'static str]) -> Decoded<Self> {
        if paths.is_empty() {
            return Ok(Self::Populated(known));
        }
        if paths.iter().any(|path| path == ALL) {
            return Ok(Self::Named(known.to_vec()));
        }
        if paths.iter().any(|path| !known.contains(&path.as_str())) {
            return Err(invalid(format!("must name some of {}, or *", known.join(", "))));
        }
        let named = known.iter().filter(|field| paths.iter().any(|path| path == *field));
        Ok(Self::Named(named.copied().collect()))
    }

    /// The fields, in one order whatever that of the mask.
    pub fn fields(self, is_populated: impl Fn(&str) -> bool) -> Decoded<Vec<&'static str>> {
        let fields = match self {
            Self::Named(fields) => fields,
            Self::Populated(known) => {
                known.iter().copied().filter(|field| is_populated(field)).collect()
            }
        };
        match fields.is_empty() {
            true => Err(invalid("must be given where nothing is populated")),
            false => Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(paths: &[&str]) -> Decoded<Vec<&'static str>> {
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        let mask = Mask::decode(&paths, &["a", "b", "c"])?;
        mask.fields(|field| field == "b")
    }

    #[test]
    fn a_mask_names_fields_and_no_mask_is_what_is_populated() {
        assert_eq!(fields(&["c", "a", "c"]).unwrap(), ["a", "c"]);
        assert_eq!(fields(&["*"]).unwrap(), ["a", "b", "c"]);
        assert_eq!(fields(&[]).unwrap(), ["b"]);
        assert!(fields(&["a", "d"]).is_err());
        assert!(Mask::decode(&[], &["a"]).unwrap().fields(|_| false).is_err());
    }
}
