//! Azurite, Microsoft's blob storage emulator, for the integration tests.
//!
//! [`Azurite::http`] and [`Azurite::https`] each start one in-memory service on first use, on a separate port. All
//! tests of the process share it, so use a container name that no other test uses. Azurite and Node are installed
//! with npm into `tests/azurite` if they are missing or older than the lock file there.
//!
//! Requests are signed here without any of presync's code, so that the two check each other.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, BufRead, BufReader};
use std::iter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL};
use bytes::Bytes;
use hmac::{Hmac, Mac};
use hyper::{Method, Response};
use jiff::{Timestamp, ToSpan};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use presync::model::{BlobName, Format};
use sha2::Sha256;

use super::http::{Client, text};
use super::tls::certify;

/// Azurite's default account.
pub const ACCOUNT: &str = "devstoreaccount1";
/// The published key of that account.
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Where the packages are listed, locked and installed.
const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/azurite");
/// Cargo's folder for files that integration tests write.
const SCRATCH: &str = env!("CARGO_TARGET_TMPDIR");
/// The version of the REST API and of the SAS.
const API_VERSION: &str = "2021-12-02";
/// Azurite takes about 2 seconds to start; this allows for a very busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The number of concurrent uploads. Azurite has one thread, so more do not help.
const UPLOADS: usize = 4;
/// Everything except RFC 3986's unreserved characters. This includes `/`, so that no client normalizes `//`, `./` or
/// `../`.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A running blob service.
pub struct Azurite {
    endpoint: String,
    client: Client,
    ca: Option<PathBuf>,
    /// The service ends when this pipe closes, at the latest when this process ends.
    _stdin: ChildStdin,
}

