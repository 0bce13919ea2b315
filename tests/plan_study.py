"""A study of many experiments that can be planned without a network: for the tests and the measurement of planning."""

from pathlib import Path

HEADER = ["name", "factor", "cell", "role", "stratum", "format", "source", "checksum"]
CELLS = ("K562", "HepG2", "GM12878", "A549", "MCF7")
ARCHITECTURES = ("convnet", "residual", "deepsea")


def accession(number: int) -> str:
    """Return a name of the form that ENCODE gives its files."""
    letters = "".join(chr(ord("A") + number // 26**place % 26) for place in range(3))
    return f"ENCFF{number % 1000:03d}{letters}"


def training_rows(count: int) -> list[list[str]]:
    """Return rows of an experiments table: one factor each, in turn from a few cells, named by accession."""
    return [
        [f"F{number:03d}", f"F{number:03d}", CELLS[number % len(CELLS)], "train", "in_distribution", "peaks",
         accession(number), f"md5:{number:032x}"]
        for number in range(count)
    ]  # fmt: skip


def write_table(path: Path, rows: list[list[str]]) -> None:
    """Write an experiments table."""
    path.write_text("".join("\t".join(row) + "\n" for row in [HEADER, *rows]), encoding="utf-8")


def settings(run: str, table: str, seeds: int) -> dict[str, object]:
    """Return the config of a study of ``ARCHITECTURES`` on whole-genome peaks."""
    return {
        "run": run,
        "experiments": table,
        "replicates": list(range(seeds)),
        "genome": {"assembly": "hg38"},
        "protocols": {"sound": {"architectures": list(ARCHITECTURES), "gate_max_rows": 20_000}},
    }
