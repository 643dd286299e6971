//! The integration tests: they drive the real binary and real servers.

mod corpus;
mod demo;
mod support;
