//! Checks blobs that the caller lists, from any number of containers: batches in, rows of a plan out.
//!
//! An engine such as Spark has the listing and the scheduler; each of its tasks pushes blobs and takes rows back. A
//! container's blobs go through the same pipeline as those of a listing, and share the connections, the sign-in and the
//! rate limits of their account. The quota and equal basenames, which depend on other blobs, are not checked.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use futures::{StreamExt, stream};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, Blob, BlobName, ByteRange, Quota, ReadError, Reads};
use crate::plan::Sink;
use crate::plan_file::{self, container_url};
use crate::probe::Want;
use crate::rules::{self, Content, Profile};
use crate::run::{self, Resources, Settings, Task};
use crate::source::azure::{self, AuthMode, AzureSource, Limits, MAX_CONCURRENCY, Session};
use crate::source::location::{Environment, Location};
use crate::source::{Listing, Reader};

/// How many containers are examined at a time: while the last reads of one are in flight, the next ones begin.
const CONTAINERS_AT_ONCE: usize = 8;
/// How many batches may wait to be taken.
const BATCHES_AHEAD: usize = 4;
/// Blobs per page.
const PAGE: usize = 1_000;
/// Blobs in progress besides those of an unfinished batch: enough to keep every read busy.
const UNDER_WAY: usize = 16 << 10;

/// How blobs are checked.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The rules.
    pub(super) profile: Arc<Profile>,
    /// The URL of an account's endpoint, with `{account}` in it; `None` for the environment's, else Azure's own.
    pub(super) endpoint: Option<String>,
    /// Which credential to use.
    pub(super) auth: AuthMode,
    /// The limits on requests to each account.
    pub(super) limits: Limits,
    /// Which facts are worth a read.
    pub(super) want: Want,
    /// Rows per batch, at least one.
    pub(super) batch_rows: usize,
}

/// Rows of one container, with the columns of a plan.
#[derive(Debug)]
pub(super) struct Checked {
    /// The storage account.
    pub(super) account: Arc<str>,
    /// The container.
    pub(super) container: Arc<str>,
    /// The rows, in the order of the blobs.
    pub(super) rows: plan_file::Rows,
}

/// Takes blobs and returns a row for each.
///
/// * Consecutive blobs of a container are read together, so sorted input is read fastest.
/// * A blob that cannot be read gives a row with the verdict `unknown`, and so does every blob of a container that
///   cannot be opened.
/// * Memory is bounded as long as no blobs are pushed while [`is_full`](Self::is_full).
/// * Dropping this stops the work in progress.
pub(super) struct Checker {
    groups: Option<mpsc::UnboundedSender<Group>>,
    current: Option<Current>,
    checked: Receiver<Result<Checked>>,
    under_way: usize,
    batch_rows: usize,
}

/// The container of the blobs that were pushed last.
struct Current {
    account: Arc<str>,
    container: Arc<str>,
    pages: mpsc::UnboundedSender<Vec<Blob>>,
}

/// Consecutive blobs of a container. Neither channel is bounded: the caller checks [`Checker::is_full`] instead,
/// because it must not block on a push while rows wait to be taken.
struct Group {
    account: Arc<str>,
    container: Arc<str>,
    pages: mpsc::UnboundedReceiver<Vec<Blob>>,
}

