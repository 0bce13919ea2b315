"""Find the right peak file for a factor, cell and assembly on the ENCODE portal, and record it in a lock table.

The portal changes: files are reprocessed, archived, revoked. So it is queried once, its answer goes to a tracked table
(``resources/encode.lock.tsv``), and every run reads the table; see ``sources.locked``. The interface is described
at https://www.encodeproject.org/help/rest-api/.
"""

import csv
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests

from tfbs_moe.data.download import http as transport
from tfbs_moe.data.download.http import Policy, SourceError
from tfbs_moe.data.download.peak_choice import (
    OUTPUT_TYPES,
    PEAKS,
    PeakFile,
    linked,
    order,
    path_of,
    read_experiment,
    read_file,
    refusal,
    remarks,
)
from tfbs_moe.data.download.sources import LOCK_COLUMNS, PORTAL, PORTAL_WORD, Portal, Remote, parse_source, read_lock
from tfbs_moe.errors import InputError
from tfbs_moe.files import atomic
from tfbs_moe.genome.assemblies import portal_name

log = logging.getLogger(__name__)

ASSAY = "TF ChIP-seq"
_DEFAULT_POLICY = Policy()


class PortalClient:
    """A client of the portal that sends its queries one after the other over one connection."""

    def __init__(self, http: requests.Session, address: str = PORTAL, policy: Policy = _DEFAULT_POLICY) -> None:
        self._http, self._policy = http, policy
        self.address = address.rstrip("/")

    def search(self, **fields: str) -> list[dict[str, Any]]:
        """Return the objects that match, possibly none. ``__`` in a field's name stands for a dot."""
        query = [(name.replace("__", "."), value) for name, value in fields.items()]
        url = f"{self.address}/search/?{urlencode([*query, ('format', 'json'), ('limit', 'all')])}"
        status, answer = transport.get_json(self._http, url, self._policy)
        if not isinstance(answer, dict) or "@graph" not in answer:
            if status == 404 and isinstance(answer, dict) and answer.get("notification") == "No results found":
                return []
            raise SourceError(f"{url} did not answer as the ENCODE portal does")
        return list(answer["@graph"])

    def get(self, path: str) -> dict[str, Any]:
        """Return one object by its path, such as ``/files/ENCFF562YSV/``; raise InputError where there is none."""
        url = f"{self.address}{path}?format=json"
        status, answer = transport.get_json(self._http, url, self._policy)
        if status == 404:
            raise InputError(f"{url}: the ENCODE portal has no such object; check the accession")
        if not isinstance(answer, dict):
            raise SourceError(f"{url} did not answer as the ENCODE portal does")
        return answer


def update_lock(
    experiments: Iterable[Mapping[str, str]],
    lock: str | Path,
    assembly: str,
    *,
    portal: str = PORTAL,
    refresh: bool = False,
    today: date | None = None,
    policy: Policy = _DEFAULT_POLICY,
) -> int:
    """Query the portal for what the lock table lacks, record it, and return the number of queried rows.

    Experiments whose source is neither ``encode`` nor an accession are skipped. ``refresh`` queries recorded rows
    again; ``today`` None is the machine's date. What was found is kept even when another row fails. Raises InputError
    with the reason for each row without a file, or where the portal has none of the assembly or does not answer.
    """
    rows = {_key(row): row for row in (read_lock(lock) if Path(lock).is_file() else [])}
    wanted = [row for row in _wanted(experiments, assembly) if refresh or _key(row) not in rows]
    problems: list[str] = []
    queried = (today or date.today()).isoformat()
    with transport.session() as http:
        client = PortalClient(http, portal, policy)
        for row in wanted:
            try:
                rows[_key(row)] = _lock_row(row, client, queried)
            except InputError as error:
                problems.append(str(error))
            except SourceError as error:
                problems.append(f"the portal does not answer: {error}")
                break
            # An object lacks a property, or has one of another type than the portal's.
            except (AttributeError, TypeError, LookupError, ValueError) as error:
                problems.append(
                    f"the portal's answer for {' '.join(_key(row)[1:])} is not understood "
                    f"({type(error).__name__}: {error})."
                )
    if wanted:
        _write_lock(rows.values(), lock)
    if problems:
        raise InputError(f"{lock} could not be completed. " + " ".join(problems))
    return len(wanted)


