//! The `[rules]` of the file.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::file_text::FileText;
use crate::model::error::Result;
use crate::model::{Overrides, PrefixEffects};
use crate::rules::{Choice, Level, Selector};

/// The rules of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Whether images and frames share one quota, whatever the profile says.
    pub shares_quota: bool,
    /// For every blob.
    pub everywhere: Choice,
    /// For the blobs whose names begin with a prefix, in the order of the file.
    pub prefixes: Vec<PrefixEffects>,
}

impl Rules {
    /// The overrides: for all blobs, those of the command line, or the file's where the command line has none.
    pub(crate) fn overrides(&self, command_line: &Choice) -> Overrides {
        let everywhere = command_line.clone().or(self.everywhere.clone()).effects();
        Overrides { everywhere, prefixes: self.prefixes.clone() }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RulesTable {
    select: Option<Vec<Spanned<String>>>,
    ignore: Option<Vec<Spanned<String>>>,
    severity: Option<BTreeMap<Spanned<String>, Level>>,
    #[serde(default)]
    prefix: Vec<PrefixTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrefixTable {
    prefix: String,
    ignore: Option<Vec<Spanned<String>>>,
    severity: Option<BTreeMap<Spanned<String>, Level>>,
}

impl RulesTable {
    /// Parses the codes and names of the rules.
    pub(super) fn resolve(self, file_text: &FileText<'_>) -> Result<Rules> {
        let Self { select, ignore, severity, prefix } = self;
        let prefixes = prefix.into_iter().map(|PrefixTable { prefix, ignore, severity }| {
            Ok(PrefixEffects { prefix, effects: choice(file_text, None, ignore, severity)?.effects() })
        });
        Ok(Rules {
            shares_quota: false,
            prefixes: prefixes.collect::<Result<_>>()?,
            everywhere: choice(file_text, select, ignore, severity)?,
        })
    }
}

fn choice(
    file_text: &FileText<'_>,
    select: Option<Vec<Spanned<String>>>,
    ignore: Option<Vec<Spanned<String>>>,
    severity: Option<BTreeMap<Spanned<String>, Level>>,
) -> Result<Choice> {
    let read = |parse: fn(&str) -> Result<Selector>, text: &Spanned<String>| {
        parse(text.get_ref()).map_err(|error| file_text.at(text, error))
    };
    let all = |parse: fn(&str) -> Result<Selector>, texts: Option<Vec<Spanned<String>>>| {
        texts.map(|texts| texts.iter().map(|text| read(parse, text)).collect()).transpose()
    };
    let severity = severity.map(|levels| {
        let levels = levels.iter();
        levels.map(|(text, level)| Ok((read(Selector::parse_changeable, text)?, *level))).collect()
    });
    Ok(Choice {
        select: all(Selector::parse, select)?,
        ignore: all(Selector::parse_changeable, ignore)?,
        severity: severity.transpose()?,
    })
}
