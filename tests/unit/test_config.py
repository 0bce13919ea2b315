"""Config and experiments table: defaults, overrides from the command line, and what is refused how."""

import runpy
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from simulated_run import simulated_study
from tfbs_moe.config import complete_config, defaults, load_schema, read_experiments
from tfbs_moe.errors import InputError
from tfbs_moe.study_checks import make_study

MINIMAL = {"run": "r", "experiments": "t.tsv"}
HEADER = "name\tfactor\tcell\trole\tstratum\tformat\tsource\tchecksum"


def closed_objects(schema, path="config"):
    """Yield every object of a schema that lists its keys."""
    if "properties" in schema:
        yield path, schema
        for key, sub in schema["properties"].items():
            yield from closed_objects(sub, f"{path}.{key}")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from closed_objects(schema["additionalProperties"], f"{path}.*")


def test_every_object_is_closed_and_every_key_described():
    for name in ("config", "experiments"):
        for path, schema in closed_objects(load_schema(name)):
            assert schema["additionalProperties"] is not True, path
            if not isinstance(schema["additionalProperties"], dict):
                assert schema["additionalProperties"] is False, path
            for key, sub in schema["properties"].items():
                assert sub.get("description"), f"{path}.{key} has no description"


def test_defaults_are_valid_and_filled_to_the_bottom():
    config = complete_config(MINIMAL)
    assert complete_config(config) == config
    assert config["protocols"]["sound"]["training_negatives"] == "dinucleotide_shuffle"
    assert config["experts"]["convnet"]["factors"] == {}
    assert defaults(load_schema("config"))["window"] == {"length": 101}


def test_a_protocol_of_an_earlier_config_is_taken_away_by_null():
    given = {**MINIMAL, "protocols": {"sound": None, "mine": {}}}
    assert list(complete_config(given)["protocols"]) == ["mine"] and given["protocols"]["sound"] is None
    with pytest.raises(InputError, match="protocols"):
        complete_config({**MINIMAL, "protocols": {"sound": None}})


def test_the_callers_config_is_not_changed():
    given = {**MINIMAL, "statistics": {"draws": "3"}}
    complete_config(given)
    assert given == {**MINIMAL, "statistics": {"draws": "3"}}


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ({"statistics": {"draws": "3"}}, ("statistics", "draws"), 3),
        ({"replicates": ["4", "5"]}, ("replicates",), [4, 5]),
        ({"mirror": "null"}, ("mirror",), None),
        ({"mirror": ""}, ("mirror",), None),
        ({"mirror": "2024"}, ("mirror",), "2024"),
        ({"deterministic": "false"}, ("deterministic",), False),
        (
            {"experts": {"convnet": {"training": {"learning_rate": "1e-3"}}}},
            ("experts", "convnet", "training", "learning_rate"),
            1e-3,
        ),
        ({"protocols": {"p": {"architectures": ["convnet"]}}}, ("protocols", "p", "dropout"), "standard"),
    ],
)
def test_command_line_text_is_read_as_the_schema_asks(override, path, expected):
    value = complete_config({**MINIMAL, **override})
    for key in path:
        value = value[key]
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({**MINIMAL, "experimets": 1}, ["unknown key 'experimets'", "'experiments'"]),
        ({**MINIMAL, "window": {"lenght": 3}}, ["config: window", "'lenght'", "did you mean 'length'"]),
        ({"run": "r"}, ["'experiments' is a required property"]),
        ({**MINIMAL, "run": "../up"}, ["config: run", "'../up'"]),
        ({**MINIMAL, "run": "up\n"}, ["config: run", r"'up\n' does not match", "at most 100 letters"]),
        ({**MINIMAL, "run": "r" * 101}, ["config: run", "at most 100 letters"]),
        ({**MINIMAL, "protocols": {"p" * 51: {}}}, ["config: protocols", "at most 50 letters"]),
        (
            {**MINIMAL, "experts": {"my.wide": {"kind": "convnet"}}},
            ["config: experts", "'my.wide'", "at most 50 letters"],
        ),
        (
            {**MINIMAL, "gates": {"soft max": {"kind": "softmax"}}},
            ["config: gates", "'soft max'", "at most 50 letters"],
        ),
        ({**MINIMAL, "protocols": {"p": {"gates": ["softmax"] * 2}}}, ["protocols.p.gates", "has non-unique elements"]),
        ({**MINIMAL, "replicates": []}, ["config: replicates"]),
        (
            {**MINIMAL, "replicates": [int("9" * 20)]},
            ["config: replicates.0", "greater than the maximum of 4294967295"],
        ),
        ({**MINIMAL, "replicates": list(range(101))}, ["config: replicates", "is too long"]),
        (
            {**MINIMAL, "statistics": {"margin": float("nan")}},
            ["config: statistics.margin: nan is not a finite number"],
        ),
        ({**MINIMAL, "seed": 2**40}, ["config: seed", "greater than the maximum"]),
        ({**MINIMAL, "protocols": {"p": {"folds": 10**9}}}, ["protocols.p.folds", "greater than the maximum of 100"]),
        ({**MINIMAL, "statistics": {"draws": "many"}}, ["statistics.draws", "'many' is not of type 'integer'"]),
        ({**MINIMAL, "device": "tpu"}, ["config: device", "'tpu'", "['auto', 'cpu', 'cuda']"]),
    ],
)
def test_faults_name_the_key_and_what_was_expected(config, parts):
    with pytest.raises(InputError) as caught:
        complete_config(config)
    for part in parts:
        assert part in str(caught.value)


