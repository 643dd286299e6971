//! The integration tests: they drive the real binary and real servers.

#![expect(clippy::expect_used, reason = "a test that cannot go on says what it expected")]
#![expect(
    clippy::print_stderr,
    reason = "a test says what it measured, and that it has nothing to compare with"
)]

mod architecture;
mod audit;
mod bad_input;
mod bench;
mod check_end;
mod choice;
mod commit;
mod connect;
mod connections;
mod containers;
mod contract;
mod corpus;
mod credentials;
mod demo;
mod determinism;
mod differential;
mod dimensions;
mod doctor;
mod dry_run;
mod explain;
mod faults;
mod fix;
mod fix_containers;
mod fixes;
mod formats;
mod gate;
mod generated;
mod html;
mod inventory;
mod labels;
mod ledger;
mod loopback;
mod memory;
mod misplaced;
mod names;
mod order;
mod own_files;
#[cfg(unix)]
mod pipes;
mod pixel_formats;
mod plan;
mod platform;
mod preview;
mod profiles;
mod proxy;
mod readme;
mod rule;
mod runners;
mod secrets;
mod shards;
mod sign_in;
mod support;
mod trust;
mod videos;
mod wheel;
