//! The `presync` command.

use std::process::ExitCode;

/// Memory for a blob is allocated on one thread and freed on another, millions of times: mimalloc is fast at this.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    presync::command::main(std::env::args_os()).into()
}
