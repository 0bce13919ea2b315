"""Effect of a variant on the score: the reference allele against each alternative, in their genomic context.

Both alleles are placed in a window of the model's length, the longer one in the middle. The bases before the variant
are the same for both; after it the genome continues until the window is full, so that a shorter allele shows more of
it. Bases beyond the end of a chromosome are unknown (N). Alleles are trimmed of what they begin or end with alike, and
an insertion or deletion within a repeat is left-aligned (Tan, Abecasis & Kang 2015, Bioinformatics 31:2202), so that a
variant has one score however it is written.
"""

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from tfbs_moe.apply.input_tables import Allele
from tfbs_moe.apply.outputs import open_sink
from tfbs_moe.apply.scorer import Scorer, Scores
from tfbs_moe.apply.windows import BEYOND, NO_CHROMOSOME, SCORED, Windows, lacking_chromosomes
from tfbs_moe.errors import InputError
from tfbs_moe.genome.assemblies import name_matcher
from tfbs_moe.genome.fasta import base_codes
from tfbs_moe.genome.genome import Genome
from tfbs_moe.sequence import UNKNOWN

log = logging.getLogger(__name__)

NO_ALTERNATIVE = "no alternative allele"
SYMBOLIC = "symbolic allele"
MISMATCH = "reference mismatch"
NOT_DNA = "allele is not DNA"
TOO_LONG = "longer than the window"
BATCH_ALLELES = 4096
FORMATS = (".tsv", ".tsv.gz", ".parquet")
_SYMBOLS = frozenset("<>[]*")


