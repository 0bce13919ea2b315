"""Whether the authors' figure was reproduced on the same files, and possible reasons where not."""

import pandas as pd

from tfbs_moe.figures import aggregate
from tfbs_moe.figures.catalogue import METRICS
from tfbs_moe.report.inputs import Run
from tfbs_moe.report.page import Block, Items, Missing, Text, make_table, number
from tfbs_moe.report.sections.answer import PUBLISHED_PROTOCOL

_TITLE = "Reproduction of the authors’ retrained figure"


def reproduction(run: Run) -> list[Block]:
    """Return the reproduction's verdict and table, and possible reasons where it failed."""
    if PUBLISHED_PROTOCOL not in run.study.protocols:
        return [Missing(_TITLE, f"This study has no protocol called “{PUBLISHED_PROTOCOL}”.")]
    metrics = run.table(METRICS)
    if metrics is None:
        return [Missing(_TITLE, run.why_missing(METRICS))]
    model = f"moe.{run.study.gates(PUBLISHED_PROTOCOL)[0]}"
    table = aggregate.reproduction(metrics, run.published, PUBLISHED_PROTOCOL, model)
    if table.empty:
        return [
            Missing(_TITLE, "This study does not test on the nine files of the paper, so there is nothing to compare.")
        ]
    blocks: list[Block] = [Text(_TITLE, style="heading")]
    for row in table.to_dict("records"):
        reached = "Reached" if row["within"] else "Not reached"
        blocks.append(
            Text(
                f"{reached}, {aggregate.SETS[row['set']]}: mean AUROC {number(row['value'])} (seeds "
                f"{number(row['lowest'])} to {number(row['highest'])}) against {number(row['reference'])}; difference "
                f"{number(row['difference'], sign=True)}, tolerance ±{aggregate.TOLERANCE}.",
                style="good" if row["within"] else "bad",
            )
        )
    shown = table.assign(set=table["set"].map(aggregate.SETS))
    blocks.append(
        make_table(shown, "Our retraining of the published protocol beside the authors’ own.", "reproduction")
    )
    missed = table.loc[~table["within"].astype(bool), "set"]
    if len(missed):
        blocks.append(Text("What the tables say about why", style="heading"))
        blocks += [Items(_reasons(run, metrics, model, str(name))) for name in missed]
    return blocks


def _reasons(run: Run, metrics: pd.DataFrame, model: str, set_name: str) -> list[str]:
    """Locate the gap to the authors' figure: factors, experts or gate, seeds, a second run of their code."""
    numbers, comparison = run.published, aggregate.beside_published(metrics, run.published)
    ours = comparison[(comparison["protocol"] == PUBLISHED_PROTOCOL) & (comparison["set"] == set_name)]
    title = aggregate.SETS[set_name]
    found = []
    gaps = ours[(ours["model"] == model) & (ours["name"] != title)].sort_values("difference", key=abs, ascending=False)
    if len(gaps):
        listed = ", ".join(f"{row['name']} {number(row['difference'], sign=True)}" for row in gaps.to_dict("records"))
        found.append(
            f"By factor, {title}, ours minus the paper’s own table (whose evaluation differs, see methods): {listed}."
        )
    experts = ours[(ours["model"] != model) & (ours["name"] == title)]
    if len(experts):
        listed = ", ".join(
            f"{run.label(PUBLISHED_PROTOCOL, row['model'])} {number(row['difference'], sign=True)}"
            for row in experts.to_dict("records")
        )
        found.append(
            f"The experts alone, {title} mean, ours minus the paper’s: {listed}. A gap of the same sign and size there "
            "comes from the experts’ training and negatives and not from the gate."
        )
    again = numbers[
        (numbers["name"] == aggregate.RUN_AGAIN)
        & (numbers["set"] == set_name)
        & (numbers["evaluation"] == aggregate.SAME_FILES)
    ]
    if len(again):
        row = again.to_dict("records")[0]
        found.append(
            f"The authors’ own code, run again on the same files, gave {number(row['value'])} ± "
            f"{number(row['spread'])} over {row['seeds']} seeds: the reference itself moves by this much."
        )
    mixture = ours[(ours["model"] == model) & (ours["name"] == title)]
    if len(mixture):
        spread = float(mixture["highest"].iloc[0] - mixture["lowest"].iloc[0])
        found.append(f"Our own seeds spread over {number(spread)}.")
    return found
