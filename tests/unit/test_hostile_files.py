"""Damaged and made-up files of every other kind that is read: a result or an InputError, never anything else.

Peaks and FASTA are in ``test_hostile_inputs.py``. ``TFBS_MOE_FUZZ_EXAMPLES=10000`` tries 10,000 of each here, too.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from peak_files import make_genome, random_codes
from planted_rows import planted
from prepared_files import deepbind_file, random_sequences
from tfbs_moe import tables
from tfbs_moe.apply.card import describe_model, model_card
from tfbs_moe.attribution.store import make_attributions, read_attributions, write_attributions
from tfbs_moe.config import complete_config, read_experiments
from tfbs_moe.data import jaspar
from tfbs_moe.data.dataset import read_dataset, write_dataset
from tfbs_moe.data.deepbind import read_deepbind
from tfbs_moe.data.download.sources import LOCK_COLUMNS, parse_checksum, read_lock, reference, resource_path
from tfbs_moe.data.motif_prior import read_motif_priors
from tfbs_moe.errors import InputError
from tfbs_moe.evaluation.calibration import FILE as CALIBRATION
from tfbs_moe.evaluation.calibration import calibrate
from tfbs_moe.evaluation.scores import COLUMNS as SCORE_COLUMNS
from tfbs_moe.evaluation.scores import read_scores
from tfbs_moe.genome.genome import Genome, prepare_genome
from tfbs_moe.models import bundle
from tfbs_moe.models.registry import build, build_gate
from tfbs_moe.study_checks import load_study
from tfbs_moe.training.checkpoint import read_checkpoint, write_checkpoint

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = int(os.environ.get("TFBS_MOE_FUZZ_EXAMPLES", "60"))
FUZZ = settings(max_examples=EXAMPLES)
SLOWER = 6
WINDOW = 31


@dataclass(frozen=True)
class Reader:
    """A kind of file: how a sound one is made at a path, and how it is read from there."""

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    # The schema of the config is read anew with each.
    slow: bool = False


def _tsv(path: Path) -> None:
    tables.write_tsv(pd.DataFrame({"name": ["a", "b"] * 20, "value": np.arange(40) / 3}), path)


def _parquet(path: Path) -> None:
    count = 50
    columns = dict.fromkeys(SCORE_COLUMNS, np.zeros(count)) | {"model": ["m"] * count, "seed": [0] * count}
    columns |= {"row": np.arange(count), "label": np.arange(count) % 2, "pair": np.full(count, -1)}
    tables.write_parquet(pd.DataFrame(columns), path)


def _attributions(path: Path) -> None:
    dataset = planted(12, 3)
    rng = np.random.default_rng(0)
    some = rng.normal(size=dataset.one_hot.shape)
    rows = np.arange(len(dataset))
    write_attributions(make_attributions(some, dataset.one_hot, rows, rows / 3, {"method": "gradient"}), path)


def _genome(path: Path) -> None:
    fasta = make_genome(path.parent, {"chr1": random_codes(700), "chr2": random_codes(300, 1)}).path
    prepare_genome(fasta, path)


def _read_genome(path: Path) -> None:
    genome = Genome.open(path)
    genome.check()
    for name, size in genome.sizes.items():
        assert len(genome.codes(name)) == size


def _expert(path: Path) -> None:
    bundle.save(build("convnet", WINDOW, {"motif_width": 8}, seed=0).eval(), path.parent / "model")
    shutil.copy(path.parent / "model" / bundle.WEIGHTS, path)


def _read_weights(path: Path) -> None:
    shutil.copy(path, path.parent / "model" / bundle.WEIGHTS)
    bundle.load(path.parent / "model")


def _description(path: Path) -> None:
    _expert(path)
    shutil.copy(path.parent / "model" / bundle.DESCRIPTION, path)


def _read_description(path: Path) -> None:
    shutil.copy(path, path.parent / "model" / bundle.DESCRIPTION)
    bundle.load(path.parent / "model")


def _lock(path: Path) -> None:
    path.write_text("\t".join(LOCK_COLUMNS) + "\n" + "\t".join("x" for _ in LOCK_COLUMNS) + "\n", encoding="utf-8")


def _run_config(path: Path) -> None:
    shutil.copy(ROOT / "config" / "demo.tsv", path.parent / "experiments.tsv")
    shutil.copy(ROOT / "config" / "demo.yaml", path)


def _read_run_config(path: Path) -> None:
    shutil.copy(path, path.parent / "config.yaml")
    load_study(path.parent)


def _copy(name: str) -> Callable[[Path], object]:
    return lambda path: shutil.copy(ROOT / name, path)


def _checkpoint(path: Path) -> None:
    import torch

    write_checkpoint(path, {"model/w": torch.arange(40.0), "rng": torch.get_rng_state()}, {"progress": {}}, "f")


READERS = [
    Reader("table", _tsv, lambda path: tables.read_tsv(path, ("name",))),
    Reader("predictions", _parquet, lambda path: read_scores(tables.read_parquet(path))),
    Reader("json", lambda path: tables.write_json({"a": [1, 2.5, "x"]}, path), tables.read_json),
    Reader("dataset", lambda path: write_dataset(planted(40, 3), path), read_dataset),
    Reader("attributions", _attributions, read_attributions),
    Reader("genome", _genome, _read_genome),
    Reader("weights", _expert, _read_weights),
    Reader("description", _description, _read_description),
    Reader("checkpoint", _checkpoint, lambda path: read_checkpoint(path, "f")),
    Reader("deepbind", lambda path: deepbind_file(path, random_sequences(20, 0)), read_deepbind),
    Reader("experiments", _copy("config/paper.tsv"), read_experiments),
    Reader("run config", _run_config, _read_run_config, slow=True),
    Reader("lock", _lock, read_lock),
    Reader("references", _copy("resources/reference.tsv"), lambda path: reference("hg38", path)),
]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Do to a file what disks, transfers and people do: cut, flip, lose, repeat, blank, or put something else in."""
    for _ in range(rng.choice([1, 1, 2, 4])):
        place = int(rng.integers(0, len(data) + 1))
        length = int(rng.choice([1, 2, 16, 512]))
        kind = rng.choice(["cut", "flip", "lose", "repeat", "blank", "strange", "digit"])
        before, part, after = data[:place], data[place : place + length], data[place + length :]
        if kind == "cut":
            data = before
        elif kind == "flip":
            data = before + bytes(byte ^ (1 << int(rng.integers(8))) for byte in part[:1]) + part[1:] + after
        elif kind == "lose":
            data = before + after
        elif kind == "repeat":
            data = before + part + part + after
        elif kind == "blank":
            data = before + bytes(len(part)) + after
        elif kind == "strange":
            odd = [
                b"\xff\xfe",
                b'"',
                b"\t",
                b"\n",
                b"9" * 400,
                b"-1",
                b"nan",
                b"[" * 3000,
                b"\x00",
                b"../../x",
                b"1e999",
            ]
            data = before + odd[int(rng.integers(len(odd)))] + after
        else:
            data = before + part.translate(bytes.maketrans(b"0123456789", b"9876543210")) + after
    return data


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damage_is_an_input_error_or_harmless(reader: Reader, tmp_path: Path) -> None:
    path = tmp_path / "file"
    reader.make(path)
    reader.read(path)
    sound = path.read_bytes()
    rng = np.random.default_rng(1)
    refused = 0
    examples = EXAMPLES // SLOWER if reader.slow else EXAMPLES
    for data in [b"", b"\x00", sound[: len(sound) // 2], *(damaged(sound, rng) for _ in range(examples))]:
        # A name of its own: what a library may remember of the file before does not count.
        path.unlink()
        path.write_bytes(data)
        try:
            result = reader.read(path)
        except InputError as error:
            refused += 1
            assert str(error) and len(str(error)) < 20_000
        else:
            refused += result is None and data != sound
    assert refused > 0


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_missing_file_is_named(reader: Reader, tmp_path: Path) -> None:
    if reader.name in ("weights", "description", "run config"):
        pytest.skip("these are read from folders; test_bundle.py and test_config.py do that")
    path = tmp_path / "absent"
    if reader.name == "checkpoint":
        assert reader.read(path) is None
        return
    with pytest.raises(InputError, match="absent"):
        reader.read(path)


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 10**25), st.floats(), st.text(max_size=12),
        st.sampled_from(["../../etc", "/etc/passwd", "expert", "mixture", "convnet", "", "a/b", "0" * 64]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip


@st.composite
def replaced(draw, value):
    """Draw a JSON value in which one part is another."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 9)) == 0:
            return {name: item for name, item in value.items() if name != key}
        return value | {key: draw(replaced(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(replaced(value[place])), *value[place + 1 :]]
    return draw(VALUES)


@pytest.fixture(scope="module")
def mixture(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mixture")
    experts = {name: folder / "apart" / name for name in ("A", "B")}
    for seed, place in enumerate(experts.values()):
        bundle.save(build("convnet", WINDOW, {"motif_width": 8}, seed=seed).eval(), place)
    facts = {"metrics": {"validation_auroc": 0.9}, "genome": {"assembly": "hg19", "species": "Homo sapiens"}}
    facts |= {"computed_with": {"name": "a CPU"}, "protocol": "sound", "replicate": 0, "seed": 1}
    gate = build_gate("softmax", 2, 32, {}, seed=0).eval()
    bundle.save_mixture(gate, experts, folder / "softmax", facts, {"A": ["JUND"]})
    calibrations = [
        calibrate(np.array([0, 1, 1, 0]), np.arange(4.0), kind).as_json() for kind in ("flanks", "shuffles")
    ]
    tables.write_json({"calibrations": calibrations}, folder / "softmax" / CALIBRATION)
    return folder / "softmax"


@pytest.mark.parametrize("name", [bundle.DESCRIPTION, CALIBRATION])
@FUZZ
@given(data=st.data())
def test_made_up_descriptions_of_mixtures(mixture, name, data):
    path = mixture / name
    sound = path.read_text()
    try:
        path.write_text(json.dumps(data.draw(replaced(json.loads(sound)))))
        for read in (bundle.load, lambda folder: model_card(describe_model(folder))):
            try:
                read(mixture)
            except InputError as error:
                assert str(error)
    finally:
        path.write_text(sound)


CONFIG = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())


@settings(FUZZ, max_examples=max(1, EXAMPLES // SLOWER))
@given(replaced(CONFIG))
def test_made_up_configs(config):
    try:
        complete_config(config)
    except InputError as error:
        assert str(error)


MOTIF_PRIORS = {"JUND": {"matrix_ids": ["MA0491.3"], "similarity": {"MAX": 0.1}}}


@FUZZ
@given(replaced(MOTIF_PRIORS))
def test_made_up_knowledge(knowledge):
    try:
        read_motif_priors(knowledge)
    except InputError as error:
        assert str(error)


@FUZZ
@given(st.one_of(st.text(max_size=20), st.sampled_from(["MA0491", "MA0491.99", "MA0491.3 ", "'; drop table--"])))
def test_made_up_matrix_names(name):
    try:
        assert jaspar.matrix_by_id(name).probabilities.shape[0] == 4
    except InputError as error:
        assert repr(name) in str(error)


@FUZZ
@example(path="a.gz", host="\0")
@example(path="a.gz", host="..")
@example(path="a.gz", host="h:0")
@example(path="a.gz", host="[")
@given(st.text(max_size=30), st.text(max_size=30))
def test_made_up_addresses_stay_in_their_folder(path, host):
    try:
        place = resource_path(f"https://{host or 'h'}/{path}", "downloads")
    except InputError as error:
        assert str(error)
    else:
        assert place.resolve().is_relative_to(Path("downloads").resolve())
        assert place.parts[1] not in (".", "..") and not re.search(r"[\x00-\x1f\x7f]", str(place))
    try:
        parse_checksum(path)
    except InputError as error:
        assert repr(path.strip()) in str(error)
