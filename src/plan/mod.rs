//! From verdicts in any order to a plan in listing order, with the budget spent.

mod basenames;
mod budget;
mod changes;
mod curve;
mod earlier;
mod ranking;
mod reorder;

pub use basenames::{Duplicates, MAX_BASENAMES};
pub use budget::{Budget, Summary};
pub use changes::{Changes, Group, MAX_NAMED, is_unchanged};
pub use curve::{Costly, Entry, LeaveOut, Raise, Shortage};
pub use earlier::Earlier;
pub use ranking::Ranking;
pub use reorder::Reorder;

#[cfg(test)]
mod tests;
