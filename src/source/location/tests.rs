use std::ffi::OsStr;

use proptest::prelude::*;

use super::*;

const SAS: &str = "sv=2022-11-02&se=2030-01-01T00%3A00%3A00Z&sr=c&sp=rl&sig=c2VjcmV0%3D";

fn parse_with(source: &str, account: Option<&str>, variables: &[(&str, &str)]) -> Result<Location> {
    Location::parse(OsStr::new(source), account, &Environment::of(variables.iter().copied()))
}

/// Endpoint, account, container and prefix.
fn parts_with(source: &str, variables: &[(&str, &str)]) -> (String, String, String, String) {
    match parse_with(source, None, variables) {
        Ok(Location::Container(url)) => (
            url.endpoint().to_owned(),
            url.account().unwrap_or("-").to_owned(),
            url.container().to_owned(),
            url.prefix().to_owned(),
        ),
        other => panic!("{source}: {other:?}"),
    }
}

fn parts(source: &str) -> (String, String, String, String) {
    parts_with(source, &[])
}

fn error(source: &str) -> Error {
    parse_with(source, None, &[]).expect_err(source)
}

fn expect(endpoint: &str, account: &str, container: &str, prefix: &str) -> (String, String, String, String) {
    (endpoint.into(), account.into(), container.into(), prefix.into())
}

#[test]
fn a_url_of_an_account() {
    let endpoint = "https://media.blob.core.windows.net";
    assert_eq!(parts(&format!("{endpoint}/cam")), expect(endpoint, "media", "cam", ""));
    assert_eq!(parts(&format!("{endpoint}/cam/")), expect(endpoint, "media", "cam", ""));
    assert_eq!(parts(&format!("{endpoint}/cam/2026/a")), expect(endpoint, "media", "cam", "2026/a"));
    assert_eq!(
        parts("HTTPS://Media.Blob.core.windows.net:443/$web/x"),
        expect(endpoint, "media", "$web", "x")
    );
    assert_eq!(
        parts("https://media-secondary.blob.core.windows.net/cam"),
        expect("https://media-secondary.blob.core.windows.net", "media", "cam", "")
    );
    assert_eq!(parts("https://media.dfs.core.windows.net/cam/x"), expect(endpoint, "media", "cam", "x"));
    assert_eq!(
        parts("https://media.z01.blob.storage.azure.net/cam"),
        expect("https://media.z01.blob.storage.azure.net", "media", "cam", "")
    );
}

#[test]
fn a_prefix_is_decoded_once_and_never_normalised() {
    let prefix = |path: &str| parts(&format!("https://media.blob.core.windows.net/cam/{path}")).3;
    assert_eq!(prefix("a//b"), "a//b");
    assert_eq!(prefix("/lead"), "/lead");
    assert_eq!(prefix("a/../b/./c"), "a/../b/./c");
    assert_eq!(prefix("trail/"), "trail/");
    assert_eq!(prefix("100%25"), "100%");
    assert_eq!(prefix("100%2525"), "100%25");
    assert_eq!(prefix("100%.jpg"), "100%.jpg");
    assert_eq!(prefix("q%3Fh%23"), "q?h#");
    assert_eq!(prefix("a+b c\\d"), "a+b c\\d");
    assert_eq!(prefix("%F0%9F%98%80😀"), "😀😀");
    assert_eq!(prefix("nl%0A"), "nl\n");
    assert!(error("https://media.blob.core.windows.net/cam/%FF").message().contains("UTF-8"));
}

#[test]
fn an_address_or_a_bare_host_is_path_style() {
    let local = "http://127.0.0.1:10000/devstoreaccount1";
    assert_eq!(parts(&format!("{local}/cam/a//b")), expect(local, "devstoreaccount1", "cam", "a//b"));
    for host in ["localhost:10000", "azurite:10000", "[::1]:10000", "10.0.0.7"] {
        let endpoint = format!("http://{host}/devstoreaccount1");
        assert_eq!(parts(&format!("{endpoint}/cam")), expect(&endpoint, "devstoreaccount1", "cam", ""));
    }
    let docker = "http://host.docker.internal:10000/devstoreaccount1";
    let connection = format!("AccountName=devstoreaccount1;AccountKey=eA==;BlobEndpoint={docker}/;");
    assert_eq!(
        parts_with(&format!("{docker}/cam/x"), &[("AZURE_STORAGE_CONNECTION_STRING", &connection)]),
        expect(docker, "devstoreaccount1", "cam", "x")
    );
    assert!(error(local).message().contains("no container"));
}

