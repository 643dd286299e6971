//! One asset: fetched, fixed, judged again, compared with the original, and only then put in place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::container::ContainerPlace;
use super::place::{FolderPlace, Put};
use super::space::{self, Space};
use super::tools;
use crate::command::examine::{Answer, examined};
use crate::model::error::{Error, Result, reason};
use crate::model::{Asset, Blob, BlobName, ByteRange, Code, Facts, FourCc, Kind, ReadError, Reads, Verdict};
use crate::probe::Want;
use crate::report::fix::{Fixed, Outcome};
use crate::rules::Profile;
use crate::rules::fix::{self, Edges, Effort, Fix};
use crate::source::Reader;
use crate::source::any::AnySource;
use crate::source::azure::Properties;
use crate::source::local::LocalSource;

/// Bytes that are fetched at a time.
const PIECE: u64 = 8 << 20;
/// Bytes in which the major brand of a blob is looked for.
const HEAD: u64 = 4096;
/// How far the durations of a video may differ, in seconds: a frame at 2 frames per second.
const DURATION_TOLERANCE: f64 = 0.5;
/// The most boxes in front of `ftyp`.
const MAX_BOXES: usize = 16;
/// By how much `--edges trim` may make a side shorter, in pixels: less than the largest block.
const MAX_TRIMMED: u32 = 32;
/// The most characters of an extension that are passed to a program.
const MAX_EXTENSION: usize = 8;

/// Where fixed assets go.
pub(super) enum Place {
    Folder(FolderPlace),
    Container(Box<ContainerPlace>),
}

/// Fixes assets of one source.
pub(super) struct Fixer {
    pub source: AnySource,
    pub profile: Profile,
    pub edges: Edges,
    /// The folder for files that are being worked on.
    pub work: PathBuf,
    /// What those files may use.
    pub space: Space,
    /// Where they go; `None` if it only looks.
    pub place: Option<Place>,
}

/// An asset, and what to do about it.
pub(super) struct Chosen {
    pub asset: Asset,
    pub fix: Fix,
    /// The findings that it fixes.
    pub codes: Vec<Code>,
}

impl Chosen {
    /// The name of the fixed asset, beside the original: the same, unless its format changes or its extension is to be
    /// fixed.
    pub(super) fn name(&self) -> BlobName {
        let name = &self.asset.blob.name;
        let of_recipe = match &self.fix {
            // A JPEG may end in .jpeg or .JPG; only video formats change here.
            Fix::Run(recipe) => recipe.extension.filter(|extension| *extension == "mp4"),
            Fix::Brand(_) | Fix::Rename => None,
        };
        let of_content = || {
            let is_wanted = self.codes.contains(&Code::ExtensionMismatch);
            is_wanted.then(|| fix::fitting_extension(&self.asset)).flatten()
        };
        match (of_recipe.or_else(of_content), name.extension()) {
            (Some(new), Some(extension)) if !extension.eq_ignore_ascii_case(new) => {
                let stem = &name.as_str()[..name.as_str().len() - extension.len()];
                BlobName::new(format!("{stem}{new}"))
            }
            (Some(new), None) => BlobName::new(format!("{name}.{new}")),
            _ => name.clone(),
        }
    }
}

/// Why an asset was left as it is.
enum Left {
    /// It can't be fixed, or the result isn't right.
    Failed(String),
    /// It could not be read or written.
    Unreachable(String),
    /// The run cannot go on.
    Broken(Error),
}

impl Fixer {
    /// Looks at a blob without fixing it: the properties of the fixed blob `name`, and its first bytes if the service can
    /// copy the rest. Returns a reason if it cannot be fixed.
    ///
    /// # Errors
    /// Returns an error if the run cannot go on.
    pub(super) async fn look(
        &self,
        container: &ContainerPlace,
        chosen: &Chosen,
        name: &BlobName,
    ) -> Result<std::result::Result<(Properties, Option<Bytes>), String>> {
        let looked = async {
            let properties = container.properties(&chosen.asset.blob, name).await.map_err(unreadable)?;
            let head = match chosen.fix {
                Fix::Run(_) => None,
                Fix::Brand(_) | Fix::Rename => Some(self.head(chosen).await?),
            };
            Ok((properties, head))
        };
        match looked.await {
            Ok(looked) => Ok(Ok(looked)),
            Err(Left::Failed(why) | Left::Unreachable(why)) => Ok(Err(why)),
            Err(Left::Broken(error)) => Err(error),
        }
    }

