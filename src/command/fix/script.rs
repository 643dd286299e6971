//! `presync fix --script`: a script that does the same, for people to review before they run it.
//!
//! The script has the commands of each way to fix a file once, as a function, and then a line for each asset. Names are
//! only ever arguments: each is quoted for the shell, and no program gets one.

use std::io::{self, Write};

use futures::{StreamExt, TryStreamExt, stream};

use super::container::ContainerPlace;
use super::place::relative;
use super::survey::{Choose, choose};
use super::work::{Chosen, Fixer, extension};
use super::{FixArgs, Judged};
use crate::model::error::{Error, Result};
use crate::model::{BlobName, FourCc};
use crate::report::{output, shown};
use crate::rules::fix::{Command, Fix, Recipe, Word};
use crate::source::any::AnySource;
use crate::source::azure::AzureSource;
use crate::source::azure::commands::Shell;

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
    let folder = args.out.as_deref().map(utf8).transpose()?;
    let goes = match (&judged.source, &folder, elsewhere) {
        (AnySource::Folder(_), _, Some(_)) => {
            return Err(Error::new("--script cannot upload a folder").with_hint("use --apply, or --out DIR"));
        }
        (_, Some(folder), None) => Goes::Folder(Some(folder)),
        (AnySource::Folder(_), None, None) if args.in_place => Goes::Folder(None),
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
    let mut script = Script { shell, recipes: Vec::new() };
    script.head(judged, &goes, backup.as_deref(), out).map_err(failed)?;
    let profile = &judged.header.profile;
    let fixer = Fixer {
        source: judged.source.clone(),
        profile: (**profile).clone(),
        edges: args.edges(),
        work: std::path::PathBuf::new(),
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
        for (name, value) in properties.headers() {
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
            seen => seen,
        };
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => {
                let name = blob.name.as_str().escape_default().to_string();
                return writeln!(out, "# left out: {name}: {}", why.escape_default());
            }
        };
        let recipe = match self.recipes.iter().position(|known| *known == chosen.fix) {
            Some(known) => known + 1,
            None => {
                self.recipes.push(chosen.fix.clone());
                self.recipe(self.recipes.len(), &chosen.fix, out)?;
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
            Fix::Brand(_) | Fix::Rename => old,
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

    /// A function that fixes a file.
    fn recipe(&self, number: usize, fix: &Fix, out: &mut impl Write) -> io::Result<()> {
        match (self.shell, fix) {
            (Shell::Bash, Fix::Run(recipe)) => {
                let line = self.steps(recipe, " && ").join(" &&\n    ");
                writeln!(out, "\nfix_{number}() {{\n  {line}\n}}")
            }
            (Shell::Bash, Fix::Rename) => writeln!(out, "\nfix_{number}() {{\n  cp -- \"$1\" \"$2\"\n}}"),
            (Shell::Bash, Fix::Brand(brand)) => {
                let brand = self.shell.word(&brand.to_string());
                let at = "printf '%s' \"$3\" | dd of=\"$2\" bs=1 seek=8 conv=notrunc 2>/dev/null";
                writeln!(
                    out,
                    "\nfix_{number}() {{\n  set -- \"$1\" \"$2\" {brand}\n  \
                     [ \"$(dd if=\"$1\" bs=1 skip=4 count=4 2>/dev/null)\" = ftyp ] &&\n    cp -- \"$1\" \"$2\" &&\n    {at}\n}}"
                )
            }
            (Shell::PowerShell, Fix::Run(recipe)) => {
                let lines = self.steps(recipe, "; ");
                writeln!(out, "\n$fix{number} = {{ param($In, $Out)\n  {}\n}}", lines.join("\n  "))
            }
            (Shell::PowerShell, Fix::Rename) => {
                writeln!(out, "\n$fix{number} = {{ param($In, $Out) [IO.File]::Copy($In, $Out) }}")
            }
            (Shell::PowerShell, Fix::Brand(FourCc(brand))) => {
                let bytes = brand.map(|byte| byte.to_string()).join(", ");
                writeln!(
                    out,
                    "\n$fix{number} = {{ param($In, $Out)\n  [IO.File]::Copy($In, $Out)\n  \
                     $file = [IO.File]::Open($Out, 'Open', 'ReadWrite')\n  try {{\n    $head = [byte[]]::new(8)\n    \
                     if ($file.Read($head, 0, 8) -ne 8 -or [Text.Encoding]::ASCII.GetString($head, 4, 4) -cne 'ftyp') {{ \
                     throw 'its ftyp box is not at its beginning' }}\n    $file.Write([byte[]] @({bytes}), 0, 4)\n  }} \
                     finally {{ $file.Dispose() }}\n}}"
                )
            }
        }
    }

    /// The steps of a recipe as commands; `and` joins those that are run together.
    fn steps(&self, recipe: &Recipe, and: &str) -> Vec<String> {
        let steps = recipe.steps.iter().map(|step| {
            let first = self.command(&step.command, step.or_else.is_empty());
            let others: Vec<_> = step.or_else.iter().map(|command| self.command(command, true)).collect();
            match (self.shell, others.is_empty()) {
                (_, true) => first,
                (Shell::Bash, false) => format!("{{ {first} || {{ {}; }}; }}", others.join(and)),
                (Shell::PowerShell, false) => format!("if (-not ({first})) {{ {} }}", others.join(and)),
            }
        });
        steps.collect()
    }

    /// A command; in PowerShell, one that `must` succeed or whose success is asked for.
    fn command(&self, Command(words): &Command, must: bool) -> String {
        let bash = self.shell == Shell::Bash;
        let word = |word: &Word| match word {
            Word::In => if bash { "\"$1\"" } else { "$In" }.to_owned(),
            Word::Out => if bash { "\"$2\"" } else { "$Out" }.to_owned(),
            Word::Text(text) => self.shell.word(text),
        };
        let program = match words.first() {
            Some(Word::Text(program)) => program.as_str(),
            _ => "",
        };
        let mut arguments: Vec<_> = words.iter().skip(1).map(word).collect();
        match (program, bash) {
            // A playlist must not make it open other files or hosts.
            ("ffmpeg", _) => {
                let safe = ["-nostdin", "-v", "error", "-y", "-protocol_whitelist", "file"];
                arguments.splice(0..0, safe.map(|option| self.shell.word(option)));
            }
            ("cp", true) => arguments.insert(0, "--".to_owned()),
            ("cp", false) => return format!("[IO.File]::Copy({}, $true)", arguments.join(", ")),
            _ => {}
        }
        match bash {
            true => format!("{program} {}", arguments.join(" ")),
            false => {
                let run = if must { "Run" } else { "Try-Run" };
                format!("{run} {program} @({})", arguments.join(", "))
            }
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