#[test]
fn an_emulator_is_told_by_its_host_or_its_path() {
    let is_emulator = |source: &str| match parse_with(source, None, &[]) {
        Ok(Location::Container(url)) => url.is_emulator(),
        other => panic!("{source}: {other:?}"),
    };
    for host in ["127.0.0.1:10000", "localhost:10000", "azurite:10000", "[::1]:10000", "10.0.0.7"] {
        assert!(is_emulator(&format!("http://{host}/devstoreaccount1/cam")), "{host}");
    }
    assert!(is_emulator("http://devstoreaccount1.blob.localhost:10000/cam"));
    for host in ["media.blob.core.windows.net", "media.blob.core.usgovcloudapi.net", "cdn.example.com"] {
        assert!(!is_emulator(&format!("https://{host}/cam/x")), "{host}");
    }
}

#[test]
fn a_custom_domain_takes_its_account_from_elsewhere() {
    let endpoint = "https://cdn.example.com";
    assert_eq!(parts("https://cdn.example.com/cam/x"), expect(endpoint, "-", "cam", "x"));
    let variables = [("AZURE_STORAGE_ACCOUNT", "media")];
    assert_eq!(parts_with("https://cdn.example.com/cam", &variables), expect(endpoint, "media", "cam", ""));
}

#[test]
fn az_and_abfs_take_the_prefix_as_it_is() {
    let endpoint = "https://media.blob.core.windows.net";
    let variables = [("AZURE_STORAGE_ACCOUNT", "media")];
    assert_eq!(
        parts_with("az://cam/a%20b?c#d/../e", &variables),
        expect(endpoint, "media", "cam", "a%20b?c#d/../e")
    );
    assert_eq!(parts_with("abfs://cam/x", &variables), expect(endpoint, "media", "cam", "x"));
    assert_eq!(
        parts("abfss://cam@media.dfs.core.windows.net//x%20"),
        expect(endpoint, "media", "cam", "/x%20")
    );
    assert_eq!(
        parts("abfs://cam@media.dfs.core.chinacloudapi.cn"),
        expect("https://media.blob.core.chinacloudapi.cn", "media", "cam", "")
    );
    assert_eq!(
        parts_with("az://cam", &[("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true")]),
        expect("http://127.0.0.1:10000/devstoreaccount1", "devstoreaccount1", "cam", "")
    );
    let url = parse_with("az://cam", Some("other"), &variables).unwrap();
    assert_eq!(url.to_string(), "https://other.blob.core.windows.net/cam");
    assert!(error("az://cam").hint().unwrap().contains("--account"));
    assert!(error("az:///x").message().contains("no container"));
    assert!(error("abfss://cam@cdn.example.com/x").message().contains("cdn.example.com"));
}

#[test]
fn everything_else_is_a_folder() {
    for folder in ["x:y", r"C:\media", "C://media", ".", "az:cam", "a/https://b"] {
        assert_eq!(parse_with(folder, None, &[]), Ok(Location::Folder(PathBuf::from(folder))), "{folder}");
    }
    if cfg!(unix) {
        let folder = Location::Folder(PathBuf::from("/data/a b"));
        assert_eq!(parse_with("file:///data/a%20b", None, &[]), Ok(folder));
    }
    assert!(error("file:///data?x").hint().unwrap().contains("%3F"));
    assert!(error("file://server/x").message().contains("does not name a folder"));
    assert!(error("s3://bucket/x").message().contains("s3://"));
    assert!(error("").message().contains("empty"));
}

#[test]
fn what_is_wrong_is_named() {
    let base = "https://media.blob.core.windows.net";
    assert!(error(&format!("{base}/cam/a#b")).hint().unwrap().contains("%23"));
    assert!(error(base).message().contains("no container"));
    assert!(error(&format!("{base}//x")).message().contains("no container"));
    assert!(error(&format!("{base}/Cam")).message().contains("'Cam'"));
    for container in ["ab", "-cam", "cam-", "ca--m", "c_m", "$cam", &"c".repeat(64)] {
        assert!(error(&format!("{base}/{container}")).message().contains("container name"), "{container}");
    }
    assert!(error("https://me.blob.core.windows.net/cam").message().contains("'me'"));
    assert!(error("https://user:secret@host.com/cam").message().contains("user name"));
    assert!(!format!("{:?}", error("https://user:secret@host.com/cam")).contains("secret"));
    for source in ["https:///cam", "https://:443/cam"] {
        assert_eq!(error(source).message(), "the URL names no host");
    }
    for port in ["port", "65536", "-1", "443:1"] {
        let error = error(&format!("https://media.blob.core.windows.net:{port}/cam"));
        assert_eq!(error.message(), format!("'{port}' in the URL is not a port"));
    }
    assert!(error("http://::1:10000/devstoreaccount1/cam").hint().unwrap().contains("brackets"));
    assert!(error("https://a b/cam").message().contains("not a host"));
    let clash = parse_with(&format!("{base}/cam"), Some("other"), &[]).unwrap_err();
    assert!(clash.message().contains("--account"));
}

