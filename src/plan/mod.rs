//! From verdicts in any order to a plan in listing order, with the budget spent.

mod budget;
mod reorder;

pub use budget::{Budget, MAX_BASENAMES, Summary};
pub use reorder::Reorder;
