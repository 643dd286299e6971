//! What looks like a secret: signatures, keys, tokens and passwords, also percent-encoded any number of times.

use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How often a text may be percent-encoded and still be recognized: a URL within a URL within a URL.
const MAX_ENCODED: usize = 3;

/// Names whose value is a secret, in lower case: of SAS, connection strings, OAuth requests and URLs.
const NAMES: [&str; 13] = [
    "sig",
    "signature",
    "accountkey",
    "sharedaccesskey",
    "client_secret",
    "clientsecret",
    "client_assertion",
    "access_token",
    "refresh_token",
    "id_token",
    "assertion",
    "password",
    "pwd",
];

/// Other fields of a SAS ("Create a service SAS", "Create an account SAS", "Create a user delegation SAS").
const SAS_FIELDS: [&str; 13] =
    ["sv", "se", "sp", "sr", "st", "si", "ss", "srt", "spr", "sip", "skoid", "sktid", "sdd"];

/// The characters in base64 of an account key, which has 64 bytes, without the padding.
const KEY_LENGTH: usize = 86;
/// The characters in base64 of a signature, which has 32 bytes, without the padding.
const SIGNATURE_LENGTH: usize = 43;
/// A text in base64's characters, of mixed kinds and at least this long, is likely to be a damaged key.
const RANDOM_LENGTH: usize = 60;
/// The least characters of a token after `Bearer`, and of a JSON Web Token.
const TOKEN_LENGTH: usize = 20;
/// The most bytes of a run: a key takes at most 9 for each of its characters, percent-encoded three times.
const MAX_RUN: usize = 1024;
/// The characters after the `Q~` in a client secret of Entra ID are at least this many.
const SECRET_LENGTH: usize = 28;

/// What kind of credential a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A shared access signature, or a URL with one.
    Sas,
    /// A SAS that is percent-encoded as a whole, so that it does not work.
    EncodedSas,
    /// A connection string.
    ConnectionString,
    /// An account's key.
    Key,
    /// An access token.
    Token,
    /// A client secret of Entra ID.
    ClientSecret,
}

/// The kind of credential that a text is or holds; `None` if it is not one. A blob's name such as `a&sig=b` is not.
pub fn kind_of(text: &str) -> Option<Kind> {
    if fields(text).any(|(name, value)| {
        matches!(&*name, "accountkey" | "sharedaccesskey" | "sharedaccesssignature") && !value.is_empty()
    }) {
        return Some(Kind::ConnectionString);
    }
    if is_sas(text) {
        return Some(Kind::Sas);
    }
    let decoded = decodings(text);
    if decoded.iter().skip(1).any(|text| is_sas(text)) {
        return Some(Kind::EncodedSas);
    }
    let text = text.trim().trim_matches(['"', '\'']);
    let word = text.rsplit(' ').next().unwrap_or_default();
    let bytes = word.as_bytes();
    if jwt(bytes, 0) == Some(bytes.len()) {
        return Some(Kind::Token);
    }
    if client_secret(bytes, 0) == Some(bytes.len()) {
        return Some(Kind::ClientSecret);
    }
    let key = base64(bytes, 0);
    (key.end == bytes.len() && key.pads > 0 && key.letters >= KEY_LENGTH - 6).then_some(Kind::Key)
}

/// Whether a text has the fields of a SAS as it is.
fn is_sas(text: &str) -> bool {
    let signature = fields(text).find(|(name, value)| name == "sig" && !value.is_empty());
    signature.is_some_and(|(_, value)| {
        value.len() >= 16 || fields(text).any(|(name, _)| SAS_FIELDS.contains(&&*name))
    })
}

/// The `name=value` fields of a query or a connection string, with names in lower case.
fn fields(text: &str) -> impl Iterator<Item = (String, &str)> {
    let parts = text.split(['?', '&', ';', ' ', '"', '\'', '#', '\n']);
    parts
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value))
}