def test_all_faults_come_at_once():
    with pytest.raises(InputError) as caught:
        complete_config({"run": 3, "device": "tpu", "extra": 1})
    assert len(str(caught.value).splitlines()) == 4


def write_table(tmp_path, *rows, header=HEADER):
    path = tmp_path / "t.tsv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def row(name="a", **changes):
    factor = "U" if changes.get("role") == "ood" else "F"
    cells = {"name": name, "factor": factor, "cell": "K562", "role": "train", "stratum": ""}
    cells |= {"format": "deepbind", "source": "f.gz", "checksum": ""} | changes
    return "\t".join(cells.values())


def test_table_is_read_with_comments_crlf_and_byte_order_mark(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes(("\ufeff# made by hand\r\n" + HEADER + "\r\n\r\n" + row() + "\r\n").encode())
    assert read_experiments(path)[0]["source"] == "f.gz"


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([row(), row("A")], ["line 3", "'A' is already in line 2"]),
        ([row(role="training")], ["line 2: role", "'training'"]),
        ([row(checksum="md5:12")], ["line 2: checksum"]),
        ([row(name="a/b")], ["line 2: name"]),
        ([row(name="a" * 101)], ["line 2: name", "at most 100 letters"]),
        ([row() + "\textra"], ["line 2: 9 fields where the header has 8"]),
        ([], ["no row below its header"]),
    ],
)
def test_table_faults_name_file_and_line(tmp_path, rows, parts):
    with pytest.raises(InputError) as caught:
        read_experiments(write_table(tmp_path, *rows))
    for part in ["t.tsv", *parts]:
        assert part in str(caught.value)


def test_table_with_wrong_columns_names_the_nearest(tmp_path):
    with pytest.raises(InputError, match="missing: factor.*did you mean 'factor'"):
        read_experiments(write_table(tmp_path, row(), header=HEADER.replace("factor", "factr")))


def study(tmp_path, *rows, **settings):
    config = complete_config({**MINIMAL, **settings})
    return make_study(config, read_experiments(write_table(tmp_path, *rows)))


TRAINED = (row("a"), row("b", factor="G"))


def test_study_orders_sets_and_names_models(tmp_path):
    made = study(tmp_path, row("o", role="ood", stratum="cross_family"), *TRAINED, row("t", role="test"))
    assert made.training == ["a", "b"]
    assert [(test.experiment, test.negatives) for test in made.test_sets] == [("t", "supplied"), ("o", "supplied")]
    assert made.models("sound") == ["convnet.a", "convnet.b", "moe.softmax"]
    assert made.identity(made.test_sets[1])["set"] == "unseen"


