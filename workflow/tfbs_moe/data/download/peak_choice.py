"""The rule that chooses among the ENCODE portal's peak files of a factor and a cell.

**Candidates** are the released, unrestricted ``bed narrowPeak`` files on this assembly, IDR-thresholded and with an
md5, of released TF ChIP-seq experiments with this target and biosample.

**The choice** is the first in this order, each item breaking ties of those above:

1. plain cells, before lines modified to carry a tag, before treated or otherwise perturbed cells;
2. the experiment's audit: none or WARNING, before NOT_COMPLIANT or an unknown one, before ERROR;
3. experiments of two or more biological replicates;
4. optimal before conservative IDR (ENCODE 4 calls its optimal set just "IDR thresholded peaks");
5. the file made from more biological replicates;
6. the portal's ``preferred_default``, which comes this late because it is sometimes a conservative set;
7. the newer file; 8. the accession in alphabetical order.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STATUS = ("released",)
PINNED_STATUS = ("released", "archived")
PEAKS = ("bed", "narrowPeak")
# Compared without case: older objects are spelt in lower case.
OUTPUT_TYPES = {
    "idr thresholded peaks": 0,
    "optimal idr thresholded peaks": 0,
    "conservative idr thresholded peaks": 1,
}
AUDIT_LEVELS = ("ERROR", "NOT_COMPLIANT", "WARNING")
AUDIT_RANK = {"ERROR": 2, "NOT_COMPLIANT": 1, "unknown": 1, "WARNING": 0, "none": 0}
REPLICATED = 2
OPEN_BUCKET = "encode-public"

_MD5 = re.compile(r"[0-9a-f]{32}")
_TAGGED = re.compile(r"genetically modified|CRISPR|stably expressing", re.IGNORECASE)
_TREATED = re.compile(r"\btreated with\b|\bdepleted\b|\bknock", re.IGNORECASE)
_PLAIN, _TAG, _PERTURBED = range(3)


@dataclass(frozen=True)
class Experiment:
    """What the choice needs of an experiment; ``audit`` is its worst level, ``none`` or ``unknown``."""

    accession: str
    target: str
    biosample: str
    perturbation: int
    audit: str
    replicates: int
    lab: str


@dataclass(frozen=True)
class PeakFile:
    """A candidate peak file, with its experiment."""

    accession: str
    experiment: Experiment
    assembly: str
    output_type: str
    preferred: bool
    replicates: tuple[int, ...]
    md5: str
    size: int
    url: str
    archive: str
    created: str
    status: str


def refusal(item: Mapping[str, Any], assembly: str, pinned: bool = False) -> str:
    """Say why a file object of the portal is no candidate on ``assembly``; an empty text if it is one.

    ``pinned`` means requested by accession: such a file may be archived and of any output type.
    """
    if not item.get("accession"):
        return "no accession of its own"
    if item.get("status") not in (PINNED_STATUS if pinned else STATUS):
        return f"status {item.get('status')}"
    if item.get("restricted") or item.get("no_file_available"):
        return "the file itself is not available"
    if (item.get("file_format"), item.get("file_format_type")) != PEAKS:
        return f"format {item.get('file_format')} {item.get('file_format_type', '')}".rstrip()
    if item.get("assembly") != assembly:
        return f"assembly {item.get('assembly')} where {assembly} was expected"
    if not _MD5.fullmatch(str(item.get("md5sum", ""))) or not isinstance(item.get("file_size"), int):
        return "no md5 or no size"
    if not _storage_agrees(item):
        return "the portal and its storage disagree on the md5"
    if not pinned and str(item.get("output_type", "")).casefold() not in OUTPUT_TYPES:
        return f"output type {item.get('output_type')}"
    return ""


def _storage_agrees(item: Mapping[str, Any]) -> bool:
    """Compare the md5 in the storage (base64 of the bytes) with that on the portal (hexadecimal)."""
    encoded = (item.get("cloud_metadata") or {}).get("md5sum_base64")
    if not encoded:
        return True
    try:
        return base64.b64decode(encoded, validate=True).hex() == item["md5sum"]
    except binascii.Error:
        return False


def read_experiment(item: Mapping[str, Any]) -> Experiment:
    """Read the portal's object of an experiment."""
    summary = str(item.get("biosample_summary") or item.get("simple_biosample_summary") or "")
    if item.get("perturbed") or _TREATED.search(summary):
        perturbation = _PERTURBED
    else:
        perturbation = _TAG if _TAGGED.search(summary) else _PLAIN
    audit = item.get("audit")
    worst = "unknown" if audit is None else next((level for level in AUDIT_LEVELS if audit.get(level)), "none")
    replicates = {
        replicate.get("biological_replicate_number") if isinstance(replicate, dict) else replicate
        for replicate in item.get("replicates") or []
    }
    return Experiment(
        accession=str(item.get("accession", "")),
        target=linked(item.get("target"), "label"),
        biosample=linked(item.get("biosample_ontology"), "term_name"),
        perturbation=perturbation,
        audit=worst,
        replicates=len(replicates),
        lab=linked(item.get("lab"), "title"),
    )


