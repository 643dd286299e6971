//! Any text as `presync.toml`: it is read, or refused with an error, and never shows a control character.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Err(error) = presync::read_connections(text) {
        let shown = error.message().lines().all(|line| !line.contains(char::is_control));
        assert!(shown, "{:?}", error.message());
    }
});