def test_sets_follow_from_factor_and_cell_and_strata_from_sets_where_the_table_names_none(tmp_path):
    """A training factor in another cell is no unseen factor, and a name of the user's own is kept."""
    rows = (
        row("u", role="ood", stratum="my_bzip_2"),
        row("e", factor="G", cell="HepG2", role="ood"),
        row("t", role="test"),
        row("v", role="ood", cell="HepG2"),
    )
    made = study(tmp_path, *rows, *TRAINED, evaluation={"negatives": ["dinucleotide_shuffle"]})
    found = [tuple(made.identity(test)[name] for name in ("experiment", "set", "stratum")) for test in made.test_sets]
    assert found == [
        ("t", "in_distribution", "in_distribution"),
        ("e", "other_cell", "other_cell"),
        ("u", "unseen", "my_bzip_2"),
        ("v", "unseen", "unseen"),
    ]
    assert made.tested_factors("unseen") == ["U"] and made.tested_factors("other_cell") == ["G"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (row("o", factor="F", role="ood"), "o is of role ood, and an expert is trained on F in K562; its role is test"),
        (row("o", role="test", cell="A549"), "no expert is trained on F in A549; its role is ood"),
        (row("o", factor="F", cell="A549", role="ood", stratum="unseen"), "the stratum unseen, .* it is other_cell"),
        (row("o", role="ood", stratum="Other cell"), "t.tsv, line 4: stratum: 'Other cell' does not match"),
    ],
)
def test_a_row_that_says_seen_of_what_is_unseen_is_refused(tmp_path, wrong, said):
    with pytest.raises(InputError, match=said):
        study(tmp_path, *TRAINED, wrong)


def test_the_full_study_has_27_unseen_factors_and_six_in_another_cell():
    """The table of the lab's own study, whose six were counted as unseen."""
    folder = Path(__file__).resolve().parents[2] / "config"
    made = make_study(
        complete_config(yaml.safe_load((folder / "config.yaml").read_text())), read_experiments(folder / "config.tsv")
    )
    assert len(made.tested_factors("unseen")) == 27
    assert made.tested_factors("other_cell") == ["ARID3A", "GATA3", "JUND", "MAX", "GABPA", "SP1"]
    assert len(made.tested_factors("in_distribution")) == 7


def test_an_experiments_own_settings_win_and_the_protocols_quirks_are_added(tmp_path):
    own = {"training": {"momentum": 0.9}, "network": {"pooling": "max"}}
    made = study(
        tmp_path,
        *TRAINED,
        row("o", role="ood"),
        experts={"convnet": {"training": {"momentum": 0.5}, "factors": {"b": own}}},
        protocols={"published": {"dropout": "batch_mask", "validation_auroc": "batch_mean"}},
    )
    a, b = (made.expert_settings("published", "convnet", name) for name in "ab")
    assert (a["training"]["momentum"], b["training"]["momentum"]) == (0.5, 0.9)
    assert (a["network"]["pooling"], b["network"]["pooling"]) == ("max_mean", "max")
    assert b["training"]["learning_rate"] == a["training"]["learning_rate"]
    assert b["network"]["dropout_kind"] == "batch_mask" and b["training"]["validation"] == "batch_mean"


@pytest.mark.parametrize(
    ("rows", "settings", "part"),
    [
        ((row("a"), row("o", role="ood")), {}, "at least two experiments of role train"),
        (TRAINED, {}, "nothing to test on"),
        ((*TRAINED, row("p", role="ood", format="peaks")), {}, "p has peaks, which need a genome"),
        ((*TRAINED, row("o", role="ood")), {"experts": {"convnet": {"factors": {"x": {}}}}}, "factors.x"),
        ((*TRAINED, row("o", role="ood")), {"protocols": {"s": {"architectures": ["net"]}}}, "'net' is not known"),
        ((*TRAINED, row("o", role="ood")), {"protocols": {"s": {"training_negatives": "flanks"}}}, "needs coordinates"),
        (
            (*TRAINED, row("p", role="ood", format="peaks", source="planted:MA0139.2")),
            {"genome": {"assembly": "hg19"}},
            "planted sources and the assembly 'planted' go together",
        ),
        ((*TRAINED, row("Pooled", role="ood")), {}, "an experiment cannot be called Pooled"),
        ((*TRAINED, row("T" + "ab" * 20, role="ood")), {}, "the end of the name Tabab"),
        ((*TRAINED, row("pooled.convnet", role="ood")), {}, "an experiment cannot be called pooled.convnet"),
        ((*TRAINED, row("Background", role="ood")), {}, "an experiment cannot be called Background"),
        (
            (*TRAINED, row("o", role="ood")),
            {"experts": {"moe": {"kind": "convnet"}}, "protocols": {"s": {"architectures": ["moe"]}}},
            "experts.moe: this name has a meaning of its own",
        ),
        ((*TRAINED, row("o", role="ood", source="a{b}.gz")), {}, "o: source: a{b}.gz holds a brace"),
        ((*TRAINED, row("o", role="ood")), {"genome": {"fasta": "{x}/g.fa"}}, "genome.fasta: {x}/g.fa holds a brace"),
    ],
)
def test_config_and_table_must_fit(tmp_path, rows, settings, part):
    with pytest.raises(InputError) as caught:
        study(tmp_path, *rows, **settings)
    assert part in str(caught.value)


