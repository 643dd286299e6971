//! The rules that a user selects, and their severity: `--select`, `--ignore`, `--severity` and their keys in
//! `presync.toml`.

use serde::Deserialize;

use crate::model::error::{Cause, Error, Result};
use crate::model::{Code, Effect, Effects};

/// The lowest Jaro–Winkler similarity, from 0 to 1, at which a code is suggested for a misspelled one.
const ALIKE: f64 = 0.8;

/// Selects one or more rules by code, name or code prefix: `VID102`, `pixel-format`, `VID1`, `VID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    codes: Vec<Code>,
    /// The length of the code or prefix. If several selectors match a code, the longest one wins.
    weight: usize,
}

impl Selector {
    /// Parses a selector, ignoring case.
    ///
    /// # Errors
    /// Returns an error if there is no such rule.
    pub fn parse(text: &str) -> Result<Self> {
        let wanted = text.trim();
        let upper = wanted.to_ascii_uppercase();
        if let Some(code) = Code::ALL.iter().find(|code| code.name().eq_ignore_ascii_case(wanted)) {
            return Ok(Self { codes: vec![*code], weight: code.as_str().len() });
        }
        let begins = |code: &Code| !upper.is_empty() && code.as_str().starts_with(&upper);
        let codes: Vec<_> = Code::ALL.iter().copied().filter(begins).collect();
        match codes.is_empty() {
            true => Err(Error::new(format!("there is no rule '{}'", wanted.escape_debug()))
                .because(Cause::Usage)
                .with_hint(alternative(&upper))),
            false => Ok(Self { codes, weight: upper.len() }),
        }
    }

    /// Whether it selects only this rule.
    pub(crate) fn names(&self, code: Code) -> bool {
        self.codes == [code]
    }

    /// Parses a selector of rules to ignore or to give another severity.
    ///
    /// # Errors
    /// Returns an error if there is no such rule, or none of them [can be changed](Code::is_changeable).
    pub(crate) fn parse_changeable(text: &str) -> Result<Self> {
        let selector = Self::parse(text)?;
        match selector.codes.iter().any(|code| code.is_changeable()) {
            true => Ok(selector),
            false => {
                let text = text.trim().escape_debug().to_string();
                Err(Error::new(format!("'{text}' can neither be ignored nor be given another severity"))
                    .with_hint("its findings mean that an asset was not judged or exceeds the quota"))
            }
        }
    }

    /// Whether the selector selects a code.
    pub(crate) fn selects(&self, code: Code) -> bool {
        self.codes.contains(&code)
    }

    fn weight_for(&self, code: Code) -> Option<usize> {
        self.codes.contains(&code).then_some(self.weight)
    }
}

/// The code or name that is most like this one, if one is: `VID002` for `VID2` and `pixel-format` for `pix-format`.
pub(crate) fn nearest(wanted: &str) -> Option<&'static str> {
    let wanted = wanted.trim().to_ascii_uppercase();
    // Zeros are left out most often.
    let digits = wanted.find(|letter: char| letter.is_ascii_digit()).unwrap_or(wanted.len());
    let number = wanted[digits..].parse::<u32>().ok();
    let whole = number.map(|number| format!("{}{number:03}", &wanted[..digits]));
    if let Some(code) = Code::ALL.iter().find(|code| whole.as_deref() == Some(code.as_str())) {
        return Some(code.as_str());
    }
    let alike = Code::ALL.iter().flat_map(|code| [code.as_str(), code.name()]);
    let alike = alike.map(|known| (strsim::jaro_winkler(&known.to_ascii_uppercase(), &wanted), known));
    alike.filter(|(alike, _)| *alike >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}

/// The hint for an unknown rule.
fn alternative(wanted: &str) -> String {
    match nearest(wanted) {
        Some(known) => format!("did you mean {known}? presync rule lists them all"),
        None => "presync rule lists them all".to_owned(),
    }
}

/// The severity that a rule can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Findings are warnings.
    Warning,
    /// Findings reject assets.
    Error,
}

impl From<Level> for Effect {
    fn from(level: Level) -> Self {
        match level {
            Level::Warning => Self::Warning,
            Level::Error => Self::Error,
        }
    }
}

/// The choices from one place, the command line or a file. `None` if it does not set the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The only rules that apply.
    pub select: Option<Vec<Selector>>,
    /// Rules that do not apply.
    pub ignore: Option<Vec<Selector>>,
    /// Rules whose findings have another severity than the default.
    pub severity: Option<Vec<(Selector, Level)>>,
}

