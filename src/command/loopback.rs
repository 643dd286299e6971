//! `presync loopback`: the blob server for tests and benchmarks, in a process of its own.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::exit::Exit;
use super::values::duration;
use crate::loopback::{Config, Content, Server, Shape, Tls};
use crate::model::error::{Error, Result, reason};
use crate::report;

#[derive(Debug, Args)]
pub(super) struct LoopbackArgs {
    /// What to serve and which faults to inject, as JSON; the other options override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Number of blobs in the container 'media' [default: 10000]
    #[arg(long, value_name = "N")]
    blobs: Option<u64>,

    /// Seed of blobs and faults [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Delay of every answer, such as 20ms
    #[arg(long, value_name = "TIME", value_parser = duration)]
    latency: Option<Duration>,

    /// Share of ranges and pages that fail once or twice, such as 0.05
    #[arg(long, value_name = "RATE")]
    fail: Option<f64>,

    /// Maximum requests per second; more are answered with 503
    #[arg(long, value_name = "N")]
    limit: Option<f64>,

    /// Use TLS with this certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,

    /// The certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Port to listen on [default: any free one]
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Prints the server's URL and containers as one line of JSON, and serves until stdin ends.
///
/// # Errors
/// Returns an error if the configuration cannot be used or the server cannot start.
pub(super) fn run(args: &LoopbackArgs) -> Result<Exit> {
    let config = config(args)?;
    let containers: Vec<_> = config.all_containers().map(|(name, _)| name).collect();
    let server = Server::start(config)?;
    let line = json!({ "url": server.url(), "containers": containers });
    let mut stdout = io::stdout();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.map_err(|error| report::output(&error))?;
    // A read error also counts as the end.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    Ok(Exit::Clean)
}

fn config(args: &LoopbackArgs) -> Result<Config> {
    let mut config = args.config.as_deref().map_or_else(|| Ok(Config::default()), load)?;
    if args.blobs.is_some() || args.config.is_none() {
        let mut shape = Shape { seed: args.seed.unwrap_or_default(), ..Shape::default() };
        shape.blobs = args.blobs.unwrap_or(shape.blobs);
        config.containers = [("media".to_owned(), Content::Shape(shape))].into();
    }
    if args.fail.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
        return Err(Error::new("the rate of a fault must be between 0 and 1"));
    }
    config.faults.set(args.fail, args.latency, args.limit);
    config.faults.seed = args.seed.unwrap_or(config.faults.seed);
    config.port = args.port.unwrap_or(config.port);
    if let (Some(cert), Some(key)) = (args.tls_cert.clone(), args.tls_key.clone()) {
        config.tls = Some(Tls { cert, key });
    }
    Ok(config)
}

fn load(path: &Path) -> Result<Config> {
    let unusable = |why: String| Error::new(format!("cannot use '{}': {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| unusable(reason(&error)))?;
    serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))
}
