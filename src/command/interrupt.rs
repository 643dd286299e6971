//! Ctrl-C, and what a service manager sends instead.

/// What a shell reports of a process that was ended by Ctrl-C: 128 and the signal's number.
const INTERRUPTED: i32 = 130;

/// Ready when the user asks to stop. From then on, asking again ends the process at once.
pub(super) async fn interrupted() {
    interrupted_saying(super::say).await;
}

/// The same, with what says so: lines of progress would break if anything else wrote between them.
pub(super) async fn interrupted_saying(say: impl FnOnce(&str)) {
    signal().await;
    say("stopping; press Ctrl-C again to end at once");
    tokio::spawn(async {
        signal().await;
        std::process::exit(INTERRUPTED);
    });
}

/// The next request to stop; never ready where the system gives no way to hear of one.
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
