//! Ctrl-C, and what a service manager sends instead.

use tokio::runtime::Runtime;

/// The exit code of a process that was ended by Ctrl-C, as shells report it: 128 plus the signal's number.
const INTERRUPTED: i32 = 130;

/// Completes when the user asks to stop. After that, a second request ends the process at once.
pub(super) async fn interrupted() {
    interrupted_saying(super::say).await;
}

/// Like [`interrupted`], but prints with `say`: any other output would break the progress bars.
pub(super) async fn interrupted_saying(say: impl FnOnce(&str)) {
    if let Some(host) = super::host::current() {
        return host.stopped().await;
    }
    signal().await;
    say("stopping; press Ctrl-C again to quit at once");
    tokio::spawn(async {
        signal().await;
        std::process::exit(INTERRUPTED);
    });
}

/// From now on, a request to stop ends the process at once. For work that has nothing to keep after a run that could be
/// stopped: the system no longer ends the process then.
pub(super) fn ends_at_once(runtime: Runtime) {
    if super::host::current().is_some() {
        return;
    }
    std::thread::spawn(move || {
        runtime.block_on(signal());
        std::process::exit(INTERRUPTED);
    });
}

/// Waits for the next request to stop; never completes if the system cannot report one.
async fn signal() {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = ctrl_c => {}
        () = terminate() => {}
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => _ = signals.recv().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}
