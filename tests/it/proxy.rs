//! A proxy that the environment names is used, and left out where the environment says so.

use presync::loopback::{Config, Content, Kind, Server, Shape};

use crate::support::presync::Presync;

#[test]
fn listing_and_reads_go_through_the_proxy() {
    let shape = Content::Shape(Shape { blobs: 40, ..Shape::default() });
    let server = Server::start(Config::of("media", shape)).expect("it starts");
    let origin = server.url().strip_suffix("/loopback").expect("the account ends the URL").to_owned();
    // Only the proxy knows the host, and the server takes requests as a proxy gets them.
    let run = || {
        Presync::dry_run("http://blobs/loopback/media")
            .args(["--auth", "anonymous", "--exit-zero", "--format", "jsonl"])
            .env("HTTP_PROXY", &origin)
    };
    let ran = run().run();
    assert_eq!((ran.code, ran.jsonl().len()), (0, 40), "{}", ran.stderr);
    let stats = server.stats();
    assert_eq!((stats.of(Kind::List), stats.of(Kind::Read)), (1, 40));

    let ran = run().env("NO_PROXY", "blobs").args(["--max-requests-per-second", "50"]).run();
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("cannot reach http://blobs/loopback"), "{}", ran.stderr);
    assert_eq!(server.stats().total(), stats.total());
}
