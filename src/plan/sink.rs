//! Sinks: where the assets of a run go.

use std::time::Duration;

use super::Summary;
use crate::model::Asset;
use crate::model::error::Result;

/// Receives the assets of a run in listing order: a report, a plan or a sum. A pair of sinks is a sink too.
pub trait Sink: Send + 'static {
    /// Receives the next asset as judged by the rules alone, before the quota and duplicate basenames. `is_kept` means
    /// that it comes from the interrupted run that this run resumes.
    ///
    /// # Errors
    /// Returns an error, which ends the run, if the asset cannot be stored.
    fn judged(&mut self, _asset: &Asset, _is_kept: bool) -> Result<()> {
        Ok(())
    }

    /// Receives the next asset with its final verdict.
    ///
    /// # Errors
    /// Returns an error, which ends the run, if the asset cannot be written.
    fn settled(&mut self, asset: &Asset) -> Result<()>;

    /// Finishes a report or a plan. `elapsed` is how long the run took. The default does nothing.
    ///
    /// # Errors
    /// Returns an error if the rest cannot be written.
    fn finish(self: Box<Self>, _summary: &Summary, _elapsed: Duration) -> Result<()> {
        Ok(())
    }
}

/// Ignores all assets.
impl Sink for () {
    fn settled(&mut self, _asset: &Asset) -> Result<()> {
        Ok(())
    }
}

impl<S: Sink + ?Sized> Sink for Box<S> {
    fn judged(&mut self, asset: &Asset, is_kept: bool) -> Result<()> {
        (**self).judged(asset, is_kept)
    }

    fn settled(&mut self, asset: &Asset) -> Result<()> {
        (**self).settled(asset)
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        (*self).finish(summary, elapsed)
    }
}

impl<S: Sink> Sink for Option<S> {
    fn judged(&mut self, asset: &Asset, is_kept: bool) -> Result<()> {
        self.as_mut().map_or(Ok(()), |sink| sink.judged(asset, is_kept))
    }

    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.as_mut().map_or(Ok(()), |sink| sink.settled(asset))
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        self.map_or(Ok(()), |sink| Box::new(sink).finish(summary, elapsed))
    }
}

impl<A: Sink, B: Sink> Sink for (A, B) {
    fn judged(&mut self, asset: &Asset, is_kept: bool) -> Result<()> {
        self.0.judged(asset, is_kept)?;
        self.1.judged(asset, is_kept)
    }

    fn settled(&mut self, asset: &Asset) -> Result<()> {
        self.0.settled(asset)?;
        self.1.settled(asset)
    }

    fn finish(self: Box<Self>, summary: &Summary, elapsed: Duration) -> Result<()> {
        let (first, second) = *self;
        // Finish both, even if one of them fails.
        let first = Box::new(first).finish(summary, elapsed);
        Box::new(second).finish(summary, elapsed).and(first)
    }
}
