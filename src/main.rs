//! The `presync` command: parse, run, exit.

use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Parser;
use presync::command::{Cli, Exit};
use presync::error::Error;
use presync::parquet_file;

/// What one thread allocates for a blob another one frees, millions of times over.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    quiet_caught_panics();
    Cli::parse().run().unwrap_or_else(|error| fail(&error)).into()
}

/// What panics on a thread that probes or decodes a plan is caught there and becomes a verdict or an error, so the
/// default message would only confuse.
fn quiet_caught_panics() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let probes = std::thread::current().name().is_some_and(|name| name.starts_with("probe-"));
        if !probes && !parquet_file::is_decoding() {
            default(panic);
        }
    }));
}

/// Says what went wrong and the way out.
fn fail(error: &Error) -> Exit {
    const ERROR: Style = AnsiColor::Red.on_default().bold();
    const HELP: Style = AnsiColor::Cyan.on_default().bold();
    if !error.is_closed_output() {
        let mut stderr = anstream::stderr();
        // There is nowhere else to say it.
        let _ = writeln!(stderr, "{ERROR}error:{ERROR:#} {error}");
        if let Some(way_out) = error.way_out() {
            let _ = writeln!(stderr, "{HELP}help:{HELP:#} {way_out}");
        }
    }
    Exit::Failed
}
