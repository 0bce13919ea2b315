"""The report's section on statistics: with the factor as the unit, by strata, and the paper's own analysis."""

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import DRAWS, FACTOR_STATISTICS
from tfbs_moe.report import inputs
from tfbs_moe.report.inputs import Run, blocks_of, pictures, shown_statistics
from tfbs_moe.report.page import Block, Fold, Items, Missing, Section, Text, make_table
from tfbs_moe.statistics.hypothesis_tests.results import p_words
from tfbs_moe.statistics.omnibus import OVER_SIGNS
from tfbs_moe.statistics.pairwise import PAIRED, WILCOXON
from tfbs_moe.statistics.paper import PUBLISHED
from tfbs_moe.study import SUPPLIED

_MIXTURES = "moe."
_PAIR_COLUMNS = [
    "comparison", "protocol", "set", "negatives", "rows", "test", "n", "effect", "effect_lower", "effect_upper",
    "p_adjusted",
]  # fmt: skip
_PAPER_ANOVA = (
    "The paper compares models on each test set by a one-way ANOVA whose replicates are draws of one trained model. "
    "The number of draws is the analyst’s choice, and F grows with it: such an F says nothing about other trainings, "
    "test sets or factors. It is shown so that the paper’s numbers can be compared with it."
)
_BY = {
    "stratum": "strata drawn by hand",
    "nearest_stratum": "strata by nearest training factor",
    "nearest_factor": "nearest training factor",
}
_ETA = (
    " η² is the share of the variance of these numbers, which chance alone raises; its interval (noncentral F, Steiger "
    "2004) is of the share in the population, and may lie below it."
)


def statistics(run: Run) -> Section:
    """Build the section: tests with the factor as the unit, generalisation, power, and the paper's analysis."""
    blocks = [*_factors(run), *_generalisation(run), *blocks_of(run, inputs.POWER, _POWER, _power)]
    blocks += [Text("The paper’s analysis, under its own name", style="heading"), Text(_PAPER_ANOVA, style="note")]
    blocks += [
        *blocks_of(run, inputs.PAPER_ANOVA, "The paper’s ANOVA", _paper_anova),
        *blocks_of(run, DRAWS, "F against the number of draws", _draws),
        *pictures(run, "draws"),
        *blocks_of(run, inputs.PAPER_TUKEY, "The paper’s Tukey tests", _paper_tukey),
    ]
    return Section("statistics", "Statistics", blocks)


def _factors(run: Run) -> list[Block]:
    heading = Text("The factor as the unit: the analysis to draw conclusions from", style="heading")
    return [
        heading,
        *blocks_of(run, FACTOR_STATISTICS, "Comparison over factors", _comparison),
        *blocks_of(run, inputs.ASSUMPTIONS, "What the tests assume", _assumptions),
        *pictures(run, "critical_difference"),
    ]


def _comparison(run: Run, tests: pd.DataFrame) -> list[Block]:
    # The omnibus tests of the other mixtures would repeat that of the first.
    first = tuple({f"moe.{run.study.gates(protocol)[0]}" for protocol in run.study.protocols})
    chosen = _headline(tests)
    chosen = chosen[chosen["comparison"].str.startswith(tuple(f"{model} " for model in first))]
    pairs = chosen[chosen["comparison"].str.contains("−")]
    caption = "The mixture against each rival: the test that the rule chose, Holm-adjusted."
    every = f"All tests with the factor as the unit.{_of_eta(tests)}"
    return [
        Items(_with_scope(chosen[chosen["comparison"].str.count("−") == 0])),
        make_table(pairs[_PAIR_COLUMNS], caption, "headline-tests"),
        Fold("Every test with the factor as the unit", [make_table(shown_statistics(tests), every, "factors")]),
    ]


def _assumptions(run: Run, tests: pd.DataFrame) -> list[Block]:
    shown = shown_statistics(tests[tests["rows"] == "all"])
    caption = "What the tests assume, and whether it holds; all rows."
    return [Fold(caption.rstrip("."), [make_table(shown, caption, "assumptions")])]


