//! Entra ID tokens: one is asked for at a time, and shared by every request.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::time::{Duration as TokenTime, OffsetDateTime};
use bytes::Bytes;
use hyper::header::HeaderValue;
use tokio::task::JoinHandle;

use super::AuthMode;
use crate::source::azure::failure::Failure;

/// The scope of a token for blobs ("Authorize access to blobs using Microsoft Entra ID", resource ID).
pub(in crate::source::azure) const SCOPE: &str = "https://storage.azure.com/.default";

/// How long before it expires a token is renewed.
const EARLY: TokenTime = TokenTime::minutes(5);

/// How long to wait before asking again when asking did not help: the answer was no answer, the same token, or another
/// one that the service rejects. The Azure CLI, for example, keeps a token until it is about to expire, and takes a
/// second to say so.
const PAUSE: Duration = Duration::from_secs(30);

/// Creates a credential of the client library, which keeps tokens of its own: a new one has none.
pub(super) type Create = Box<dyn Fn() -> azure_core::Result<Arc<dyn TokenCredential>> + Send + Sync>;

/// A way to sign in.
pub(super) struct SignIn {
    pub mode: AuthMode,
    pub label: &'static str,
    pub create: Create,
}

/// The tokens of an identity.
///
/// * Of several sign-ins, the first that succeeds is used from then on.
/// * `Debug` shows no secret.
pub(in crate::source::azure) struct Tokens {
    sign_ins: Vec<SignIn>,
    /// The index of the sign-in that succeeded.
    chosen: OnceLock<usize>,
    held: Mutex<Held>,
    /// Locked while a token is asked for.
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of the token for blobs.
#[derive(Default)]
struct Held {
    credential: Option<Arc<dyn TokenCredential>>,
    token: Option<Token>,
    /// Whether the service rejected the token.
    is_rejected: bool,
    /// Before this time, asking would not help as long as the token is valid.
    pause: Option<Instant>,
    /// Before this time, a token that the service rejects is not replaced.
    rejected_pause: Option<Instant>,
    /// The last attempt that failed.
    failed: Option<(Instant, Failure)>,
}

#[derive(Clone)]
struct Token {
    /// The value of `Authorization`.
    header: HeaderValue,
    access: AccessToken,
}

/// What can be done without asking.
enum Usable {
    /// Use it.
    Fresh(HeaderValue),
    /// Use it, and ask for the next one meanwhile.
    Aging(HeaderValue),
    /// Ask, and wait for the answer.
    None,
}

impl Tokens {
    /// Tokens of the first of these sign-ins that succeeds. There must be at least one.
    ///
    /// # Errors
    /// Returns the client library's error if it does not accept the settings of the first one.
    pub(super) fn new(sign_ins: Vec<SignIn>) -> azure_core::Result<Arc<Self>> {
        let credential = sign_ins.first().map(|first| (first.create)()).transpose()?;
        let held = Mutex::new(Held { credential, ..Held::default() });
        Ok(Arc::new(Self { sign_ins, chosen: OnceLock::new(), held, asking: Arc::default() }))
    }

    /// A token that is never renewed.
    pub(super) fn given(token: Secret, mode: AuthMode, label: &'static str) -> Arc<Self> {
        let create: Create = Box::new(move || Ok(Arc::new(StaticToken(token.clone()))));
        let sign_ins = vec![SignIn { mode, label, create }];
        Arc::new(Self { sign_ins, chosen: OnceLock::new(), held: Mutex::default(), asking: Arc::default() })
    }

    /// The sign-in in use; until one has succeeded, all.
    pub(super) fn sign_ins(&self) -> &[SignIn] {
        match self.chosen.get() {
            Some(&chosen) => &self.sign_ins[chosen..=chosen],
            None => &self.sign_ins,
        }
    }

    /// The value of `Authorization`, with a token that is valid for some time.
    ///
    /// # Errors
    /// Returns an error if no token can be obtained. A token that is still valid is used instead.
    pub(in crate::source::azure) async fn bearer(self: &Arc<Self>) -> Result<HeaderValue, Failure> {
        match self.usable() {
            Usable::Fresh(header) => Ok(header),
            Usable::Aging(header) => {
                // If it is locked, another request has asked.
                if let Ok(turn) = Arc::clone(&self.asking).try_lock_owned() {
                    drop(self.ask(turn));
                }
                Ok(header)
            }
            Usable::None => {
                let begun = Instant::now();
                let turn = Arc::clone(&self.asking).lock_owned().await;
                if let Usable::Fresh(header) | Usable::Aging(header) = self.usable() {
                    return Ok(header);
                }
                // Another request asked meanwhile, for this one too.
                if let Some((at, failure)) = &self.lock().failed
                    && *at >= begun
                {
                    return Err(failure.clone());
                }
                self.ask(turn).await.map_err(|error| Failure::Other(error.to_string()))?
            }
        }
    }

