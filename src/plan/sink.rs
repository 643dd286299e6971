//! Where the assets of a run go.

use std::time::Duration;

use super::Summary;
use crate::model::Asset;
use crate::model::error::Result;

/// Takes the assets of a run in listing order: a report, a plan, a sum. Two sinks make one as a pair.
pub trait Sink: Send + 'static {
    /// Takes the next asset as the rules alone judge it, before the quota and equal basenames count. `is_kept` says that
    /// it comes from the interrupted run that this one resumes.
    ///
    /// # Errors
    /// When it cannot be kept; the run ends.
    fn judged(&mut self, _asset: &Asset, _is_kept: bool) -> Result<()> {
        Ok(())
    }

    /// Takes the next asset with its final verdict.
    ///
    /// # Errors
    /// When it cannot be written; the run ends.
    fn settled(&mut self, asset: &Asset) -> Result<()>;

    /// Ends what is written: reports and plans. `elapsed` is how long the run took. A sum has nothing to end.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finish(self: Box<Self>, _summary: &Summary, _elapsed: Duration) -> Result<()> {
        Ok(())
    }
}

/// Takes nothing.
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
        // Each is ended, even if the other cannot be.
        let first = Box::new(first).finish(summary, elapsed);
        Box::new(second).finish(summary, elapsed).and(first)
    }
}