def score_variants(
    scorer: Scorer,
    alleles: Iterable[Allele],
    genome: Genome,
    offsets: Sequence[int] = (0,),
    chromosome_names: str | Path | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield tables of one row per allele, some thousands at a time, in their order.

    Columns are ``chrom`` ``pos`` (1-based) ``id`` ``ref`` ``alt``; ``status``: ``scored``, or why not; and missing
    where not scored: ``logit_reference``, ``logit_alternative``, ``delta`` (alternative − reference),
    ``probability_reference``, ``probability_alternative``, and for a mixture ``expert_reference``,
    ``expert_alternative`` (of most weight) and ``gate_shift``, the fraction of the weight that moves to other experts
    (total variation distance, 0 to 1). ``unknown`` counts the N in the window of the reference.

    Args:
        scorer: scores the windows.
        alleles: see ``read_variants``.
        genome: that the variants are on.
        offsets: bases by which windows are shifted to the right of the variant; logits and weights are means over them.
        chromosome_names: how variants name chromosomes, see ``genome.assemblies.name_matcher``.

    Raises:
        InputError: an offset moves the variant out of its window, or, at the end, no variant could be scored and some
            lie where the genome has another base or nothing.
    """
    half = scorer.window // 2
    if not offsets or max(map(abs, offsets)) >= half:
        raise InputError(f"offsets must be fewer than {half} bases, half a window; they are {list(offsets)}")
    matcher = name_matcher(chromosome_names)
    waiting: deque[tuple[pd.DataFrame, np.ndarray]] = deque()
    statuses: Counter[str] = Counter()
    absent: dict[str, None] = {}

    def blocks() -> Iterator[Windows]:
        rest = iter(alleles)
        while batch := list(islice(rest, BATCH_ALLELES)):
            names = matcher([allele.chrom for allele in batch], genome.sizes)
            table, codes, scored = _windows(batch, genome, scorer.window, offsets, names)
            statuses.update(table["status"])
            absent.update(dict.fromkeys(table["chrom"][table["status"] == NO_CHROMOSOME]))
            waiting.append((table, scored))
            nothing, empty = np.zeros(len(codes), np.int64), np.full(len(codes), "", dtype=object)
            yield Windows(codes, nothing, empty, empty, nothing, empty)

    for _, scores in scorer.stream(blocks()):
        table, scored = waiting.popleft()
        yield _joined(scorer, table, scored, scores, len(offsets))
    _judge(statuses, list(absent), genome)


def _judge(statuses: Counter[str], absent: Sequence[str], genome: Genome) -> None:
    """Warn of chromosomes that a genome lacks; InputError where no allele is scored and the genome seems wrong."""
    total, lacking = statuses.total(), statuses[NO_CHROMOSOME]
    if lacking:
        message = lacking_chromosomes(f"{lacking} of {total} alleles", absent, genome)
        if lacking == total - statuses[NO_ALTERNATIVE] - statuses[SYMBOLIC]:
            raise InputError(message)
        log.warning(message)
    if not statuses[SCORED] and (statuses[MISMATCH] or statuses[BEYOND]):
        reasons = ", ".join(f"{count} {status}" for status, count in sorted(statuses.items()))
        raise InputError(
            f"none of {total} alleles can be scored ({reasons}). Is {genome.path} what they were called on?"
        )


def score_variant_file(
    scorer: Scorer,
    alleles: Iterable[Allele],
    genome: Genome,
    output: str | Path,
    offsets: Sequence[int] = (0,),
    chromosome_names: str | Path | None = None,
) -> Iterator[pd.Series]:
    """Write ``score_variants`` to TSV or Parquet, and yield the number of alleles by status for each table."""
    with ExitStack() as stack:
        sink = None
        for table in score_variants(scorer, alleles, genome, offsets, chromosome_names):
            if sink is None:
                sink = stack.enter_context(open_sink(output, placed=False))
            sink.write(table)
            yield table["status"].value_counts()
        if sink is None:
            raise InputError("there is nothing to score: the input holds no variant")


def _windows(
    batch: Sequence[Allele], genome: Genome, window: int, offsets: Sequence[int], names: Mapping[str, str]
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the table of a batch, the windows of scored alleles (n · offsets · 2, L), and the mask of their rows."""
    found: list[np.ndarray] = []
    status = []
    for allele in batch:
        found_as = replace(allele, chrom=names[allele.chrom]) if allele.chrom in names else allele
        reason, windows = _of_allele(found_as, genome, window, offsets)
        status.append(reason)
        found += windows
    table = pd.DataFrame(
        {
            "chrom": [each.chrom for each in batch],
            "pos": [each.position for each in batch],
            "id": [each.name for each in batch],
            "ref": [each.reference for each in batch],
            "alt": [each.alternative for each in batch],
            "status": status,
        }
    )
    scored = (table["status"] == SCORED).to_numpy()
    codes = np.stack(found) if found else np.empty((0, window), np.uint8)
    # Of the reference, in the window of the first offset.
    table["unknown"] = pd.array([pd.NA] * len(table), dtype="Int16")
    table.loc[scored, "unknown"] = (codes[:: 2 * len(offsets)] == UNKNOWN).sum(axis=1)
    return table, codes, scored


def _of_allele(allele: Allele, genome: Genome, window: int, offsets: Sequence[int]) -> tuple[str, list[np.ndarray]]:
    """Return the status of an allele and its windows, reference and alternative for each offset."""
    if allele.alternative.upper() in (".", "", allele.reference.upper()):
        return NO_ALTERNATIVE, []
    if _SYMBOLS & set(allele.alternative):
        return SYMBOLIC, []
    if allele.chrom not in genome.sizes:
        return NO_CHROMOSOME, []
    reference, alternative = (
        base_codes(text.encode("ascii", "replace")) for text in (allele.reference, allele.alternative)
    )
    if not len(reference) or max(reference.max(), alternative.max()) >= UNKNOWN:
        return NOT_DNA, []
    start = allele.position - 1
    if start < 0 or start + len(reference) > genome.sizes[allele.chrom]:
        return BEYOND, []
    # No window reaches further to either side.
    reach = window + max(map(abs, offsets))

    def flanked(bases: int) -> np.ndarray:
        return genome.padded(allele.chrom, np.array([start - reach]), bases + 2 * reach)[0]

    around = flanked(len(reference))
    if not np.array_equal(around[reach : reach + len(reference)], reference):
        return MISMATCH, []
    begun, reference, alternative = _trimmed(reference, alternative)
    start, around = start + begun, around[begun:]
    moving = not (len(reference) and len(alternative))
    while moving and (steps := _steps_left(around[:reach], np.concatenate([reference, alternative]))):
        # A repeat may be longer than the fetched flank.
        moving, start = steps == reach, start - steps
        reference, alternative = np.roll(reference, steps), np.roll(alternative, steps)
        around = flanked(len(reference))
    longest = max(len(reference), len(alternative))
    if longest + max(map(abs, offsets)) * 2 > window:
        return TOO_LONG, []
    windows = []
    for offset in offsets:
        left = (window - longest) // 2 - offset
        for present in (reference, alternative):
            behind = reach + len(reference)
            parts = [around[reach - left : reach], present, around[behind : behind + window - left - len(present)]]
            windows.append(np.concatenate(parts))
    return SCORED, windows


def _trimmed(reference: np.ndarray, alternative: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the length of the shared prefix, and the alleles without shared suffix and prefix."""
    while len(reference) and len(alternative) and reference[-1] == alternative[-1]:
        reference, alternative = reference[:-1], alternative[:-1]
    begun = 0
    while len(reference) and len(alternative) and reference[0] == alternative[0]:
        begun, reference, alternative = begun + 1, reference[1:], alternative[1:]
    return begun, reference, alternative


def _steps_left(before: np.ndarray, moved: np.ndarray) -> int:
    """Return how many bases an insertion or deletion can move to the left without changing the sequence."""
    differs = before[::-1] != np.resize(moved[::-1], len(before))
    return int(differs.argmax()) if differs.any() else len(before)


def _joined(scorer: Scorer, table: pd.DataFrame, scored: np.ndarray, scores: Scores, offsets: int) -> pd.DataFrame:
    """Add the scores of the windows to the table."""
    logit = scores.logit.reshape(-1, offsets, 2).mean(axis=1)
    both = Scores(logit.ravel(), np.empty((logit.size, 0), np.float32), np.empty(0, np.float32))
    probability = both.probability.reshape(-1, 2)
    columns: dict[str, np.ndarray] = {
        "logit_reference": logit[:, 0],
        "logit_alternative": logit[:, 1],
        "delta": logit[:, 1] - logit[:, 0],
        "probability_reference": probability[:, 0],
        "probability_alternative": probability[:, 1],
    }
    if scorer.experts:
        names = np.array(scorer.experts, dtype=object)
        weights = scores.weights.reshape(-1, offsets, 2, len(names)).mean(axis=1)
        for place, which in enumerate(("reference", "alternative")):
            columns[f"expert_{which}"] = names[weights[:, place].argmax(axis=1)]
        columns["gate_shift"] = np.abs(weights[:, 1] - weights[:, 0]).sum(axis=1) / 2
    for name, values in columns.items():
        missing = None if values.dtype == object else np.float32(np.nan)
        whole = np.full(len(table), missing, dtype=values.dtype)
        whole[scored] = values
        table[name] = whole
    return table