impl Checker {
    /// Starts the threads that read and probe.
    ///
    /// # Errors
    /// Returns an error if a thread cannot be started.
    pub(super) fn start(options: Options) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let failed = |error| Error::new(format!("cannot start the runtime: {}", reason(&error)));
        let runtime = runtime.map_err(failed)?;
        let batch_rows = options.batch_rows.max(1);
        let concurrency = options.limits.concurrency.unwrap_or(MAX_CONCURRENCY);
        let mut settings = Settings::with_concurrency(concurrency);
        settings.want = options.want;
        let resources = Arc::new(Resources::new(settings.workers, settings.queue)?);
        let session = Session::new(options.limits);
        let environment = Environment::of_process();
        let (groups, mut waiting) = mpsc::unbounded_channel::<Group>();
        let (sender, checked) = crossbeam_channel::bounded(BATCHES_AHEAD);
        let check = move || {
            let checking = Checking { options, settings, resources, session, environment, sender };
            runtime.block_on(async {
                let groups = stream::poll_fn(|context| waiting.poll_recv(context));
                groups.for_each_concurrent(CONTAINERS_AT_ONCE, |group| checking.check(group)).await;
            });
        };
        thread::Builder::new().name("check".into()).spawn(check).map_err(failed)?;
        Ok(Self { groups: Some(groups), current: None, checked, under_way: 0, batch_rows })
    }

    /// Takes blobs of a container.
    pub(super) fn push(&mut self, account: &str, container: &str, blobs: Vec<Blob>) {
        self.under_way += blobs.len();
        let is_same = |current: &&Current| *current.account == *account && *current.container == *container;
        if self.current.as_ref().filter(is_same).is_none() {
            let (account, container): (Arc<str>, Arc<str>) = (account.into(), container.into());
            let (sender, pages) = mpsc::unbounded_channel();
            let group = Group { account: Arc::clone(&account), container: Arc::clone(&container), pages };
            // If the receiver is gone, the caller gets the error instead of the next rows.
            let _ = self.groups.as_ref().map(|groups| groups.send(group));
            self.current = Some(Current { account, container, pages: sender });
        }
        let mut blobs = blobs.into_iter();
        while let Some(Current { pages, .. }) = &self.current {
            let page: Vec<_> = blobs.by_ref().take(PAGE).collect();
            if page.is_empty() || pages.send(page).is_err() {
                break;
            }
        }
    }

    /// Signals that there are no more blobs.
    pub(super) fn finish(&mut self) {
        (self.groups, self.current) = (None, None);
    }

    /// Whether enough blobs are in progress to wait for their rows: [`next`](Self::next) will return some.
    pub(super) fn is_full(&self) -> bool {
        self.under_way >= UNDER_WAY + self.batch_rows
    }

    /// The next rows, if there are any yet.
    ///
    /// # Errors
    /// Returns an error if the run itself fails; nothing follows.
    pub(super) fn try_next(&mut self) -> Result<Option<Checked>> {
        self.take(self.checked.try_recv().ok())
    }

    /// The next rows. Waits for at most `patience`.
    ///
    /// # Errors
    /// Returns an error if the run itself fails; nothing follows.
    pub(super) fn next(&mut self, patience: Duration) -> Result<Next> {
        match self.checked.recv_timeout(patience) {
            Ok(checked) => {
                let checked = self.take(Some(checked))?;
                Ok(checked.map_or(Next::NotYet, Next::Rows))
            }
            Err(RecvTimeoutError::Timeout) => Ok(Next::NotYet),
            Err(RecvTimeoutError::Disconnected) if self.under_way == 0 => Ok(Next::End),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::new("blobs are missing; this is a bug in presync, please report it"))
            }
        }
    }

    fn take(&mut self, checked: Option<Result<Checked>>) -> Result<Option<Checked>> {
        let Some(checked) = checked.transpose()? else { return Ok(None) };
        self.under_way = self.under_way.saturating_sub(checked.rows.len());
        Ok(Some(checked))
    }
}

/// The result of waiting for rows.
#[derive(Debug)]
pub(super) enum Next {
    /// These rows.
    Rows(Checked),
    /// No rows yet.
    NotYet,
    /// No more rows.
    End,
}

/// What all containers share.
struct Checking {
    options: Options,
    settings: Settings,
    resources: Arc<Resources>,
    session: Session,
    environment: Environment,
    sender: Sender<Result<Checked>>,
}

impl Checking {
    /// Examines the blobs of one container. If it cannot be opened, each blob gets a row that says why.
    async fn check(&self, group: Group) {
        let Group { account, container, pages } = group;
        let sink = Rows {
            account: Arc::clone(&account),
            container: Arc::clone(&container),
            columns: plan_file::Rows::default(),
            batch_rows: self.options.batch_rows.max(1),
            sender: self.sender.clone(),
        };
        let checked = match self.open(&account, &container) {
            Ok(source) => self.examine(source, pages, sink).await,
            Err(error) => self.refuse(&error, pages, sink).await,
        };
        if let Err(error) = checked {
            // If the receiver is gone, nobody needs the error.
            let _ = self.sender.send(Err(error));
        }
    }

    fn open(&self, account: &str, container: &str) -> Result<AzureSource> {
        let location = match &self.options.endpoint {
            Some(endpoint) => container_url(Some(endpoint), account, container),
            None => format!("az://{container}"),
        };
        match Location::parse(location.as_ref(), Some(account), &self.environment)? {
            Location::Container(url) => {
                let options = azure::Options { limits: self.options.limits, ..azure::Options::default() };
                AzureSource::in_session(url, self.options.auth, &self.environment, options, &self.session)
            }
            Location::Folder(_) => Err(Error::new(format!("'{location}' is not a container"))),
        }
    }

