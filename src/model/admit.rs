//! Who gets the budget.

use serde::{Deserialize, Serialize};

/// The order in which assets are weighed against the quota. In every order the first that comes is the first that is
/// served, and after one that does not fit a smaller one may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admit {
    /// The order of the listing, in which the platform goes.
    #[default]
    Listing,
    /// The cheapest first, which admits as many as any order can; of equals, the one that is listed first.
    MostAssets,
    /// The last written first, to the microsecond, and those without a time at the end; of equals, the one that is
    /// listed first.
    Newest,
}

impl Admit {
    /// Every order.
    pub const ALL: &[Self] = &[Self::Listing, Self::MostAssets, Self::Newest];

    /// The order of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|order| order.as_str() == name)
    }

    /// `listing`, `most-assets` or `newest`, as the option and records have it.
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
