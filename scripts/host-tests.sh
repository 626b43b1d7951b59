#!/bin/sh
# Runs pydantic-ai's own tests with our agent in place of theirs. $PYDANTIC_AI_CHECKOUT is its repository at the tag of
# the installed version; arguments replace the list of test files, and are relative to that repository's tests.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
UV=$(command -v uv 2>/dev/null || echo "$root/.tools/bin/uv")
checkout=${PYDANTIC_AI_CHECKOUT:-}
version=$("$UV" run --quiet --project "$root" python -c 'import pydantic_ai; print(pydantic_ai.__version__)')
if [ ! -d "$checkout/tests" ]; then
    echo "found no tests in PYDANTIC_AI_CHECKOUT='$checkout'; expected a checkout of pydantic-ai's repository at the tag v$version:" >&2
    echo "git clone --depth 1 --branch v$version <pydantic-ai's repository> <folder>" >&2
    exit 2
fi
if [ $# -eq 0 ]; then
    set -- test_agent.py test_agent_output_schemas.py test_streaming.py test_tools.py test_toolsets.py \
        test_usage_limits.py test_history_processor.py test_capabilities.py test_conversation.py test_run_cancellation.py
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The plugin alone: our folder of tests on the path would stand in the way of theirs, which has the same name.
cp "$root/tests/host_plugin.py" "$work/"
# What their tests need, in the versions they lock, on top of the environment ours run in.
"$UV" export --quiet --project "$checkout" --only-group dev --frozen --no-hashes --no-emit-workspace >"$work/theirs.txt"
cd "$checkout"
for file in "$@"; do
    shift
    # Files come and go between versions.
    if [ -e "tests/$file" ]; then set -- "$@" "tests/$file"; else echo "not in v$version: $file" >&2; fi
done
PYTHONPATH="$work" "$UV" run --quiet --project "$root" --with-requirements "$work/theirs.txt" \
    python -m pytest -p host_plugin -q --no-header "$@"
