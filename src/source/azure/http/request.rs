//! A request, written as it is sent (RFC 9112, 3).

use bytes::Bytes;
use hyper::header::{HeaderValue, PROXY_AUTHORIZATION};
use hyper::{Method, Request};

use crate::source::azure::failure::Failure;

/// Room for the lines of a request besides its target, in bytes: a token takes more.
const LINES: usize = 512;

/// The end of a line.
const END: &[u8] = b"\r\n";

/// A request. Its header fields are lines already, because a run sends one for every blob.
pub(in crate::source::azure) struct Outgoing {
    method: Method,
    /// The path and the query.
    target: String,
    /// The lines of the header fields.
    fields: Vec<u8>,
    body: Bytes,
}

impl Outgoing {
    /// A request whose header fields begin with these lines.
    ///
    /// # Errors
    /// Returns an error if the target cannot be part of a line.
    pub(in crate::source::azure) fn new(
        method: Method,
        target: String,
        fields: &[u8],
    ) -> Result<Self, Failure> {
        if !target.starts_with('/') || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::unsendable());
        }
        let mut lines = Vec::with_capacity(LINES);
        lines.extend_from_slice(fields);
        Ok(Self { method, target, fields: lines, body: Bytes::new() })
    }

    /// The same request as hyper has it.
    ///
    /// # Errors
    /// Same as [`new`](Self::new).
    pub(in crate::source::azure) fn of(request: Request<Bytes>) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let mut outgoing = Self::new(parts.method, target, &[])?;
        for (name, value) in &parts.headers {
            outgoing.push(name.as_str(), &[value.as_bytes()])?;
        }
        Ok(outgoing.with_body(body))
    }

    /// Adds a header field, whose value is in parts.
    ///
    /// # Errors
    /// Returns an error if the value cannot be part of a line.
    pub(in crate::source::azure) fn push(&mut self, name: &str, value: &[&[u8]]) -> Result<(), Failure> {
        let before = self.fields.len();
        add_line(&mut self.fields, name, value);
        let line = &self.fields[before + name.len()..self.fields.len() - END.len()];
        if line.iter().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
            self.fields.truncate(before);
            return Err(Failure::unsendable());
        }
        Ok(())
    }

    /// Sets the body.
    pub(in crate::source::azure) fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    pub(in crate::source::azure) fn method(&self) -> &Method {
        &self.method
    }

    /// The path, and the query if there is one.
    pub(in crate::source::azure) fn path_and_query(&self) -> (&str, Option<&str>) {
        match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&self.target, None),
        }
    }

    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The header fields that are text.
    pub(in crate::source::azure) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.fields.split(|byte| *byte == b'\n');
        lines.filter_map(|line| std::str::from_utf8(line).ok()?.trim_end_matches('\r').split_once(": "))
    }

    /// The value of a header field.
    pub(in crate::source::azure) fn field(&self, name: &str) -> Option<&str> {
        self.fields().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// The request line and the header fields. Through a proxy without a tunnel, the target has the origin in front
    /// (RFC 9112, 3.2.2).
    pub(super) fn head(&self, origin: Option<&str>, proxy: Option<&HeaderValue>) -> Vec<u8> {
        let line = [self.method.as_str(), " ", origin.unwrap_or_default(), &self.target, " HTTP/1.1\r\n"];
        let mut head = Vec::with_capacity(self.target.len() + self.fields.len() + LINES);
        line.iter().for_each(|part| head.extend_from_slice(part.as_bytes()));
        head.extend_from_slice(&self.fields);
        if let Some(authorization) = proxy {
            add_line(&mut head, PROXY_AUTHORIZATION.as_str(), &[authorization.as_bytes()]);
        }
        let has_body = !self.body.is_empty() || matches!(self.method, Method::POST | Method::PUT);
        if has_body && self.field("content-length").is_none() {
            add_line(&mut head, "content-length", &[self.body.len().to_string().as_bytes()]);
        }
        head.extend_from_slice(END);
        head
    }
}

fn add_line(lines: &mut Vec<u8>, name: &str, value: &[&[u8]]) {
    let parts = [name.as_bytes(), b": "].into_iter().chain(value.iter().copied()).chain([END]);
    parts.for_each(|part| lines.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_line_each_for_its_target_and_its_fields() {
        let mut get = Outgoing::new(Method::GET, "/a?b=c".into(), b"host: h\r\n").expect("a request");
        get.push("range", &[b"bytes=0", b"-1"]).expect("a field");
        assert_eq!(get.head(None, None), b"GET /a?b=c HTTP/1.1\r\nhost: h\r\nrange: bytes=0-1\r\n\r\n");
        let proxied = get.head(Some("http://h"), Some(&HeaderValue::from_static("Basic x")));
        let expected = b"GET http://h/a?b=c HTTP/1.1\r\nhost: h\r\nrange: bytes=0-1\r\nproxy-authorization: Basic x\r\n\r\n";
        assert_eq!(proxied, expected);
        assert_eq!((get.field("range"), get.path_and_query()), (Some("bytes=0-1"), ("/a", Some("b=c"))));
        let put = Outgoing::new(Method::PUT, "/a".into(), b"").expect("a request").with_body("xyz".into());
        assert_eq!(put.head(None, None), b"PUT /a HTTP/1.1\r\ncontent-length: 3\r\n\r\n");
    }

    #[test]
    fn nothing_can_add_a_line() {
        for target in ["/a b", "/a\r\nx: y", "a", "", "/\u{e9}"] {
            assert!(Outgoing::new(Method::GET, target.into(), b"").is_err(), "{target:?}");
        }
        let mut get = Outgoing::new(Method::GET, "/".into(), b"").expect("a request");
        for value in ["a\r\nx: y", "a\n", "\0", "\u{7f}"] {
            assert!(get.push("if-match", &[b"x", value.as_bytes()]).is_err(), "{value:?}");
        }
        assert!(get.push("x-ms-meta-a", &["\té".as_bytes()]).is_ok());
    }
}