def test_the_reference_is_in_step_with_the_schema():
    root = Path(__file__).resolve().parents[2]
    with_reference = runpy.run_path(str(root / "docs" / "make_config_tables.py"))["with_reference"]
    text = (root / "config" / "README.md").read_text()
    assert with_reference(text) == text, "run `make docs`"


def test_every_key_has_a_whole_sentence():
    """An unquoted comma in a flow mapping of YAML would cut a description."""

    def described(schema):
        for key, sub in schema.get("properties", {}).items():
            yield key, sub["description"]
            yield from described(sub)
        if isinstance(schema.get("additionalProperties"), dict):
            yield from described(schema["additionalProperties"])

    assert not [key for key, text in described(load_schema("config")) if not text.strip().endswith(".")]


def test_the_page_of_options_and_functions_is_in_step_with_the_code():
    from pathlib import Path

    docs = Path(__file__).resolve().parents[2] / "docs"
    made = runpy.run_path(str(docs / "make_reference.py"))["reference"]()
    assert made == (docs / "reference.md").read_text(), "run `make docs`"


def test_a_network_of_ones_own_has_a_class_and_a_misspelt_one_is_named():
    config = {"run": "r", "experiments": "e.tsv", "experts": {"wide": {"class": "own.Wide", "network": {"any": 1}}}}
    wide = complete_config(config)["experts"]["wide"]
    assert wide["network"] == {"any": 1}
    assert wide["training"]["optimizer"] == "adamw"
    config["experts"] = {"residal": {"network": {"blocks": 1}}}
    with pytest.raises(InputError, match=r"unknown key 'residal'; did you mean 'residual'\? .*'class' is a required"):
        complete_config(config)


def test_only_the_networks_that_are_trained_stand_in_the_merged_config():
    config = {"run": "r", "experiments": "e.tsv", "protocols": {"sound": {"architectures": ["residual"]}}}
    assert list(complete_config(config)["experts"]) == ["residual"]


@pytest.mark.parametrize("name", ["convnet", "residual", "deepsea", "danq", "language_model"])
def test_defaults_of_the_schema_are_those_of_the_networks(name):
    from tfbs_moe.models.registry import ARCHITECTURES

    own = {field.name: field.default for field in fields(ARCHITECTURES[name].Parameters)}
    # The protocol says how units drop out, and a bundle keeps the language model's own configuration.
    own.pop("dropout_kind", None)
    own.pop("config", None)
    assert complete_config(MINIMAL | {"protocols": {"p": {"architectures": [name]}}})["experts"][name]["network"] == own


def test_more_workers_than_trials_are_refused(tmp_path):
    search = {"search": {"trials": 2, "workers": 3}}
    config = complete_config(MINIMAL | {"experts": {"convnet": search}})
    with pytest.raises(InputError, match="3 workers cannot share 2 trials"):
        make_study(config, [])