    /// Fixes one asset. `number` names its temporary folder.
    ///
    /// # Errors
    /// Returns an error if the run cannot go on.
    pub(super) async fn fix(&self, number: u64, chosen: &Chosen) -> Result<Fixed> {
        let name = match &self.place {
            Some(Place::Container(container)) => container.name(chosen.name()),
            _ => chosen.name(),
        };
        let outcome = match self.try_fix(number, chosen, &name).await {
            Ok(Put::New { bytes }) => Outcome::Fixed { bytes },
            Ok(Put::Already) => Outcome::Already,
            Err(Left::Failed(why)) => Outcome::Failed(why),
            Err(Left::Unreachable(why)) => Outcome::Unreachable(why),
            Err(Left::Broken(error)) => return Err(error),
        };
        let (name, new_name) = (chosen.asset.blob.name.clone(), name);
        Ok(Fixed { name, new_name, effort: chosen.fix.effort(), outcome })
    }

    async fn try_fix(&self, number: u64, chosen: &Chosen, name: &BlobName) -> std::result::Result<Put, Left> {
        let blob = &chosen.asset.blob;
        let work = async || {
            let space = self.space.take(space::needed(&chosen.fix, blob.size)).await;
            let folder = Folder::create(self.work.join(number.to_string()));
            folder.map(|folder| (folder, space)).map_err(|error| self.unwritable(error))
        };
        match &self.place {
            None => Err(Left::Failed("there is no place for it".to_owned())),
            Some(Place::Folder(folder)) => {
                if let Some(fixed) = folder.has(blob, name).map_err(Left::Failed)? {
                    self.check_fixed(&fixed).await?;
                    // A run that was killed may have ended just before.
                    folder.keep_original(blob, name).map_err(Left::Unreachable)?;
                    return Ok(Put::Already);
                }
                let (work, _space) = work().await?;
                let input = self.fetch(blob, &work.0).await?;
                let output = self.fixed(chosen, &work.0, input).await?;
                if let AnySource::Folder(source) = &self.source {
                    let now = Reader::find(source, &blob.name).await.map_err(unreadable)?;
                    if now.is_none_or(|now| now.etag != blob.etag) {
                        return Err(unreadable(ReadError::Changed));
                    }
                }
                folder.put(blob, name, &output).map_err(Left::Unreachable)
            }
            Some(Place::Container(container)) => {
                if container.has(blob, name).await.map_err(unreadable)? {
                    return Ok(Put::Already);
                }
                let properties = container.properties(blob, name).await.map_err(unreadable)?;
                let is_copied =
                    container.source.is_some() && !properties.is_keyed && !matches!(chosen.fix, Fix::Run(_));
                if is_copied && container.backup.is_none() {
                    let head = self.head(chosen).await?;
                    return container.patch(blob, name, &properties, head).await.map_err(unreadable);
                }
                let (work, _space) = work().await?;
                let input = self.fetch(blob, &work.0).await?;
                container.keep_original(blob, &input, !is_copied).map_err(Left::Unreachable)?;
                if is_copied {
                    let head = self.head(chosen).await?;
                    return container.patch(blob, name, &properties, head).await.map_err(unreadable);
                }
                let output = self.fixed(chosen, &work.0, input).await?;
                let _piece = self.space.piece().await;
                container.put(blob, name, &properties, &output).await.map_err(unreadable)
            }
        }
    }

    /// Checks that a file with the time of its original, as a fixed copy has, is accepted.
    async fn check_fixed(&self, file: &Path) -> std::result::Result<(), Left> {
        let folder = file.parent().unwrap_or(Path::new("."));
        match self.judge(folder, file).await?.verdict {
            Verdict::Accept => Ok(()),
            _ => Err(Left::Failed(format!("there is already another file '{}'", file.display()))),
        }
    }

    /// Fixes the file `input` in the folder `work`, and returns the path of the result, which is accepted and shows the
    /// same.
    async fn fixed(
        &self,
        chosen: &Chosen,
        work: &Path,
        input: PathBuf,
    ) -> std::result::Result<PathBuf, Left> {
        let before = self.judge(work, &input).await?;
        let output = match &chosen.fix {
            Fix::Rename => return Ok(input),
            Fix::Brand(brand) => {
                set_brand(&input, *brand).map_err(|error| self.unwritable(error))?;
                input
            }
            Fix::Run(recipe) => {
                let same = input.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
                let output = work.join("fixed").with_extension(recipe.extension.unwrap_or(same));
                tools::run(recipe, &input, &output).await.map_err(Left::Failed)?;
                output
            }
        };
        let after = self.judge(work, &output).await?;
        self.check(chosen, &before, &after).map_err(Left::Failed)?;
        Ok(output)
    }