def read_file(item: Mapping[str, Any], experiment: Experiment, address: str) -> PeakFile:
    """Read the portal's object of a file that ``refusal`` accepts; ``address`` is the portal's own."""
    accession = str(item["accession"])
    href = item.get("href") or f"/files/{accession}/@@download/{accession}.bed.gz"
    return PeakFile(
        accession=accession,
        experiment=experiment,
        assembly=str(item["assembly"]),
        output_type=str(item.get("output_type", "")),
        preferred=bool(item.get("preferred_default")),
        replicates=tuple(item.get("biological_replicates") or ()),
        md5=str(item["md5sum"]),
        size=int(item["file_size"]),
        url=address + str(href),
        archive=_archive(item),
        created=str(item.get("date_created", "")),
        status=str(item.get("status", "")),
    )


def _archive(item: Mapping[str, Any]) -> str:
    """Return the file's address in the portal's public bucket, empty where it is not there."""
    bucket, _, key = str(item.get("s3_uri", "")).removeprefix("s3://").partition("/")
    return f"https://{bucket}.s3.amazonaws.com/{key}" if bucket == OPEN_BUCKET and key else ""


def linked(value: Any, name: str) -> str:
    """Read a property of a linked object; where there is only its path (``/targets/JUND-human/``), the name in it."""
    if isinstance(value, dict):
        return str(value.get(name, ""))
    return str(value or "").strip("/").rsplit("/", 1)[-1].removesuffix("-human")


def path_of(value: Any) -> str:
    """Return the path of a linked object, embedded or not."""
    return str(value["@id"] if isinstance(value, dict) else value or "")


def order(file: PeakFile) -> tuple[Any, ...]:
    """Return the sort key of this module's rule; the file to choose comes first."""
    experiment = file.experiment
    return (
        experiment.perturbation,
        AUDIT_RANK[experiment.audit],
        experiment.replicates < REPLICATED,
        OUTPUT_TYPES[file.output_type.casefold()],
        -len(file.replicates),
        not file.preferred,
        _Descending(file.created),
        file.accession,
    )


@dataclass(frozen=True)
class _Descending:
    text: str

    def __lt__(self, other: "_Descending") -> bool:
        return self.text > other.text


def remarks(chosen: PeakFile, candidates: Sequence[PeakFile]) -> str:
    """Say what a reader of the lock should know about a choice; an empty text if nothing."""
    notes = [
        f"the portal prefers {other.accession} ({other.output_type})"
        for other in candidates
        if other.preferred and not chosen.preferred and other.experiment == chosen.experiment
    ]
    experiment = chosen.experiment
    if experiment.perturbation != _PLAIN:
        notes.append("cells are " + ("tagged" if experiment.perturbation == _TAG else "treated or perturbed"))
    if AUDIT_RANK[experiment.audit]:
        notes.append(f"audit: {experiment.audit}")
    if experiment.replicates < REPLICATED:
        notes.append("the experiment is not replicated")
    return "; ".join(notes)
