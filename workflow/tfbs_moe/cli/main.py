"""The command ``tfbs-moe`` and its options; each sub-command calls one function of the library.

Heavy libraries are imported by the sub-commands that need them, so that ``--help`` is fast.
"""

import argparse
import atexit
import gc
import io
import logging
import math
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfbs_moe import __version__
from tfbs_moe.cli import commands
from tfbs_moe.errors import InputError, PrintableFormatter, in_words, unwind_on_termination

MISUSED = 2
_PIPE_CLOSED = 128 + signal.SIGPIPE
_INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``tfbs-moe`` and return the exit status; a user's mistake is one message and status 1."""
    top = parser()
    given = top.parse_args(arguments)
    if given.command is None:
        top.print_help(sys.stderr)
        return MISUSED
    if not _has_streams(given):
        return 1
    # Under a locale without these letters an arrow or a name is a question mark, and no error.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    unwind_on_termination()
    # The exit would search through all that torch brought for garbage: half a second.
    atexit.register(gc.freeze)
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(PrintableFormatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[console], force=True)
    logging.captureWarnings(True)
    # It logs what it cuts from each font that a figure embeds.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        status = run(given)
        sys.stdout.flush()
        return status
    except (InputError, MemoryError) as error:
        commands.say(f"tfbs-moe {given.command}: {in_words(error)}")
        return 1
    except BrokenPipeError:
        # The reader, such as head, is gone.
        _abandon_output()
        return _PIPE_CLOSED
    except OSError as error:
        from tfbs_moe.files import disk_problem

        # Files have messages of their own.
        problem = disk_problem(error)
        if problem is None or error.filename is not None:
            raise
        _abandon_output()
        commands.say(f"tfbs-moe {given.command}: standard output cannot be written: {problem}")
        return 1
    except KeyboardInterrupt:
        commands.say(f"\ntfbs-moe {given.command}: interrupted; nothing half-written is left")
        return _INTERRUPTED


def _has_streams(given: argparse.Namespace) -> bool:
    """Give closed standard streams a place to write to; return False, with a message, where a result would be lost."""
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        if getattr(given, "output", None) in (None, commands.STANDARD):
            advice = "name a file, -o FILE" if hasattr(given, "output") else "open it"
            commands.say(f"tfbs-moe {given.command}: standard output is closed; {advice}")
            return False
    return True


def _abandon_output() -> None:
    """Send what is left of standard output nowhere; Python would complain of it again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(
        prog="tfbs-moe",
        description="Score and explain sequences, peaks and variants with a trained model of a study.",
        epilog="A model is a folder such as results/demo/moe/sound/softmax/seed0. Documentation: docs/predict.md.",
    )
    top.add_argument("--version", action="version", version=f"tfbs-moe {__version__}")
    found = top.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _predict(found)
    _attribute(found)
    _variants(found)
    _info(found)
    _compare(found)
    _cost(found)
    _doctor(found)
    return top


def _command(found: Any, name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = found.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    return command


def _whole(text: str) -> int:
    """Read a whole number that an array's index or a seed can be."""
    if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"a whole number of up to 9 digits was expected, not {text[:40]!r}")
    return int(text)


def _rows(text: str) -> float:
    """Read a number of rows."""
    try:
        rows = float(text)
    except ValueError:
        rows = math.nan
    if not 0 < rows < math.inf:
        raise argparse.ArgumentTypeError(f"a number of rows above 0 was expected, not {text[:40]!r}")
    return rows


def _model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", type=Path, help="folder of a mixture or an expert: it holds model.json")
    command.add_argument(
        "--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto uses a GPU if there is one"
    )


def _scoring(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=_whole, default=None, help="on a CPU (default: all cores)")
    command.add_argument("--batch-size", type=_whole, default=1024, help="windows per pass; scores do not depend on it")
    command.add_argument(
        "--strands", choices=["forward", "both"], default="forward", help="both: the mean over both strands"
    )
    command.add_argument("--factor", help="the factor to score; only for a mixture whose gate uses JASPAR matrices")


def _chromosome_names(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--chromosome-names",
        metavar="FILE",
        help="if they differ from the genome's: auto (1 is chr1, MT is chrM), or a table of names",
    )