/// A text, and what it is after each decoding.
fn decodings(text: &str) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    for _ in 0..MAX_ENCODED {
        let last = all.last().map(String::as_str).unwrap_or_default();
        match percent_decode_str(last).decode_utf8_lossy() {
            decoded if decoded == last => break,
            decoded => all.push(decoded.into_owned()),
        }
    }
    all
}

/// Every way to write a value: decoded, as it is, and encoded once or twice.
pub(super) fn spellings(value: &str) -> Vec<String> {
    let mut all = decodings(value);
    let plain = all.last().cloned().unwrap_or_default();
    for text in [value, &plain] {
        for set in [NON_ALPHANUMERIC, UNRESERVED] {
            let once = utf8_percent_encode(text, set).to_string();
            all.push(utf8_percent_encode(&once, set).to_string());
            all.push(once);
        }
    }
    all
}

/// The places of everything that looks like a secret.
pub(super) fn spans(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut spans, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let span = is_start(bytes, at).then(|| secret_at(bytes, at)).flatten();
        match span.filter(|span| span.end > at && !span.is_empty()) {
            Some(span) => {
                at = span.end;
                spans.push(span);
            }
            None => at += 1,
        }
    }
    // A match may end inside a character only if the text is cut there; such a span would be dropped by `str::get`.
    spans.retain(|span| text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
    spans
}

/// Whether a word or a base64 text starts here, also after an escape such as `%26`.
fn is_start(bytes: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| bytes[before]) else { return true };
    if !before.is_ascii_alphanumeric() && before != b'_' {
        return true;
    }
    let escape = at.checked_sub(3).map(|start| &bytes[start..at]);
    escape.is_some_and(|escape| {
        escape[1..].iter().all(u8::is_ascii_hexdigit)
            && (escape[0] == b'%' || (at >= 5 && &bytes[at - 5..at - 2] == b"%25"))
    })
}

/// The secret that starts at a position, or whose name does.
fn secret_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    if let Some(start) = NAMES.iter().find_map(|name| value_of(bytes, at, name)) {
        return Some(start..end_of_value(bytes, start));
    }
    if let Some(span) = authorization(bytes, at).or_else(|| user_info(bytes, at)) {
        return Some(span);
    }
    if let Some(end) = jwt(bytes, at).or_else(|| client_secret(bytes, at)) {
        return Some(at..end);
    }
    let run = base64(bytes, at);
    run.is_secret().then_some(at..run.end)
}

/// Where the value starts, if `name` and a sign of assignment are here.
fn value_of(bytes: &[u8], at: usize, name: &str) -> Option<usize> {
    let mut end = at + name.len();
    if !bytes.get(at..end)?.eq_ignore_ascii_case(name.as_bytes()) {
        return None;
    }
    // `sig: no` is prose, `"password":"x"` is JSON.
    if bytes.get(end) == Some(&b'"') && bytes.get(end + 1) == Some(&b':') {
        end += 2;
        while matches!(bytes.get(end), Some(b' ' | b'"')) {
            end += 1;
        }
        return Some(end);
    }
    let (sign, length) = letter(bytes, end)?;
    (sign == b'=').then_some(())?;
    end += length;
    match letter(bytes, end) {
        Some((b'"' | b'\'', length)) => Some(end + length),
        _ => Some(end),
    }
}

/// Where a value ends: before a separator, a quote or a space, or before one that is percent-encoded.
fn end_of_value(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    while let Some((byte, length)) = letter(bytes, end) {
        if byte <= b' ' || !byte.is_ascii() || b"&;\"'<>(),:#?*`|".contains(&byte) {
            break;
        }
        end += length;
    }
    end
}

/// The character at a position after any number of percent-decodings, and its length in the text.
fn letter(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let first = *bytes.get(at)?;
    let mut end = at + 1;
    if first != b'%' {
        return Some((first, 1));
    }
    while bytes.get(end..end + 2) == Some(b"25") && end < at + 2 * MAX_ENCODED {
        end += 2;
    }
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    match (digit(bytes.get(end)), digit(bytes.get(end + 1))) {
        (Some(high), Some(low)) => Some(((high * 16 + low) as u8, end + 2 - at)),
        _ => Some((first, 1)),
    }
}

