//! `presync bench`: how fast a container can be read from here, what limits it, and the lower bound of the cost.

use std::io::{self, Read, Write};

use super::output::Output;
use super::say;
use super::target::Resolved;
use crate::command::exit::Exit;
use crate::loopback::{Config, Content, Shape};
use crate::model::error::{Error, Result};
use crate::report;
use crate::report::figures::{self, Assumptions, Benchmark, Floor, Measured};
use crate::source::location::{Environment, Location};

mod args;
mod child;
mod job;
mod machine;

pub(super) use args::BenchArgs;
use child::{Server, measure};
use job::{Found, Job, What};

/// The container of the loopback server.
const CONTAINER: &str = "media";
/// Connections of the bare client if no number is recommended.
const CONNECTIONS: usize = 64;
/// How many times a run and its floor are measured in turn. The pair with the median ratio counts, because the speed of
/// a machine drifts.
const PAIRS: usize = 3;
/// The bearer token that the loopback server accepts, in place of one from Entra ID, if it uses TLS.
const TOKEN: &str = "bench";

/// Measures and reports.
///
/// # Errors
/// Returns an error if the source cannot be read or a measurement fails.
pub(super) fn run(args: &BenchArgs) -> Result<Exit> {
    let output = Output::open(args.output.as_deref(), args.format, args.color.choice())?;
    let server = match args.source {
        None => Some(start_server(args)?),
        Some(_) => None,
    };
    let (what, shown, kind) = subject(args, server.as_ref())?;
    let announce = |line: &str| {
        if !args.quiet {
            say(line);
        }
    };

    let run = |concurrency, first_read| -> Result<Measured> {
        let job = Job::Run { what: what.clone(), concurrency, first_read };
        match measure(&job, server.as_ref())? {
            Found::Measured(measured) => Ok(*measured),
            Found::Floor(_) => Err(Error::new("a measurement returned a result of another kind")),
        }
    };
    let mut by_concurrency = Vec::new();
    if kind == Kind::Container {
        let mut concurrencies = args.concurrency.clone();
        concurrencies.sort_unstable();
        concurrencies.dedup();
        for concurrency in concurrencies {
            announce(&format!("measuring {concurrency} requests in flight"));
            by_concurrency.push(run(Some(concurrency), None)?);
        }
    }
    announce("measuring presync's own choice");
    by_concurrency.push(run(None, None)?);
    let recommended_concurrency = figures::recommended(&by_concurrency);
    let mut by_first_read = Vec::new();
    for first_read in &args.first_read {
        announce(&format!("measuring a first read of {first_read} bytes"));
        by_first_read.push(run(recommended_concurrency, Some(*first_read))?);
    }

    let mut floors = Vec::new();
    if !args.no_floor {
        announce("measuring the lower bound");
        floors = measure_floors(&what, kind, recommended_concurrency, server.as_ref(), run)?;
    }
    let assumptions =
        Assumptions { account_limit: args.account_limit.into(), price_per_10k_reads: args.price };
    let best = figures::fastest(&by_concurrency).cloned().unwrap_or_default();
    let benchmark = Benchmark {
        source: shown,
        shared_machine: server.is_some(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        bound: figures::bound(&by_concurrency, &by_first_read),
        recommended_concurrency,
        estimates: args.estimate.iter().map(|blobs| figures::estimate(&best, *blobs, &assumptions)).collect(),
        by_concurrency,
        by_first_read,
        floors,
        assumptions,
    };
    report::bench::write(args.format, &benchmark, output.writer(), output.width)
        .map_err(|error| report::output(&error))?;
    output.keep()?;
    let is_whole = |runs: &[Measured]| runs.iter().all(|run| run.unknown == 0);
    let whole = is_whole(&benchmark.by_concurrency) && is_whole(&benchmark.by_first_read);
    Ok(if whole { Exit::Clean } else { Exit::Incomplete })
}

/// Makes one measurement for a benchmark in another process: reads the job from stdin, and writes the result to stdout.
///
/// # Errors
/// Returns an error if the job cannot be read or fails.
pub(super) fn run_job() -> Result<Exit> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(|error| report::output(&error))?;
    let job: Job = serde_json::from_str(&text)
        .map_err(|error| Error::new(format!("this is not a measurement: {error}")))?;
    let found = serde_json::to_string(&job.run()?).map_err(|error| Error::new(error.to_string()))?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{found}").and_then(|()| stdout.flush()).map_err(|error| report::output(&error))?;
    Ok(Exit::Clean)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    Container,
}

