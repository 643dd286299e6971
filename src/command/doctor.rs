//! `presync doctor`: a connection tested end to end.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use futures::StreamExt;

use super::args::{AzureArgs, ColorArgs};
use super::exit::Exit;
use super::output::{stdout, syntax};
use super::say;
use super::target::{Resolved, Target};
use super::values::{duration, one_line, origin, profile};
use crate::model::error::{Error, Result, reason};
use crate::model::{Access, Blob, ByteRange, Check, Origin, Outcome, ReadError, Reads};
use crate::report::{self, TextOrJson};
use crate::source::Reader;
use crate::source::azure::commands::Account;
use crate::source::azure::{self, AuthMode, AzureSource};
use crate::source::local::{LocalSource, WORK};
use crate::source::location::{ContainerUrl, Environment, Location};

const EXIT_CODES: &str = "\
Exit codes:
  0  no step failed
  2  a step failed";

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct DoctorArgs {
    /// A folder, https://ACCOUNT.blob.core.windows.net/CONTAINER[/PREFIX][?SAS], az://CONTAINER[/PREFIX],
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net[/PREFIX], or @NAME[/PREFIX] for a connection in presync.toml
    #[arg(value_name = "SOURCE")]
    source: OsString,

    /// Retry while a new role assignment has not propagated yet, for up to 5m or a duration such as 90s
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5m", value_parser = duration)]
    wait: Option<Duration>,

    /// Also test what presync fix --apply needs: write a small blob with a name of its own, read it and delete it
    #[arg(long)]
    write: bool,

    /// Origin whose pages must be allowed to read videos (CORS); can be repeated [default: the profile's, which is an
    /// assumption about the platform]
    #[arg(long = "origin", value_name = "URL", value_parser = origin)]
    origins: Vec<String>,

    /// The platform: nexus, vi, or a TOML file [default: the connection's, else nexus]
    #[arg(long, value_name = "NAME|FILE", value_parser = profile(), hide_possible_values = true)]
    profile: Option<String>,

    /// ID of the platform's application: also test what it may do, as Azure Resource Manager knows it
    #[arg(long, value_name = "ID", value_parser = one_line)]
    app_id: Option<String>,

    /// Subscription of the storage account, for --app-id [default: looked up]
    #[arg(long, value_name = "ID", value_parser = one_line)]
    subscription: Option<String>,

    /// Resource group of the storage account, for --app-id [default: looked up]
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    resource_group: Option<String>,

    /// Format of the report
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: TextOrJson,

    #[command(flatten)]
    color: ColorArgs,

    #[command(flatten, next_help_heading = "Azure")]
    azure: AzureArgs,
}

/// The wait before the first retry; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// The longest wait between two retries.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How many bytes of a file are read.
const RANGE_BYTES: u64 = 4096;

/// The steps, in order.
const STEPS: [&str; 9] =
    ["names", "credential", "token", "list", "read", "least-privilege", "cors", "clock", "latency"];

/// Why the steps after a failed one are skipped.
const EARLIER: &str = "an earlier step failed";

/// Tests a connection and returns whether a step failed.
///
/// # Errors
/// Returns an error if the report cannot be written.
pub(super) fn run(args: &DoctorArgs) -> Result<Exit> {
    let (origin, checks) = super::runtime()?.block_on(examine(args));
    let mut out = stdout(syntax(args.format), args.color.choice());
    report::doctor(args.format, origin.as_ref(), &checks, &mut out)
        .and_then(|()| out.flush())
        .map_err(|error| report::output(&error))?;
    Ok(Exit::of_checks(&checks))
}

async fn examine(args: &DoctorArgs) -> (Option<Origin>, Vec<Check>) {
    let environment = Environment::of_process();
    let target = Target { source: &args.source, azure: &args.azure, profile: args.profile.as_deref() };
    let resolved = Resolved::source(target, &environment);
    let with_origins = |resolved: Resolved| Ok((resolved.origins(&args.origins)?, resolved));
    let (origins, Resolved { location, auth, .. }) = match resolved.and_then(with_origins) {
        Err(error) => return (None, rest_skipped(vec![failed("names", &error)], EARLIER)),
        Ok(resolved) => resolved,
    };
    let url = match location {
        Location::Folder(path) => {
            let (origin, mut checks) = folder(&path).await;
            if args.write {
                checks.push(write(&path));
            }
            return (origin, checks);
        }
        Location::Container(url) => url,
    };
    let mut checks = vec![Check::new("names", Outcome::Ok, names(&url))];
    let (origin, mut checks) = match AzureSource::new(url.clone(), auth, &environment, args.azure.options()) {
        Err(error) => {
            checks.push(failed("credential", &error));
            (None, rest_skipped(checks, EARLIER))
        }
        Ok(source) => {
            checks.extend(patiently(&source, args, &origins).await);
            (Some(source.origin()), checks)
        }
    };
    checks.extend(platform(&url, auth, &environment, args).await);
    (origin, checks)
}