    async fn examine(
        &self,
        source: AzureSource,
        pages: mpsc::UnboundedReceiver<Vec<Blob>>,
        sink: Rows,
    ) -> Result<()> {
        let reader = Arc::new(Forgiving { source, broken: OnceLock::new() });
        let (profile, quota) = (Arc::clone(&self.options.profile), Quota::new(None, None));
        let task = Task {
            resources: Some(Arc::clone(&self.resources)),
            ..Task::new(listing(pages), reader, profile, quota, self.settings)
        };
        let run::Ended { sink, end, .. } = run::run(task, sink, std::future::pending()).await?;
        match end {
            run::End::Broken(error) => Err(error),
            run::End::Complete | run::End::Stopped => waiting(|| sink.flush()).await,
        }
    }

    /// A row for each blob of a container that cannot be opened.
    async fn refuse(
        &self,
        error: &Error,
        mut pages: mpsc::UnboundedReceiver<Vec<Blob>>,
        mut sink: Rows,
    ) -> Result<()> {
        let profile = Arc::clone(&self.options.profile);
        let why = unreadable(error);
        while let Some(page) = pages.recv().await {
            let (profile, why) = (Arc::clone(&profile), why.clone());
            let judge = move || -> Result<Rows> {
                for blob in page {
                    let content = rules::without_reading(&blob);
                    let content = content.unwrap_or_else(|| Content::Unreadable(why.clone()));
                    sink.add(&rules::judge(blob, content, Reads::default(), &profile))?;
                }
                Ok(sink)
            };
            sink = waiting(judge).await?;
        }
        waiting(|| sink.flush()).await
    }
}

/// Runs work that may block until rows are taken, on a thread that may block.
async fn waiting<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(format!("the rows could not be handed over: {error}")))?
}

/// The message of a finding, from an error that would end a run.
fn unreadable(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error} ({hint})"),
        None => error.to_string(),
    }
}

/// Collects rows and hands them over.
struct Rows {
    account: Arc<str>,
    container: Arc<str>,
    columns: plan_file::Rows,
    batch_rows: usize,
    sender: Sender<Result<Checked>>,
}

impl Rows {
    fn add(&mut self, asset: &Asset) -> Result<()> {
        self.columns.add(asset);
        if self.columns.len() == self.batch_rows { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.columns).filled();
        let (account, container) = (Arc::clone(&self.account), Arc::clone(&self.container));
        let checked = Checked { account, container, rows };
        self.sender.send(Ok(checked)).map_err(|_| Error::new("the rows are no longer being taken"))
    }

    fn flush(mut self) -> Result<()> {
        if self.columns.is_empty() { Ok(()) } else { self.hand_over() }
    }
}

impl Sink for Rows {
    fn judged(&mut self, asset: &Asset, _is_kept: bool) -> Result<()> {
        self.add(asset)
    }

    fn settled(&mut self, _asset: &Asset) -> Result<()> {
        Ok(())
    }
}

/// The blobs that the caller pushes, as a listing.
fn listing(pages: mpsc::UnboundedReceiver<Vec<Blob>>) -> Listing {
    stream::unfold(pages, |mut pages| async { pages.recv().await.map(|page| (Ok(page), pages)) }).boxed()
}

/// A container in which an error that would end a run, such as a missing permission, makes the remaining blobs
/// unreadable instead. They are not requested any more.
struct Forgiving {
    source: AzureSource,
    broken: OnceLock<String>,
}

impl Forgiving {
    fn forgive(&self, error: ReadError) -> ReadError {
        match error {
            ReadError::Fatal(error) => {
                ReadError::Unreadable(self.broken.get_or_init(|| unreadable(&error)).clone())
            }
            other => other,
        }
    }
}

impl Reader for Forgiving {
    async fn read(
        &self,
        blob: &mut Blob,
        range: ByteRange,
        reads: &mut Reads,
    ) -> std::result::Result<Bytes, ReadError> {
        if let Some(why) = self.broken.get() {
            return Err(ReadError::Unreadable(why.clone()));
        }
        self.source.read(blob, range, reads).await.map_err(|error| self.forgive(error))
    }

    async fn find(&self, name: &BlobName) -> std::result::Result<Option<Blob>, ReadError> {
        self.source.find(name).await.map_err(|error| self.forgive(error))
    }
}
