//! The integration tests: they drive the real binary and real servers.

mod architecture;
mod contract;
mod corpus;
mod demo;
mod determinism;
mod support;
