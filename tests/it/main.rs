//! The integration tests: they drive the real binary and real servers.

mod architecture;
mod corpus;
mod demo;
mod support;
