"""Write ``results.md`` from the JSON files that the benchmarks left in ``results/``; the other sections stay."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TARGET = FOLDER / "results.md"
HEAD = """# Benchmarks

Written by `make bench` from the JSON files in `results/`, which hold every figure with its command and versions; a
section whose file is not there stays as it was. Sides are measured in turn in one run on one machine; a ratio is the
other side's time over ours, by processor time where the sides use one thread, so that other work on the machine
weighs less.
"""

SECTION = "\n## "
Row = tuple[str, str, str]


def extraction(found: dict[str, Any]) -> Iterator[Row]:
    """Loci to one-hot."""
    for size in found["loci"]:
        faster = size["times_faster_than"]
        what = f"{size['loci']:,} loci of {found['window']} bases to one-hot"
        yield f"{what}: `tangermeme.io.extract_loci` / ours", _times(faster["tangermeme on FASTA"]), "≥ 5 ×"
        yield f"{what}: pyfaidx loop / ours", _times(faster["pyfaidx loop on FASTA"]), "≥ 20 ×"


def negatives(found: dict[str, Any]) -> Iterator[Row]:
    """GC-matched negatives."""
    for size in found["sizes"]:
        what = f"GC-matched negatives of {size['loci']:,} loci, {size['bases'] / 1e6:.0f} Mb"
        distance = size["mismatch"]["wasserstein"]
        yield f"{what}: `tangermeme.match` / ours", _times(size["times_faster"]), "≥ 3 ×"
        yield (
            f"{what}: distance of GC distributions, ours",
            f"{distance['ours']:.1e}",
            f"≤ {distance['tangermeme']:.1e}",
        )
    yield "time grows with the number of bases to the power of", f"{found['exponent_of_time_in_bases']:.2f}", "≤ 1"
    yield "memory for 3.1 Gb, by the slope", f"{found['human_genome_allocated_gib']:.1f} GiB", "< 4 GiB"


def audit(found: dict[str, Any]) -> Iterator[Row]:
    """The audit of many datasets."""
    what = f"audit of {found['datasets']} × {found['datasets']} datasets of {found['rows_per_dataset']:,} rows"
    yield what, f"{found['seconds']:.0f} s ({found['cpu_seconds']:.0f} processor s)", f"< {found['limit_seconds']} s"
    yield f"{what}: memory", f"{found['peak_memory_mb'] / 1000:.1f} GB", ""


def training(found: dict[str, Any]) -> Iterator[Row]:
    """Training speed and memory."""
    names = {"encode": "a `Dataset` that encodes each row", "stored": "a `Dataset` of ready arrays"}
    for key, ratio in found["ours_over_plain"].items():
        pooling, way = key.split(".")
        what = f"training the ConvNet ({pooling}) beside {names[way]} and a `DataLoader`"
        ours = found["runs"][f"{pooling}.ours"]["samples_per_second"]
        yield f"{what}: samples/s", f"{ratio['speed']:.1f} × ({ours:,.0f} /s)", "≥ 3 ×"
        yield (
            f"{what}: memory, all / beyond torch",
            f"{ratio['memory']:.2f} / {ratio['memory_beyond_torch']:.2f}",
            "≤ 0.5",
        )


def paper_experts(found: dict[str, Any]) -> Iterator[Row]:
    """The paper's three experts."""
    low, high = found["authors_seconds"]
    epochs = " + ".join(f"{expert['epochs']:.0f}" for expert in found["experts"].values())
    what = f"the paper's three experts, published protocol, one seed ({epochs} epochs), two cores, from the command on"
    yield (
        f"{what}; the authors' code took {low} to {high} s",
        f"{found['median_seconds']:.1f} s",
        f"≤ {low / 3:.0f} to {high / 3:.0f} s",
    )


def learning_curve(found: dict[str, Any]) -> Iterator[Row]:
    """AUROC by the number of training rows."""
    for row in found["shares"]:
        what = f"one pooled network, {row['rows']:,} training rows, {found['epochs']} epochs"
        areas = f"{row['validation']:.3f} / {row['in_distribution']:.3f} / {row['unseen']:.3f}"
        yield f"{what}: validation / in distribution / unseen factors", areas, ""


def attribution(found: dict[str, Any]) -> Iterator[Row]:
    """Attribution per sequence."""
    asked = {("expert", "shiftsmooth"): 0.15, ("mixture", "shiftsmooth"): 0.5, ("expert", "ism"): 3.0}
    for model in ("expert", "mixture"):
        for method, measured in found[model].items():
            ours = measured["milliseconds_per_sequence"]["ours"]
            goal = asked.get((model, method))
            yield f"{method}, {model}: processor ms per sequence", f"{ours:.3f}", f"≤ {goal}" if goal else ""
            for other, times in measured["times_faster_than"].items():
                goal_times = "≥ 5 ×" if other.startswith("captum") else ""
                yield f"{method}, {model}: {other} / ours", f"{times:.1f} ×", goal_times


def bootstrap(found: dict[str, Any]) -> Iterator[Row]:
    """Paired bootstrap."""
    sizes = found["sizes"]
    what = f"{sizes['draws']:,} paired draws × {sizes['datasets']} test sets × {sizes['models']} models"
    yield f"{what}: AUROC", f"{found['seconds']['auroc']:.1f} s", "≤ 10 s"
    yield f"{what}: eight metrics with intervals", f"{found['seconds']['eight_metrics_and_intervals']:.1f} s", ""
    yield f"{what}: scikit-learn in a loop / ours", f"{found['times_faster']:.0f} ×", ""


