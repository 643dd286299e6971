//! From verdicts in any order to a plan in listing order, with the budget spent.

mod budget;
mod changes;
mod earlier;
mod reorder;

pub use budget::{Budget, MAX_BASENAMES, Summary};
pub use changes::{Changes, Group, MAX_NAMED, is_unchanged};
pub use earlier::Earlier;
pub use reorder::Reorder;
