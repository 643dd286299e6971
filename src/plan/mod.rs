//! From verdicts in any order to a plan in listing order, with the budget spent.

mod budget;
mod earlier;
mod reorder;

pub use budget::{Budget, MAX_BASENAMES, Summary};
pub use earlier::Earlier;
pub use reorder::Reorder;