def _generalisation(run: Run) -> list[Block]:
    """Show strata, similarity to training factors and kinds of negatives, for the mixtures on all examples."""
    blocks: list[Block] = [Text("Where the mixture holds", style="heading")]
    tests, regression = (_of_mixtures(run, path) for path in (inputs.STRATA_TESTS, inputs.REGRESSION))
    sentences = []
    if tests is not None:
        # Only pairs of strata with the same factors: training factors in their own cell and in another.
        eligible = ~tests["comparison"].fillna("").str.contains("−") | tests["test"].isin((PAIRED, WILCOXON))
        omnibus = tests[tests["headline"].astype(bool) & eligible]
        sentences += [
            f"{row['protocol']}, {row['negatives'].replace('_', ' ')}, {_BY[row['strata']]}: {row['sentence']}"
            for row in omnibus.to_dict("records")
        ]
    if regression is not None:
        sentences += list(dict.fromkeys(_with_scope(regression)))
    if sentences:
        blocks.append(Items(sentences))
    for path, caption, columns in (
        (inputs.STRATA,
         "Mean AUROC of the mixtures in each stratum, drawn by hand and by nearest training factor; all rows.",
         ["strata", "name", "protocol", "negatives", "model", "value", "lower", "upper", "n", "factors"]),
        (inputs.STRATA_TESTS, "Tests between strata; all rows.",
         ["strata", "comparison", "protocol", "negatives", "model", "test", "n", "statistic_name", "statistic", "df",
          "p", "p_adjusted", "effect_name", "effect", "effect_lower", "effect_upper", "check", "headline"]),
        (inputs.SIMILARITY, "The training factor whose JASPAR matrix is most like each tested factor’s.",
         ["protocol", "factor", "matrix", "class", "nearest_factor", "nearest_matrix", "nearest_class", "tomtom_p",
          "similarity", "nearest_stratum"]),
        (inputs.REGRESSION, "AUROC of unseen factors on similarity to training and on overlap with it; all rows.",
         ["comparison", "protocol", "negatives", "model", "n", "statistic", "df", "p", "effect_name", "effect",
          "effect_lower", "effect_upper", "check"]),
        (inputs.NEGATIVES_MATRIX, "Mean AUROC of the mixtures by negatives trained on and tested on; all rows.",
         ["trained_on", "tested_on", "protocol", "model", "set", "value", "lower", "upper", "n"]),
    ):  # fmt: skip
        table = _of_mixtures(run, path)
        if table is None:
            blocks.append(Missing(caption, run.why_missing(path)))
        else:
            name = path.removeprefix("statistics/").removesuffix(".tsv")
            shown = make_table(table[columns], caption + _of_eta(table), name)
            blocks.append(Fold(caption.rstrip("."), [shown]))
    if (table := _of_mixtures(run, inputs.BACKGROUND_SHARES)) is not None:
        caption = (
            "Mean AUROC of the background network (no labels) and of the mixtures (value), and the share that it is of "
            "their margin over 0.5; all rows."
        )
        columns = ["protocol", "negatives", "set", "model", "background", "value", "share", "n"]
        blocks.append(Fold(caption.rstrip("."), [make_table(table[columns], caption, "background")]))
    return blocks


def _of_mixtures(run: Run, path: str) -> pd.DataFrame | None:
    """Return the rows of a table on mixtures and all test examples; None where there are none."""
    table = run.table(path)
    if table is None:
        return None
    if "model" in table:
        table = table[table["model"].str.startswith(_MIXTURES) & (table["rows"] == "all")]
    return None if table.empty else table


_POWER = "How many factors a difference would take to be seen; all rows."


def _power(run: Run, power: pd.DataFrame) -> list[Block]:
    keys = ["comparison", "effect", "protocol", "set", "negatives", "n_observed", "spread"]
    shown = power[power["rows"] == "all"]
    enough = shown["n"].where(shown["enough"].astype(bool))
    needed = shown.assign(factors_needed=enough, most_tried=shown["n"])
    columns = {"factors_needed": "min", "most_tried": "max"}
    table = needed.groupby(keys, sort=False, as_index=False).agg(columns)
    return [Fold(_POWER.rstrip("."), [make_table(table, _POWER, "power")])]


