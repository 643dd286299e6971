//! A proxy that the environment names is used, except where the environment says so and for this machine itself.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use presync::loopback::{Config, Content, Handle, Kind, Server, Shape, certify};

use crate::support::presync::Presync;
use crate::support::stand_in::{Answer, StandIn};

/// What a proxy expects of `user:secret`.
const AUTHORIZATION: &str = "proxy-authorization: Basic dXNlcjpzZWNyZXQ=";

fn serve(config: Config) -> Handle {
    Server::start(config).expect("it starts")
}

fn blobs() -> Config {
    Config::of("media", Content::Shape(Shape { blobs: 40, ..Shape::default() }))
}

fn dry_run(source: &str) -> Presync {
    Presync::dry_run(source).args(["--auth", "anonymous", "--exit-zero", "--format", "jsonl"])
}

/// A server's URL without the account.
fn origin(server: &Handle) -> &str {
    server.url().strip_suffix("/loopback").expect("the account ends the URL")
}

/// A proxy that opens tunnels to `target`, whatever host they are for. Gives its authority, and the heads of the requests
/// so far.
fn tunnels(target: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let authority = listener.local_addr().expect("an address").to_string();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (target, seen) = (target.clone(), Arc::clone(&seen));
            // A client that hangs up is of no concern here.
            thread::spawn(move || tunnel(client, &target, &seen));
        }
    });
    (authority, heads)
}

fn tunnel(mut client: TcpStream, target: &str, seen: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    seen.lock().expect("no tunnel panicked").push(String::from_utf8_lossy(&head).into_owned());
    let mut server = TcpStream::connect(target)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write)));
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Write)
}

#[test]
fn plain_http_goes_through_the_proxy_in_absolute_form() {
    let server = serve(blobs());
    // Only the proxy knows the host, and the server takes requests as a proxy gets them.
    let run = || dry_run("http://blobs/loopback/media").env("HTTP_PROXY", origin(&server));
    let ran = run().args(["--concurrency", "2"]).run();
    assert_eq!((ran.code, ran.jsonl().len()), (0, 40), "{}", ran.stderr);
    let stats = server.stats();
    assert_eq!((stats.of(Kind::List), stats.of(Kind::Read)), (1, 40));
    assert!(stats.connections <= 3, "{} connections: they are used again", stats.connections);

    let ran = run().env("NO_PROXY", "blobs").args(["--max-requests-per-second", "50"]).run();
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("cannot reach http://blobs/loopback"), "{}", ran.stderr);
    assert_eq!(server.stats().total(), stats.total());
}

#[test]
fn a_proxy_gets_its_password_and_the_whole_url() {
    let proxy = StandIn::http(|_| {
        Answer::ok("application/xml", "<EnumerationResults><Blobs></Blobs></EnumerationResults>")
    });
    let authority = proxy.url.strip_prefix("http://").expect("a URL");
    let url = format!("http://user:secret@{authority}");
    let ran = dry_run("http://blobs/loopback/media").env("HTTP_PROXY", url).run();
    assert_eq!(ran.jsonl().len(), 0, "{}", ran.stderr);
    let seen = proxy.seen().remove(0);
    assert!(seen.line.starts_with("GET http://blobs/loopback/media?comp=list&"), "{}", seen.line);
    let has = |wanted: &str| seen.headers.iter().any(|header| header == wanted);
    assert!(has(AUTHORIZATION) && has("host: blobs"), "{:?}", seen.headers);
}

#[test]
fn https_goes_through_a_tunnel_and_tls_is_spoken_with_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let certified = certify(folder.path()).expect("certificates");
    let server = serve(Config { tls: Some(certified.tls), ..blobs() });
    let (authority, heads) = tunnels(origin(&server).replace("https://", ""));
    let run = || {
        dry_run("https://loopback/loopback/media")
            .args(["--concurrency", "2"])
            .env("SSL_CERT_FILE", &certified.ca)
            .env("HTTPS_PROXY", format!("http://user:secret@{authority}"))
    };
    let ran = run().run();
    assert_eq!((ran.code, ran.jsonl().len()), (0, 40), "{}", ran.stderr);
    assert_eq!((server.stats().of(Kind::List), server.stats().of(Kind::Read)), (1, 40));
    let heads = || heads.lock().expect("no tunnel panicked").clone();
    assert!((1..=3).contains(&heads().len()), "{} tunnels: they are used again", heads().len());
    for head in heads() {
        assert!(head.starts_with("CONNECT loopback:443 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains(&AUTHORIZATION.to_lowercase()), "{head}");
    }

    let before = heads().len();
    let ran = run().env("NO_PROXY", "loopback").args(["--max-requests-per-second", "50"]).run();
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("cannot reach https://loopback/loopback"), "{}", ran.stderr);
    assert_eq!(heads().len(), before);
}

#[test]
fn a_proxy_that_refuses_is_named_in_the_error() {
    let proxy = StandIn::http(|_| Answer("407 Proxy Authentication Required", Vec::new(), Vec::new()));
    let ran = dry_run("https://media.blob.test/cam").env("HTTPS_PROXY", &proxy.url).run();
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("proxy authorization required"), "{}", ran.stderr);
    assert!(proxy.seen().iter().all(|request| request.line.starts_with("CONNECT media.blob.test:443")));
}

#[test]
fn this_machine_is_never_asked_through_a_proxy() {
    let server = serve(blobs());
    let proxy = StandIn::http(|_| Answer::refused("403 Forbidden", "Proxied"));
    for host in ["127.0.0.1", "localhost"] {
        let source = format!("{}/media", server.url().replace("127.0.0.1", host));
        let ran = dry_run(&source).env("HTTP_PROXY", &proxy.url).env("ALL_PROXY", &proxy.url).run();
        assert_eq!((ran.code, ran.jsonl().len()), (0, 40), "{}", ran.stderr);
    }
    assert_eq!(proxy.seen().len(), 0);
}
