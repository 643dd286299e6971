//! `presync loopback`: the blob server for tests and benchmarks, in a process of its own.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use crate::config::Loopback;
use crate::error::{Error, Result, reason};
use crate::exit::Exit;
use crate::loopback::{Config, Content, Server, Shape};
use crate::report;

/// Says where it listens in one line of JSON, and serves until stdin ends.
///
/// # Errors
/// When the configuration cannot be used or the server cannot start.
pub fn run(settings: Loopback) -> Result<Exit> {
    let config = config(settings)?;
    let containers: Vec<_> = config.all_containers().map(|(name, _)| name).collect();
    let server = Server::start(config)?;
    let line = json!({ "url": server.url(), "containers": containers });
    let mut stdout = io::stdout();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.map_err(|error| report::output(&error))?;
    // That it cannot be read any more is an end as well.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
    Ok(Exit::Clean)
}

fn config(settings: Loopback) -> Result<Config> {
    let mut config = settings.config.as_deref().map_or_else(|| Ok(Config::default()), load)?;
    if settings.blobs.is_some() || settings.config.is_none() {
        let mut shape = Shape { seed: settings.seed.unwrap_or_default(), ..Shape::default() };
        shape.blobs = settings.blobs.unwrap_or(shape.blobs);
        config.containers = [("media".to_owned(), Content::Shape(shape))].into();
    }
    if settings.fail.is_some_and(|rate| !(0.0..=1.0).contains(&rate)) {
        return Err(Error::new("the rate of a fault is between 0 and 1"));
    }
    config.faults.set(settings.fail, settings.latency, settings.limit);
    config.faults.seed = settings.seed.unwrap_or(config.faults.seed);
    config.port = settings.port.unwrap_or(config.port);
    config.tls = settings.tls.or(config.tls);
    Ok(config)
}

fn load(path: &Path) -> Result<Config> {
    let unusable = |why: String| Error::new(format!("cannot use {}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| unusable(reason(&error)))?;
    serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))
}