def _draws(run: Run, draws: pd.DataFrame) -> list[Block]:
    """Say how the number of random draws, the authors' and ours, changes F, beside the F over factors."""
    sentences = []
    for (source, protocol), group in draws.groupby(["source", "protocol"], sort=False):
        counted = group.dropna(subset=["draws", "statistic"])
        if counted.empty:
            continue
        most = counted.nlargest(1, "statistic").iloc[0]
        least = counted[counted["experiment"] == most["experiment"]].nsmallest(1, "draws").iloc[0]
        whose = "the authors’ own draws" if source == PUBLISHED else f"our draws, protocol {protocol}"
        text = (
            f"With {whose}, F on {most['experiment']} goes from {least['statistic']:,.0f} at {least['draws']:.0f} "
            f"draws per model to {most['statistic']:,.0f} at {most['draws']:.0f}"
        )
        its_own = (group["set"] == most["set"]) & (group["negatives"] == most["negatives"])
        level = group[group["draws"].isna() & its_own & group["statistic"].notna()].to_dict("records")
        if level:
            row = level[0]
            source = f" {OVER_SIGNS}" if OVER_SIGNS in str(row["check"]) else ""
            text += (
                f"; over the {row['n']} factors of its set, the same models give F({row['df']}) = "
                f"{row['statistic']:.2f}, {p_words(row['p'])}{source}"
            )
        sentences.append(f"{text}.")
    return [Items(sentences)] if sentences else []


def _headline(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the tests that a rule chose, or all where no rule was applied."""
    return tests[tests["headline"].astype(bool)] if "headline" in tests and tests["headline"].any() else tests


def _with_scope(tests: pd.DataFrame) -> list[str]:
    """Return the sentences of tests, each preceded by its protocol, set, negatives and examples."""
    return [
        f"{row['protocol']}, {aggregate.SETS[row['set']]}, {row['negatives'].replace('_', ' ')}, "
        f"{aggregate.ROWS[row['rows']]}: {row['sentence']}"
        for row in tests.dropna(subset=["sentence"]).to_dict("records")
    ]


def _of_eta(tests: pd.DataFrame) -> str:
    """Say what the interval of η² is of, where a table has one."""
    named = tests.get("effect_name", pd.Series(dtype=object)).astype(str).str.contains("eta squared")
    return _ETA if named.any() else ""


def _paper_tukey(run: Run, tests: pd.DataFrame) -> list[Block]:
    shown = make_table(shown_statistics(tests), "Tukey’s test over draws.", "paper-tukey")
    return [Fold("The paper’s Tukey tests", [shown])]


def _paper_anova(run: Run, table: pd.DataFrame) -> list[Block]:
    printed = run.published[run.published["metric"] == "anova_f"].set_index("factor")["value"]
    shown = shown_statistics(table).drop(columns=["unit", "comparison", "check", "headline"], errors="ignore")
    shown = shown.rename(columns={"statistic": "F"}).drop(columns=["statistic_name", "test"])
    # The paper's F is for its own test files.
    same_files = table["negatives"] == SUPPLIED
    shown["paper_F"] = table["factor"].map(printed).where(same_files)
    theirs = run.table(inputs.PUBLISHED_ANOVA)
    if theirs is not None:
        omnibus = theirs[theirs["statistic_name"] == "F"].set_index("factor")["statistic"]
        shown["F_of_their_draws"] = table["factor"].map(omnibus).where(same_files)
    shown = shown.dropna(axis="columns", how="all")
    beside = ", beside the paper’s F(3, 116) as printed and from the authors’ own draws" if "paper_F" in shown else ""
    caption = f"One-way ANOVA over draws{beside}.{_of_eta(table)}"
    return [make_table(shown, caption, "paper-anova")]