/// The credential after `Bearer`, `Basic` or `SharedKey ACCOUNT:`.
fn authorization(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let scheme = ["bearer ", "basic ", "sharedkey ", "sharedkeylite "].iter().find(|scheme| {
        bytes.get(at..at + scheme.len()).is_some_and(|word| word.eq_ignore_ascii_case(scheme.as_bytes()))
    })?;
    let start = at + scheme.len();
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=._~:-".contains(byte);
    let length = bytes[start..].iter().take_while(is_part).count();
    let token = &bytes[start..start + length];
    let is_token = length >= TOKEN_LENGTH || (length >= 8 && token.iter().any(u8::is_ascii_digit));
    is_token.then_some(start..start + length)
}

/// The user and the password of a URL. `abfss://CONTAINER@ACCOUNT` has none.
fn user_info(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let start = at + length + 3;
    if length == 0 || bytes.get(at + length..start)? != b"://" {
        return None;
    }
    let host = bytes[start..].iter().take_while(|byte| **byte > b' ' && !b"/?#\"'<>".contains(byte)).count();
    let host = &bytes[start..start + host];
    let end = host.iter().rposition(|byte| *byte == b'@')?;
    let is_http = bytes[at..].get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http"));
    let is_secret = is_http || host[..end].contains(&b':');
    is_secret.then_some(start..start + end)
}

/// The end of a JSON Web Token, which starts with the base64 of `{"`.
fn jwt(bytes: &[u8], at: usize) -> Option<usize> {
    if !bytes[at..].starts_with(b"eyJ") {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.=".contains(byte);
    let length = bytes[at..].iter().take_while(is_part).count();
    (length >= TOKEN_LENGTH && bytes[at..at + length].contains(&b'.')).then_some(at + length)
}

/// The end of a client secret as Entra ID makes them: three characters, a digit, `Q~` and the rest.
fn client_secret(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 4..at + 6) != Some(b"Q~") || !bytes[at + 3].is_ascii_digit() {
        return None;
    }
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_~.-".contains(byte);
    let length = bytes[at..].iter().take_while(is_part).count();
    (length >= 6 + SECRET_LENGTH).then_some(at + length)
}

/// A run of base64's characters.
#[derive(Debug, Default)]
struct Run {
    end: usize,
    letters: usize,
    pads: usize,
    slashes: usize,
    upper: bool,
    lower: bool,
    digit: bool,
}

impl Run {
    /// Whether it looks random: a path has more slashes, a digest in hexadecimal has only one case.
    fn is_mixed(&self) -> bool {
        self.upper && self.lower && self.digit && self.slashes * 16 <= self.letters
    }

    fn is_secret(&self) -> bool {
        match (self.letters, self.pads) {
            (0..SIGNATURE_LENGTH, _) => false,
            (_, 0) => self.letters >= RANDOM_LENGTH && self.is_mixed(),
            _ => self.letters == SIGNATURE_LENGTH || self.letters == KEY_LENGTH || self.is_mixed(),
        }
    }
}