    /// Copies the blob, in the version that was judged, into the folder `work`.
    async fn fetch(&self, blob: &Blob, work: &Path) -> std::result::Result<PathBuf, Left> {
        let path = work.join("in").with_extension(extension(&blob.name));
        let mut file = File::create_new(&path).map_err(|error| self.unwritable(error))?;
        let (mut blob, mut at) = (blob.clone(), 0);
        while at < blob.size {
            let range = ByteRange::new(at, (at + PIECE).min(blob.size));
            let _piece = self.space.piece().await;
            let bytes =
                self.source.read(&mut blob, range, &mut Reads::default()).await.map_err(unreadable)?;
            if bytes.len() as u64 != range.len() {
                return Err(unreadable(ReadError::Changed));
            }
            file.write_all(&bytes).map_err(|error| self.unwritable(error))?;
            at = range.end();
        }
        Ok(path)
    }

    /// The error for a temporary file.
    fn unwritable(&self, error: io::Error) -> Left {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Left::Broken(self.space.full()),
            _ => Left::Unreachable(format!("a temporary file cannot be written: {}", reason(&error))),
        }
    }

    /// Judges a file in `folder` by the rules, with its dimensions.
    async fn judge(&self, folder: &Path, file: &Path) -> std::result::Result<Asset, Left> {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let source = LocalSource::open(folder).map_err(Left::Broken)?;
        let found = Reader::find(&source, &BlobName::new(name)).await.map_err(unreadable)?;
        let blob = found.ok_or_else(|| Left::Failed("the program wrote no file".to_owned()))?;
        self.judged(&AnySource::Folder(source), blob, |_, bytes| bytes).await
    }

    /// Judges a blob as if `edit` had changed the bytes of each range that is read.
    async fn judged(
        &self,
        source: &AnySource,
        blob: Blob,
        mut edit: impl FnMut(ByteRange, Bytes) -> Bytes,
    ) -> std::result::Result<Asset, Left> {
        let want = Want { dimensions: true, ..Want::default() };
        let seen = |range, answer: Answer| answer.map(|bytes| edit(range, bytes));
        let (examination, content) = examined(source, blob, want, seen).await.map_err(Left::Broken)?;
        Ok(examination.judge(content, &self.profile))
    }

    /// The first bytes of the fixed blob, of which the service copies the rest.
    async fn head(&self, Chosen { asset, fix, .. }: &Chosen) -> std::result::Result<Bytes, Left> {
        let Fix::Brand(FourCc(brand)) = fix else { return Ok(Bytes::new()) };
        let mut blob = asset.blob.clone();
        let range = ByteRange::new(0, HEAD.min(blob.size));
        let head = self.source.read(&mut blob, range, &mut Reads::default()).await.map_err(unreadable)?;
        let no_brand = || Left::Failed("its ftyp box is not at its beginning".to_owned());
        let at = brand_offset(|at, buffer| {
            Cursor::new(head.get(at as usize..).unwrap_or_default()).read_exact(buffer)
        });
        let at = at.map_err(|_| no_brand())? as usize;
        let mut head = head.get(..at + brand.len()).ok_or_else(no_brand)?.to_vec();
        head[at..].copy_from_slice(brand);
        let after = self.judged(&self.source, blob, |range, bytes| overlaid(&head, range, bytes)).await?;
        let chosen = Chosen { asset: asset.clone(), fix: fix.clone(), codes: vec![Code::MajorBrand] };
        self.check(&chosen, asset, &after).map_err(Left::Failed)?;
        Ok(head.into())
    }

    /// Checks that the result is accepted, without the findings that were to be fixed, and shows the same as the original.
    fn check(&self, chosen: &Chosen, before: &Asset, after: &Asset) -> std::result::Result<(), String> {
        // The file that was judged has a name of its own.
        let of_content = |code: &&Code| !matches!(code, Code::ExtensionMismatch | Code::ContentType);
        let has = |code: &Code| after.findings.iter().find(|finding| finding.code == *code);
        let left = chosen.codes.iter().filter(of_content).find_map(has);
        if after.verdict != Verdict::Accept {
            let why = after.findings.first().map_or("it isn't an asset", |finding| &finding.message);
            return Err(format!("the result would still be left out: {why}"));
        }
        if let Some(finding) = left {
            return Err(format!("the result still has the finding {}: {}", finding.code, finding.message));
        }
        match chosen.asset.kind {
            Kind::Video => same_video(&before.facts, &after.facts, chosen.fix.effort()),
            _ => self.same_size(&before.facts, &after.facts),
        }
    }

    /// The picture has the size at which the original is shown.
    fn same_size(&self, before: &Facts, after: &Facts) -> std::result::Result<(), String> {
        let (Some(size), Some(new)) = (before.width.zip(before.height), after.width.zip(after.height)) else {
            return Ok(());
        };
        // HEIF and AVIF are turned by their own properties, which stay as they are.
        let turned = before.format == after.format
            && !matches!(before.format, crate::model::Format::Heif | crate::model::Format::Avif)
            && matches!(before.orientation.value(), Some(5..=8));
        let shown = if turned { (size.1, size.0) } else { size };
        let trimmed = |before: u32, after: u32| {
            self.edges == Edges::Trim && before.checked_sub(after) < Some(MAX_TRIMMED)
        };
        match shown == new || (trimmed(shown.0, new.0) && trimmed(shown.1, new.1)) {
            true => Ok(()),
            false => Err(format!("the result is {} × {} instead of {} × {}", new.0, new.1, shown.0, shown.1)),
        }
    }
}

