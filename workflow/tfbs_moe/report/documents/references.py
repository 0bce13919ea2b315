"""The references of a study's methods, selected by its config."""

from collections.abc import Callable
from dataclasses import dataclass

from tfbs_moe.figures.catalogue import explaining
from tfbs_moe.genome.assemblies import PLANTED
from tfbs_moe.study import Study


@dataclass(frozen=True)
class Reference:
    """A published work and when it is cited."""

    name: str
    text: str
    used: Callable[[Study], bool]


def references(study: Study) -> list[str]:
    """Return the works to cite for a study, in alphabetical order."""
    return sorted(reference.text for reference in _WORKS if reference.used(study))


def _always(study: Study) -> bool:
    del study
    return True


def _format(kind: str) -> Callable[[Study], bool]:
    return lambda study: any(row["format"] == kind for row in study.experiments.values())


def _planted(study: Study) -> bool:
    return study.genome.assembly == PLANTED


def _blacklist(study: Study) -> bool:
    return study.config["genome"]["blacklist"] is True and study.genome.blacklisted


def _negatives(kind: str) -> Callable[[Study], bool]:
    def used(study: Study) -> bool:
        trained = {recipe["training_negatives"] for recipe in study.config["protocols"].values()}
        return kind in trained | {test.negatives for test in study.test_sets}

    return used


def _method(*names: str) -> Callable[[Study], bool]:
    return lambda study: bool(set(names) & set(explaining(study.config)))


_WORKS = (
    Reference(
        "paper", "Mixture of experts for transcription factor binding and ShiftSmooth: arXiv:2507.09754.", _always
    ),
    Reference(
        "deepbind",
        "Alipanahi B, Delong A, Weirauch MT, Frey BJ (2015) Predicting the sequence specificities of DNA- and "
        "RNA-binding proteins by deep learning. Nature Biotechnology 33:831–838. doi:10.1038/nbt.3300",
        _always,
    ),
    Reference(
        "encode",
        "ENCODE Project Consortium (2012) An integrated encyclopedia of DNA elements in the human genome. Nature "
        "489:57–74. doi:10.1038/nature11247",
        lambda study: not _planted(study),
    ),
    Reference(
        "blacklist",
        "Amemiya HM, Kundaje A, Boyle AP (2019) The ENCODE blacklist: identification of problematic regions of the "
        "genome. Scientific Reports 9:9354. doi:10.1038/s41598-019-45839-z",
        _blacklist,
    ),
    Reference(
        "jaspar",
        "Rauluseviciute I, Riudavets-Puig R, Blanc-Mathieu R, et al. (2024) JASPAR 2024: 20th anniversary of the "
        "open-access database of transcription factor binding profiles. Nucleic Acids Research 52:D174–D182. "
        "doi:10.1093/nar/gkad1059",
        _always,
    ),
    Reference(
        "shuffle",
        "Altschul SF, Erickson BW (1985) Significance of nucleotide sequence alignments: a method for random sequence "
        "permutation that preserves dinucleotide and codon usage. Molecular Biology and Evolution 2:526–538. "
        "doi:10.1093/oxfordjournals.molbev.a040370",
        _negatives("dinucleotide_shuffle"),
    ),
    Reference(
        "even_shuffle",
        "Kandel D, Matias Y, Unger R, Winkler P (1996) Shuffling biological sequences. Discrete Applied Mathematics "
        "71:171–185. doi:10.1016/S0166-218X(97)81456-4",
        _negatives("dinucleotide_shuffle"),
    ),
    Reference(
        "comparison",
        "Demšar J (2006) Statistical comparisons of classifiers over multiple data sets. Journal of Machine Learning "
        "Research 7:1–30.",
        _always,
    ),
    Reference(
        "correction",
        "Majdandzic A, Rajesh C, Koo PK (2023) Correcting gradient-based interpretations of deep neural networks for "
        "genomics. Genome Biology 24:109. doi:10.1186/s13059-023-02956-3",
        _method("gradient_corrected", "shiftsmooth_corrected"),
    ),
    Reference(
        "smoothgrad",
        "Smilkov D, Thorat N, Kim B, Viégas F, Wattenberg M (2017) SmoothGrad: removing noise by adding noise. "
        "arXiv:1706.03825.",
        _method("smoothgrad", "smoothgrad_corrected"),
    ),
    Reference(
        "torch",
        "Paszke A, Gross S, Massa F, et al. (2019) PyTorch: an imperative style, high-performance deep learning "
        "library. Advances in Neural Information Processing Systems 32. arXiv:1912.01703.",
        _always,
    ),
    Reference(
        "snakemake",
        "Mölder F, Jablonski KP, Letcher B, et al. (2021) Sustainable data analysis with Snakemake. F1000Research "
        "10:33. doi:10.12688/f1000research.29032.2",
        _always,
    ),
)
