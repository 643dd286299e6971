//! The `presync` command.

use std::process::ExitCode;

/// What one thread allocates for a blob another one frees, millions of times over.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    presync::command::main(std::env::args_os()).into()
}
