//! JSON for records, of which there is one per blob. serde_json looks at each byte of text and of names of fields; here,
//! nearly all of them are copied as they are, which saves a third of the instructions. The rest is left to serde_json.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{
    Error as _, Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, Serializer,
};
use serde_json::{Error, Result};

use super::visible::Visible;

/// Room for the record of an asset with a finding, in bytes.
const RECORD: usize = 1 << 10;

/// Writes a record as JSON, in one go: it is made of a hundred little pieces. What is not visible is escaped.
///
/// # Errors
/// Returns an error if `out` does. No record has enum variants with fields, or keys of maps that are not text, which are
/// errors, too.
pub(super) fn write_record(record: &impl Serialize, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut text = Vec::with_capacity(RECORD);
    add_json(record, &mut text)?;
    out.write_all(&text)
}

fn add_json(value: &(impl Serialize + ?Sized), text: &mut Vec<u8>) -> Result<()> {
    value.serialize(Json(text))
}

struct Json<'t>(&'t mut Vec<u8>);

impl<'t> Json<'t> {
    fn plain(self, text: &str) -> Result<()> {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn by_library(self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        serde_json::to_writer(Visible::json(self.0), value)
    }

    fn parts(self, begin: u8, end: u8) -> Result<Parts<'t>> {
        self.0.push(begin);
        Ok(Parts { text: self.0, is_first: true, end })
    }
}

/// Whether JSON has the text as it is. Looks at many bytes together, which is faster than stopping at the first one.
fn is_verbatim(text: &str) -> bool {
    let is_verbatim = |byte: u8| (b' '..=b'~').contains(&byte) & (byte != b'"') & (byte != b'\\');
    text.as_bytes().chunks(64).all(|chunk| chunk.iter().fold(true, |all, byte| all & is_verbatim(*byte)))
}

/// The elements of an array, or the fields of an object.
struct Parts<'t> {
    text: &'t mut Vec<u8>,
    is_first: bool,
    end: u8,
}

impl Parts<'_> {
    fn begin_part(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.text.push(b',');
        }
    }

    fn finish(self) -> Result<()> {
        self.text.push(self.end);
        Ok(())
    }
}

macro_rules! integers {
    ($($serialize:ident: $integer:ty,)*) => {
        $(fn $serialize(self, value: $integer) -> Result<()> {
            self.plain(itoa::Buffer::new().format(value))
        })*
    };
}

macro_rules! left_to_the_library {
    ($($serialize:ident: $value:ty,)*) => {
        $(fn $serialize(self, value: $value) -> Result<()> {
            self.by_library(&value)
        })*
    };
}

impl<'t> Serializer for Json<'t> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'t>;
    type SerializeTuple = Parts<'t>;
    type SerializeMap = Parts<'t>;
    type SerializeStruct = Parts<'t>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_i128: i128, serialize_u128: u128,
    }

    left_to_the_library! {
        serialize_f32: f32, serialize_f64: f64, serialize_char: char, serialize_bytes: &[u8],
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.plain(if value { "true" } else { "false" })
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        if !is_verbatim(text) {
            return self.by_library(text);
        }
        self.0.reserve(text.len() + 2);
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<()> {
        self.serialize_str(&value.to_string())
    }

    fn serialize_none(self) -> Result<()> {
        self.plain("null")
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.plain("null")
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.plain("null")
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'t>> {
        self.parts(b'[', b']')
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'t>> {
        self.parts(b'[', b']')
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'t>> {
        self.parts(b'{', b'}')
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'t>> {
        self.parts(b'{', b'}')
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<()> {
        Err(unsupported(name))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Impossible<(), Error>> {
        Err(unsupported(name))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Error>> {
        Err(unsupported(name))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Impossible<(), Error>> {
        Err(unsupported(name))
    }
}

fn unsupported(name: &str) -> Error {
    Error::custom(format!("{name} has no form in a record"))
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.begin_part();
        add_json(value, self.text)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        SerializeSeq::serialize_element(self, value)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.begin_part();
        let at = self.text.len();
        add_json(key, self.text)?;
        if self.text.get(at) != Some(&b'"') {
            return Err(Error::custom("a key is not text"));
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.text.push(b':');
        add_json(value, self.text)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Error;

    /// A field's name is an identifier, so nothing in it is escaped.
    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.text.reserve(name.len() + 4);
        self.begin_part();
        self.text.push(b'"');
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
        add_json(value, self.text)
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::model::is_unseen;

    #[derive(Serialize)]
    struct Record<'a> {
        text: &'a str,
        list: Vec<Option<i64>>,
        pair: [u8; 2],
        number: Option<f64>,
        is_so: bool,
        #[serde(flatten)]
        map: &'a BTreeMap<String, u64>,
    }

    proptest! {
        #[test]
        fn it_is_the_json_of_the_library(
            text in "\\PC{0,40}|[\\x00-\\x7f]{0,100}|\u{202e}\u{9b}\"",
            list in proptest::collection::vec(any::<Option<i64>>(), 0..4),
            number in any::<Option<f64>>(),
            map in proptest::collection::btree_map("[a-z\"]{1,9}", any::<u64>(), 0..4),
        ) {
            let record = Record { text: &text, list, pair: [1, 2], number, is_so: true, map: &map };
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            add_json(&record, &mut ours).unwrap();
            serde_json::to_writer(Visible::json(&mut theirs), &record).unwrap();
            let ours = String::from_utf8(ours).unwrap();
            prop_assert_eq!(&ours, &String::from_utf8(theirs).unwrap());
            prop_assert!(!ours.contains(is_unseen));
            prop_assert_eq!(&serde_json::from_str::<Value>(&ours).unwrap()["text"], &text);
        }
    }

    #[test]
    fn what_has_no_form_is_an_error() {
        assert!(add_json(&BTreeMap::from([(1, 2)]), &mut Vec::new()).is_err());
        assert!(add_json(&Ok::<u8, u8>(1), &mut Vec::new()).is_err());
    }
}
