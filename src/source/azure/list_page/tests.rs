use proptest::prelude::*;

use super::*;

const ODD_NAMES: &str = include_str!("../../../../fixtures/pages/odd-names.xml");
const HIERARCHICAL: &str = include_str!("../../../../fixtures/pages/hierarchical-namespace.xml");
const TIERS: &str = include_str!("../../../../fixtures/pages/tiers-and-hidden.xml");

fn names(page: &Page) -> Vec<&str> {
    page.blobs.iter().map(|blob| blob.name.as_str()).collect()
}

fn page_of(blob: &str) -> String {
    format!("<EnumerationResults><Blobs><Blob>{blob}</Blob></Blobs></EnumerationResults>")
}

fn fault(body: &str) -> String {
    parse(body.as_bytes()).expect_err(body).message().to_owned()
}

#[test]
fn odd_names_come_out_as_they_are() {
    let page = parse(ODD_NAMES.as_bytes()).unwrap();
    assert_eq!(
        names(&page),
        [
            "a&b <x> \"' & 😀.jpg",
            "fffe\u{fffe}\u{1}.jpg",
            "100%25.jpg",
            "c<d>&amp;",
            "n\nl\r\tx",
            "  spaced  ",
            "."
        ]
    );
    assert_eq!(page.next.as_deref(), Some("2!92!MDAwMDE0&"));
    let first = &page.blobs[0];
    assert_eq!((first.size, first.access.clone()), (183_422, Access::Online));
    assert_eq!(first.etag, Some(ETag::new("0x8DD5A1B2C3D4E5F")));
    assert_eq!(first.last_modified.unwrap().to_string(), "2026-11-01T10:00:00Z");
    assert_eq!(page.blobs[1].etag, Some(ETag::new("0x8DD")));
    assert_eq!((page.blobs[2].etag.clone(), page.blobs[2].last_modified), (None, None));
    assert_eq!(page.blobs[3].size, Blob::MAX_SIZE);
    assert!(matches!(page.blobs[6].access, Access::Unreachable(_)));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let other = format!("\u{feff}{}", ODD_NAMES.replace('\n', "\r\n"));
    assert_eq!(parse(other.as_bytes()).unwrap(), parse(ODD_NAMES.as_bytes()).unwrap());
}

#[test]
fn folders_stay_where_the_service_lists_them() {
    let page = |items: &[&str]| {
        let item = |name: &&str| match name.ends_with('/') {
            true => format!("<BlobPrefix><Name>{name}</Name></BlobPrefix>"),
            false => format!(
                "<Blob><Name>{name}</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>"
            ),
        };
        let items: String = items.iter().map(item).collect();
        let page =
            parse(format!("<EnumerationResults><Blobs>{items}</Blobs></EnumerationResults>").as_bytes());
        names(&page.unwrap()).join(" ")
    };
    for listed in [["a/", "a-b/", "a.jpg"], ["a.jpg", "b/", "b-c/"], ["c.jpg", "b.jpg", "a/"]] {
        assert_eq!(page(&listed), listed.join(" "), "as the service lists them");
    }
    for listed in [["a.jpg", "c.jpg", "b/", "d/"], ["b/", "d/", "a.jpg", "c.jpg"]] {
        assert_eq!(page(&listed), "a.jpg b/ c.jpg d/", "as an emulator lists them");
    }
}

#[test]
fn directories_are_told_from_blobs() {
    let page = parse(HIERARCHICAL.as_bytes()).unwrap();
    assert_eq!(names(&page), ["2026", "2026/11", "2026/11/marked.jpg", "2026/12/"]);
    let access: Vec<_> = page.blobs.iter().map(|blob| blob.access.clone()).collect();
    assert_eq!(access, [Access::Directory, Access::Directory, Access::Online, Access::NotEntered]);
    assert_eq!(page.next, None);
}

#[test]
fn archived_blobs_are_marked_and_hidden_ones_left_out() {
    let page = parse(TIERS.as_bytes()).unwrap();
    assert_eq!(names(&page), ["archived", "coming-back", "cold"]);
    let access: Vec<_> = page.blobs.iter().map(|blob| blob.access.clone()).collect();
    assert_eq!(access, [Access::Archived, Access::Rehydrating, Access::Online]);
}

