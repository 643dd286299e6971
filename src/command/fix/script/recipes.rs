//! The functions of a script: one for each way to fix a file.

use std::io::{self, Write};

use crate::model::FourCc;
use crate::rules::fix::{Command, Fix, Recipe, Word};
use crate::source::azure::commands::Shell;

/// A function that fixes a file.
pub(super) fn function(shell: Shell, number: usize, fix: &Fix, out: &mut impl Write) -> io::Result<()> {
    match (shell, fix) {
        (Shell::Bash, Fix::Run(recipe)) => {
            let line = steps(shell, recipe, " && ").join(" &&\n    ");
            writeln!(out, "\nfix_{number}() {{\n  {line}\n}}")
        }
        (Shell::Bash, Fix::Rename) => writeln!(out, "\nfix_{number}() {{\n  cp -- \"$1\" \"$2\"\n}}"),
        (Shell::Bash, Fix::Brand(brand)) => {
            let brand = shell.word(&brand.to_string());
            let at = "printf '%s' \"$3\" | dd of=\"$2\" bs=1 seek=8 conv=notrunc 2>/dev/null";
            writeln!(
                out,
                "\nfix_{number}() {{\n  set -- \"$1\" \"$2\" {brand}\n  \
                 [ \"$(dd if=\"$1\" bs=1 skip=4 count=4 2>/dev/null)\" = ftyp ] &&\n    cp -- \"$1\" \"$2\" &&\n    {at}\n}}"
            )
        }
        (Shell::PowerShell, Fix::Run(recipe)) => {
            let lines = steps(shell, recipe, "; ");
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
fn steps(shell: Shell, recipe: &Recipe, and: &str) -> Vec<String> {
    let steps = recipe.steps.iter().map(|step| {
        let first = command(shell, &step.command, step.or_else.is_empty());
        let others: Vec<_> = step.or_else.iter().map(|other| command(shell, other, true)).collect();
        match (shell, others.is_empty()) {
            (_, true) => first,
            (Shell::Bash, false) => format!("{{ {first} || {{ {}; }}; }}", others.join(and)),
            (Shell::PowerShell, false) => format!("if (-not ({first})) {{ {} }}", others.join(and)),
        }
    });
    steps.collect()
}

/// A command; in PowerShell, one that `must` succeed or whose success is asked for.
fn command(shell: Shell, Command(words): &Command, must: bool) -> String {
    let bash = shell == Shell::Bash;
    let word = |word: &Word| match word {
        Word::In => if bash { "\"$1\"" } else { "$In" }.to_owned(),
        Word::Out => if bash { "\"$2\"" } else { "$Out" }.to_owned(),
        Word::Text(text) => shell.word(text),
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
            arguments.splice(0..0, safe.map(|option| shell.word(option)));
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
