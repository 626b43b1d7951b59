#!/bin/sh
# Runs the tests under coverage and holds the floor; arguments narrow the run, and then no floor applies.
set -eu
cd "$(dirname "$0")/.."
UV=$(command -v uv 2>/dev/null || echo .tools/bin/uv)
if [ $# -gt 0 ]; then
    exec "$UV" run --quiet pytest "$@"
fi
rm -f .coverage .coverage.*
"$UV" run --quiet coverage run -m pytest
"$UV" run --quiet coverage combine --quiet
exec "$UV" run --quiet coverage report