def test_a_variant_has_the_keys_of_its_kind_and_a_misspelt_kind_is_named():
    experts = {"wide": {"kind": "residual", "network": {"filters": 96}}}
    protocols = {"sound": {"architectures": ["wide"], "gates": ["two"], "pooled": ["kmer"]}}
    config = complete_config(
        MINIMAL | {"experts": experts, "gates": {"two": {"kind": "logit"}}, "protocols": protocols}
    )
    assert config["experts"]["wide"]["network"]["filters"] == 96
    assert config["experts"]["wide"]["training"]["max_epochs"] == 12
    assert set(config["gates"]) == {"two", "best_expert", "random", "stacking", "static"}
    with pytest.raises(
        InputError, match=r"^config: experts.wide.kind: 'resdual' is not known; did you mean 'residual'"
    ):
        complete_config(MINIMAL | {"experts": {"wide": {"kind": "resdual"}}})
    with pytest.raises(InputError, match=r"gates.two.network: unknown key 'hiden'; did you mean 'hidden'"):
        complete_config(MINIMAL | {"gates": {"two": {"kind": "logit", "network": {"hiden": 3}}}})


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"protocols": {"sound": {"folds": 1}}}, "1 fold leaves nothing to train on"),
        ({"protocols": {"sound": {"gate_rows": "out_of_fold"}}}, "needs fold experts"),
        ({"protocols": {"sound": {"factor_folds": 2}}}, "factor_folds: they need gate_rows: held_out"),
        ({"protocols": {"sound": {"factor_folds": 9, "gate_rows": "held_out"}}}, "factor_folds: give 0, or from 2 to"),
        ({"gates": {"softmax": {"pooled": ["kmer"]}}}, "gates.softmax.pooled: 'kmer' is not among those"),
        ({"gates": {"softmax": {"factors": ["C"]}}}, "gates.softmax.factors: 'C' is not among those"),
        (
            {
                "experts": {"convnet": {"training": {"fresh_negatives": True}}},
                "protocols": {"sound": {"training_negatives": "gc_matched"}},
                "genome": {"assembly": "hg19"},
            },
            "only dinucleotide_shuffle and block_shuffle can be redrawn",
        ),
    ],
)
def test_what_gates_ask_of_a_protocol_must_be_there(tmp_path, settings, part):
    with pytest.raises(InputError, match=part):
        study(tmp_path, row("a"), row("b"), row("c", role="ood", stratum="cross_family"), **settings)


PEAKS = {"format": "peaks", "source": "p.bed"}


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"genome": {"assembly": "GCRh38", "jaspar_group": "plants"}}, "'GCRh38' is not known.*did you mean 'GRCh38'"),
        (
            {"genome": {"assembly": "hg38"}, "splits": {"test_chromosomes": ["chr99"]}},
            "the genome has no chr99; it has",
        ),
        (
            {
                "genome": {"assembly": "mm10"},
                "splits": {"test_chromosomes": ["chr1"], "validation_chromosomes": ["chr1"]},
            },
            "splits: chr1 is named twice",
        ),
    ],
)
def test_a_genome_or_splits_that_cannot_be_are_refused_with_the_table(tmp_path, settings, part):
    rows = [row("a", **PEAKS), row("b", **PEAKS), row("c", role="ood", stratum="cross_family", **PEAKS)]
    with pytest.raises(InputError, match=part):
        study(tmp_path, *rows, **settings)


def test_what_a_blacklist_is_asked_of_that_has_none_is_said(tmp_path):
    rows = [row("a", **PEAKS), row("b", **PEAKS), row("c", role="ood", stratum="cross_family", **PEAKS)]
    assert study(tmp_path, *rows, genome={"assembly": "dm6"}).omitted == []
    (said,) = study(tmp_path, *rows, genome={"assembly": "TAIR10"}).omitted
    assert "there is no ENCODE blacklist of TAIR10 (genome.blacklist takes a BED file of yours" in said
    assert study(tmp_path, *rows, genome={"assembly": "TAIR10", "blacklist": False}).omitted == []


def test_true_and_false_from_the_command_line_are_no_paths():
    for text, value in (("true", True), ("false", False), ("own.bed", "own.bed")):
        assert complete_config(MINIMAL | {"genome": {"blacklist": text}})["genome"]["blacklist"] == value


def test_what_limits_leave_unexplained_is_said() -> None:
    """Counts in, counts out: a study says how many tested experiments and experts it does not explain."""
    assert simulated_study().omitted == []
    limited = simulated_study(attribution={"max_experiments": 2, "max_experts": 1})
    assert len(limited.explained_experiments) == 4
    assert limited.explained("sound") == ["convnet.ARID3A", "moe.softmax"]
    said = " | ".join(limited.omitted)
    assert "4 of 9 tested experiments are explained" in said and "sound: 1 of 3 experts are explained" in said
