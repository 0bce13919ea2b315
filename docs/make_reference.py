"""Write ``docs/reference.md``: the options of ``tfbs-moe`` as its parser says them, its Python API as docstrings do.

``python docs/make_reference.py docs/reference.md`` writes it anew; ``make docs`` calls it.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import griffe
from griffe2md import render_object_docs

ROOT = Path(__file__).resolve().parents[1]

# What somebody needs who uses a trained model from Python; all else is for those who change the code.
PUBLIC = {
    "Models on disk": ["models.bundle.load", "models.bundle.describe", "models.bundle.load_experts"],
    "Input": ["apply.windows.open_source", "apply.windows.Source", "apply.windows.Windows"],
    "Scores": ["apply.scorer.Scorer", "apply.scorer.Scores", "apply.predict.predict", "apply.predict.predict_file"],
    "Explanations": ["apply.explain.explain", "apply.explain.explain_file", "apply.explain.contributions"],
    "Variants": [
        "apply.variant_table.Allele",
        "apply.variant_table.read_variants",
        "apply.variants.score_variants",
        "apply.variants.score_variant_file",
    ],
    "Model card": ["apply.card.describe_model", "apply.card.model_card"],
}

HEAD = """# Reference

Keys of a config and columns of its tables: [config/README.md](../config/README.md). Files of a run:
[architecture.md](architecture.md). Here: the options of `tfbs-moe`, and the Python behind it. How to use both:
[predict.md](predict.md). `make docs` writes this page from the parser and the docstrings; do not edit it.
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
    """Return what ``--help`` of each command prints."""
    # argparse wraps its help to the width of whoever asks.
    os.environ["COLUMNS"] = "100"
    from tfbs_moe.cli.main import parser

    top = parser()
    found = next(action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    lines = []
    for name, command in found.choices.items():
        lines += [f"### tfbs-moe {name}", "", "```text", command.format_help().rstrip(), "```", ""]
    return lines


def _api() -> list[str]:
    """Return signatures and docstrings of what is public."""
    package = griffe.load("tfbs_moe", search_paths=[ROOT / "workflow"], docstring_parser="google")
    lines = []
    for heading, names in PUBLIC.items():
        lines += [f"### {heading}", ""]
        for name in names:
            told = package[name]
            for own in [key for key, member in told.members.items() if member.is_attribute and not member.docstring]:
                # The docstring of its class has the field already, with its meaning.
                told.del_member(own)
            text = render_object_docs(told, SHOWN)
            # Links lead to anchors of types that this page does not hold; signatures are no code to run.
            text = re.sub(r"\[([^\[\]]*)\]\(#[^)]*\)", r"\1", text).replace("```python", "```py")
            lines += [text.strip(), ""]
    return lines


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")