/// Tests what the platform may do.
async fn platform(url: &ContainerUrl, auth: AuthMode, env: &Environment, args: &DoctorArgs) -> Vec<Check> {
    const NAME: &str = "platform";
    let Some(app_id) = &args.app_id else {
        let why = "only your own access was tested: pass the ID of the platform's application with --app-id \
                   (external buckets also need a paid plan)";
        return vec![Check::skipped(NAME, why)];
    };
    let Some(name) = url.account() else {
        return vec![Check::skipped(NAME, "the storage account is not known: add --account NAME")];
    };
    let (subscription, resource_group) = (args.subscription.as_deref(), args.resource_group.as_deref());
    azure::platform(url, auth, env, app_id, Account { name, subscription, resource_group }).await
}

/// The names in a URL.
fn names(url: &ContainerUrl) -> String {
    let account = url.account().map(|account| format!("account '{account}', ")).unwrap_or_default();
    let prefix = match url.prefix() {
        "" => String::new(),
        prefix => format!(", prefix '{prefix}'"),
    };
    format!("{account}container '{}'{prefix}", url.container())
}

/// Tests a container. With `--wait`, tests it again for as long as a role assignment has not propagated.
async fn patiently(source: &AzureSource, args: &DoctorArgs, origins: &[String]) -> Vec<Check> {
    let begun = Instant::now();
    let (longest, mut wait) = (args.wait.unwrap_or_default(), FIRST_WAIT);
    loop {
        let found = source.examine(origins, args.write).await;
        let left = longest.saturating_sub(begun.elapsed());
        if !found.propagating || left.is_zero() {
            return found.checks;
        }
        let pause = wait.min(left);
        say(&format!(
            "the role assignment has not propagated yet; retrying in {} s, for at most {} s",
            pause.as_secs_f64().ceil(),
            left.as_secs_f64().ceil()
        ));
        tokio::time::sleep(pause).await;
        wait = wait.saturating_mul(2).min(MAX_WAIT);
    }
}

/// Tests a folder, where only listing and reading can fail.
async fn folder(path: &Path) -> (Option<Origin>, Vec<Check>) {
    const NONE: &str = "not needed for a folder";
    let mut checks = vec![Check::new("names", Outcome::Ok, "a folder on this machine")];
    checks.extend(["credential", "token"].map(|name| Check::skipped(name, NONE)));
    let source = match LocalSource::open(path) {
        Ok(source) => source,
        Err(error) => {
            checks.push(failed("list", &error));
            return (None, rest_skipped(checks, EARLIER));
        }
    };
    let begun = Instant::now();
    let page = match source.list().next().await {
        Some(Err(error)) => {
            checks.push(failed("list", &error));
            return (Some(source.origin()), rest_skipped(checks, EARLIER));
        }
        Some(Ok(page)) => page,
        None => Vec::new(),
    };
    let listed = match page.len() {
        0 => Check::new("list", Outcome::Warning, "the folder is empty"),
        count => Check::new("list", Outcome::Ok, format!("{count} files on the first page")),
    };
    checks.push(listed.took(begun.elapsed()));
    let readable = page.iter().find(|blob| blob.access == Access::Online && blob.size > 0);
    checks.push(match readable {
        Some(blob) => read(&source, blob).await,
        None => Check::skipped("read", "no file on the first page has content to read"),
    });
    (Some(source.origin()), rest_skipped(checks, NONE))
}

/// Writes a file, which is deleted again.
fn write(folder: &Path) -> Check {
    let begun = Instant::now();
    let written = tempfile::Builder::new().prefix(WORK).tempfile_in(folder).and_then(|mut file| {
        file.write_all(b"presync")?;
        file.close()
    });
    let check = match written {
        Ok(()) => Check::new("write", Outcome::Ok, "a small file was written and deleted"),
        Err(error) => {
            let why = format!("no file can be written here: {}", reason(&error));
            Check::failed("write", &why, Some("presync fix --out DIR writes copies to another folder"))
        }
    };
    check.took(begun.elapsed())
}

/// Reads the beginning of a file.
async fn read(source: &LocalSource, blob: &Blob) -> Check {
    let begun = Instant::now();
    let (name, size) = (blob.name.as_str(), blob.size);
    let read =
        Reader::read(source, &mut blob.clone(), ByteRange::new(0, RANGE_BYTES), &mut Reads::default()).await;
    let check = match read {
        Ok(bytes) => Check::new("read", Outcome::Ok, format!("{} of {size} bytes of '{name}'", bytes.len())),
        Err(ReadError::Unreadable(why)) => Check::failed("read", &format!("'{name}': {why}"), None),
        Err(_) => Check::new("read", Outcome::Unknown, format!("'{name}' has changed since it was listed")),
    };
    check.took(begun.elapsed())
}

/// Adds the remaining steps as skipped.
fn rest_skipped(mut checks: Vec<Check>, why: &str) -> Vec<Check> {
    let rest = STEPS.iter().skip(checks.len());
    checks.extend(rest.map(|name| Check::skipped(name, why)));
    checks
}

fn failed(name: &'static str, error: &Error) -> Check {
    Check::failed(name, error.message(), error.hint())
}
