//! Enums with numbers and names.

/// An enum whose values have the numbers of the contract, which the tables have too, and the names
/// of the contract without its prefix.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$value_doc:meta])* $value:ident = $number:literal $text:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $name {
            $($(#[$value_doc])* $value,)+
        }

        impl $name {
            /// Every value.
            pub(crate) const ALL: &[Self] = &[$(Self::$value,)+];

            /// The number in the contract and in the tables.
            pub(crate) const fn number(self) -> i16 {
                match self {
                    $(Self::$value => $number,)+
                }
            }

            /// The value with a number of the contract or of a table; `None` for all others.
            pub(crate) fn from_number(number: impl Into<i32>) -> Option<Self> {
                let number = number.into();
                Self::ALL.iter().copied().find(|value| i32::from(value.number()) == number)
            }

            /// The name in the contract, without its prefix.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                let value = Self::ALL.iter().copied().find(|value| value.name() == name);
                value.ok_or_else(|| serde::de::Error::custom("there is no such value"))
            }
        }
    };
}

pub(super) use codes;