fn base64(bytes: &[u8], at: usize) -> Run {
    let mut run = Run { end: at, ..Run::default() };
    while let Some((byte, length)) = letter(bytes, run.end).filter(|_| run.end - at < MAX_RUN) {
        match byte {
            b'=' if run.letters > 0 => run.pads += 1,
            _ if run.pads > 0 => break,
            b'/' => run.slashes += 1,
            b'+' => {}
            b'A'..=b'Z' => run.upper = true,
            b'a'..=b'z' => run.lower = true,
            b'0'..=b'9' => run.digit = true,
            _ => break,
        }
        run.letters += usize::from(byte != b'=');
        run.end += length;
    }
    run
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::redact;
    use super::*;

    const SIG: &str = "c2VjcmV0c2VjcmV0";
    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
    const SAS: &str =
        "sv=2022-11-02&sr=c&sp=rl&se=2030-01-01T00%3A00%3A00Z&sig=c2VjcmV0c2VjcmV0%2Bc2VjcmV0%2F%3D";

    fn encoded(text: &str) -> String {
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
    }

    #[test]
    fn signatures_keys_tokens_and_passwords_are_found() {
        let jwt = format!("eyJhbGciOiJub25lIn0.{SIG}.{SIG}");
        let secret = format!("abc8Q~{SIG}{SIG}");
        for text in [
            SAS.to_owned(),
            encoded(SAS),
            encoded(&encoded(SAS)),
            format!("https://media.blob.core.windows.net/cam?{SAS}"),
            format!("\"sig={SIG}\" and SIG={SIG}"),
            format!("sig%3D{SIG}"),
            format!("AccountName=media;AccountKey={KEY};x"),
            format!("AccountKey='{KEY}'"),
            format!("'{KEY}'"),
            encoded(KEY),
            KEY[..80].to_owned(),
            format!("Authorization: Bearer {SIG}{SIG}"),
            format!("SharedKey media:{KEY}"),
            jwt,
            secret,
            format!("{{\"client_secret\": \"{SIG}\"}}"),
            format!("http://user:{SIG}@proxy:3128/"),
            format!("https://{SIG}@proxy"),
        ] {
            let safe = redact(&text);
            assert!(!safe.contains(SIG) && !safe.contains(&KEY[..20]), "{safe}");
            assert!(safe.contains("***"), "{safe}");
        }
    }

    #[test]
    fn the_rest_of_a_text_is_kept() {
        for text in [
            "the SAS has no signature (sig=…)",
            "abfss://cam@media.dfs.core.windows.net/design=3/x",
            "set AZURE_STORAGE_KEY, or AZURE_STORAGE_CONNECTION_STRING with an AccountKey",
            "/home/someone/Pictures/Cameras2026/North/Entrance/Day1/Morning/First/Photos/IMG0001",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "Basic authentication failed; Bearer authentication too",
            "https://media.blob.core.windows.net/cam/größe?x=1",
            "sig=***",
        ] {
            assert_eq!(redact(text), text);
        }
        assert_eq!(redact(&format!("no file 'x?sig={SIG}': missing")), "no file 'x?sig=***': missing");
        assert_eq!(redact(&format!("?sig={SIG}&sp=rl")), "?sig=***&sp=rl");
    }

    #[test]
    fn a_credential_is_known_by_its_kind() {
        for (text, kind) in [
            (SAS.to_owned(), Some(Kind::Sas)),
            (format!("https://h/c?sig={SIG}"), Some(Kind::Sas)),
            (encoded(SAS), Some(Kind::EncodedSas)),
            (KEY.to_owned(), Some(Kind::Key)),
            (format!("AccountName=a;AccountKey={KEY}"), Some(Kind::ConnectionString)),
            (format!("Bearer eyJhbGciOiJub25lIn0.{SIG}.{SIG}"), Some(Kind::Token)),
            (format!("abc8Q~{SIG}{SIG}"), Some(Kind::ClientSecret)),
            ("a&sig=b".to_owned(), None),
            ("media".to_owned(), None),
            ("https://media.blob.core.windows.net/cam/design=3".to_owned(), None),
        ] {
            assert_eq!(kind_of(&text), kind, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_scanned_and_nothing_of_a_signature_is_left(
            before in "\\PC{0,20}[ ?&;'\"]", sig in "[A-Za-z0-9]{12,40}", after in "[&;'\" ]\\PC{0,20}", times in 0_usize..3,
        ) {
            let text = format!("{before}sig={sig}{after}");
            let text = (0..times).fold(text, |text, _| encoded(&text));
            prop_assert!(!redact(&text).contains(&sig));
        }
    }
}
