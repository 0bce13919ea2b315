"""The level of every test: how often it rejects, over made studies in which no model is better."""

import time

from measuring import parser, write_result

from tfbs_moe.statistics.levels import STUDIES, level_table


def main() -> None:
    """Simulate and write the result."""
    arguments = parser(__doc__, "levels.json")
    arguments.add_argument("--studies", type=int, default=STUDIES, help="for each test")
    given = arguments.parse_args()
    start = time.perf_counter()
    table = level_table(given.seed, given.studies)
    seconds = time.perf_counter() - start
    write_result(given.output, ["numpy", "scipy", "statsmodels"], seconds=seconds, levels=table.to_dict("records"))


if __name__ == "__main__":
    main()