#[test]
fn a_sas_is_kept_and_never_shown() {
    let source = format!("https://media.blob.core.windows.net/cam/x?{SAS}");
    let location = parse_with(&source, None, &[]).unwrap();
    assert_eq!(location.to_string(), "https://media.blob.core.windows.net/cam/x");
    assert!(!format!("{location:?}").contains("c2VjcmV0"));
    let Location::Container(url) = location else { panic!() };
    let sas = url.sas().unwrap();
    assert_eq!(sas.query(), SAS);
    assert_eq!(sas.expires().unwrap().to_string(), "2030-01-01T00:00:00Z");
    assert_eq!(sas.field("sp").as_deref(), Some("rl"));
    let refused = error("https://media.blob.core.windows.net/cam?sp=rl&token=c2VjcmV0");
    assert!(refused.message().contains("sig=") && !format!("{refused:?}").contains("c2VjcmV0"));
    for source in ["az://cam/x", "abfss://cam@media.dfs.core.windows.net/x"] {
        let refused = error(&format!("{source}?{SAS}"));
        assert!(refused.message().contains("SAS") && !format!("{refused:?}").contains("c2VjcmV0"));
    }
}

#[test]
fn the_times_of_a_sas_have_three_forms() {
    for (text, time) in [
        ("2030-01-02T03:04:05Z", "2030-01-02T03:04:05Z"),
        ("2030-01-02T03:04Z", "2030-01-02T03:04:00Z"),
        ("2030-01-02", "2030-01-02T00:00:00Z"),
    ] {
        let sas = Sas::parse(&format!("?se={text}&sig=x")).unwrap();
        assert_eq!(sas.expires().unwrap().to_string(), time);
    }
    assert_eq!(Sas::parse("se=soon&sig=x").unwrap().expires(), None);
    assert_eq!(Sas::parse("sig="), None);
}

#[test]
fn connection_strings() {
    let read = |text| ConnectionString::parse(text).unwrap();
    let plain = read("DefaultEndpointsProtocol=https;AccountName=media;AccountKey=eA==;EndpointSuffix=x.cn");
    assert_eq!((plain.endpoint(), plain.account()), ("https://media.blob.x.cn", Some("media")));
    assert_eq!(plain.key().unwrap().secret(), "eA==");
    let sas = read(&format!("BlobEndpoint=https://media.blob.core.windows.net/;SharedAccessSignature={SAS}"));
    assert_eq!((sas.account(), sas.sas().unwrap().query()), (Some("media"), SAS));
    assert!(!format!("{sas:?}{plain:?}").contains("c2VjcmV0"));
    for text in ["hello", "AccountKey=eA==", "BlobEndpoint=ftp://x", "AccountName=a;SharedAccessSignature=x"]
    {
        let error = ConnectionString::parse(text).unwrap_err();
        assert!(error.message().contains("AZURE_STORAGE_CONNECTION_STRING"), "{text}");
    }
}

#[test]
fn a_blob_url_keeps_every_name() {
    let Location::Container(url) = parse_with("http://127.0.0.1:1/devstoreaccount1/cam", None, &[]).unwrap()
    else {
        panic!()
    };
    for name in ["a//b", "a/../b", "nl\n\r\t", "100%25", "q?#&+ ", "😀"] {
        let path = url.blob_url(name).unwrap().path().to_owned();
        let (_, segment) = path.rsplit_once('/').unwrap();
        assert_eq!(percent_decode_str(segment).decode_utf8().unwrap(), name);
    }
}

proptest! {
    #[test]
    fn a_printed_container_reads_back(prefix in ".{0,40}") {
        let variables = [("AZURE_STORAGE_ACCOUNT", "media")];
        prop_assume!(!prefix.contains("sig="));
        let first = parse_with(&format!("az://cam/{prefix}"), None, &variables).unwrap();
        let second = parse_with(&first.to_string(), None, &[]).unwrap();
        prop_assert_eq!(first, second);
    }

    #[test]
    fn nothing_panics(text in "(https?|az|abfss|file)?(://)?.{0,60}") {
        let _ = parse_with(&text, None, &[]);
        let _ = ConnectionString::parse(&text);
    }
}