    /// Called when the service rejects a token. Returns whether it is worth trying again with another one.
    pub(in crate::source::azure) fn reject(&self, used: &HeaderValue) -> bool {
        let mut held = self.lock();
        // Another request was first.
        if held.is_rejected || held.token.as_ref().is_none_or(|token| token.header != *used) {
            return true;
        }
        if held.rejected_pause.is_some_and(|end| Instant::now() < end) {
            return false;
        }
        held.rejected_pause = Some(Instant::now() + PAUSE);
        // The client library would return the same token.
        held.credential = None;
        held.is_rejected = true;
        true
    }

    fn usable(&self) -> Usable {
        let (held, now) = (self.lock(), OffsetDateTime::now_utc());
        match &held.token {
            Some(token) if token.access.expires_on > now && !held.is_rejected => {
                let is_paused = || held.pause.is_some_and(|end| Instant::now() < end);
                match token.access.expires_on - EARLY > now || is_paused() {
                    true => Usable::Fresh(token.header.clone()),
                    false => Usable::Aging(token.header.clone()),
                }
            }
            _ => Usable::None,
        }
    }

    /// Asks on a task of its own: the request that waits may be given up, but others wait, too.
    fn ask(
        self: &Arc<Self>,
        turn: tokio::sync::OwnedMutexGuard<()>,
    ) -> JoinHandle<Result<HeaderValue, Failure>> {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let answer = this.renew().await.map(|token| token.header);
            drop(turn);
            answer
        })
    }

    /// Asks for a token for blobs, and keeps it. Only called by the one whose turn it is.
    async fn renew(&self) -> Result<Token, Failure> {
        let answer = self.sign_in(&[SCOPE]).await.map_err(Failure::of_sign_in).and_then(|access| {
            let header = Bytes::from(format!("Bearer {}", access.token.secret()));
            let mut header = HeaderValue::from_maybe_shared(header).map_err(|_| Failure::unsendable())?;
            header.set_sensitive(true);
            Ok(Token { header, access })
        });
        let (mut held, now) = (self.lock(), OffsetDateTime::now_utc());
        held.is_rejected = false;
        let is_lasting = answer.as_ref().is_ok_and(|token| token.access.expires_on - EARLY > now);
        held.pause = (!is_lasting).then(|| Instant::now() + PAUSE);
        match answer {
            Ok(token) => {
                held.token = Some(token.clone());
                Ok(token)
            }
            Err(failure) => {
                held.failed = Some((Instant::now(), failure.clone()));
                let valid = held.token.as_ref().filter(|token| token.access.expires_on > now);
                valid.cloned().ok_or(failure)
            }
        }
    }

    /// Asks the chosen sign-in, or, as long as none has succeeded, one after the other.
    async fn sign_in(&self, scopes: &[&str]) -> azure_core::Result<AccessToken> {
        let sign_ins = self.sign_ins();
        let mut failures = Vec::new();
        for (index, sign_in) in sign_ins.iter().enumerate() {
            let answer = match self.credential(sign_in) {
                Ok(credential) => credential.get_token(scopes, None).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(token) => {
                    // Never set twice: from now on, this sign-in is the only one.
                    self.chosen.get_or_init(|| index);
                    return Ok(token);
                }
                Err(error) if sign_ins.len() == 1 => return Err(error),
                Err(error) => failures.push(format!("{}: {}", sign_in.label, Failure::of_sign_in(error))),
            }
            self.lock().credential = None;
        }
        Err(Failure::Credential { cause: failures.join("; "), code: None }.into())
    }

    /// The client library's credential, which is kept for the next token.
    fn credential(&self, sign_in: &SignIn) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let mut held = self.lock();
        if let Some(credential) = &held.credential {
            return Ok(Arc::clone(credential));
        }
        let created = (sign_in.create)()?;
        held.credential = Some(Arc::clone(&created));
        Ok(created)
    }

    /// A panic elsewhere leaves it usable.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the client library, and for tokens for other services than blobs.
#[async_trait]
impl TokenCredential for Tokens {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let _turn = self.asking.lock().await;
        if scopes != [SCOPE] {
            return self.sign_in(scopes).await;
        }
        if let Usable::Fresh(_) = self.usable()
            && let Some(token) = &self.lock().token
        {
            return Ok(token.access.clone());
        }
        Ok(self.renew().await?.access)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(***)")
    }
}

/// A given token.
#[derive(Debug)]
struct StaticToken(Secret);

#[async_trait]
impl TokenCredential for StaticToken {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        Ok(AccessToken::new(self.0.clone(), OffsetDateTime::now_utc() + TokenTime::days(1)))
    }
}