/// What is measured, its name in the report, and its kind.
fn subject(args: &BenchArgs, server: Option<&Server>) -> Result<(What, String, Kind)> {
    let (source, token) = match (server, &args.source) {
        (Some(server), _) => (server.container(CONTAINER), args.server.tls.then(|| TOKEN.to_owned())),
        (None, Some(source)) => {
            let source = source.to_str().ok_or_else(|| Error::new("the source is not UTF-8"))?;
            (source.to_owned(), None)
        }
        (None, None) => return Err(Error::new("there is nothing to measure")),
    };
    let target = args.target();
    let what = What {
        source,
        account: target.and_then(|target| target.azure.account.clone()),
        auth: target.and_then(|target| target.azure.auth).map(|auth| auth.to_string()),
        config: target.and_then(|target| target.azure.config.clone()),
        profile: target.and_then(|target| target.profile).map(str::to_owned),
        token,
        sample: if server.is_some() { args.server.blobs } else { args.sample },
    };
    let Some(target) = target else {
        let tls = if args.server.tls { ", TLS and a bearer token" } else { "" };
        let latency = args.server.latency.map(|latency| format!(", {latency:?} latency"));
        let shown =
            format!("loopback server, {} blobs{}{tls}", args.server.blobs, latency.unwrap_or_default());
        return Ok((what, shown, Kind::Container));
    };
    let resolved = Resolved::source(target, &Environment::of_process())?;
    let kind = match resolved.location {
        Location::Folder(_) => Kind::Folder,
        Location::Container(_) => Kind::Container,
    };
    Ok((what, resolved.location.to_string(), kind))
}

fn start_server(args: &BenchArgs) -> Result<Server> {
    let shape = Shape {
        blobs: args.server.blobs,
        seed: args.server.seed,
        mix: args.server.mix.into(),
        image_size: args.server.image_size.unwrap_or(Shape::default().image_size),
        video_size: args.server.video_size.unwrap_or(Shape::default().video_size),
    };
    let mut config = Config::of(CONTAINER, Content::Shape(shape));
    if args.server.tls {
        config.bearer_tokens = vec![TOKEN.to_owned()];
    }
    config.faults.set(args.server.fail, args.server.latency, args.server.limit.map(f64::from));
    config.faults.seed = args.server.seed;
    Server::start(config, args.server.tls)
}

/// Measures each floor, along with the run that it is compared with.
fn measure_floors(
    what: &What,
    kind: Kind,
    concurrency: Option<usize>,
    server: Option<&Server>,
    run: impl Fn(Option<usize>, Option<u64>) -> Result<Measured>,
) -> Result<Vec<Floor>> {
    let floor = |job: Job| match measure(&job, server)? {
        Found::Floor(floor) => Ok(floor),
        Found::Measured(_) => Err(Error::new("a measurement returned a result of another kind")),
    };
    let what = || what.clone();
    let whole = |ours_cpu_s| match kind {
        Kind::Folder => Job::Files { what: what(), ours_cpu_s },
        Kind::Container => {
            Job::Gets { what: what(), concurrency: concurrency.unwrap_or(CONNECTIONS), ours_cpu_s }
        }
    };
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let ours = run(concurrency, None)?;
        pairs.push(floor(whole(ours.cpu_s))?);
    }
    pairs.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    let mut floors = vec![pairs[PAIRS / 2]];
    if kind == Kind::Container {
        floors.push(floor(Job::Pages { what: what() })?);
    }
    floors.push(floor(Job::Scan { what: what() })?);
    Ok(floors)
}