impl Azurite {
    /// The service over http.
    pub fn http() -> &'static Self {
        static HTTP: OnceLock<Result<Azurite, String>> = OnceLock::new();
        shared(&HTTP, None)
    }

    /// The service over https, which also accepts bearer tokens. Its certificate is signed by [`Azurite::ca`].
    pub fn https() -> &'static Self {
        static HTTPS: OnceLock<Result<Azurite, String>> = OnceLock::new();
        shared(&HTTPS, Some(Path::new(SCRATCH).join("azurite-tls")))
    }

    /// The account's URL, such as `http://127.0.0.1:10000/devstoreaccount1`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The CA's certificate in PEM, for `SSL_CERT_FILE`. Only the https service has one.
    pub fn ca(&self) -> &Path {
        self.ca.as_deref().expect("only the https service has a CA")
    }

    /// The certificate and key of the https service in PEM, valid for any server on this machine.
    pub fn certificate(&self) -> [PathBuf; 2] {
        ["leaf.pem", "leaf.key"].map(|name| self.ca().with_file_name(name))
    }

    /// The value of `AZURE_STORAGE_CONNECTION_STRING`.
    pub fn connection_string(&self) -> String {
        let endpoint = &self.endpoint;
        let (protocol, _) = endpoint.split_once(':').expect("an endpoint has a scheme");
        format!(
            "DefaultEndpointsProtocol={protocol};AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
        )
    }

    /// The URL of a container.
    pub fn container_url(&self, container: &str) -> String {
        format!("{}/{container}", self.endpoint)
    }

    /// The URL of a blob, with every reserved character of its name percent-encoded, including `/`.
    pub fn blob_url(&self, container: &str, name: &str) -> String {
        format!("{}/{}", self.container_url(container), encode(name))
    }

    /// Creates a container. Anyone can list and read a public container.
    pub fn create_container(&self, name: &str, public: bool) {
        let access = public.then_some(("x-ms-blob-public-access", "container"));
        self.send(
            Method::PUT,
            &format!("/{name}"),
            &[("restype", "container")],
            access.as_slice(),
            Vec::new(),
        );
    }

    /// Writes a block blob, replacing any existing one. Its Content-Type is that of its extension, as tools for
    /// uploading choose it.
    pub fn put(&self, container: &str, name: &str, bytes: impl Into<Vec<u8>>) {
        let extension = BlobName::new(name).extension().map(str::to_owned).unwrap_or_default();
        let media_type = Format::of_extension(&extension).and_then(|format| format.media_type(&extension));
        self.put_typed(container, name, bytes, media_type.unwrap_or("application/octet-stream"));
    }

    /// Writes a block blob with this Content-Type, replacing any existing one.
    pub fn put_typed(&self, container: &str, name: &str, bytes: impl Into<Vec<u8>>, content_type: &str) {
        let headers = [("x-ms-blob-type", "BlockBlob"), ("x-ms-blob-content-type", content_type)];
        self.send(Method::PUT, &blob_path(container, name), &[], &headers, bytes.into());
    }

    /// Writes a block blob with these headers, all of which must start with `x-ms-`.
    pub fn put_with(&self, container: &str, name: &str, bytes: &[u8], headers: &[(&str, &str)]) {
        let headers = [headers, &[("x-ms-blob-type", "BlockBlob")]].concat();
        self.send(Method::PUT, &blob_path(container, name), &[], &headers, bytes.to_vec());
    }

    /// A blob with its headers.
    pub fn get(&self, container: &str, name: &str) -> Response<Bytes> {
        self.send(Method::GET, &blob_path(container, name), &[], &[], Vec::new())
    }

    /// Writes many block blobs, several at a time.
    pub fn put_many(&self, container: &str, blobs: impl Iterator<Item = (String, Vec<u8>)> + Send) {
        let blobs = Mutex::new(blobs);
        let next = || blobs.lock().expect("no upload panicked while it took a blob").next();
        thread::scope(|scope| {
            for _ in 0..UPLOADS {
                scope.spawn(|| {
                    iter::from_fn(next).for_each(|(name, bytes)| self.put(container, &name, bytes))
                });
            }
        });
    }

    /// Allows pages from these comma-separated origins to read the blobs of the account. Replaces all other CORS rules.
    pub fn allow_origins(&self, origins: &str) {
        let rule = format!(
            "<CorsRule><AllowedOrigins>{origins}</AllowedOrigins><AllowedMethods>GET</AllowedMethods>\
             <MaxAgeInSeconds>60</MaxAgeInSeconds><ExposedHeaders>*</ExposedHeaders>\
             <AllowedHeaders>*</AllowedHeaders></CorsRule>"
        );
        let properties = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><Cors>{rule}</Cors>\
             </StorageServiceProperties>"
        );
        let query = [("comp", "properties"), ("restype", "service")];
        self.send(Method::PUT, "/", &query, &[], properties.into_bytes());
    }

    /// Deletes a blob.
    pub fn delete(&self, container: &str, name: &str) {
        self.send(Method::DELETE, &blob_path(container, name), &[], &[], Vec::new());
    }

    /// Moves a block blob to the archive tier, where it is listed but cannot be read.
    pub fn set_tier_archive(&self, container: &str, name: &str) {
        let headers = [("x-ms-access-tier", "Archive")];
        self.send(Method::PUT, &blob_path(container, name), &[("comp", "tier")], &headers, Vec::new());
    }

    /// A service SAS for a container: the query string, without `?`. `permissions`, such as `rl`, must be in the
    /// order that the service requires.
    pub fn sas(&self, container: &str, permissions: &str, expiry: Timestamp) -> String {
        sas(container, "c", permissions, expiry)
    }

    /// A SAS for one blob.
    pub fn blob_sas(&self, container: &str, name: &str, permissions: &str, expiry: Timestamp) -> String {
        sas(&format!("{container}/{name}"), "b", permissions, expiry)
    }

    /// Sends a request, signed with the account's key, and panics unless it succeeds.
    ///
    /// `path` follows the endpoint and must be percent-encoded. The values of `query` must not need encoding, and all
    /// `headers` must start with `x-ms-`.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Response<Bytes> {
        let date = Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let mut headers: BTreeMap<&str, &str> = headers.iter().copied().collect();
        headers.extend([("x-ms-date", date.as_str()), ("x-ms-version", API_VERSION)]);

        let authorization = shared_key(&method, path, query, &headers, body.len());
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let url = format!("{}{path}?{}", self.endpoint, query.join("&"));
        headers.insert("authorization", &authorization);
        let headers: Vec<_> = headers.into_iter().collect();
        let answer = self.client.send(method.clone(), &url, &headers, body);
        let answer = answer.unwrap_or_else(|error| panic!("{method} {url}: {error:?}"));
        let status = answer.status();
        assert!(status.is_success(), "{method} {url}: {status} {}", text(answer));
        answer
    }
}

