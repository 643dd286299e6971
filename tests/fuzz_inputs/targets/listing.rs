//! Any bytes as a page of a listing: blobs, each with a name, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use presync::source::azure::parse_page;

fuzz_target!(|input: &[u8]| {
    if let Ok(page) = parse_page(input) {
        assert!(page.blobs.iter().all(|blob| !blob.name.as_str().is_empty()));
        assert!(page.blobs.len() <= input.len());
    }
});
