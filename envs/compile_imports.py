"""Import the library and what it imports only when needed, so that Python keeps their bytecode.

``envs/setup.sh`` runs it once. An import that fails here would have failed in the middle of a study.
"""

import importlib
import pkgutil

import tfbs_moe

LATE = (
    "memelite",
    "pyjaspar",
    "snakemake.cli",
    "snakemake.script",
    "tangermeme.deep_lift_shap",
    "tangermeme.ersatz",
    "tangermeme.seqlet",
    "torch._dynamo",
    "torch._inductor.config",
)


def main() -> None:
    """Import all."""
    ours = [module.name for module in pkgutil.walk_packages(tfbs_moe.__path__, "tfbs_moe.")]
    for name in (*ours, *LATE):
        if not name.endswith("__main__"):
            importlib.import_module(name)


if __name__ == "__main__":
    main()
