"""Says in one sentence what is wrong with the config files of a command, before Snakemake reads them.

The profiles run this, as nothing else of this project is read before the config files: Snakemake itself shows a
traceback where one is missing, and no line where one is not YAML.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from tfbs_moe.config import check_config_file
from tfbs_moe.errors import InputError

OPTIONS = ("--configfile", "--configfiles")


def given_files(arguments: Sequence[str]) -> list[str]:
    """Return the config files that a command names."""
    found: list[str] = []
    follows = False
    for argument in arguments:
        option, _, value = argument.partition("=")
        if option in OPTIONS:
            found += [value] if value else []
            follows = not value
        elif argument.startswith("-"):
            follows = False
        elif follows:
            found.append(argument)
    return found


if __name__ == "__main__":
    try:
        for path in given_files(sys.argv[1:]):
            check_config_file(path)
    except InputError as error:
        sys.exit(str(error))