#[test]
fn only_azure_and_this_machine_are_trusted_unnamed() {
    let is_trusted = |source: &str| match parse_with(source, Some("media"), &[]) {
        Ok(Location::Container(url)) => url.is_trusted(),
        other => panic!("{source}: {other:?}"),
    };
    for source in [
        "https://media.blob.core.windows.net/cams",
        "https://media.z01.blob.storage.azure.net/cams",
        "https://media.blob.core.chinacloudapi.cn/cams",
        "http://127.0.0.1:10000/media/cams",
        "http://localhost:10000/media/cams",
    ] {
        assert!(is_trusted(source), "{source}");
    }
    for source in [
        "https://blobs.example.com/cams",
        "https://media.blob.core.windows.net.example.com/cams",
        "https://mediablob.core.windows.net.example.com/cams",
        "http://10.0.0.1:10000/media/cams",
    ] {
        assert!(!is_trusted(source), "{source}");
    }
}

#[test]
fn hosts_with_suffixes_name_their_account() {
    for suffix in [
        "internetrouting",
        "microsoftrouting",
        "ipv6",
        "dualstack",
        "secondary-ipv6",
        "internetrouting-dualstack",
    ] {
        let endpoint = format!("https://media-{suffix}.blob.core.windows.net");
        assert_eq!(parts(&format!("{endpoint}/cam")), expect(&endpoint, "media", "cam", ""));
    }
    assert!(error("https://media-other.blob.core.windows.net/cam").message().contains("media-other"));
}

#[test]
fn urls_of_other_tools_are_taken() {
    let endpoint = "https://media.blob.core.windows.net";
    for source in [
        "wasbs://cam@media.blob.core.windows.net/a b",
        "wasb://cam@media.blob.core.windows.net/a b",
        "az://media.blob.core.windows.net/cam/a b",
        "azure://media.blob.core.windows.net/cam/a b",
        "abfss://media.dfs.core.windows.net/cam/a b",
        "az://cam@media.blob.core.windows.net/a b",
        "abfs://cam@media/a b",
        " https://media.blob.core.windows.net/cam/a b",
        "\"https://media.blob.core.windows.net/cam/a b\"",
        "https://media.blob.core.windows.net/cam?restype=container&comp=list&prefix=a%20b",
    ] {
        assert_eq!(parts(source), expect(endpoint, "media", "cam", "a b"), "{source}");
    }
    let variables = [("AZURE_STORAGE_ACCOUNT", "\"media\"")];
    assert_eq!(parts_with("azure://cam/x", &variables), expect(endpoint, "media", "cam", "x"));
}

#[test]
fn what_is_no_blob_endpoint_is_refused_with_the_rewrite() {
    for (source, hint) in [
        ("https://media.file.core.windows.net/cam", "https://media.blob.core.windows.net/CONTAINER"),
        ("https://media.z6.web.core.windows.net/", "https://media.blob.core.windows.net/$web"),
        ("https://onelake.dfs.fabric.microsoft.com/w/lh.Lakehouse/Files", "container"),
        ("abfss://w@onelake.dfs.fabric.microsoft.com/lh.Lakehouse/Files", "container"),
        (
            "https://portal.azure.com/#@c/resource/x/storageAccounts/media/containersList",
            "https://media.blob",
        ),
        (
            "https://portal.azure.com/#view/Blade/storageAccountId/%2Fx%2FstorageAccounts%2Fmedia/path/cam/etag/1",
            "https://media.blob.core.windows.net/cam",
        ),
        ("https://media.blob.core.windows.net", "presync audit --account media"),
        ("media.blob.core.windows.net/cam/x", "write https://media.blob.core.windows.net/cam/x"),
        ("https:/media.blob.core.windows.net/cam", "write https://media.blob.core.windows.net/cam"),
        ("adl://cam/x", "abfss://"),
        ("https://media.blob.core.windows.net/cam?sv=2022-11-02", "quote the URL"),
        ("https://media.blob.core.windows.net/cam/a?snapshot=1&sig=x", "snapshot"),
    ] {
        let error = error(source);
        assert!(error.hint().is_some_and(|found| found.contains(hint)), "{source}: {error:?}");
    }
}

#[test]
fn a_signature_that_was_decoded_or_encoded_too_often_is_put_right() {
    for signature in ["a%2Bb%2F%3D", "a+b/=", "a b/=", "a%252Bb%252F%253D"] {
        assert_eq!(
            Sas::parse(&format!("?sp=rl&sig={signature}&comp=list")).unwrap().query(),
            "sp=rl&sig=a%2Bb%2F%3D"
        );
    }
}