impl Choice {
    /// Fills in the values that are not set from another choice.
    pub fn or(self, other: Self) -> Self {
        Self {
            select: self.select.or(other.select),
            ignore: self.ignore.or(other.ignore),
            severity: self.severity.or(other.severity),
        }
    }

    /// The resulting effects of the rules. If several selectors match a rule, the longest one wins; at the same length,
    /// ignoring wins over selecting, and a later severity over an earlier one.
    pub fn effects(&self) -> Effects {
        let mut effects = Effects::default();
        for code in Code::ALL.iter().copied() {
            let severities = self.severity.iter().flatten();
            let of_code =
                severities.filter_map(|(selector, level)| Some((selector.weight_for(code)?, *level)));
            if let Some((_, level)) = of_code.max_by_key(|(weight, _)| *weight) {
                effects.set(code, level.into());
            }
            let selected = match &self.select {
                None => Some(0),
                Some(select) => heaviest(select, code),
            };
            let ignored = heaviest(self.ignore.as_deref().unwrap_or_default(), code);
            if selected.is_none() || ignored >= selected {
                effects.set(code, Effect::Ignore);
            }
        }
        effects
    }
}

fn heaviest(selectors: &[Selector], code: Code) -> Option<usize> {
    selectors.iter().filter_map(|selector| selector.weight_for(code)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(select: &[&str], ignore: &[&str], severity: &[(&str, Level)]) -> String {
        let selectors = |texts: &[&str]| {
            let selectors = texts.iter().map(|text| Selector::parse(text).expect("a rule")).collect();
            (!texts.is_empty()).then_some(selectors)
        };
        let severity = severity.iter().map(|(text, level)| (Selector::parse(text).expect("a rule"), *level));
        let severity = Some(severity.collect());
        Choice { select: selectors(select), ignore: selectors(ignore), severity }.effects().to_string()
    }

    #[test]
    fn the_longer_selector_counts() {
        assert_eq!(choice(&[], &[], &[]), "");
        assert_eq!(
            choice(&[], &["VID1", "exif-orientation"], &[]),
            "IMG001 ignored, VID101 ignored, VID102 ignored, VID103 ignored, VID104 ignored, VID105 ignored"
        );
        assert_eq!(
            choice(&[], &["fmt"], &[]),
            "FMT001 ignored, FMT002 ignored, FMT003 ignored, FMT005 ignored, FMT006 ignored, FMT007 ignored",
            "not FMT004"
        );
        assert_eq!(
            choice(&["VID", "IMG", "FMT", "NAM", "BLB"], &["VID1", "vid10"], &[]),
            "VID101 ignored, VID102 ignored, VID103 ignored, VID104 ignored, VID105 ignored"
        );
        assert_eq!(
            choice(&["VID", "IMG", "FMT", "NAM", "BLB", "VID101"], &["VID1"], &[]),
            "VID102 ignored, VID103 ignored, VID104 ignored, VID105 ignored"
        );
        let only_images = choice(&["IMG"], &[], &[]);
        assert!(
            !only_images.contains("IMG") && only_images.contains("VID001") && !only_images.contains("NET")
        );
        let severity = [("VID", Level::Warning), ("VID102", Level::Error), ("VID1", Level::Warning)];
        assert_eq!(
            choice(&[], &["VID00"], &severity),
            "VID001 ignored, VID002 ignored, VID003 ignored, VID004 ignored, VID005 ignored, VID006 ignored, \
             VID007 ignored, VID101 warning, VID102 error, \
             VID103 warning, VID104 warning, VID105 warning"
        );
    }

    #[test]
    fn a_selector_that_means_nothing_is_an_error() {
        for (text, hint) in [
            ("VID109", "did you mean VID10"),
            ("IMG01", "did you mean IMG001?"),
            ("exif-orientaton", "did you mean exif-orientation?"),
            ("", "presync rule lists"),
            ("*", "presync rule lists"),
        ] {
            let error = Selector::parse(text).expect_err(text);
            assert!(error.hint().is_some_and(|found| found.starts_with(hint)), "{text}: {error:?}");
        }
        for text in ["NET", "NET001", "BLB002", "undetermined", "QTA", "QTA001"] {
            assert!(Selector::parse(text).is_ok(), "{text} can be selected");
            assert!(Selector::parse_changeable(text).is_err(), "{text}");
        }
    }
}
