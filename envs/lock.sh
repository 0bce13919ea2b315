#!/bin/sh
# Writes down exactly what conda makes of each environment here and now: envs/<name>.<platform>.pin.txt, which Snakemake
# takes instead of envs/<name>.yaml wherever it is there, and envs/<name>.post-deploy.sh for what comes from Python's
# package index, which such a list leaves out. `make lock-environments` runs it; it needs conda and a network.
set -eu
cd "$(dirname "$0")"
command -v conda >/dev/null || {
    echo "envs/lock.sh: there is no conda on the PATH; install Miniforge (https://conda-forge.org/download)" >&2
    exit 1
}
platform=$(conda info --json | sed -n 's/^ *"platform": "\(.*\)".*/\1/p')
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for file in *.yaml; do
    name=${file%.yaml}
    prefix=$folder/$name
    conda env create --quiet --yes --prefix "$prefix" --file "$file"
    conda list --explicit --md5 --prefix "$prefix" >"$folder/pin.txt"
    # Of packages that did not come from a channel, conda says so.
    packages=$(conda list --prefix "$prefix" | awk '$NF == "pypi" {printf " %s==%s", $1, $2}')
    {
        echo "# Written by envs/lock.sh, with $name.$platform.pin.txt."
        echo "python -m pip install --quiet --no-deps$packages"
    } >"$folder/post-deploy.sh"
    mv "$folder/pin.txt" "$name.$platform.pin.txt"
    mv "$folder/post-deploy.sh" "$name.post-deploy.sh"
    rm -rf "$prefix"
    echo "$name: envs/$name.$platform.pin.txt, envs/$name.post-deploy.sh"
done
