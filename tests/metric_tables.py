"""Tables of metrics for tests of the statistics."""

import numpy as np
import pandas as pd

from tfbs_moe.study import UNSEEN

MIXTURE = "moe.softmax"
RIVALS = ("convnet.A", "convnet.B", "baseline.mean")


def metrics(values: np.ndarray, models: tuple[str, ...], metric: str = "auroc", which: str = UNSEEN) -> pd.DataFrame:
    """Return a table of metrics of values (factors, models, seeds); what is NaN has no row."""
    names = {"protocol": "sound", "cell": "K562", "set": which, "stratum": which, "negatives": "supplied"}
    rows = [
        names | {"experiment": f"F{factor}_{which}", "factor": f"F{factor}", "model": models[model], "seed": seed}
        | {"rows": "all", "metric": metric, "value": value, "n_positive": 10}
        for (factor, model, seed), value in np.ndenumerate(values) if np.isfinite(value)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def of_test(table: pd.DataFrame, test: str) -> pd.DataFrame:
    """Return one test's rows by what is compared."""
    return table[table["test"] == test].set_index("comparison")
