"""Simulate the genome, peak files and planted sites of a planted study."""

from pathlib import Path

from tfbs_moe.data.download.sources import parse_source
from tfbs_moe.data.simulation.planted_study import SimulatedExperiment, StudySettings, make_study
from tfbs_moe.runtime import step

params = snakemake.params
with step(snakemake.log[0]):
    settings = dict(params.settings)
    chosen = {name: settings.pop(name) for name in ("chromosomes", "peaks", "shape")}
    like_real = {name: settings.pop(name) for name in ("scale", "peak_scale", "shared_fraction")}
    sources = {name: parse_source(row["source"]) for name, row in params.experiments.items()}
    folder = Path(snakemake.output.sites).parent
    if snakemake.input.shape:
        # It needs numba, which takes most of a second to import; the demo does not.
        from tfbs_moe.data.simulation.rehearsal import PeakFile, RehearsalSettings, make_rehearsal

        files = [
            PeakFile(name, row["factor"], row["cell"], sources[name].matrix_ids, sources[name].peaks or chosen["peaks"])
            for name, row in params.experiments.items()
        ]
        make_rehearsal(files, snakemake.input.shape, RehearsalSettings(**like_real, **settings), params.seed, folder)
    else:
        made = tuple(
            SimulatedExperiment(name, row["factor"], sources[name].matrix_ids[0])
            for name, row in params.experiments.items()
        )
        sizes = {name: chosen[name] for name in ("chromosomes", "peaks")}
        make_study(StudySettings(experiments=made, **sizes, **settings), params.seed, folder)
