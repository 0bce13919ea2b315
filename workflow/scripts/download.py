"""Download a file, from the mirror if there is one, and verify it."""

from tfbs_moe.data.download.download import fetch
from tfbs_moe.data.download.sources import addresses
from tfbs_moe.runtime import step

source = snakemake.params.source
with step(snakemake.log[0]):
    config = snakemake.config
    places = addresses(source["url"], tuple(source["archives"]), config["mirror"], config["same_tree"])
    fetch(places, snakemake.output[0], **source["expected"])
