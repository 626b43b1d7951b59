#!/bin/sh
# Runs the tests under coverage on two workers and holds the floor; arguments narrow the run, and then neither applies.
set -eu
cd "$(dirname "$0")/.."
UV=$(command -v uv 2>/dev/null || echo .tools/bin/uv)
if [ $# -gt 0 ]; then
    exec "$UV" run --quiet pytest "$@"
fi
rm -f .coverage .coverage.*
# For coverage's plugin, in the processes that the tests start too.
PYTHONPATH=$PWD/scripts
export PYTHONPATH
"$UV" run --quiet coverage run -m pytest -n 2 --dist loadgroup -m "not slow"
"$UV" run --quiet coverage combine --quiet
exec "$UV" run --quiet coverage report