/// An unsigned token for `audience`, valid for an hour. Azurite's `--oauth basic` accepts it if the audience is
/// `https://storage.azure.com`.
pub fn unsigned_jwt(audience: &str) -> String {
    unsigned_jwt_until(audience, Timestamp::now() + 1.hour())
}

/// The same as [`unsigned_jwt`], valid until `end`.
pub fn unsigned_jwt_until(audience: &str, end: Timestamp) -> String {
    let now = Timestamp::now().as_second().min(end.as_second());
    let issuer = "https://sts.windows.net/00000000-0000-0000-0000-000000000000/";
    let header = serde_json::json!({ "alg": "none", "typ": "JWT" });
    let claims = serde_json::json!({
        "aud": audience, "iss": issuer, "iat": now - 60, "nbf": now - 60, "exp": end.as_second(),
    });
    let [header, claims] = [header, claims].map(|part| BASE64_URL.encode(part.to_string()));
    format!("{header}.{claims}.")
}

/// Writes an executable `az` to `dir` that answers `az account get-access-token` with `token`, valid for an hour. It
/// needs nothing else on the `PATH`.
pub fn fake_az(dir: &Path, token: &str) {
    let expiry = Timestamp::now() + 1.hour();
    let answer = serde_json::json!({
        "accessToken": token,
        "expiresOn": expiry.strftime("%Y-%m-%d %H:%M:%S.000000").to_string(),
        "expires_on": expiry.as_second(),
        "subscription": "00000000-0000-0000-0000-000000000000",
        "tenant": "00000000-0000-0000-0000-000000000000",
        "tokenType": "Bearer",
    });
    let script = format!(
        "#!/bin/sh\n\
         case \"$1 $2\" in\n\
         'account get-access-token') printf '%s\\n' '{answer}' ;;\n\
         *) echo \"this az only supports account get-access-token, not $*\" >&2; exit 2 ;;\n\
         esac\n"
    );
    let az = dir.join("az");
    fs::write(&az, script).expect("az can be written");
    fs::set_permissions(&az, Permissions::from_mode(0o755)).expect("az can be made executable");
}

/// A SAS for a container or a blob of this path; `kind` is `c` or `b`.
fn sas(path: &str, kind: &str, permissions: &str, expiry: Timestamp) -> String {
    let expiry = expiry.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let resource = format!("/blob/{ACCOUNT}/{path}");
    // Permissions, start, expiry, resource, identifier, IP, protocol, version, kind, snapshot, encryption scope, and
    // five response headers.
    let fields =
        [permissions, "", &expiry, &resource, "", "", "", API_VERSION, kind, "", "", "", "", "", "", ""];
    let signature = sign(&fields.join("\n"));
    format!("sv={API_VERSION}&sr={kind}&sp={permissions}&se={}&sig={}", encode(&expiry), encode(&signature))
}

