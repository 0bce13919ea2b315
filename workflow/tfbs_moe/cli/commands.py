"""What each sub-command of ``tfbs-moe`` does, and the checks, before any work, of files that it reads and writes."""

import argparse
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tfbs_moe.errors import InputError, printable
from tfbs_moe.files import disk_problem, mode_of

# In place of a file: standard input, or standard output.
STANDARD = "-"
_LONGEST_NAME = 255  # bytes, of a file in every usual file system


def predict(given: argparse.Namespace) -> int:
    """Score sequences or loci."""
    from tfbs_moe.apply.outputs import FORMATS
    from tfbs_moe.apply.predict import Columns, predict_file
    from tfbs_moe.apply.windows import BEYOND, NO_CHROMOSOME, ONLY_UNKNOWN, open_source

    _check_output(given, FORMATS)
    scorer = _scorer(given)
    with regular(given.input) as path:
        source = open_source(path, scorer.window, **_reading(given))
        _check_genome(given, scorer.description, source.sizes)
        columns = Columns(given.bound_share, given.best)
        scored = _shown(predict_file(scorer, source, given.output, columns), source.total, "windows", given.quiet)
    unscored = sum(source.notes.get(status, 0) for status in (BEYOND, NO_CHROMOSOME, ONLY_UNKNOWN))
    _say_notes(given, scored - unscored, "windows scored", source.notes)
    return 0


def attribute(given: argparse.Namespace) -> int:
    """Attribute scores to bases."""
    from tfbs_moe.apply.explain import FORMATS, Logos, explain_file
    from tfbs_moe.apply.windows import open_source
    from tfbs_moe.models import bundle

    _check_output(given, FORMATS)
    settings = dict(_setting(text) for text in given.set)
    device = _device(given)
    model = bundle.load(given.model, device)
    logos = Logos(given.logos, given.method) if given.logos else None
    with regular(given.input) as path:
        source = open_source(path, model.window, **_reading(given))
        _check_genome(given, bundle.describe(given.model), source.sizes)
        parts = explain_file(model, source, given.method, given.output, device=device, seed=given.seed, **settings)

        def counted() -> Iterator[int]:
            for part in parts:
                if logos:
                    logos.add(*part)
                yield len(part[0])

        explained = _shown(counted(), source.total, "windows", given.quiet)
    if logos:
        logos.draw()
    _say_notes(given, explained, "windows explained", source.notes)
    return 0


def variants(given: argparse.Namespace) -> int:
    """Score variants."""
    from tfbs_moe.apply.input_tables import read_variants
    from tfbs_moe.apply.variants import FORMATS, score_variant_file
    from tfbs_moe.apply.windows import SCORED
    from tfbs_moe.genome.genome import Genome

    try:
        offsets = [int(text) for text in given.offsets.split(",")]
    except ValueError:
        raise InputError(f"--offsets is {given.offsets[:40]!r}; whole numbers such as -20,0,20 were expected") from None
    _check_output(given, FORMATS)
    scorer = _scorer(given)
    statuses: dict[str, int] = {}

    def counted(path: Path) -> Iterator[int]:
        genome = Genome.open(given.genome)
        _check_genome(given, scorer.description, lambda: genome.sizes)
        alleles = read_variants(path)
        for counts in score_variant_file(scorer, alleles, genome, given.output, offsets, given.chromosome_names):
            for status, count in counts.items():
                statuses[str(status)] = statuses.get(str(status), 0) + int(count)
            yield int(counts.sum())

    with regular(given.input) as path:
        total = _shown(counted(path), None, "alleles", given.quiet)
    left_out = {status: count for status, count in sorted(statuses.items()) if status != SCORED}
    _say_notes(given, total, "alleles read", {"scored": statuses.get(SCORED, 0)} | left_out)
    return 0


def info(given: argparse.Namespace) -> int:
    """Print what a model is."""
    from tfbs_moe.apply.card import describe_model, model_card

    description = describe_model(given.model)
    text = json.dumps(description, indent=2, sort_keys=True) if given.json else model_card(description)
    sys.stdout.write(printable(text).rstrip("\n") + "\n")
    return 0