def find(client: PortalClient, factor: str, cell: str, assembly: str) -> tuple[list[PeakFile], Counter[str]]:
    """Return the candidate peak files of a factor, best first by ``peak_choice``, and why others were refused.

    Raises InputError where there is no such experiment; the message names the cells that have one.
    """
    found = client.search(
        type="Experiment", assay_title=ASSAY, status="released", target__label=factor,
        biosample_ontology__term_name=cell, field="accession",
    )  # fmt: skip
    if not found:
        raise InputError(_no_experiment(client, factor, cell))
    candidates: list[PeakFile] = []
    refused: Counter[str] = Counter()
    for accession in sorted(item["accession"] for item in found):
        experiment = read_experiment(client.get(f"/experiments/{accession}/"))
        files = client.search(
            type="File", dataset=f"/experiments/{accession}/", file_format=PEAKS[0], file_format_type=PEAKS[1],
            assembly=assembly, frame="object",
        )  # fmt: skip
        for item in files:
            if reason := refusal(item, assembly):
                refused[reason] += 1
            else:
                candidates.append(read_file(item, experiment, client.address))
    return sorted(candidates, key=order), refused


def _wanted(experiments: Iterable[Mapping[str, str]], assembly: str) -> list[dict[str, str]]:
    wanted = {}
    for row in experiments:
        source = parse_source(row["source"])
        if isinstance(source, Portal):
            asked = PORTAL_WORD
        elif isinstance(source, Remote) and source.accession:
            asked = source.accession
        else:
            continue
        item = {"source": asked, "factor": row["factor"], "cell": row["cell"], "assembly": portal_name(assembly)}
        wanted[_key(item)] = item
    return list(wanted.values())


def _key(row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(row[column] for column in ("source", "factor", "cell", "assembly"))


def _lock_row(row: Mapping[str, str], client: PortalClient, queried: str) -> dict[str, str]:
    log.info("asking %s for %s in %s on %s (%s)", client.address, *_key(row)[1:], row["source"])
    if row["source"] == PORTAL_WORD:
        candidates, refused = find(client, row["factor"], row["cell"], row["assembly"])
        if not candidates:
            raise InputError(_no_file(row, refused))
        chosen = candidates[0]
        note = remarks(chosen, candidates)
    else:
        chosen = _by_accession(row, client)
        note = _doubts(chosen, row)
    if note:
        log.warning("%s for %s in %s: %s", chosen.accession, row["factor"], row["cell"], note)
    return {
        **row,
        "accession": chosen.accession,
        "experiment": chosen.experiment.accession,
        "target": chosen.experiment.target,
        "biosample": chosen.experiment.biosample,
        "output_type": chosen.output_type,
        "preferred_default": str(chosen.preferred).lower(),
        "replicates": ",".join(map(str, chosen.replicates)),
        "experiment_replicates": str(chosen.experiment.replicates),
        "audit": chosen.experiment.audit,
        "lab": chosen.experiment.lab,
        "url": chosen.url,
        "archive": chosen.archive,
        "md5": chosen.md5,
        "size": str(chosen.size),
        "queried": queried,
        "note": note,
    }


def _by_accession(row: Mapping[str, str], client: PortalClient) -> PeakFile:
    item = client.get(f"/files/{row['source']}/")
    if reason := refusal(item, row["assembly"], pinned=True):
        raise InputError(f"{row['source']} ({row['factor']} in {row['cell']}) cannot be used: {reason}.")
    return read_file(item, read_experiment(client.get(path_of(item.get("dataset")))), client.address)


def _doubts(file: PeakFile, row: Mapping[str, str]) -> str:
    """Return how a file requested by accession differs from what its row says."""
    doubts = [
        f"the portal says {what} {found!r}, the table {row[column]!r}"
        for what, found, column in (
            ("target", file.experiment.target, "factor"),
            ("biosample", file.experiment.biosample, "cell"),
        )
        if found != row[column]
    ]
    if file.output_type.casefold() not in OUTPUT_TYPES:
        doubts.append(f"output type {file.output_type} is not IDR-thresholded")
    if file.status != "released":
        doubts.append(f"status {file.status}")
    return "; ".join(doubts)


def _no_experiment(client: PortalClient, factor: str, cell: str) -> str:
    elsewhere = client.search(
        type="Experiment", assay_title=ASSAY, status="released", target__label=factor,
        field="biosample_ontology.term_name",
    )  # fmt: skip
    cells = sorted({linked(item.get("biosample_ontology"), "term_name") for item in elsewhere} - {""})
    there = f"there is one in {', '.join(cells)}" if cells else "nor in any other cell; use the portal's target label"
    return f"The ENCODE portal has no released {ASSAY} experiment of {factor} in {cell}; {there}."


def _no_file(row: Mapping[str, str], refused: Counter[str]) -> str:
    reasons = ", ".join(f"{reason} ({count})" for reason, count in sorted(refused.items())) or "there are no others"
    return (
        f"The ENCODE portal has no released IDR-thresholded bed narrowPeak file of {row['factor']} in {row['cell']} "
        f"on {row['assembly']}; passed over: {reasons}."
    )


def _write_lock(rows: Iterable[Mapping[str, str]], lock: str | Path) -> None:
    with atomic(lock) as temporary, open(temporary, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, LOCK_COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=_key))
