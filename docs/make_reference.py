"""Write ``docs/reference.md``: the options of ``tfbs-moe`` from its parser, its Python API from docstrings.

``python docs/make_reference.py docs/reference.md`` rewrites it; ``make docs`` calls it.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import griffe
from griffe2md import render_object_docs

ROOT = Path(__file__).resolve().parents[1]

# What users of a trained model need from Python; the rest is for those who change the code.
PUBLIC = {
    "Models on disk": ["models.bundle.load", "models.bundle.describe", "models.bundle.load_experts"],
    "Input": ["apply.windows.open_source", "apply.windows.Source", "apply.windows.Windows"],
    "Scores": ["apply.scorer.Scorer", "apply.scorer.Scores", "apply.predict.predict", "apply.predict.predict_file"],
    "Explanations": ["apply.explain.explain", "apply.explain.explain_file", "apply.explain.contributions"],
    "Variants": [
        "apply.input_tables.Allele",
        "apply.input_tables.read_variants",
        "apply.variants.score_variants",
        "apply.variants.score_variant_file",
    ],
    "Model card": ["apply.card.describe_model", "apply.card.model_card"],
}

HEAD = """# Reference

The options of `tfbs-moe` and its Python API; [predict.md](predict.md) shows how to use both. `make docs` writes this
page; do not edit it. Config keys and table columns: [config/README.md](../config/README.md). Files of a run:
[files.md](files.md).
"""

SHOWN = {
    "filters": ["!^_"],
    "show_root_full_path": True,
    "show_root_members_full_path": False,
    "show_signature_annotations": True,
    "summary": False,
    "heading_level": 4,
    "line_length": 100,
}


def reference() -> str:
    """Return the page."""
    return "\n".join([HEAD, "## Command line", "", *_commands(), "", "## Python", "", *_api()]).rstrip() + "\n"


def _commands() -> list[str]:
    """Return what ``--help`` of each command prints, without its usage line, which says the same again."""
    # argparse wraps its help to the width of whoever asks.
    os.environ["COLUMNS"] = "100"
    from tfbs_moe.cli.main import parser

    top = parser()
    found = next(action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    lines = []
    for name, command in found.choices.items():
        shown = command.format_help().partition("\n\n")[2]
        shown = re.sub(r"^ +-h, --help .*\n", "", shown, flags=re.M)
        lines += [f"### tfbs-moe {name}", "", "```text", shown.rstrip(), "```", ""]
    return lines


def _api() -> list[str]:
    """Return signatures and docstrings of what is public."""
    package = griffe.load("tfbs_moe", search_paths=[ROOT / "workflow"], docstring_parser="google")
    lines = []
    for heading, names in PUBLIC.items():
        lines += [f"### {heading}", ""]
        for name in names:
            public = package[name]
            for key, member in list(public.members.items()):
                # The docstring of its class has such a field already, with its meaning.
                if member.is_attribute and not member.docstring:
                    public.del_member(key)
            text = render_object_docs(public, SHOWN)
            # The signature has the types already.
            text = re.sub(r"^(- \*\*\w+\*\*) \(<code>.*?</code>\)", r"\1", text, flags=re.M)
            # Links lead to anchors of types that this page does not hold; signatures are no code to run.
            text = re.sub(r"\[([^\[\]]*)\]\(#[^)]*\)", r"\1", text).replace("```python", "```py")
            lines += [text.strip(), ""]
    return lines


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
