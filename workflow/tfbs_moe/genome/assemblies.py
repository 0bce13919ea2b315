"""Genome assemblies with their synonyms, and chromosome names in UCSC and Ensembl style.

Standard library only, for the Snakefile. Chromosome sizes (``assemblies.json``) are UCSC's, for ``tair10`` those of
Ensembl Plants.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from tfbs_moe.errors import InputError
from tfbs_moe.files import open_bytes, text_lines

NO_GENOME = "none"
PLANTED = "planted"
UCSC, ENSEMBL = "ucsc", "ensembl"
# The default, for prepared sequences and for the simulated genome, whose sites are sampled from JASPAR matrices.
DEFAULT_GROUP = "vertebrates"

# Finds names of chromosomes, in their order, in a genome that lacks them: its own name by each that is found.
NameMatcher = Callable[[Iterable[str], Collection[str]], dict[str, str]]
AUTOMATIC = "auto"

_TABLE = Path(__file__).with_name("assemblies.json")
_PATCH = re.compile(r"\.p\d+$")
_PREFIX = "chr"
# Organelle genomes as named by UCSC, TAIR, Ensembl and the databases of model organisms.
_MITOCHONDRION = frozenset({"chrm", "chrmt", "mt", "mtdna", "mito", "mitochondrion_genome"})
_PLASTID = frozenset({"chrc", "chrpt", "pt", "chloroplast"})
_SEX = frozenset({"x", "y", "w", "z"})


@dataclass(frozen=True)
class Assembly:
    """A known genome assembly."""

    name: str  # canonical: UCSC's where UCSC has the assembly
    species: str  # Latin binomial
    jaspar_group: str  # taxonomic group in JASPAR
    chromosomes: Mapping[str, int]  # length in bases by name
    synonyms: tuple[str, ...] = ()
    portal: str | None = None  # name on the ENCODE portal; None if the portal has no files on it
    blacklist: bool = False  # whether the ENCODE blacklist (v2) covers it
    validation: tuple[str, ...] = ()  # default validation chromosomes; empty: chosen by size
    test: tuple[str, ...] = ()  # default test chromosomes; empty: chosen by size

    @property
    def label(self) -> str:
        """Return the name with its best-known synonym, such as ``hg38 (GRCh38)``."""
        return f"{self.name} ({self.synonyms[0]})" if self.synonyms else self.name


@dataclass(frozen=True)
class StudyGenome:
    """The genome of a study."""

    stated: str  # the assembly as the config names it
    assembly: str  # the canonical name if the assembly is known, else as stated
    species: str  # Latin binomial; empty if neither the config nor the assembly gives it
    jaspar_group: str  # taxonomic group whose JASPAR matrices represent the factors
    known: Assembly | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """Return assembly and species, such as ``hg38 (GRCh38), Homo sapiens``."""
        return ", ".join(filter(None, [self.known.label if self.known else self.assembly, self.species]))

    @property
    def blacklisted(self) -> bool:
        """Whether the ENCODE blacklist covers the assembly."""
        return self.known is not None and self.known.blacklist

    @property
    def facts(self) -> dict[str, str]:
        """Return the description of the training genome that a model bundle stores."""
        return {"assembly": self.assembly, "species": self.species, "jaspar_group": self.jaspar_group}


@cache
def known_assemblies() -> dict[str, Assembly]:
    """Return the known assemblies by canonical name."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    rows: dict[str, dict[str, Any]] = {
        name: {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        for name, row in table.items()
    }
    return {name: Assembly(name=name, **row) for name, row in rows.items()}


def find_assembly(name: str) -> Assembly | None:
    """Find an assembly by any of its names, ignoring case and patch level (``GRCh38.p14``); None if unknown."""
    return _by_any_name().get(_PATCH.sub("", name.strip().casefold()))


@cache
def _by_any_name() -> dict[str, Assembly]:
    return {each.casefold(): one for one in known_assemblies().values() for each in (one.name, *one.synonyms)}


def all_names() -> list[str]:
    """Return every name that ``find_assembly`` knows, each canonical name followed by its synonyms."""
    return [each for one in known_assemblies().values() for each in (one.name, *one.synonyms)]


def study_genome(config: Mapping[str, Any]) -> StudyGenome:
    """Return the genome of a completed config; its own keys override what is known of the assembly."""
    genome = config["genome"]
    known = find_assembly(genome["assembly"])
    return StudyGenome(
        stated=genome["assembly"],
        assembly=known.name if known else genome["assembly"],
        species=genome["species"] or (known.species if known else ""),
        jaspar_group=genome["jaspar_group"] or (known.jaspar_group if known else DEFAULT_GROUP),
        known=known,
    )


