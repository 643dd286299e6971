//! Any bytes as a manifest, or as a CSV or Parquet report: the names come sorted and once each, or the listing fails.

#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use futures::TryStreamExt;
use libfuzzer_sys::fuzz_target;
use presync::model::Origin;
use presync::source::inventory;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// The container that the seeds are of.
fn origin() -> Origin {
    Origin {
        provider: "azure".into(),
        location: "https://media.blob.core.windows.net/cam".into(),
        account: Some("media".into()),
        container: Some("cam".into()),
        prefix: String::new(),
        credential: None,
    }
}

fn list(report: PathBuf) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let (mut pages, _) = inventory::list(&origin(), vec![report]).expect("the file is there");
        let mut last = None;
        while let Ok(Some(page)) = pages.try_next().await {
            for blob in page {
                assert!(last.is_none_or(|last| last < blob.name), "{:?}", blob.name);
                last = Some(blob.name);
            }
        }
    });
}

fuzz_target!(|input: &[u8]| {
    // What a manifest names is in its folder.
    let report = FOLDER.path().join("report");
    fs::write(&report, input).expect("it can be written");
    list(report);
});
