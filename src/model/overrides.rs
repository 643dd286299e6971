//! Changes to the rules by the user, independent of the profile.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Code, Finding, Severity};

/// The effect that a rule is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Its findings are dropped.
    Ignore,
    /// Its findings are warnings.
    Warning,
    /// Its findings reject assets.
    Error,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ignore => "ignored",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Changed rules and their effects. Every rule in it [is changeable](Code::is_changeable).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Code, Effect>")]
pub struct Effects(BTreeMap<Code, Effect>);

impl Effects {
    /// Sets the effect of a rule, if the rule can be changed.
    pub fn set(&mut self, code: Code, effect: Effect) {
        if code.is_changeable() {
            self.0.insert(code, effect);
        }
    }

    /// The effect of a rule, if it is changed.
    pub fn get(&self, code: Code) -> Option<Effect> {
        self.0.get(&code).copied()
    }

    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Applies the changes to findings.
    pub fn apply(&self, findings: &mut Vec<Finding>) {
        apply(findings, |code| self.get(code));
    }
}

/// Gives findings the effects of their rules.
fn apply(findings: &mut Vec<Finding>, effect: impl Fn(Code) -> Option<Effect>) {
    findings.retain_mut(|finding| {
        let effect = effect(finding.code);
        match effect {
            Some(Effect::Warning) => finding.severity = Severity::Warning,
            Some(Effect::Error) => finding.severity = Severity::Error,
            Some(Effect::Ignore) | None => {}
        }
        effect != Some(Effect::Ignore)
    });
}

impl TryFrom<BTreeMap<Code, Effect>> for Effects {
    type Error = String;

    fn try_from(effects: BTreeMap<Code, Effect>) -> Result<Self, String> {
        match effects.keys().find(|code| !code.is_changeable()) {
            Some(code) => Err(format!("{code} cannot be changed")),
            None => Ok(Self(effects)),
        }
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (code, effect)) in self.0.iter().enumerate() {
            write!(f, "{}{code} {effect}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Changes for blobs whose names start with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixEffects {
    /// The prefix, matched against the blob's full name.
    pub prefix: String,
    /// The changes.
    pub effects: Effects,
}

/// All changes to the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Changes for every blob.
    pub everywhere: Effects,
    /// Changes for some blobs, which override `everywhere`. If several prefixes match, the last one wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<PrefixEffects>,
}

impl Overrides {
    /// Whether there are no changes.
    pub fn is_empty(&self) -> bool {
        self.everywhere.is_empty() && self.prefixes.is_empty()
    }

    /// The effect of a rule for the blob with this name, if it is changed.
    pub fn effect(&self, code: Code, name: &str) -> Option<Effect> {
        let fitting = self.prefixes.iter().rev().filter(|prefix| name.starts_with(&prefix.prefix));
        fitting.map(|prefix| &prefix.effects).chain([&self.everywhere]).find_map(|effects| effects.get(code))
    }

    /// Whether a rule has this effect for any blob.
    pub fn gives(&self, code: Code, effect: Effect) -> bool {
        let prefixes = self.prefixes.iter().map(|prefix| &prefix.effects);
        prefixes.chain([&self.everywhere]).any(|effects| effects.get(code) == Some(effect))
    }

    /// Applies the changes to the findings of the blob with this name.
    pub fn apply(&self, name: &str, findings: &mut Vec<Finding>) {
        apply(findings, |code| self.effect(code, name));
    }
}

impl fmt::Display for Overrides {
    /// `VID102 ignored, NAM001 error; prefix 'raw/': IMG001 ignored`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.everywhere)?;
        let mut separator = if self.everywhere.is_empty() { "" } else { "; " };
        for PrefixEffects { prefix, effects } in &self.prefixes {
            write!(f, "{separator}prefix '{prefix}': {effects}")?;
            separator = "; ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effects(changes: &[(Code, Effect)]) -> Effects {
        let mut effects = Effects::default();
        changes.iter().for_each(|(code, effect)| effects.set(*code, *effect));
        effects
    }

    fn overrides() -> Overrides {
        let below = |prefix: &str, changes: &[(Code, Effect)]| PrefixEffects {
            prefix: prefix.to_owned(),
            effects: effects(changes),
        };
        Overrides {
            everywhere: effects(&[
                (Code::CodecNotInBrowsers, Effect::Error),
                (Code::ExtensionMismatch, Effect::Ignore),
            ]),
            prefixes: vec![
                below(
                    "raw/",
                    &[(Code::ExifOrientation, Effect::Ignore), (Code::MajorBrand, Effect::Warning)],
                ),
                below("raw/old/", &[(Code::ExifOrientation, Effect::Error)]),
            ],
        }
    }

    #[test]
    fn of_several_prefixes_that_fit_the_last_one_counts() {
        let of = |name, code| overrides().effect(code, name);
        assert_eq!(of("a.jpg", Code::ExifOrientation), None);
        assert_eq!(of("raw/a.jpg", Code::ExifOrientation), Some(Effect::Ignore));
        assert_eq!(of("raw/old/a.jpg", Code::ExifOrientation), Some(Effect::Error));
        assert_eq!(of("raw/old/a.mp4", Code::MajorBrand), Some(Effect::Warning));
        assert_eq!(of("raw/old/a.mp4", Code::CodecNotInBrowsers), Some(Effect::Error));
    }

    #[test]
    fn findings_are_left_out_or_weigh_more_or_less() {
        let codes = [Code::MajorBrand, Code::CodecNotInBrowsers, Code::ExtensionMismatch, Code::Unreadable];
        let mut findings: Vec<_> = codes.map(|code| Finding::new(code, "")).into();
        overrides().apply("raw/a.mp4", &mut findings);
        let left: Vec<_> = findings.iter().map(|finding| (finding.code, finding.severity)).collect();
        let expected = [
            (Code::MajorBrand, Severity::Warning),
            (Code::CodecNotInBrowsers, Severity::Error),
            (Code::Unreadable, Severity::Unknown),
        ];
        assert_eq!(left, expected);
    }

    #[test]
    fn what_says_that_nothing_is_known_stays() {
        assert_eq!(effects(&[(Code::Unreadable, Effect::Ignore)]), Effects::default());
        let read = |json| serde_json::from_str::<Overrides>(json);
        assert!(read("{\"everywhere\":{\"NET001\":\"ignore\"}}").is_err());
        assert!(read("{\"everywhere\":{\"XYZ001\":\"ignore\"}}").is_err());
        let json = serde_json::to_string(&overrides()).expect("it is JSON");
        assert_eq!(read(&json).expect("it is read"), overrides());
    }

    #[test]
    fn changes_are_said_in_a_line() {
        let text = "VID102 error, FMT002 ignored; prefix 'raw/': IMG001 ignored, VID001 warning; \
                    prefix 'raw/old/': IMG001 error";
        assert_eq!(overrides().to_string(), text);
    }
}
