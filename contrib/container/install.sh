#!/bin/sh
# Installs mdn of this checkout, its models inside, into a new environment: install.sh FOLDER.
# The Dockerfile calls it; it also works where no container can be built.
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
target=${1:?"a folder for the environment"}
package="$source[zarr,raw,heif,jxl]"
if command -v uv > /dev/null; then
    # uv knows where PyTorch keeps its builds without CUDA, which save gigabytes.
    uv venv --quiet --python "$(command -v python3)" "$target"
    uv pip install --no-cache --python "$target/bin/python" --torch-backend cpu \
        --constraint "$source/constraints.txt" "$package"
else
    python3 -m venv "$target"
    "$target/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$source/constraints.txt" "$package"
fi
"$target/bin/mdn" --version
