//! `presync fix --script`: a script that does the same, for people to review before they run it.
//!
//! The script has the commands of each way to fix a file once, as a function, and then a line for each asset. Names are
//! only ever arguments: each is quoted for the shell, and no program gets one.

use std::io::{self, Write};

use futures::{StreamExt, TryStreamExt, stream};

use super::container::ContainerPlace;
use super::place::{check_outside, relative};
use super::space::Space;
use super::survey::{Choose, choose};
use super::work::{Chosen, Fixer, extension};
use super::{FixArgs, Judged};
use crate::model::error::{Error, Result};
use crate::model::{BlobName, Code, Effect, Overrides};
use crate::report::{output, shown};
use crate::rules::fix::Fix;
use crate::source::any::AnySource;
use crate::source::azure::commands::Shell;
use crate::source::azure::{AzureSource, FIXED_FROM};

mod recipes;

/// Bytes of a brand.
const BRAND: usize = 4;
/// How many blobs are looked at at a time.
const AT_ONCE: usize = 16;

/// What every script begins with, and what it needs for a folder or for a container.
const TEMPLATES: [[&str; 3]; 2] = [
    [
        include_str!("script/bash.sh"),
        include_str!("script/bash-folder.sh"),
        include_str!("script/bash-container.sh"),
    ],
    [
        include_str!("script/powershell.ps1"),
        include_str!("script/powershell-folder.ps1"),
        include_str!("script/powershell-container.ps1"),
    ],
];

/// Where the fixed assets go.
enum Goes<'a> {
    /// Into this folder, or in place of the files of the source.
    Folder(Option<&'a str>),
    /// Into a container.
    Container(Box<ContainerPlace>),
}

/// Writes the script. Reads the properties of each blob to fix, which the script keeps.
///
/// # Errors
/// Returns an error if it is not said where the fixed assets go, or if the source cannot be read.
pub(super) async fn write(
    args: &FixArgs,
    shell: Shell,
    judged: &Judged,
    elsewhere: Option<super::Elsewhere>,
    out: &mut impl Write,
) -> Result<()> {
    let utf8 = |path: &std::path::Path| {
        let path = std::path::absolute(path).ok();
        let path = path.as_ref().and_then(|path| path.to_str()).map(str::to_owned);
        path.ok_or_else(|| Error::new("a script cannot name a folder that isn't UTF-8"))
    };
    if let AnySource::Folder(folder) = &judged.source {
        for (option, place) in [("--out", &args.out), ("--backup", &args.backup)] {
            place.iter().try_for_each(|place| check_outside(place, folder.root(), option))?;
        }
    }
    let folder = args.out.as_deref().map(utf8).transpose()?;
    let goes = match (&judged.source, &folder, elsewhere) {
        (AnySource::Folder(_), _, Some(_)) => {
            return Err(Error::new("a script cannot upload the files of a folder").with_hint(
                "use --apply, which does; or write the script with --out DIR, and upload that folder with azcopy",
            ));
        }
        (_, Some(folder), None) => Goes::Folder(Some(folder)),
        (AnySource::Folder(_), None, None) if args.in_place || args.backup.is_some() => Goes::Folder(None),
        (AnySource::Folder(_), None, None) => {
            return Err(Error::new("--script needs to know where the fixed files go").with_hint(
                "add --out DIR for copies, or --in-place to replace the files and keep each as NAME.orig",
            ));
        }
        (AnySource::Container(source), None, elsewhere) => {
            let (container, to) = match elsewhere {
                Some(elsewhere) => (elsewhere.container, Some(elsewhere.names)),
                None => (source.clone(), None),
            };
            let source = Some(source.clone());
            Goes::Container(Box::new(ContainerPlace { container, source, to, backup: None }))
        }
        (AnySource::Container(_), Some(_), Some(_)) => {
            return Err(Error::new("--out and --to are two places"));
        }
    };
    let backup = args.backup.as_deref().map(utf8).transpose()?;
    let failed = |error| output(&error);
    let mut script = Script { shell, recipes: Vec::new(), rules: Vec::new() };
    script.head(judged, &goes, backup.as_deref(), out).map_err(failed)?;
    let profile = &judged.header.profile;
    let fixer = Fixer {
        source: judged.source.clone(),
        profile: (**profile).clone(),
        edges: args.edges(),
        work: std::path::PathBuf::new(),
        space: Space::of(std::path::Path::new(""), ""),
        place: None,
    };
    let chosen = judged.assets()?.filter_map(|asset| match asset {
        Ok(asset) => match choose(args, judged.rejudged(asset), profile) {
            Choose::Fix(chosen) => Some(Ok(chosen)),
            _ => None,
        },
        Err(error) => Some(Err(error)),
    });
    let (goes, fixer) = (&goes, &fixer);
    let looked = stream::iter(chosen).map(async |chosen| {
        let chosen = chosen?;
        let seen = match goes {
            Goes::Folder(_) => Ok(Seen::default()),
            Goes::Container(place) => Seen::of(fixer, place, &chosen).await?,
        };
        Ok::<_, Error>((chosen, seen))
    });
    let mut looked = std::pin::pin!(looked.buffered(AT_ONCE));
    while let Some((chosen, seen)) = looked.try_next().await? {
        script.asset(judged, goes, &chosen, seen, out).map_err(failed)?;
    }
    script.foot(out).and_then(|()| out.flush()).map_err(failed)
}

