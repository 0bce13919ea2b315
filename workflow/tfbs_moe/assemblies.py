"""Genome assemblies by all their names, and the two ways in which chromosomes are named.

Standard library only: what a study is of is known before any job. Chromosome sizes are UCSC's, for ``tair10``
those of Ensembl Plants; ``assemblies.json`` holds them.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tfbs_moe.errors import InputError

NO_GENOME = "none"
PLANTED = "planted"
UCSC, ENSEMBL = "ucsc", "ensembl"
# Where nothing says otherwise: prepared sequences, and the made genome, whose sites are drawn from JASPAR itself.
DEFAULT_GROUP = "vertebrates"

_TABLE = Path(__file__).with_name("assemblies.json")
_PATCH = re.compile(r"\.p\d+$")
_PREFIX = "chr"
# What UCSC, TAIR, Ensembl and the databases of model organisms call the organelles' genomes.
_MITOCHONDRION = frozenset({"chrm", "chrmt", "mt", "mtdna", "mito", "mitochondrion_genome"})
_PLASTID = frozenset({"chrc", "chrpt", "pt", "chloroplast"})
_SEX = frozenset({"x", "y", "w", "z"})


@dataclass(frozen=True)
class Assembly:
    """What is known of an assembly.

    Attributes:
        name: the canonical one, UCSC's where it has the assembly.
        species: in Latin.
        jaspar_group: JASPAR's taxonomic group of it.
        chromosomes: length in bases by name.
        synonyms: its other names.
        portal: the ENCODE portal's name of it; None where the portal has no such files.
        blacklist: whether the ENCODE blacklist (v2) has a list of it.
        validation: chromosomes that validate where a study names none; empty for those of the rule by size.
        test: the same for those that test.
    """

    name: str
    species: str
    jaspar_group: str
    chromosomes: Mapping[str, int]
    synonyms: tuple[str, ...] = ()
    portal: str | None = None
    blacklist: bool = False
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Return the name with the best-known synonym, such as ``hg38 (GRCh38)``."""
        return f"{self.name} ({self.synonyms[0]})" if self.synonyms else self.name


@dataclass(frozen=True)
class StudyGenome:
    """What the genome of a study is said to be.

    Attributes:
        stated: the assembly as the config names it.
        assembly: the canonical name where the assembly is known, else as stated.
        species: in Latin; empty where neither the config nor the assembly says it.
        jaspar_group: JASPAR's taxonomic group, whose matrices stand for the factors.
        known: all that is known of the assembly.
    """

    stated: str
    assembly: str
    species: str
    jaspar_group: str
    known: Assembly | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """Return assembly and species in words, such as ``hg38 (GRCh38), Homo sapiens``."""
        return ", ".join(filter(None, [self.known.label if self.known else self.assembly, self.species]))

    @property
    def blacklisted(self) -> bool:
        """Whether there is an ENCODE blacklist of the assembly."""
        return self.known is not None and self.known.blacklist

    @property
    def facts(self) -> dict[str, str]:
        """Return what a bundle says of the genome that its model was trained on."""
        return {"assembly": self.assembly, "species": self.species, "jaspar_group": self.jaspar_group}


@cache
def known_assemblies() -> dict[str, Assembly]:
    """Return the assemblies that are known, by their canonical names."""
    table = json.loads(_TABLE.read_text(encoding="utf-8"))
    rows: dict[str, dict[str, Any]] = {
        name: {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
        for name, row in table.items()
    }
    return {name: Assembly(name=name, **row) for name, row in rows.items()}


def find_assembly(name: str) -> Assembly | None:
    """Return the assembly of a name in any case, with or without a patch (``GRCh38.p14``); None where none is known."""
    return _by_any_name().get(_PATCH.sub("", name.strip().casefold()))


@cache
def _by_any_name() -> dict[str, Assembly]:
    return {each.casefold(): one for one in known_assemblies().values() for each in (one.name, *one.synonyms)}


def all_names() -> list[str]:
    """Return every name that ``find_assembly`` knows, canonical ones before their synonyms."""
    return [each for one in known_assemblies().values() for each in (one.name, *one.synonyms)]


def study_genome(config: Mapping[str, Any]) -> StudyGenome:
    """Return what the genome of a completed config is; its own keys stand above what is known of the assembly."""
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
    """Return the ENCODE portal's name of an assembly; a name that is not known here stays as it is.

    Raises:
        InputError: the portal has no files of this assembly.
    """
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
    """Name the assembly whose chromosome sizes a genome has, by its canonical name, or None.

    Every chromosome that both name, in either way of naming, must have the same size, and there must be one. The
    organelles do not count: copies of one assembly differ in them. A genome cut to a part of its chromosomes' length
    has no name.
    """
    for known in known_assemblies().values():
        own = {_plain(chrom): size for chrom, size in known.chromosomes.items() if not is_organelle(chrom)}
        shared = [(size, own[_plain(chrom)]) for chrom, size in sizes.items() if _plain(chrom) in own]
        if shared and all(ours == theirs for ours, theirs in shared):
            return known.name
    return None


def is_organelle(chrom: str) -> bool:
    """Return whether a name is that of a mitochondrion's or a plastid's genome."""
    return chrom.casefold() in _MITOCHONDRION | _PLASTID


def is_sex_chromosome(chrom: str) -> bool:
    """Return whether a name is X, Y, W or Z, with or without ``chr``."""
    return _plain(chrom) in _SEX


def _plain(chrom: str) -> str:
    """Return a name in lower case, without ``chr``."""
    return chrom.casefold().removeprefix(_PREFIX)


def in_style(chrom: str, style: str) -> str:
    """Return a chromosome's name as UCSC or Ensembl writes it: ``chr1`` or ``1``, ``chrM`` or ``MT``."""
    bare = chrom[len(_PREFIX) :] if chrom.casefold().startswith(_PREFIX) else chrom
    if chrom.casefold() in _MITOCHONDRION:
        bare = "M" if style == UCSC else "MT"
    return f"{_PREFIX}{bare}" if style == UCSC else bare


def translation(names: Iterable[str], genome: Collection[str]) -> dict[str, str]:
    """Return what a genome calls the chromosomes that are named the other way: with ``chr`` or without it.

    Args:
        names: of chromosomes, such as a peak file's.
        genome: the names in the genome; where two of them could be meant, none is.

    Returns:
        The genome's name by the other one, for names that the genome lacks and whose meaning is clear.
    """
    meant: dict[str, list[str]] = {}
    for chrom in genome:
        meant.setdefault(_meaning(chrom), []).append(chrom)
    found = {name: meant.get(_meaning(name), []) for name in dict.fromkeys(names) if name not in genome}
    return {name: candidates[0] for name, candidates in found.items() if len(candidates) == 1}


def _meaning(chrom: str) -> str:
    if chrom.casefold() in _MITOCHONDRION:
        return "mitochondrion"
    return "plastid" if chrom.casefold() in _PLASTID else _plain(chrom)
