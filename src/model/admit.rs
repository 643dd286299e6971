//! Which assets get the quota first.

use serde::{Deserialize, Serialize};

/// The order in which assets draw on the quota. In every order, first come is first served, and after an asset that
/// does not fit, a smaller one may still fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admit {
    /// Listing order, as the platform syncs.
    #[default]
    Listing,
    /// Cheapest first, which admits as many assets as possible; ties are in listing order.
    MostAssets,
    /// Most recently written first, to the microsecond, and assets without a time last; ties are in listing order.
    Newest,
}

impl Admit {
    /// Every order.
    pub const ALL: &[Self] = &[Self::Listing, Self::MostAssets, Self::Newest];

    /// Returns the order with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|order| order.as_str() == name)
    }

    /// `listing`, `most-assets` or `newest`, as in options and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::MostAssets => "most-assets",
            Self::Newest => "newest",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_name_of_the_option() {
        for admit in Admit::ALL {
            assert_eq!(serde_json::to_value(admit).expect("a name"), admit.as_str());
        }
    }
}
