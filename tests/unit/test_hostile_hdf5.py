"""HDF5 files from somebody else: they show no other file's bytes, hold no more than they can, and bases alone."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

from peak_files import make_genome, random_codes
from planted_rows import planted
from tfbs_moe.apply.windows import open_source
from tfbs_moe.attribution.motifs.modisco import read_motifs
from tfbs_moe.attribution.store import make_attributions, read_attributions, write_attributions
from tfbs_moe.data.audit.training_overlap import read_positives, write_positives
from tfbs_moe.data.dataset import read_dataset, write_dataset
from tfbs_moe.errors import InputError
from tfbs_moe.genome.genome import Genome, prepare_genome

SECRET = b"chr1 my own, which nobody else may read"


@dataclass(frozen=True)
class Kind:
    """A kind of file, how it is made and read, and a dataset in it that can be replaced."""

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    dataset: str


def _dataset(path: Path) -> None:
    rows = planted(12, 3)
    write_dataset(rows.__class__(**(vars(rows) | {"attributes": {"experiment": "A"}})), path)


def _attributions(path: Path) -> None:
    rows = planted(12, 3)
    number = np.arange(len(rows))
    write_attributions(make_attributions(rows.one_hot, rows.one_hot, number, number, {}), path)


def _genome(path: Path) -> None:
    prepare_genome(make_genome(path.parent, {"chr1": random_codes(9000), "chr2": random_codes(300, 1)}).path, path)


def _read_genome(path: Path) -> None:
    genome = Genome.open(path)
    genome.check()
    genome.one_hot(["chr1"], np.array([0]), 50)


def _positives(path: Path) -> None:
    _dataset(path.with_name("rows.h5"))
    write_positives([path.with_name("rows.h5")], path)


def _motifs(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["window_size"] = 20
        pattern = file.create_group("pos_patterns/pattern_0")
        for name in ("sequence", "contrib_scores"):
            pattern[name] = np.full((20, 4), 0.25)
        pattern["seqlets/n_seqlets"] = np.array([30])


KINDS = {
    "dataset": Kind(_dataset, read_dataset, "source"),
    "user's dataset": Kind(_dataset, lambda path: list(open_source(path, planted(12, 3).length).blocks()), "one_hot"),
    "attributions": Kind(_attributions, read_attributions, "row"),
    "genome": Kind(_genome, _read_genome, "codes/0"),
    "genome's checksums": Kind(_genome, _read_genome, "crc32/1"),
    "genome's names": Kind(_genome, _read_genome, "chrom"),
    "positives": Kind(_positives, lambda path: list(read_positives(path)), "codes/A"),
    "motifs": Kind(_motifs, read_motifs, "pos_patterns/pattern_0/sequence"),
}


def external_storage(file: h5py.File, name: str, secret: Path) -> None:
    file.create_dataset(name, (len(SECRET),), np.uint8, external=[(str(secret), 0, len(SECRET))])


def external_link(file: h5py.File, name: str, secret: Path) -> None:
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other["secret"] = np.frombuffer(SECRET, np.uint8)
    file[name] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "secret")


def soft_link(file: h5py.File, name: str, secret: Path) -> None:
    external_link(file, "aside", secret)
    file[name] = h5py.SoftLink("/aside")


def virtual_dataset(file: h5py.File, name: str, secret: Path) -> None:
    external_link(file, "aside", secret)
    layout = h5py.VirtualLayout((len(SECRET),), np.uint8)
    layout[:] = h5py.VirtualSource(str(secret.with_suffix(".h5")), "secret", (len(SECRET),))
    file.create_virtual_dataset(name, layout)


def group_elsewhere(file: h5py.File, name: str, secret: Path) -> None:
    """The group above the dataset leads to another file that has all that is asked for."""
    top = name.partition("/")[0]
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other[f"secret{name.removeprefix(top)}"] = np.frombuffer(SECRET, np.uint8)
    del file[top]
    file[top] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "secret")


def enormous(file: h5py.File, name: str, _: Path) -> None:
    file.create_dataset(name, (10**12,), np.uint8, chunks=(1 << 20,), compression="gzip")


@pytest.fixture(params=KINDS, ids=str)
def kind(request) -> Kind:
    return KINDS[request.param]


@pytest.mark.parametrize(
    "trick", [external_storage, external_link, soft_link, virtual_dataset, group_elsewhere, enormous]
)
def test_no_other_file_is_shown_and_no_memory_is_taken(tmp_path, kind, trick):
    path, secret = tmp_path / "file.h5", tmp_path / "secret"
    kind.make(path)
    kind.read(path)
    secret.write_bytes(SECRET)
    with h5py.File(path, "a") as file:
        if trick is not group_elsewhere:
            del file[kind.dataset]
        trick(file, kind.dataset, secret)
    told = "claims 1,000,000,000,000 values" if trick is enormous else "do not use a file that you cannot vouch for"
    with pytest.raises(InputError, match=told) as caught:
        kind.read(path)
    assert "file.h5" in str(caught.value) and "my own" not in str(caught.value)


def test_a_code_of_no_base_is_refused(tmp_path):
    """Whoever makes up a genome makes up its checksums too."""
    path = tmp_path / "g.h5"
    fasta = make_genome(tmp_path, {"chr1": random_codes(9000)}).path
    prepare_genome(fasta, path)
    codes = Genome.open(path).codes("chr1").copy()
    codes[8500] = 7
    write_genome(path, codes)
    genome = Genome.open(path)
    assert len(genome.windows(["chr1"], np.array([0]), 50)) == 1
    for read in (lambda: genome.one_hot(["chr1"], np.array([8480]), 50), genome.check):
        with pytest.raises(InputError, match="g.h5 is damaged: chr1 holds codes above 4"):
            read()
    _positives(tmp_path / "p.h5")
    with h5py.File(tmp_path / "p.h5", "a") as file:
        file["codes/A"][0, 0] = 9
    with pytest.raises(InputError, match="p.h5 cannot be used as .*: codes of bases are uint8 from 0 to 4"):
        list(read_positives(tmp_path / "p.h5"))


def write_genome(path: Path, codes: np.ndarray) -> None:
    """Write a prepared genome of any codes, with checksums that fit."""
    from tfbs_moe.genome import genome

    checksum = np.array([genome.zlib.crc32(codes[at : at + 4096].data) for at in range(0, len(codes), 4096)], np.uint32)
    with h5py.File(path, "a") as file:
        file["codes/0"][:] = codes
        file["crc32/0"][:] = checksum
        file.attrs["crc32"] = genome._checksum_of({"chr1": len(codes)}, [checksum])


@pytest.mark.parametrize("values", [np.zeros(1, np.uint32), np.zeros((3, 1), np.uint32), np.array([b"a", b"b", b"c"])])
def test_checksums_of_another_number_are_refused(tmp_path, values):
    path = tmp_path / "g.h5"
    prepare_genome(make_genome(tmp_path, {"chr1": random_codes(9000)}).path, path)
    with h5py.File(path, "a") as file:
        del file["crc32/0"]
        file["crc32/0"] = values
    with pytest.raises(InputError, match="chr1 does not have a checksum for every 4096 bases"):
        Genome.open(path)
