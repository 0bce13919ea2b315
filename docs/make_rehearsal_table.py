"""The experiments table of the rehearsal, ``config/rehearsal.tsv``, derived from that of the full study.

``python docs/make_rehearsal_table.py config/rehearsal.tsv`` rewrites it. Rows lose their checksum,
and their source becomes ``planted:<matrices>:<peaks>``:

* matrices: ``matrix_id`` of ``resources/factors.tsv``; of a factor without one, those of the factors it ``sits_with``.
* peaks: the size that UCSC lists for the file (``listed_size`` of ``resources/peaks_hg19_uniform.tsv``) over the
  bytes per peak in the one file of this kind whose peaks were counted.
"""

import csv
import sys
from collections.abc import Mapping
from pathlib import Path

from tfbs_moe.config import Experiment, read_experiments
from tfbs_moe.files import atomic

TABLE = "config/config.tsv"
FACTORS = "resources/factors.tsv"
SIZES = "resources/peaks_hg19_uniform.tsv"
HEADER = "# Made from config/config.tsv by `make docs`, do not edit: planted:<JASPAR matrices>:<peaks>.\n"

# wgEncodeAwgTfbsHaibA549Atf3V0422111Etoh02UniPk.narrowPeak.gz: its peaks and its bytes.
COUNTED_PEAKS, COUNTED_BYTES = 6_580, 171_643
_UNITS = {"KB": 1024, "MB": 1024**2}


def peaks_of_size(listed: str) -> int:
    """Return how many peaks a file of a listed size, such as ``1.1 MB``, is expected to hold."""
    number, unit = listed.split()
    return round(float(number) * _UNITS[unit] * COUNTED_PEAKS / COUNTED_BYTES)


def rehearsal_rows(
    experiments: list[Experiment], factors: Mapping[str, Mapping[str, str]], sizes: Mapping[str, str]
) -> list[Experiment]:
    """Return the rehearsal's rows from those of the full study, factors by name and listed sizes by address."""
    rows = []
    for row in experiments:
        known = factors[row["factor"]]
        company = known["sits_with"].split(",") if not known["matrix_id"] else [row["factor"]]
        matrices = "+".join(factors[name]["matrix_id"] for name in company)
        source = f"planted:{matrices}:{peaks_of_size(sizes[row['source']])}"
        rows.append(row | {"source": source, "checksum": ""})
    return rows


def rehearsal_table(root: Path) -> str:
    """Return the text of ``config/rehearsal.tsv`` for the tables of a checkout."""
    experiments = read_experiments(root / TABLE)
    factors = {row["factor"]: row for row in _rows(root / FACTORS)}
    sizes = {row["url"]: row["listed_size"] for row in _rows(root / SIZES)}
    rows = rehearsal_rows(experiments, factors, sizes)
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    return HEADER + "\n".join(lines) + "\n"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


if __name__ == "__main__":
    with atomic(sys.argv[1]) as temporary:
        temporary.write_text(rehearsal_table(Path.cwd()), encoding="utf-8")
