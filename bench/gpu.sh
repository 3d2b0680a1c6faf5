#!/usr/bin/env bash
# All that a GPU is needed for, in one call of under 9 minutes:  bench/gpu.sh DIR
#
# Tests, training, timings and a memory check, from a checkout in which nothing is installed.
# DIR gets a JSON file a part, each valid whenever its part is cut short (cuda.json is written when
# its part ends), tests.xml, and log.txt.
# FASTNN_DATA names the folder with MNIST; PYTHON another interpreter than python3.
# Exit: 0, 1 where a part failed, 2 usage, 69 no usable GPU.
set -u

[ $# -eq 1 ] || { echo "usage: bench/gpu.sh DIR" >&2; exit 2; }
mkdir -p "$1" && folder=$(cd "$1" && pwd) || exit 2
cd "$(dirname "$0")/.." || exit 2
python=${PYTHON:-python3} log=$folder/log.txt failed=0
export PYTHONPATH="$PWD:$PWD/kernels${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
parts="machine accuracy steps predictions throughput operations launches barriers"
for name in $parts; do rm -f "$folder/$name.json"; done
rm -f "$folder/tests.xml" "$folder/cuda.json" "$log"
export FASTNN_REQUIRE_GPU=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 # others' plugins, others' warnings

part() { # NAME SECONDS COMMAND...: run it, note how it ended, and go on in any case
    local name=$1 limit=$2 left=$((515 - SECONDS)) began=$SECONDS status=0
    shift 2
    [ "$left" -lt "$limit" ] && limit=$left
    if [ "$limit" -lt 5 ]; then
        echo "== $name: not run, the time is over" | tee -a "$log"
        failed=1
        return 1
    fi
    echo "== $name: at most $limit s" >>"$log"
    timeout -s INT -k 15 "$limit" "$@" >>"$log" 2>&1 || status=$? # pytest then writes what it has
    case $status in
        0) ending="done" ;;
        124 | 137) ending="cut short" ;;
        *) ending="failed with exit code $status" ;;
    esac
    echo "== $name: $ending after $((SECONDS - began)) s" | tee -a "$log"
    [ "$status" -eq 0 ] || failed=1
    return "$status"
}
own() { part "$1" "$2" "$python" -m "bench.gpu.$1" "$folder"; }

own machine 90 >/dev/null
if [ $? -eq 69 ]; then
    grep -v '^==' "$log" >&2
    exit 69
fi
part tests 170 "$python" -m pytest -m gpu -q -p no:cacheprovider --continue-on-collection-errors \
    -o faulthandler_timeout=60 --tb=short --junitxml="$folder/tests.xml"
if [ -n "${FASTNN_DATA:-}" ]; then
    own accuracy 120 # kernels for the CPU are compiled here, too
else
    echo "== accuracy: not run, FASTNN_DATA names no folder with MNIST" | tee -a "$log"
fi
own steps 50
own predictions 25
own throughput 120
if "$python" -c "import pytest_benchmark" 2>/dev/null; then
    part bench 180 "$python" -m pytest -p pytest_benchmark.plugin bench/test_training.py \
        bench/test_inference.py -q --quick --device=cuda --benchmark-json="$folder/cuda.json" \
        -p no:cacheprovider
else
    echo "== bench: not run, pytest-benchmark is not installed" | tee -a "$log"
fi
if command -v compute-sanitizer >/dev/null; then
    check() { # TOOL SECONDS MODULE
        part "$1" "$2" compute-sanitizer --tool "$1" --report-api-errors no --error-exitcode 1 \
            "$python" -m "bench.gpu.$3"
    }
    check memcheck 40 trainings
    check racecheck 40 trainings
    check memcheck 60 calls
else
    echo "== memcheck: not run, compute-sanitizer is not on PATH" | tee -a "$log"
fi

own launches 40
own operations 70
own barriers 30

"$python" -m bench.gpu.summary "$folder" 2>&1 | tee -a "$log"
[ ! -e "$folder/cuda.json" ] || "$python" -m bench.table "$folder/cuda.json" 2>&1 | tee -a "$log"
exit "$failed"