/// What the script needs to know of a blob.
#[derive(Default)]
struct Seen {
    /// The headers that set what is kept.
    headers: Vec<(String, String)>,
    /// Bytes in front of the brand; `None` if the blob has to be moved.
    kept: Option<usize>,
}

impl Seen {
    /// Reads the properties; returns a reason if the blob cannot be written.
    async fn of(
        fixer: &Fixer,
        place: &ContainerPlace,
        chosen: &Chosen,
    ) -> Result<std::result::Result<Self, String>> {
        let name = place.name(chosen.name());
        let (properties, head) = match fixer.look(place, chosen, &name).await? {
            Ok(looked) => looked,
            Err(why) => return Ok(Err(why)),
        };
        let mut headers = Vec::new();
        // The script sets it itself for a blob with a new name.
        let is_kept = |name: &str| name != FIXED_FROM;
        for (name, value) in properties.headers().filter(|(name, _)| is_kept(name)) {
            match std::str::from_utf8(value) {
                Ok(value) => headers.push((name.to_owned(), value.to_owned())),
                Err(_) => return Ok(Err(format!("its property {name} isn't UTF-8"))),
            }
        }
        if properties.is_keyed {
            return Ok(Err("it is encrypted with a key of the client".to_owned()));
        }
        let kept = head.map(|head| head.len().saturating_sub(BRAND));
        Ok(Ok(Self { headers, kept }))
    }
}

struct Script {
    shell: Shell,
    /// The ways to fix a file so far.
    recipes: Vec<Fix>,
    /// The options by which the last asset is judged.
    rules: Vec<String>,
}

impl Script {
    fn head(
        &self,
        judged: &Judged,
        goes: &Goes<'_>,
        backup: Option<&str>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let bash = self.shell == Shell::Bash;
        if bash {
            writeln!(out, "#!/usr/bin/env bash")?;
        }
        let version = env!("CARGO_PKG_VERSION");
        let source = &judged.header.origin.location;
        writeln!(out, "# presync fix {version} wrote this for {}.", shown(source).escape_default())?;
        writeln!(
            out,
            "# Review it, then run it. It does what presync fix --apply does with the same options, one asset"
        )?;
        writeln!(
            out,
            "# after another, but does not compare frame counts and dimensions. It can be run again."
        )?;
        let [all, folder, container] = TEMPLATES[usize::from(!bash)];
        writeln!(out, "{all}{}", if judged.is_container() { container } else { folder })?;
        let profile = &judged.header.profile_from;
        self.set(out, if bash { "profile" } else { "profileName" }, profile)?;
        self.judge_by(out)?;
        self.set(out, "backup", backup.unwrap_or_default())?;
        if let AnySource::Folder(folder) = &judged.source {
            let root = std::path::absolute(folder.root())?;
            self.set(out, "source", root.to_str().ok_or(io::ErrorKind::InvalidFilename)?)?;
        }
        let in_place = match goes {
            Goes::Folder(None) => "yes",
            Goes::Folder(Some(_)) | Goes::Container(_) => "",
        };
        self.set(out, if bash { "in_place" } else { "inPlace" }, in_place)?;
        let work = match (goes, bash) {
            (Goes::Folder(target), _) => {
                match target {
                    Some(target) => self.set(out, "target", target)?,
                    None => writeln!(out, "{}", if bash { "target=$source" } else { "$target = $source" })?,
                }
                if bash { "\"$target\"" } else { "$target" }
            }
            (Goes::Container(_), true) if backup.is_some() => "\"$backup\"",
            (Goes::Container(_), true) => "\"${TMPDIR:-/tmp}\"",
            (Goes::Container(_), false) if backup.is_some() => "$backup",
            (Goes::Container(_), false) => "([IO.Path]::GetTempPath())",
        };
        if let (Goes::Container(place), None) = (goes, backup)
            && place.to.is_none()
        {
            // The same condition as for --apply, which only a person can check here.
            let why = "blobs are replaced: turn on soft delete or versioning for the account, then set PRESYNC_PROTECTED=yes";
            match bash {
                true => writeln!(
                    out,
                    "[ \"${{PRESYNC_PROTECTED:-}}\" = yes ] || {{ echo '{why}' >&2; exit 2; }}"
                )?,
                false => writeln!(out, "if ($env:PRESYNC_PROTECTED -ne 'yes') {{ throw '{why}' }}")?,
            }
        }
        match bash {
            true => writeln!(out, "mkdir -p -- {work}\nwork_in {work}"),
            false => writeln!(
                out,
                "[IO.Directory]::CreateDirectory({work}) | Out-Null\n$work = New-Work {work}\ntry {{"
            ),
        }
    }