def compare(given: argparse.Namespace) -> int:
    """Compare two runs."""
    import pandas as pd

    from tfbs_moe.report.documents.compare import COMPARISON_FILES, compare_runs, summary, write_comparison
    from tfbs_moe.report.inputs import TABLES, read_run
    from tfbs_moe.study_checks import CONFIG, EXPERIMENTS, load_study

    inputs = [run / name for run in (given.first, given.second) for name in (CONFIG, EXPERIMENTS, *TABLES)]
    check_outputs([given.output / name for name in COMPARISON_FILES], inputs)
    first, second = (read_run(folder, load_study(folder), pd.DataFrame()) for folder in (given.first, given.second))
    comparison = compare_runs(first, second)
    write_comparison(comparison, given.output)
    sys.stdout.write("\n".join([*summary(comparison), f"→ {given.output / 'index.html'}"]) + "\n")
    return 0


def cost(given: argparse.Namespace) -> int:
    """Say what a run took, or what a planned study will take."""
    from tfbs_moe.files import read_text
    from tfbs_moe.report.documents import costs
    from tfbs_moe.tables import write_tsv

    if given.output:
        check_outputs([given.output], [given.folder / costs.FOLDER, given.plan])
    if given.plan is None:
        if given.rows is not None or given.test_rows is not None:
            raise InputError("--rows and --test-rows describe a planned study: give its plan too, with --plan FILE")
        table = costs.measured(given.folder)
        text = costs.in_words(table, str(given.folder))
    else:
        with regular(given.plan) as path:
            plan = costs.read_plan(read_text(path).splitlines())
        measured = (plan, given.folder, given.rows, given.test_rows)
        table = costs.estimate(*measured)
        text = costs.estimate_in_words(table, costs.estimate_disk(*measured), given.folder)
    if given.output:
        write_tsv(table, given.output)
    sys.stdout.write(printable(text))
    return 0


def doctor(given: argparse.Namespace) -> int:
    """Check the installation."""
    from tfbs_moe.cli.doctor import WRONG, checks

    found = list(checks(given.folder, offline=given.offline))
    width = max(len(check.subject) for check in found)
    for check in found:
        sys.stdout.write(f"{check.verdict:<5}  {check.subject:<{width}}  {check.finding}\n")
        if check.advice:
            sys.stdout.write(f"{'':<5}  {'':<{width}}  → {check.advice}\n")
    return int(any(check.verdict == WRONG for check in found))


def _reading(given: argparse.Namespace) -> dict[str, Any]:
    """Return how to open the input of a command, see ``apply.windows.open_source``."""
    names = ("format", "genome", "step", "tile", "chromosome_names", "rna")
    return {name: getattr(given, name) for name in names} | {"merge": str(given.output).endswith(".bw")}


def _check_output(given: argparse.Namespace, formats: Sequence[str]) -> None:
    """Look, before any work, at what a command that scores is to write."""
    from tfbs_moe.apply.outputs import output_format
    from tfbs_moe.genome.assemblies import AUTOMATIC

    outputs = [given.output]
    if given.output != STANDARD:
        output_format(given.output, formats)
    if getattr(given, "logos", None):
        from tfbs_moe.figures.style import saved_files

        outputs += saved_files(given.logos)
    table = None if given.chromosome_names == AUTOMATIC else given.chromosome_names
    check_outputs(outputs, [given.input, given.genome, given.model, table])


def _scorer(given: argparse.Namespace) -> Any:
    from tfbs_moe.apply.scorer import Scorer

    # Not all systems say which cores a process may use.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Scorer.load(
        given.model,
        device=_device(given),
        threads=cores if given.threads is None else given.threads,
        batch_size=given.batch_size,
        strands=given.strands,
        factor=given.factor,
    )


def _check_genome(
    given: argparse.Namespace, description: Mapping[str, Any], sizes: Callable[[], Mapping[str, int]]
) -> None:
    """Warn where the genome is of another assembly than the model's."""
    from tfbs_moe.apply.scorer import warn_of_other_genome

    if given.genome:
        warn_of_other_genome(description, sizes(), given.genome)


def _device(given: argparse.Namespace) -> Any:
    from tfbs_moe.runtime import select_device

    return select_device(given.device)


