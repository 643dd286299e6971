"""Compares what the peers found with what presync found."""

from __future__ import annotations

import filecmp
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog import IMAGE_FACTS, VIDEO_FACTS, Peer

FIRST = 3

Records = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Comparison:
    """How many blobs a peer examined, and of how many it says something else than presync."""

    blobs: int
    #: `None` for what the others are compared with.
    differing: int | None = None
    #: The first of them, and how they differ.
    first: tuple[str, ...] = ()


def load(path: Path) -> Records:
    """Reads results, an object a line, by the name of the blob."""
    with path.open() as lines:
        # presync's last record is the summary.
        return {record["name"]: record for record in map(json.loads, lines) if "name" in record}


def facts(peer: Peer, found: Records, reference: Records) -> Comparison:
    """Compares the fields that a peer claims to establish, of all blobs that it should have examined."""
    claims = {
        "image": [field for field in IMAGE_FACTS if field in peer.claims],
        "video": [field for field in VIDEO_FACTS if field in peer.claims],
    }
    expected = {name: claims[record["kind"]] for name, record in reference.items() if claims[record["kind"]]}
    differences = []
    for name, fields in expected.items():
        record = found.get(name)
        if record is None:
            if peer.sample is None:
                differences.append(f"{name}: not examined")
        elif "error" in record:
            differences.append(f"{name}: {record['error']}")
        else:
            pairs = [(field, record.get(field), reference[name].get(field)) for field in fields]
            unequal = [f"{field} {ours!r}, by presync {theirs!r}" for field, ours, theirs in pairs if ours != theirs]
            if unequal:
                differences.append(f"{name}: {'; '.join(unequal)}")
    differences += [f"{name}: not by presync" for name in found if name not in reference]
    blobs = sum(1 for name in found if name in expected)
    return Comparison(blobs, len(differences), tuple(differences[:FIRST]))


def files(downloaded: Path, folder: Path, reference: Records) -> Comparison:
    """Compares downloaded files with the ones that the folder holds."""
    _, differing, unread = filecmp.cmpfiles(downloaded, folder, list(reference), shallow=False)
    names = differing + unread
    first = tuple(f"{name}: not the same bytes" for name in names[:FIRST])
    return Comparison(len(reference) - len(unread), len(names), first)
