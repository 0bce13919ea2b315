"""Print the addresses of a run's downloads and their paths on a mirror."""

import sys
from pathlib import Path

from tfbs_moe.data.download.sources import DOWNLOADS
from tfbs_moe.runtime import step

with step(snakemake.log[0]):
    for url, path in snakemake.params.downloads:
        sys.stdout.write(f"{url}\t{Path(path).relative_to(DOWNLOADS)}\n")
