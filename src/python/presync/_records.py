"""Typed records, with the names of the JSON reports."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, TypeVar

from presync._rows import Rows, rows

__all__ = [
    "Asset",
    "Audit",
    "Commit",
    "Cost",
    "Document",
    "Explanation",
    "Finding",
    "Fix",
    "Gauge",
    "Labels",
    "Preview",
    "Progress",
    "Quota",
    "QuotaStatement",
    "Reads",
    "Reconciliation",
    "Rule",
    "Totals",
]

_T = TypeVar("_T")


def record(cls: type[_T], values: dict[str, Any]) -> _T:
    """A dataclass from a JSON object. Fields of later versions are left out."""
    names = {known.name for known in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return cls(**{name: value for name, value in values.items() if name in names})


@dataclass(frozen=True)
class Cost:
    """What assets use of the quota."""

    images: int = 0
    frames: int = 0


@dataclass(frozen=True)
class Reads:
    """How an asset was read: requests, of these repeated ones, and bytes."""

    requests: int = 0
    retries: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Finding:
    """What a rule found. An ``error`` rejects the asset, a ``warning`` does not."""

    code: str
    severity: str
    message: str
    fix: str | None = None


@dataclass(frozen=True)
class Asset:
    """One asset: its facts, its verdict, and why. What is not known is ``None``.

    >>> import presync
    >>> asset = presync.probe(b"GIF89a\\x01\\x00\\x01\\x00\\x80\\x00\\x00", name="tiny.gif")
    >>> asset.format, asset.verdict, asset.findings[0].code
    ('gif', 'reject', 'FMT003')
    """

    name: str
    size: int
    kind: str
    format: str
    #: ``accept``, ``reject``, ``skip`` or ``unknown``.
    verdict: str
    etag: str | None = None
    last_modified: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    width: int | None = None
    height: int | None = None
    orientation: int | None = None
    rotation: int | None = None
    mirror: str | None = None
    major_brand: str | None = None
    compatible_brands: list[str] | None = None
    codec: str | None = None
    pixel_format: str | None = None
    frames: int | None = None
    frames_presented: int | None = None
    frames_at_most: int | None = None
    frame_rate: float | None = None
    duration_s: float | None = None
    variable_frame_rate: bool | None = None
    encrypted: bool | None = None
    truncated: int | None = None
    skipped: str | None = None
    synced: str | None = None
    cost: Cost = field(default_factory=Cost)
    charge: Cost | None = None
    findings: list[Finding] = field(default_factory=list)
    reads: Reads = field(default_factory=Reads)
    _record: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_record(cls, values: dict[str, Any]) -> Asset:
        """The asset of a JSON record, such as a line of ``--format jsonl``."""
        charge = values.get("charge")
        typed = {
            "cost": record(Cost, values["cost"]),
            "charge": None if charge is None else record(Cost, charge),
            "findings": [record(Finding, finding) for finding in values["findings"]],
            "reads": record(Reads, values["reads"]),
            "_record": values,
        }
        return record(cls, {**values, **typed})

    @property
    def accepted(self) -> bool:
        """Whether it will sync."""
        return self.verdict == "accept"

    def to_dict(self) -> dict[str, Any]:
        """The record as in JSON reports: there, what is not known is absent."""
        return dict(self._record)


@dataclass(frozen=True)
class Totals:
    """``listed = accepted + rejected + skipped + unknown``; sizes are in bytes."""

    listed: int = 0
    accepted: int = 0
    rejected: int = 0
    skipped: int = 0
    unknown: int = 0
    images: int = 0
    frames: int = 0
    bytes_listed: int = 0
    bytes_read: int = 0
    requests: int = 0
    retries: int = 0
    elapsed_s: float = 0.0


@dataclass(frozen=True)
class Gauge:
    """The quota of images or frames. Without a limit, ``limit`` and ``left`` are ``None``."""

    limit: int | None = None
    used_before: int = 0
    cost: int = 0
    left: int | None = None
    fits: bool = True
    unit: str | None = None
    reserve: int = 0
    returned: int = 0
    cost_of_other_kind: int = 0
    shortage: dict[str, Any] | None = None


@dataclass(frozen=True)
class Quota:
    """What a sync uses of the quota. If ``shared``, both gauges show the same quota."""

    images: Gauge
    frames: Gauge
    admit: str = "listing"
    shared: bool = False
    period: str | None = None
    first_refused: str | None = None
    if_fixed: dict[str, Any] | None = None

    @classmethod
    def from_record(cls, values: dict[str, Any]) -> Quota:
        """The quota of a JSON report."""
        gauges = {name: record(Gauge, values[name]) for name in ("images", "frames")}
        return record(cls, {**values, **gauges})

    @property
    def fits(self) -> bool:
        """Whether everything that no rule rejects fits."""
        return self.images.fits and self.frames.fits


@dataclass(frozen=True)
class Progress:
    """How far a run is. ``listed`` is the total once ``all_listed`` is true."""

    listed: int
    judged: int
    rejected: int
    unknown: int
    bytes_read: int
    retries: int
    all_listed: bool


@dataclass(frozen=True)
class Rule:
    """A rule: what it means, why it exists, how to fix a finding, and where it comes from."""

    code: str
    name: str
    severity: str
    summary: str
    why: str
    fix: str
    source: str


@dataclass(frozen=True)
class Document:
    """The JSON report of a command; :meth:`to_dict` has all of it."""

    _document: dict[str, Any] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The JSON report as a dict."""
        return dict(self._document)


