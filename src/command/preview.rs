//! `presync preview`: what the listing alone tells.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, pin_mut};

use super::output::Output;
use super::say_rate;
use super::target::Resolved;
use crate::config;
use crate::error::Result;
use crate::exit::Exit;
use crate::model::Admit;
use crate::plan::preview::Preview;
use crate::progress::Progress;
use crate::report::{self, Header, ProgressBar};
use crate::rules::Profile;
use crate::source::Source;
use crate::source::any::AnySource;
use crate::source::azure;
use crate::source::location::Environment;

/// Lists the source and writes what it adds up to.
///
/// # Errors
/// When the source cannot be listed to its end or the report cannot be written.
pub fn run(settings: &config::Preview) -> Result<Exit> {
    let environment = Environment::of_process();
    let resolved = Resolved::source(&settings.target, &environment)?;
    let profile = Arc::new(Profile::load(&resolved.profile)?);
    let output = Output::open(settings.output.as_deref(), settings.color)?;
    let begun = Instant::now();
    let (header, preview) = super::runtime()?.block_on(async {
        let options = azure::Options { depth: settings.depth, ..azure::Options::default() };
        let source = AnySource::open(resolved.location, resolved.auth, options, &environment)?;
        let header = Header { origin: source.origin(), profile, admit: Admit::default() };
        let preview = add_up(&source, &header, settings).await?;
        Ok((header, preview))
    })?;
    report::preview::write(settings.format, &header, &preview, output.writer(), output.width)
        .map_err(|error| report::output(&error))?;
    output.keep()?;
    if settings.verbose || (settings.progress && io::stderr().is_terminal()) {
        say_rate(preview.listed, begun.elapsed());
    }
    Ok(if preview.unreachable == 0 { Exit::Clean } else { Exit::Incomplete })
}

async fn add_up(source: &AnySource, header: &Header, settings: &config::Preview) -> Result<Preview> {
    let progress = Arc::new(Progress::default());
    let _bar = super::is_live(settings.progress).then(|| ProgressBar::show_listing(Arc::clone(&progress)));
    let mut preview = Preview::new(&header.origin.prefix);
    let pages = source.list();
    pin_mut!(pages);
    while let Some(page) = pages.next().await {
        let page = page?;
        page.iter().for_each(|blob| preview.add(blob, &header.profile));
        progress.add_listed(page.len() as u64);
    }
    preview.finish();
    Ok(preview)
}