    /// The line for an asset, and before it the function that fixes it, if there is none yet.
    fn asset(
        &mut self,
        judged: &Judged,
        goes: &Goes<'_>,
        chosen: &Chosen,
        seen: std::result::Result<Seen, String>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let blob = &chosen.asset.blob;
        let name = match goes {
            Goes::Folder(_) => chosen.name(),
            Goes::Container(place) => place.name(chosen.name()),
        };
        let into_folder = matches!(goes, Goes::Folder(_));
        let seen = match seen {
            _ if into_folder && relative(name.as_str()).is_none() => {
                Err("its name cannot be the name of a file in a folder".to_owned())
            }
            Ok(_) if name.as_str().contains('\0') => Err("its name has a NUL".to_owned()),
            // .NET takes `a/../b` for `b`, also where the dots are escaped.
            Ok(_)
                if self.shell == Shell::PowerShell
                    && judged.is_container()
                    && [&blob.name, &name].iter().any(|name| has_dots(name.as_str())) =>
            {
                Err("PowerShell cannot request a name with '.' or '..' between slashes: use bash".to_owned())
            }
            // They mean something else in Windows, where the script may run.
            Ok(_)
                if self.shell == Shell::PowerShell
                    && judged.is_container()
                    && into_folder
                    && name.as_str().contains(['\\', ':']) =>
            {
                Err("its name cannot be the name of a file in Windows".to_owned())
            }
            seen => seen,
        };
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => {
                let name = blob.name.as_str().escape_default().to_string();
                return writeln!(out, "# left out: {name}: {}", why.escape_default());
            }
        };
        let rules = options(&judged.header.profile.overrides, blob.name.as_str());
        if rules != self.rules {
            self.rules = rules;
            self.judge_by(out)?;
        }
        let recipe = match self.recipes.iter().position(|known| *known == chosen.fix) {
            Some(known) => known + 1,
            None => {
                self.recipes.push(chosen.fix.clone());
                recipes::function(self.shell, self.recipes.len(), &chosen.fix, out)?;
                self.recipes.len()
            }
        };
        let recipe = match self.shell {
            Shell::Bash => format!("fix_{recipe}"),
            Shell::PowerShell => format!("$fix{recipe}"),
        };
        let old = extension(&blob.name);
        let new = match &chosen.fix {
            Fix::Run(recipe) => recipe.extension.unwrap_or(old),
            Fix::Brand(_) | Fix::Rename => extension(&name),
        };
        let quote = |word: &str| self.shell.word(word);
        let etag = blob.etag.as_ref().map(|etag| format!("\"{}\"", etag.as_str())).unwrap_or_default();
        let url = |container: &AzureSource, name: &BlobName| quote(&container.public_url(name));
        let words = match (goes, &judged.source) {
            (Goes::Folder(_), AnySource::Folder(_)) => {
                let later = blob.last_modified.map(|time| time.as_second().saturating_add(1));
                let later =
                    later.and_then(|time| jiff::Timestamp::from_second(time).ok()).unwrap_or_default();
                let later = later.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
                let size = blob.size.to_string();
                let function = if self.shell == Shell::Bash { "in_folder" } else { "In-Folder" };
                let names = [blob.name.as_str(), name.as_str(), &size, &later, old, new].map(quote);
                vec![function.to_owned(), recipe, names.join(" ")]
            }
            (Goes::Folder(_), AnySource::Container(container)) => {
                let function = if self.shell == Shell::Bash { "to_folder" } else { "To-Folder" };
                let names = [blob.name.as_str(), name.as_str(), &etag, old, new].map(quote);
                vec![function.to_owned(), recipe, url(container, &blob.name), names.join(" ")]
            }
            (Goes::Container(place), _) => {
                let source = place.source.as_ref().unwrap_or(&place.container);
                let urls = [url(source, &blob.name), url(&place.container, &name)].join(" ");
                let properties = self.properties(&seen.headers);
                match seen.kept {
                    None => {
                        let function =
                            if self.shell == Shell::Bash { "in_container" } else { "In-Container" };
                        let names = [&*etag, blob.name.as_str(), old, new].map(quote).join(" ");
                        vec![function.to_owned(), recipe, urls, names, properties]
                    }
                    Some(at) => {
                        let function =
                            if self.shell == Shell::Bash { "on_the_service" } else { "On-TheService" };
                        let brand = match chosen.fix {
                            Fix::Brand(brand) => brand.to_string(),
                            Fix::Run(_) | Fix::Rename => String::new(),
                        };
                        let (size, at) = (blob.size.to_string(), at.to_string());
                        let names = [&*etag, blob.name.as_str(), &size, &at, &brand].map(quote).join(" ");
                        vec![function.to_owned(), urls, names, properties]
                    }
                }
            }
        };
        writeln!(out, "{}", words.join(" ").trim_end())
    }

    fn properties(&self, headers: &[(String, String)]) -> String {
        match self.shell {
            Shell::Bash => {
                let option = |(name, value): &(String, String)| {
                    // curl leaves out a header that ends in a colon.
                    let header =
                        if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
                    format!("--header {}", self.shell.word(&header))
                };
                headers.iter().map(option).collect::<Vec<_>>().join(" ")
            }
            Shell::PowerShell => {
                let pair = |(name, value): &(String, String)| {
                    format!("{} = {}", quoted_key(name), self.shell.word(value))
                };
                format!("@{{ {} }}", headers.iter().map(pair).collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// Sets the options by which the next assets are judged.
    fn judge_by(&self, out: &mut impl Write) -> io::Result<()> {
        let words: Vec<_> = self.rules.iter().map(|word| self.shell.word(word)).collect();
        match self.shell {
            Shell::Bash => writeln!(out, "rules=({})", words.join(" ")),
            Shell::PowerShell => writeln!(out, "$rules = @({})", words.join(", ")),
        }
    }

    fn foot(&self, out: &mut impl Write) -> io::Result<()> {
        match self.shell {
            Shell::Bash => writeln!(out, "\nexit \"$failed\""),
            Shell::PowerShell => {
                writeln!(out, "}} finally {{ Remove-Item -LiteralPath $work -Recurse -Force }}\nexit $failed")
            }
        }
    }

    fn set(&self, out: &mut impl Write, name: &str, value: &str) -> io::Result<()> {
        let value = self.shell.word(value);
        match self.shell {
            Shell::Bash => writeln!(out, "{name}={value}"),
            Shell::PowerShell => writeln!(out, "${name} = {value}"),
        }
    }
}

/// The options that make presync judge a file by the rules for this name.
fn options(overrides: &Overrides, name: &str) -> Vec<String> {
    let of = |wanted: Effect| {
        let codes = Code::ALL.iter().filter(move |code| overrides.effect(**code, name) == Some(wanted));
        codes.map(|code| code.as_str())
    };
    let ignored: Vec<_> = of(Effect::Ignore).collect();
    let warnings = of(Effect::Warning).map(|code| format!("{code}=warning"));
    let severities: Vec<_> = warnings.chain(of(Effect::Error).map(|code| format!("{code}=error"))).collect();
    let lists = [("--ignore", ignored.join(",")), ("--severity", severities.join(","))];
    let given = lists.into_iter().filter(|(_, list)| !list.is_empty());
    given.flat_map(|(option, list)| [option.to_owned(), list]).collect()
}

/// Whether a part of a name is `.` or `..`.
fn has_dots(name: &str) -> bool {
    name.split('/').any(|part| matches!(part, "." | ".."))
}

/// A header's name as a key of a hashtable: it has only letters, digits, '-' and '_'.
fn quoted_key(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_one_ascii_argument() {
        for word in ["a b", "$(x) `y` \"z\" 'q' !", "-rf", "\n#x", "é\u{2019}😀", "", "a;b|c&d", "\\u0027"]
        {
            let bash = Shell::Bash.word(word);
            assert_eq!(shlex::split(&bash), Some(vec![word.to_owned()]), "{bash}");
            let powershell = Shell::PowerShell.word(word);
            assert!(powershell.is_ascii() && !powershell.contains(char::is_control), "{powershell}");
        }
    }
}