class Preview(Document):
    """What the listing alone shows."""

    @property
    def files(self) -> int:
        """Files listed."""
        return int(self._document["totals"]["files"])

    @property
    def bytes(self) -> int:
        """Their size in bytes."""
        return int(self._document["totals"]["bytes"])

    @property
    def kinds(self) -> dict[str, dict[str, int]]:
        """Files and bytes by kind, by their extensions: image, video and other."""
        return dict(self._document["kinds"])

    @property
    def extensions(self) -> list[dict[str, Any]]:
        """Files and bytes by extension."""
        return list(self._document["extensions"])


class Audit(Document):
    """The summary of many containers."""

    @property
    def complete(self) -> bool:
        """Whether every container was examined to its end."""
        return bool(self._document["complete"])

    @property
    def totals(self) -> Totals:
        """The totals of all containers; what several of them list counts once."""
        return record(Totals, self._document["totals"])

    @property
    def findings_by_code(self) -> dict[str, int]:
        """How many assets each rule found."""
        return dict(self._document["findings_by_code"])

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Name, state, totals and quota of each container, and the path of its plan."""
        return list(self._document["containers"])


class Commit(Document):
    """The result of a commit."""

    @property
    def outcome(self) -> str:
        """``committed``, ``would-commit``, ``committed-before`` or ``refused``."""
        return str(self._document["outcome"])

    @property
    def refused(self) -> bool:
        """Whether something has changed since the plan, or its quota is not left: nothing was changed."""
        return self.outcome == "refused"

    @property
    def plan_id(self) -> str:
        """The plan's ID, which :mod:`presync.quota` takes."""
        return str(self._document["plan"]["id"])

    @property
    def dir(self) -> str:
        """The folder of the manifests."""
        return str(self._document["dir"])

    @property
    def costs(self) -> dict[str, int]:
        """What it reserves, by kind of quota."""
        return dict(self._document["costs"])


class Fix(Document):
    """What can be fixed or was fixed."""

    @property
    def fixable(self) -> dict[str, dict[str, int]]:
        """Assets and bytes that can be fixed, by effort."""
        return dict(self._document["fixable"])

    @property
    def unfixable(self) -> dict[str, int]:
        """Assets that no command can fix, by rule."""
        return dict(self._document["unfixable"])

    @property
    def done(self) -> dict[str, Any] | None:
        """What was done; ``None`` without ``apply``."""
        done: dict[str, Any] | None = self._document.get("done")
        return done


class Labels(Document):
    """Which labels will find their asset."""

    @property
    def result(self) -> str:
        """The result in one sentence."""
        return str(self._document["result"])

    @property
    def complete(self) -> bool:
        """Whether every asset was judged, and every label file was read."""
        return bool(self._document["complete"])

    @property
    def incomplete(self) -> str | None:
        """Why it is incomplete; ``None`` if it is complete."""
        if self.complete:
            return None
        unread = self.unread
        if not unread:
            return "some assets could not be judged"
        return f"'{unread[0]['file']}' could not be read: {unread[0]['message']}"

    @property
    def totals(self) -> dict[str, int]:
        """References by outcome, and label files that were read, ignored and not read."""
        return dict(self._document["totals"])

    @property
    def references(self) -> Rows:
        """A row for each image and video that label files refer to, and for each asset without labels."""
        return rows(
            self._document["references"],
            text=("reference", "outcome", "asset", "verdict", "codes", "problems", "message", "file"),
            numbers=(
                "line", "count", "width", "height", "asset_width", "asset_height", "first_frame", "last_frame",
                "asset_frames",
            ),
        )

    @property
    def unread(self) -> list[dict[str, str]]:
        """Label files that could not be read, with the reason: the first 1,000."""
        return list(self._document["unread"])


class Reconciliation(Document):
    """A plan compared with what the platform lists."""

    @property
    def result(self) -> str:
        """The result in one sentence."""
        return str(self._document["result"])

    @property
    def totals(self) -> dict[str, int]:
        """Names listed and assets planned, and how many there are of each outcome."""
        return dict(self._document["totals"])

    @property
    def patterns(self) -> list[dict[str, Any]]:
        """What differences have in common: their count, the rule or assumption that they contradict, and what to do."""
        return list(self._document["patterns"])

    @property
    def assets(self) -> Rows:
        """A row for each asset of the plan that is not skipped, and for each name that is not in the plan."""
        return rows(
            self._document["assets"],
            text=("name", "outcome", "verdict", "codes", "listed_as", "platform_code", "message"),
            numbers=("frames", "platform_frames"),
        )


class Explanation(Document):
    """One asset, and how its verdict was reached."""

    @property
    def asset(self) -> Asset:
        """The asset."""
        return Asset.from_record(self._document["asset"])

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ranges that were read: offset and length in bytes."""
        return [(range_["offset"], range_["length"]) for range_ in self._document["ranges"]]

    @property
    def structure(self) -> list[dict[str, Any]]:
        """The parts of the file: offset, length, depth, name and a note."""
        return list(self._document["structure"])

    @property
    def exif(self) -> list[tuple[str, str]]:
        """EXIF tags and their values."""
        return [(tag["tag"], tag["value"]) for tag in self._document["exif"]]


class QuotaStatement(Document):
    """The contents of a ledger."""

    @property
    def ledger(self) -> str:
        """The ledger's path."""
        return str(self._document["ledger"])

    @property
    def workspaces(self) -> list[dict[str, Any]]:
        """Quota, reservations and what is synced, by workspace."""
        return list(self._document["workspaces"])