#[test]
fn a_page_may_be_empty_and_not_the_last() {
    let page = parse(b"<EnumerationResults><Blobs/><NextMarker>m</NextMarker></EnumerationResults>").unwrap();
    assert_eq!(page, Page { blobs: vec![], next: Some("m".into()) });
}

#[test]
fn a_page_with_a_gap_is_not_believed() {
    let length = "<Properties><Content-Length>1</Content-Length></Properties>";
    assert!(fault(&page_of(length)).contains("no name"));
    assert!(fault(&page_of(&format!("<Name/>{length}"))).contains("no name"));
    assert!(fault(&page_of("<Name>a</Name>")).contains("no length"));
    assert!(fault(&page_of("<Name>a</Name><Name>b</Name>")).contains("two names"));
    for wrong in ["-1", "1.5", "", "18446744073709551616", "0x10"] {
        let properties = format!("<Properties><Content-Length>{wrong}</Content-Length></Properties>");
        assert!(fault(&page_of(&format!("<Name>a</Name>{properties}"))).contains("length"), "{wrong}");
    }
    assert!(fault(&page_of("<Name>&bomb;</Name>")).contains("entity"));
    assert!(fault(&page_of("<Name>a<b/></Name>")).contains("text was expected"));
    assert!(fault(&page_of("<Name Encoded='true'>%FF</Name>")).contains("UTF-8"));
}

#[test]
fn what_is_no_listing_is_said_so() {
    for body in ["", "{}", "<html></html>", "<Error/>", "<a", "<EnumerationResults/><EnumerationResults/>"] {
        assert!(fault(body).contains("at byte"), "{body}");
    }
    assert!(fault("<html><body>").contains("not a listing"));
    assert!(fault("<!DOCTYPE x [<!ENTITY a 'b'>]><EnumerationResults/>").contains("document type"));
}

#[test]
fn more_bytes_than_a_blob_can_have_are_refused() {
    for size in [Blob::MAX_SIZE + 1, u64::MAX] {
        let length = format!("<Properties><Content-Length>{size}</Content-Length></Properties>");
        let fault = fault(&page_of(&format!("<Name>a\n.jpg</Name>{length}")));
        assert!(fault.contains(&format!("'a\\n.jpg' has {size} bytes, more than the 190.7 TiB")), "{fault}");
    }
}

#[test]
fn a_fault_names_its_byte() {
    let body = page_of("<Name>a</Name></Nome>");
    let at = body.find("</Nome>").unwrap();
    assert!(fault(&body).ends_with(&format!("at byte {at}")), "{}", fault(&body));
}

#[test]
fn caps_hold() {
    let long = "x".repeat(MAX_FIELD_BYTES + 1);
    assert!(fault(&page_of(&format!("<Name>{long}</Name>"))).contains("bytes"));
    let deep = "<x>".repeat(MAX_SKIPPED_DEPTH as usize + 1);
    assert!(fault(&page_of(&deep)).contains("too deep"));
    let blob = "<Blob><Name>a</Name><Properties><Content-Length>1</Content-Length></Properties></Blob>";
    let page = |count: usize| {
        format!("<EnumerationResults><Blobs>{}</Blobs></EnumerationResults>", blob.repeat(count))
    };
    let most = usize::from(MAX_BLOBS);
    assert_eq!(parse(page(most).as_bytes()).unwrap().blobs.len(), most);
    assert!(fault(&page(most + 1)).contains("5000 blobs"));
}

