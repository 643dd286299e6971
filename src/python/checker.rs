//! Blobs that somebody else lists, of as many containers as there are: in by batches, and out as rows of a plan.
//!
//! An engine such as Spark has the listing and the scheduler; a task of it hands over its blobs and takes rows back. Each
//! container's blobs go through the same pipeline as those of a listing, with the connections, the sign-in and the pace of
//! an account shared. What depends on other blobs, the quota and equal basenames, is not weighed.

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

/// Containers that are examined side by side: while the last reads of one are under way, the next ones begin.
const CONTAINERS_AT_ONCE: usize = 8;
/// Batches that wait until they are taken.
const BATCHES_AHEAD: usize = 4;
/// Blobs of one page.
const PAGE: usize = 1_000;
/// Blobs under way besides those of a batch that is not full: enough to keep every read busy.
const UNDER_WAY: usize = 16 << 10;

/// How blobs are checked.
#[derive(Clone, Debug)]
pub(super) struct Options {
    /// The rules.
    pub(super) profile: Arc<Profile>,
    /// The URL of an account's endpoint with `{account}` in it; `None` for what the environment says, else Azure's own.
    pub(super) endpoint: Option<String>,
    /// Which credential to use.
    pub(super) auth: AuthMode,
    /// What bounds the requests to each account.
    pub(super) limits: Limits,
    /// Which facts are worth a read.
    pub(super) want: Want,
    /// Rows of a batch, one at least.
    pub(super) batch_rows: usize,
}

/// Rows of one container: the columns of a plan.
#[derive(Debug)]
pub(super) struct Checked {
    /// The storage account.
    pub(super) account: Arc<str>,
    /// The container.
    pub(super) container: Arc<str>,
    /// The rows, in the order in which the blobs came.
    pub(super) rows: plan_file::Rows,
}

/// Takes blobs and gives back a row for each.
///
/// * Blobs of a container that come one after the other are read together: sorted input is read fastest.
/// * What cannot be read is a row with the verdict `unknown`, and so is every blob of a container that cannot be opened.
/// * Memory is bounded as long as no more blobs are pushed while [`is_full`](Self::is_full).
/// * When this is dropped, what is under way ends.
pub(super) struct Checker {
    groups: Option<mpsc::UnboundedSender<Group>>,
    current: Option<Current>,
    checked: Receiver<Result<Checked>>,
    under_way: usize,
    batch_rows: usize,
}

/// The container whose blobs came last.
struct Current {
    account: Arc<str>,
    container: Arc<str>,
    pages: mpsc::UnboundedSender<Vec<Blob>>,
}

/// The blobs of a container that come one after the other. Neither channel is bounded: who pushes looks at what is under
/// way, because it must not wait here and leave the rows untaken.
struct Group {
    account: Arc<str>,
    container: Arc<str>,
    pages: mpsc::UnboundedReceiver<Vec<Blob>>,
}

impl Checker {
    /// Starts the threads that read and probe.
    ///
    /// # Errors
    /// When the system gives no more threads.
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
            // When nobody takes it, the next row says why.
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

    /// Says that no more blobs come.
    pub(super) fn finish(&mut self) {
        (self.groups, self.current) = (None, None);
    }

    /// Whether enough blobs are under way to wait for their rows: then [`next`](Self::next) gives some.
    pub(super) fn is_full(&self) -> bool {
        self.under_way >= UNDER_WAY + self.batch_rows
    }

    /// The next rows, if there are some already.
    ///
    /// # Errors
    /// When the machine fails; nothing follows.
    pub(super) fn try_next(&mut self) -> Result<Option<Checked>> {
        self.take(self.checked.try_recv().ok())
    }

    /// The next rows, for which it waits `patience` at the most.
    ///
    /// # Errors
    /// When the machine fails; nothing follows.
    pub(super) fn next(&mut self, patience: Duration) -> Result<Next> {
        match self.checked.recv_timeout(patience) {
            Ok(checked) => {
                let checked = self.take(Some(checked))?;
                Ok(checked.map_or(Next::NotYet, Next::Rows))
            }
            Err(RecvTimeoutError::Timeout) => Ok(Next::NotYet),
            Err(RecvTimeoutError::Disconnected) if self.under_way == 0 => Ok(Next::End),
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::new("blobs are missing; this is a defect of presync, please report it"))
            }
        }
    }

    fn take(&mut self, checked: Option<Result<Checked>>) -> Result<Option<Checked>> {
        let Some(checked) = checked.transpose()? else { return Ok(None) };
        self.under_way = self.under_way.saturating_sub(checked.rows.len());
        Ok(Some(checked))
    }
}

/// What there is to take.
#[derive(Debug)]
pub(super) enum Next {
    /// These rows.
    Rows(Checked),
    /// Nothing yet.
    NotYet,
    /// Nothing any more.
    End,
}

/// What all containers have in common.
struct Checking {
    options: Options,
    settings: Settings,
    resources: Arc<Resources>,
    session: Session,
    environment: Environment,
    sender: Sender<Result<Checked>>,
}

impl Checking {
    /// Examines the blobs of one container, or says of each why it cannot.
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
            // Nobody takes it when nobody takes the rows.
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
            Location::Folder(_) => Err(Error::new(format!("'{location}' is no container"))),
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

/// Does what may wait until rows are taken, on a thread that may wait.
async fn waiting<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(format!("the rows were not handed over: {error}")))?
}

/// What a finding says of an error that would end a run.
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
        let rows = std::mem::take(&mut self.columns);
        let (account, container) = (Arc::clone(&self.account), Arc::clone(&self.container));
        let checked = Checked { account, container, rows };
        self.sender.send(Ok(checked)).map_err(|_| Error::new("nobody takes the rows any more"))
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

/// The blobs that an engine hands over.
fn listing(pages: mpsc::UnboundedReceiver<Vec<Blob>>) -> Listing {
    stream::unfold(pages, |mut pages| async { pages.recv().await.map(|page| (Ok(page), pages)) }).boxed()
}

/// A container of which what would end a run, such as a missing permission, makes the rest of the blobs unreadable, without
/// asking for each of them.
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