/// The service in `cell`, started on first use. A failure is stored too, so that every test reports it.
fn shared(cell: &'static OnceLock<Result<Azurite, String>>, tls: Option<PathBuf>) -> &'static Azurite {
    let azurite = cell.get_or_init(|| start(tls.as_deref()));
    azurite.as_ref().unwrap_or_else(|error| panic!("Azurite, which this test needs, is not running: {error}"))
}

/// Starts a service, over https if `tls` has a folder for the certificate, otherwise over http.
fn start(tls: Option<&Path>) -> Result<Azurite, String> {
    prepare(tls)?;
    let mut child = spawn(tls)?;
    let stdin = child.stdin.take().expect("stdin is piped");
    let address = listening(&mut child)?;
    let ca = tls.map(|tls| tls.join("ca.pem"));
    Ok(Azurite {
        endpoint: format!("{address}/{ACCOUNT}"),
        client: Client::new(ca.as_deref()),
        ca,
        _stdin: stdin,
    })
}

/// The folder with the installed packages.
pub fn packages() -> PathBuf {
    prepare(None).unwrap_or_else(|why| panic!("{why}"));
    Path::new(PACKAGES).join("node_modules")
}

/// Installs what is missing. Only one process installs at a time; the others wait.
fn prepare(tls: Option<&Path>) -> Result<(), String> {
    let packages = Path::new(PACKAGES);
    let lock = File::open(packages.join("package.json")).map_err(in_context("open package.json"))?;
    lock.lock().map_err(in_context("lock package.json"))?;
    if !installed(packages).map_err(in_context("look for Azurite"))? {
        install(packages)?;
    }
    match tls {
        Some(tls) if !tls.join("ca.pem").exists() => certify(tls).map_err(in_context("make certificates")),
        _ => Ok(()),
    }
}

/// Whether npm has finished an installation since the lock file last changed.
fn installed(packages: &Path) -> io::Result<bool> {
    let wanted = fs::metadata(packages.join("package-lock.json"))?.modified()?;
    match fs::metadata(packages.join("node_modules/.package-lock.json")) {
        Ok(found) => Ok(found.modified()? >= wanted),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Installs Azurite, Node and axe-core. The Node that runs npm may be older than Azurite requires.
fn install(packages: &Path) -> Result<(), String> {
    let options =
        ["--ignore-scripts", "--include=optional", "--engine-strict=false", "--no-audit", "--no-fund"];
    let npm = Command::new("npm").arg("ci").args(options).current_dir(packages).output();
    let npm = npm.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "npm is not on the PATH; install Node.js, which includes it".to_owned(),
        _ => format!("npm: {error}"),
    })?;
    if npm.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&npm.stderr);
    Err(format!("npm ci in tests/azurite: {}\n{stderr}", npm.status))
}

/// Runs `serve.mjs` with the Node that npm installed.
fn spawn(tls: Option<&Path>) -> Result<Child, String> {
    let packages = Path::new(PACKAGES);
    let mut command = Command::new(packages.join("node_modules/.bin/node"));
    command.args(["serve.mjs", "0"]).current_dir(packages).env_remove("AZURITE_ACCOUNTS");
    if let Some(tls) = tls {
        command.arg("--cert").arg(tls.join("leaf.pem")).arg("--key").arg(tls.join("leaf.key"));
        command.args(["--oauth", "basic"]);
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    child.map_err(in_context("start the Node of tests/azurite (package.json lists the platforms)"))
}

/// Waits until Azurite reports its address. A thread keeps reading its stdout, so that Azurite never blocks.
fn listening(child: &mut Child) -> Result<String, String> {
    let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once("successfully listens on ") {
                // Nothing receives this after the timeout.
                let _ = sender.send(address.to_owned());
            }
        }
    });
    receiver.recv_timeout(START_TIMEOUT).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => format!("it did not start within {START_TIMEOUT:?}"),
        mpsc::RecvTimeoutError::Disconnected => "it ended immediately; see stderr".to_owned(),
    })
}

/// The `Authorization` header of a request ("Authorize with Shared Key").
fn shared_key(
    method: &Method,
    path: &str,
    query: &[(&str, &str)],
    headers: &BTreeMap<&str, &str>,
    length: usize,
) -> String {
    let length = if length == 0 { String::new() } else { length.to_string() };
    // Encoding, language, length, MD5, type, date, four conditions and the range.
    let mut text = format!("{method}\n\n\n{length}\n\n\n\n\n\n\n\n\n");
    for (name, value) in headers {
        text += &format!("{name}:{value}\n");
    }
    // Twice: the name of the account, and the first segment of Azurite's paths.
    text += &format!("/{ACCOUNT}/{ACCOUNT}{path}");
    for (name, value) in query.iter().copied().collect::<BTreeMap<_, _>>() {
        text += &format!("\n{name}:{value}");
    }
    format!("SharedKey {ACCOUNT}:{}", sign(&text))
}

/// The signature of `text` in base64.
fn sign(text: &str) -> String {
    let key = BASE64.decode(KEY).expect("the key is base64");
    let mut hmac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    hmac.update(text.as_bytes());
    BASE64.encode(hmac.finalize().into_bytes())
}

/// The path of a blob after the endpoint.
fn blob_path(container: &str, name: &str) -> String {
    format!("/{container}/{}", encode(name))
}

/// Percent-encodes every character with a special meaning in a URL.
fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Prefixes an error with what failed.
fn in_context<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}
