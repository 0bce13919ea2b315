"""Fetch one file, from the mirror where there is one, and check it."""

from tfbs_moe.data.download import fetch
from tfbs_moe.data.sources import addresses, parse_checksum
from tfbs_moe.runtime import step

source = snakemake.params.source
with step(snakemake.log[0]):
    checksum = parse_checksum(source["checksum"])
    # The mirror is no param: a file fetched from one place is not fetched again from another.
    places = addresses(source["url"], mirror=snakemake.config["mirror"])
    expected = {checksum.algorithm: checksum.digest} if checksum else {}
    fetch(places, snakemake.output[0], **expected)