/// The video has the same frames and duration.
fn same_video(before: &Facts, after: &Facts, effort: Effort) -> std::result::Result<(), String> {
    let first = |facts: &Facts| facts.video.as_ref().and_then(|video| video.tracks.first().cloned());
    let (Some(before), Some(after)) = (first(before), first(after)) else { return Ok(()) };
    let frames = match effort {
        // Encoding writes what the edit list presents, unless that is nothing.
        Effort::Encode => before.frames_presented.filter(|frames| *frames > 0).or(before.frames),
        Effort::Rename | Effort::Patch | Effort::Lossless => before.frames,
    };
    if let (Some(frames), Some(new)) = (frames, after.frames)
        && frames != new
    {
        return Err(format!("the result has {new} frames instead of {frames}"));
    }
    if let (Some(duration), Some(new)) = (before.duration_s, after.duration_s)
        && duration > 0.0
        && (duration - new).abs() > DURATION_TOLERANCE
    {
        return Err(format!("the result lasts {new:.2} s instead of {duration:.2} s"));
    }
    Ok(())
}

/// The name's extension, if it is safe to pass to a program.
pub(super) fn extension(name: &BlobName) -> &str {
    let plain = |extension: &&str| {
        extension.len() <= MAX_EXTENSION && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    name.extension().filter(plain).unwrap_or("bin")
}

/// Writes the major brand of a file's `ftyp` box (ISO/IEC 14496-12, 4.3). Nothing else changes.
fn set_brand(path: &Path, FourCc(brand): FourCc) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let at = brand_offset(|at, head| {
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(head)
    })?;
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&brand)
}

/// The bytes of a range after its first ones have been overwritten by `head`.
fn overlaid(head: &[u8], range: ByteRange, bytes: Bytes) -> Bytes {
    let Some(new) = usize::try_from(range.start()).ok().and_then(|start| head.get(start..)) else {
        return bytes;
    };
    let mut edited = bytes.to_vec();
    let len = new.len().min(edited.len());
    edited[..len].copy_from_slice(&new[..len]);
    edited.into()
}

/// Finds the major brand by walking the first boxes. `read` fills a buffer from an offset.
fn brand_offset(mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut at = 0u64;
    for _ in 0..MAX_BOXES {
        let mut head = [0; 16];
        read(at, &mut head)?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = head;
        let wide = u64::from_be_bytes([
            head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15],
        ]);
        let (len, header) = match u32::from_be_bytes([a, b, c, d]) {
            1 => (wide, 16),
            len => (u64::from(len), 8),
        };
        if &kind == b"ftyp" {
            return Ok(at + header);
        }
        at = at.checked_add(len).filter(|_| len >= header).ok_or(io::ErrorKind::InvalidData)?;
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn unreadable(error: ReadError) -> Left {
    match error {
        ReadError::Changed => Left::Unreachable("it has changed since it was judged".to_owned()),
        ReadError::Gone => Left::Unreachable("it no longer exists".to_owned()),
        ReadError::Archived => Left::Failed("it is in the archive tier".to_owned()),
        ReadError::Unreadable(why) => Left::Unreachable(why),
        ReadError::Refused(why) => Left::Failed(why),
        ReadError::Fatal(error) => Left::Broken(error),
    }
}

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn create(path: PathBuf) -> io::Result<Self> {
        fs::create_dir(&path).map(|()| Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is removed with the run's own folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
