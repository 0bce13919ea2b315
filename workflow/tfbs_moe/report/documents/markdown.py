"""Render a page's blocks as Markdown, for the documents beside the report."""

from collections.abc import Iterable

from tfbs_moe.report.page import Block, Explorer, Fold, Items, Missing, Picture, Table, Text


def to_markdown(title: str, blocks: Iterable[Block], level: int = 1) -> str:
    """Return a document of blocks under a title; pictures are named, not shown."""
    parts = [f"{'#' * level} {title}"]
    for block in blocks:
        parts.append(_block(block, level))
    return "\n\n".join(filter(None, parts)) + "\n"


def _block(block: Block, level: int) -> str:
    if isinstance(block, Text):
        return f"{'#' * (level + 1)} {block.text}" if block.style == "heading" else block.text
    if isinstance(block, Items):
        return "\n".join(f"- {item}" for item in block.items)
    if isinstance(block, Missing):
        return f"*{block.title} is not shown. {block.reason}*"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Explorer):
        return ""
    if isinstance(block, Picture):
        return f"*{block.title}.* {block.caption}"
    if isinstance(block, Fold):
        return to_markdown(block.title, block.blocks, level + 1).rstrip()
    raise TypeError(f"a block of kind {type(block).__name__} has no Markdown")


def _table(table: Table) -> str:
    ruler = ["---:" if is_number else "---" for is_number in table.numeric]
    rows = [table.columns, ruler, *([text for text, _ in row] for row in table.rows)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return f"{table.caption}\n\n" + "\n".join(lines)
