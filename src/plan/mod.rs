//! From verdicts in any order to a plan in listing order, with the budget spent.

pub mod audit;
mod basenames;
mod budget;
mod changes;
mod claim;
mod curve;
mod folders;
mod if_fixed;
mod name_order;
pub mod preview;
mod ranking;
mod reorder;
mod run_header;
mod sink;

pub use basenames::{DuplicateRule, MAX_BASENAMES};
pub use budget::{Budget, Summary};
pub use changes::{
    ChangeGroup, Changes, FindingChanges, FindingCounts, FixedFinding, MAX_FIXED, MAX_NAMED, is_unchanged,
};
pub use curve::{Costly, LeaveOut, ListedEntry, Raise, Shortage};
pub use folders::{Folder, FolderSum, Folders, TOP_FOLDERS, TopFolders};
pub use if_fixed::IfFixed;
pub use ranking::Ranking;
pub use reorder::Reorder;
pub use run_header::RunHeader;
pub use sink::Sink;

#[cfg(test)]
mod tests;