def _setting(text: str) -> tuple[str, Any]:
    """Split a setting such as n=2 into name and value, read as JSON or else as text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"--set {text!r}: NAME=VALUE was expected, such as n=2")
    try:
        return name, json.loads(value)
    # Numbers of thousands of digits and deep nesting are other errors than of JSON.
    except (ValueError, RecursionError):
        return name, value


def _shown(counts: Iterable[int], total: int | None, unit: str, quiet: bool) -> int:
    """Consume counts with a progress bar; return their sum."""
    from tqdm import tqdm

    done = 0
    with tqdm(total=total, unit=f" {unit}", unit_scale=True, disable=quiet or None, file=sys.stderr) as bar:
        for count in counts:
            done += count
            bar.update(count)
    return done


def _say_notes(given: argparse.Namespace, count: int, what: str, notes: dict[str, int]) -> None:
    """Report on stderr how much came in and went out."""
    parts = [f"{count} {what}", *(f"{rows} {reason}" for reason, rows in notes.items() if rows)]
    target = "" if given.output == STANDARD else f" → {given.output}"
    say(f"{'; '.join(parts)}{target}")


def say(text: str) -> None:
    """Write a line to standard error, which may be full or closed: that must not end a command."""
    try:
        sys.stderr.write(f"{printable(text)}\n")
    except OSError:
        # Python would try again at exit, and end with a status of its own.
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def check_outputs(outputs: Sequence[str | Path], inputs: Iterable[str | Path | None]) -> None:
    """Raise InputError unless every output can be written and none is an input, or another output, under any name.

    An input that is a folder stands for all files in it. ``-``, a standard stream, is passed over.
    """
    paths = [Path(output) for output in outputs if str(output) != STANDARD]
    # A run may hold a hundred thousand files.
    taken = _identities(inputs) if any(map(mode_of, paths)) else {}
    for place, path in enumerate(paths):
        _check_writable(path)
        if mode_of(path) and (same := taken.get(_identity(path))):
            also = "" if same == path else f", which is {same}"
            raise InputError(f"{path}{also}, is an input and would be overwritten; give the result another name")
        if any(path.resolve() == other.resolve() for other in paths[:place]):
            raise InputError(f"two results would be written to {path}; give one of them another name")


@contextmanager
def regular(path: Path) -> Iterator[Path]:
    """Yield a file that can be read more than once: ``path``, or a temporary copy of a pipe or standard input (``-``).

    Messages about the copy name what it is of.
    """
    mode = mode_of(path)
    if str(path) != STANDARD and (not mode or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        yield path
        return
    name = "standard input" if str(path) == STANDARD else str(path)
    if str(path) == STANDARD and sys.stdin is None:
        raise InputError("standard input is closed; name a file")
    with tempfile.TemporaryDirectory(prefix="tfbs-moe.") as folder:
        copy = Path(folder, "input")
        try:
            with ExitStack() as stack, copy.open("wb") as file:
                stream = sys.stdin.buffer if str(path) == STANDARD else stack.enter_context(path.open("rb"))
                shutil.copyfileobj(stream, file)
        except OSError as error:
            problem = disk_problem(error) or error.strerror
            raise InputError(f"{name} cannot be copied to {folder} (TMPDIR says where): {problem}") from None
        try:
            yield copy
        except InputError as error:
            raise InputError(str(error).replace(str(copy), name)) from error


def _identity(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_dev, state.st_ino


def _identities(inputs: Iterable[str | Path | None]) -> dict[tuple[int, int], Path]:
    found = {}
    for given in inputs:
        path = Path(given or STANDARD)
        files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
        for file in files if path.is_dir() else [path]:
            if file.is_file():
                found[_identity(file)] = file
    return found


def _check_writable(path: Path) -> None:
    """Raise InputError unless a file can be written, or replaced, at a path; folders above it may be missing."""
    if any(len(os.fsencode(part)) > _LONGEST_NAME for part in path.parts):
        raise InputError(f"{path} cannot be written: a name in it is longer than {_LONGEST_NAME} bytes")
    mode = mode_of(path)
    if stat.S_ISDIR(mode):
        raise InputError(f"{path} is a folder; give the name of a file in it")
    if mode and not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a file that could be replaced, but a device or a pipe; leave -o out, or use |")
    folder = path.absolute().parent
    while not mode_of(folder) and folder != folder.parent:
        folder = folder.parent
    try:
        # Tried, as permissions do not suffice (a read-only disk, root).
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{path} cannot be written in {folder}: {disk_problem(error) or error.strerror}") from None
