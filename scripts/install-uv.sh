#!/bin/sh
# Puts uv into the folder named first, with whichever python3 of this machine can do it.
set -eu
target=$1
for python in python3 /usr/bin/python3 python3.13 python3.12 python3.11 python; do
    command -v "$python" >/dev/null 2>&1 || continue
    # Distributions that leave ensurepip out have no usable venv; a plain --prefix install does there.
    if "$python" -m venv "$target" >/dev/null 2>&1 && "$target/bin/pip" install --quiet uv; then
        exit 0
    fi
    rm -rf "$target"
    if "$python" -m pip install --quiet --prefix "$target" --ignore-installed uv 2>/dev/null && [ -x "$target/bin/uv" ]; then
        exit 0
    fi
    rm -rf "$target"
done
echo "found no python3 with pip; expected one to install uv with. Install uv by hand (see its site) and run make again." >&2
exit 1