def portal_name(assembly: str) -> str:
    """Return an assembly's name on the ENCODE portal (InputError if it has no files); an unknown one stays as it is."""
    known = find_assembly(assembly)
    if known is None:
        return assembly
    if known.portal is None:
        having = ", ".join(each.portal for each in known_assemblies().values() if each.portal)
        raise InputError(
            f"the ENCODE portal has no peaks on {assembly}; it has some on {having}. Give addresses or files as sources"
        )
    return known.portal


def name_of_sizes(sizes: Mapping[str, int]) -> str | None:
    """Return the canonical name of the assembly that chromosome sizes belong to, or None.

    At least one nuclear chromosome must be shared (in either naming style), and all shared ones must have equal sizes;
    organelles are ignored, as they differ between copies of one assembly.
    """
    for known in known_assemblies().values():
        own = {_plain(chrom): size for chrom, size in known.chromosomes.items() if not is_organelle(chrom)}
        shared = [(size, own[_plain(chrom)]) for chrom, size in sizes.items() if _plain(chrom) in own]
        if shared and all(ours == theirs for ours, theirs in shared):
            return known.name
    return None


def is_organelle(chrom: str) -> bool:
    """Return whether a name is that of a mitochondrial or plastid genome."""
    return chrom.casefold() in _MITOCHONDRION | _PLASTID


def is_sex_chromosome(chrom: str) -> bool:
    """Return whether a name is X, Y, W or Z, with or without ``chr``."""
    return _plain(chrom) in _SEX


def _plain(chrom: str) -> str:
    """Return a name in lower case, without ``chr``."""
    return chrom.casefold().removeprefix(_PREFIX)


def in_style(chrom: str, style: str) -> str:
    """Return a chromosome's name in UCSC or Ensembl style: ``chr1`` or ``1``, ``chrM`` or ``MT``."""
    bare = chrom[len(_PREFIX) :] if chrom.casefold().startswith(_PREFIX) else chrom
    if chrom.casefold() in _MITOCHONDRION:
        bare = "M" if style == UCSC else "MT"
    return f"{_PREFIX}{bare}" if style == UCSC else bare


def translation(names: Iterable[str], genome: Collection[str]) -> dict[str, str]:
    """Map chromosome names that a genome lacks to its own names in the other style (with or without ``chr``).

    Names that match no chromosome of the genome, or more than one, are omitted.
    """
    meant: dict[str, list[str]] = {}
    for chrom in genome:
        meant.setdefault(_meaning(chrom), []).append(chrom)
    found = {name: meant.get(_meaning(name), []) for name in dict.fromkeys(names) if name not in genome}
    return {name: candidates[0] for name, candidates in found.items() if len(candidates) == 1}


def name_matcher(how: str | Path | None) -> NameMatcher:
    """Return what finds a genome's names of chromosomes: nothing (None), ``translation`` (``auto``), or by a table.

    A row of the table has the names of one chromosome, separated by tabs, as UCSC's ``chromAlias.txt`` and NCBI's
    assembly reports have them; lines with ``#`` are passed over. InputError where it cannot be read.
    """
    if how is None:
        return lambda names, genome: {}
    if str(how) == AUTOMATIC:
        return translation
    try:
        with open_bytes(how) as handle:
            lines = (line.rstrip("\r\n") for line in text_lines(handle, how))
            rows = [line.split("\t") for line in lines if line.strip() and not line.startswith("#")]
    except InputError as error:
        raise InputError(f"the table of chromosome names: {error}") from None
    if not any(len(row) > 1 for row in rows):
        raise InputError(
            f"{how}: rows with the names of one chromosome, such as 1 and chr1, separated by tabs, were expected"
        )
    return partial(_looked_up, rows)


def _looked_up(rows: Sequence[Sequence[str]], names: Iterable[str], genome: Collection[str]) -> dict[str, str]:
    meant: dict[str, set[str]] = {}
    for row in rows:
        own = {name for name in row if name in genome}
        for name in row:
            meant.setdefault(name, set()).update(own)
    found = {name: meant.get(name, set()) for name in dict.fromkeys(names) if name not in genome}
    return {name: next(iter(own)) for name, own in found.items() if len(own) == 1}


def _meaning(chrom: str) -> str:
    if chrom.casefold() in _MITOCHONDRION:
        return "mitochondrion"
    return "plastid" if chrom.casefold() in _PLASTID else _plain(chrom)