#[test]
fn no_cut_page_is_believed() {
    for page in [ODD_NAMES, HIERARCHICAL, TIERS] {
        let end = page.trim_end().len();
        for cut in 0..end {
            assert!(parse(&page.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
    }
}

/// Asserts that a page is what the XML reader alone makes of it.
fn assert_as_xml(body: &[u8]) {
    assert_eq!(parse(body), parse_with(body, |_, _| (0, Ok(()))), "{}", String::from_utf8_lossy(body));
}

/// What can make a plain blob something else, wherever it stands.
const TWISTS: [&str; 24] = [
    "<",
    ">",
    "/",
    "&",
    ";",
    "\r",
    "\n ",
    "x",
    "é",
    "&amp;",
    "<x/>",
    "<x />",
    "<x>",
    "</x>",
    "<x a='>'/>",
    "<x\"y>",
    "<>",
    "</>",
    "<!-- x -->",
    "<![CDATA[x]]>",
    "<?x?>",
    "</Name >",
    "<Name Encoded='true'>",
    "<Properties><Deleted>true</Deleted></Properties>",
];

#[test]
fn the_fixtures_are_what_the_xml_reader_makes_of_them() {
    for page in [ODD_NAMES, HIERARCHICAL, TIERS] {
        assert_as_xml(page.as_bytes());
        assert_as_xml(page.replace('\n', "\r\n").as_bytes());
    }
}

#[test]
fn a_blob_as_the_service_writes_it_is_plain() {
    let body = "<Name>a</Name><Properties><Content-Length>1</Content-Length><Content-MD5 /></Properties><OrMetadata /></Blob>";
    let mut parser = Parser { place: Place::Blob, ..Parser::default() };
    assert_eq!(parser.plain_blobs(body), (body.len() - "</Blob>".len(), Ok(())));
    let body = body.replace("<Name>", "<Name x='y'>");
    let mut parser = Parser { place: Place::Blob, ..Parser::default() };
    assert_eq!(parser.plain_blobs(&body), (0, Ok(())));
    assert!(parser.item.name.is_none() && parser.item.size.is_none());
}

proptest! {
    #[test]
    fn a_twisted_page_is_what_the_xml_reader_makes_of_it(
        twists in proptest::collection::vec((any::<proptest::sample::Index>(), 0..TWISTS.len()), 0..4),
    ) {
        let blob = "<Name>a</Name><Properties><Etag>0x8D</Etag><Content-Length>1</Content-Length><Content-MD5 />\
            <AccessTier>Hot</AccessTier></Properties><Metadata><hdi_isfolder>true</hdi_isfolder></Metadata><OrMetadata />";
        let mut body = page_of(&format!("{blob}</Blob><BlobPrefix><Name>b/</Name></BlobPrefix><Blob>{blob}</Blob><Blob>{blob}"));
        for (at, twist) in twists {
            let at = at.index(body.len());
            let at = (at..).find(|at| body.is_char_boundary(*at)).unwrap_or(0);
            body.insert_str(at, TWISTS[twist]);
        }
        assert_as_xml(body.as_bytes());
    }

    #[test]
    fn arbitrary_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&body);
    }

    #[test]
    fn a_page_with_a_changed_byte_is_what_the_xml_reader_makes_of_it(at in 0..TIERS.len(), byte in any::<u8>()) {
        let mut body = TIERS.as_bytes().to_vec();
        body[at] = byte;
        assert_as_xml(&body);
    }

    #[test]
    fn a_name_survives_being_written(name in "[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\r\u{fffe}\u{ffff}]{1,40}") {
        let body = page_of(&format!(
            "<Name>{}</Name><Properties><Content-Length>1</Content-Length></Properties>",
            quick_xml::escape::escape(name.as_str())
        ));
        let page = parse(body.as_bytes()).unwrap();
        prop_assert_eq!(names(&page), [name.as_str()]);
    }
}

#[test]
fn dates_are_those_of_the_library() {
    let mut dates = Dates::default();
    for text in [
        "Sun, 01 Nov 2026 10:00:00 GMT",
        "Sun, 01 Nov 2026 23:59:59 GMT",
        "Sun, 01 Nov 2026 00:00:00 GMT",
        "Mon, 02 Nov 2026 00:00:01 GMT",
        "Sun, 01 Nov 2026 10:00:00 GMT",
        "Sun, 01 Nov 2026 24:00:00 GMT",
        "Sun, 01 Nov 2026 10:00:60 GMT",
        "Sun, 01 Nov 2026 1é:00:00 GM",
        "Sun, 01 Nov 2026 10:00:00 +0100",
        "Sun, 1 Nov 2026 10:00:00 GMT",
        "Mon, 01 Nov 2026 10:00:00 GMT",
        "",
    ] {
        let library = rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
        assert_eq!(dates.parse(text), library, "{text}");
    }
}