def _source(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "input",
        type=Path,
        help="FASTA, peaks or BED (with --genome), a table or lines of sequences, or a dataset; - reads a pipe",
    )
    command.add_argument("--format", choices=["fasta", "intervals", "table", "dataset"], help="if its name misleads")
    command.add_argument("--genome", type=Path, help="FASTA (or prepared genome) of the intervals")
    _chromosome_names(command)
    command.add_argument("--rna", action="store_true", help="read U as T in sequences")
    command.add_argument("--tile", action="store_true", help="tile intervals instead of one window around each summit")
    command.add_argument("--step", type=_whole, help="bases between windows of longer input (default: half a window)")


def _output(command: argparse.ArgumentParser, formats: str) -> None:
    command.add_argument(
        "-o", "--output", default=commands.STANDARD, help=f"{formats}, by its suffix (default: TSV to standard output)"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _predict(found: Any) -> None:
    command = _command(
        found, "predict", commands.predict, "Score sequences or intervals: logit, probability, gate weights"
    )
    _model(command)
    _source(command)
    _output(command, ".tsv, .tsv.gz, .bed, .bed.gz, .parquet or .bw")
    _scoring(command)
    command.add_argument("--best", action="store_true", help="only the best window of each sequence")
    command.add_argument(
        "--bound-share",
        type=float,
        help="fraction of the input that is bound, for calibrated probabilities (default: half)",
    )


def _attribute(found: Any) -> None:
    command = _command(found, "attribute", commands.attribute, "Attribute a score to the bases of a sequence")
    _model(command)
    _source(command)
    _output(command, ".tsv, .tsv.gz, .parquet, .bw or .h5")
    command.add_argument("--method", default="shiftsmooth_corrected", help="name of a method, see docs/predict.md")
    command.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], help="a setting of the method, such as n=2"
    )
    command.add_argument("--seed", type=_whole, default=0, help="of random methods")
    command.add_argument("--logos", type=Path, help="stem of figures: logos of the best, median and worst sequence")


def _variants(found: Any) -> None:
    command = _command(found, "variants", commands.variants, "Score variants: reference against alternative allele")
    _model(command)
    command.add_argument(
        "input", type=Path, help="VCF, BCF, or a table with the columns chrom, pos, ref and alt; - reads a pipe"
    )
    command.add_argument("--genome", type=Path, required=True, help="FASTA (or prepared genome); required")
    _chromosome_names(command)
    _output(command, ".tsv, .tsv.gz or .parquet")
    _scoring(command)
    command.add_argument(
        "--offsets", default="0", help="bases by which windows are moved, such as -20,0,20; scores are means over these"
    )


def _info(found: Any) -> None:
    command = _command(found, "info", commands.info, "Describe a model: training data, metrics, limits")
    command.add_argument("model", type=Path, help="folder of a mixture or an expert")
    command.add_argument("--json", action="store_true", help="as JSON")


def _compare(found: Any) -> None:
    command = _command(found, "compare", commands.compare, "Two runs side by side: what differs, and by how much")
    command.add_argument("first", type=Path, help="folder of a run, such as results/demo")
    command.add_argument("second", type=Path, help="folder of another")
    command.add_argument("-o", "--output", type=Path, required=True, help="folder for the comparison; required")


def _cost(found: Any) -> None:
    command = _command(
        found, "cost", commands.cost, "Show the cost of each step of a run, or estimate that of a planned study"
    )
    command.add_argument("folder", type=Path, help="folder of a finished run, whose times and sizes the estimate uses")
    command.add_argument("--plan", type=Path, help="what `snakemake -n` prints for the study; - reads it from a pipe")
    command.add_argument("--rows", type=_rows, help="rows of a training set of the plan (default: as in the run)")
    command.add_argument(
        "--test-rows", type=_rows, help="rows of a test set of the plan (default: in proportion to --rows)"
    )
    command.add_argument("-o", "--output", type=Path, help="write the table to this TSV file instead of printing it")


def _doctor(found: Any) -> None:
    command = _command(found, "doctor", commands.doctor, "Check the installation: programs, GPU, disk, network")
    command.add_argument("--offline", action="store_true", help="do not ask the data hosts")
    command.add_argument("--folder", type=Path, default=Path(), help="of the study, for results and downloads")


if __name__ == "__main__":
    sys.exit(main())