def levels(found: dict[str, Any]) -> Iterator[Row]:
    """Levels of tests at .05 and coverages of intervals of 95 %, each with its standard error by simulation."""
    rows: dict[tuple[str, str], list[str]] = {}
    for row in sorted(found["levels"], key=lambda row: row["what"].startswith("interval: ")):
        told = "not shown" if row["share"] is None else f"{row['share']:.1%} ± {row['error']:.1%}"
        rows.setdefault((row["what"], row["asked"]), []).append(f"{row['over']}: {told}")
    for (what, asked), measured in rows.items():
        yield what, "; ".join(measured), asked


def gates(found: dict[str, Any]) -> Iterator[Row]:
    """Gates and predictions, and a gate over hundreds of experts."""
    sizes, parts = found["sizes"], found["parts"]
    what = f"gates of {sizes['seeds']} seeds and predictions of {sizes['test_sets']} test sets, one thread"
    yield what, f"{parts['study']['seconds']:.0f} s", "< 120 s"
    what = f"gate over {sizes['experts']} experts × 32, {sizes['large_rows']:,} rows: memory, mapped pages included"
    yield what, f"{parts['large']['peak_memory_gb']:.1f} GB", "< 8 GB"


def predict(found: dict[str, Any]) -> Iterator[Row]:
    """Scoring sequences of one's own."""
    ours = found["sides"]["ours"]
    what = f"`tfbs-moe predict` on {found['rows']:,} sequences of 101 bases"
    yield f"{what}: seconds from start to end", f"{ours['seconds']:.0f} s ({ours['per_second']:,.0f} /s)", ""
    yield f"{what}: loop with pandas and one-hot by batch / ours", f"{found['ratio']:.1f} ×", "≥ 3 ×"
    yield f"{what}: memory", f"{ours['peak_memory_gb']:.2f} GB", "≤ 2 GB"
    yield f"{what}: largest difference in probability from the loop", f"{found['largest_difference']:.1e}", ""


def faults(found: dict[str, Any]) -> Iterator[Row]:
    """Faults that a run survives."""
    for row in found["faults"]:
        what = f"{row['fault']}: tried, survived, results lost"
        yield what, f"{row['tried']}, {row['survived']}, {row['lost']}", f"{row['tried']}, {row['tried']}, 0"


def plan(found: dict[str, Any]) -> Iterator[Row]:
    """Planning of large studies."""
    for study in found["studies"]:
        shape = f"{study['experiments']} experiments × {study['architectures']} architectures × {study['seeds']} seeds"
        large = study == found["studies"][-1]
        what = f"`snakemake -n` of {shape}, {study['jobs']:,} jobs"
        yield what, f"{study['wall']:.0f} s", "≤ 60 s" if large else ""
        yield f"{what}: memory", f"{study['gib']:.1f} GiB", "≤ 4 GB" if large else ""


def rehearsal(found: dict[str, Any]) -> Iterator[Row]:
    """The rehearsal of the full study, one seed."""
    what = f"with {found['networks']}, {found['jobs']} jobs"
    convnet = "alone" in found["networks"]
    yield f"{what}: time", f"{found['seconds'] / 60:.1f} min", "≤ 15 min" if convnet else ""
    yield f"{what}: processor time", f"{found['processor_seconds'] / 60:.0f} min", ""
    yield f"{what}: memory of the largest job, `{found['largest_job']}`", f"{found['memory_gb']:.2f} GB", "≤ 1.5 GB"
    yield f"{what}: disk", f"{found['disk_gb']:.1f} GB", ""


PARTS: dict[str, Callable[[dict[str, Any]], Iterator[Row]]] = {
    "extraction": extraction,
    "negatives": negatives,
    "audit": audit,
    "training": training,
    "paper_experts": paper_experts,
    "learning_curve": learning_curve,
    "bootstrap": bootstrap,
    "levels": levels,
    "attribution": attribution,
    "gates": gates,
    "predict": predict,
    "plan": plan,
    "rehearsal": rehearsal,
    "faults": faults,
}


def main() -> None:
    """Write the page."""
    _, *before = TARGET.read_text(encoding="utf-8").split(SECTION) if TARGET.is_file() else [""]
    kept = {part.partition("\n")[0]: part for part in before}
    text = HEAD
    for name, rows in PARTS.items():
        path = FOLDER / "results" / f"{name}.json"
        title = (rows.__doc__ or name).rstrip(".")
        if not path.is_file():
            text += f"{SECTION}{kept[title].rstrip()}\n" if title in kept else ""
            continue
        found = json.loads(path.read_text(encoding="utf-8"))
        machine, versions = found["machine"], ", ".join(f"{key} {value}" for key, value in found["versions"].items())
        text += f"{SECTION}{title}\n\n"
        text += f"`{_command(found['command'])}` on {machine['cpus']} × {machine['processor']}, "
        text += f"load {machine['load']:.1f}; "
        text += f"Python {machine['python']}, {versions}.\n\n"
        text += "| what | measured | asked for |\n|---|---|---|\n"
        text += "".join(f"| {' | '.join(row)} |\n" for row in rows(found))
    TARGET.write_text(text, encoding="utf-8")
    print(f"wrote {TARGET.name}")


def _times(clocks: dict[str, float]) -> str:
    return f"{clocks['processor']:.1f} ×"


def _command(command: str) -> str:
    """Drop what says where on a disk a result went."""
    words, places = command.split(), ("--output", "--mirror")
    return " ".join(word for at, word in enumerate(words) if word not in places and words[at - 1] not in places)


if __name__ == "__main__":
    main()
