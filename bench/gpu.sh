#!/usr/bin/env bash
# Tests and measures vitslim on a GPU in less than ten minutes, and writes what it finds into one file:
#
#     cargo build --release --features cuda
#     bash bench/gpu.sh target/release/vitslim cuda:0 gpu.md
#
# Nothing is built: bring the binary and this repository, and Python with torch and timm. What takes too long is left out, and the file says
# so. How to read it: bench/README.md#on-a-gpu.
set -uo pipefail

vitslim=$(realpath "${1:?which vitslim? bash bench/gpu.sh VITSLIM [DEVICE] [FILE]}")
device=${2:-cuda:0}
file=$(realpath -m "${3:-gpu.md}")
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
end=$((SECONDS + ${VITSLIM_GPU_SECONDS:-570}))

# section TITLE MOST COMMAND...: what the command prints, in at most so many seconds, and none after the last minute.
section() {
    local title=$1 most=$2 left=$((end - SECONDS)) status
    shift 2
    printf '\n## %s\n\n' "$title"
    if ((left < 5)); then
        echo "Left out: the time was over."
        return 1
    fi
    echo '```text'
    timeout --signal=INT --kill-after=5 "$((left < most ? left : most))" "$@" 2>&1 | tr '\r' '\n' | tail -n 60
    status=${PIPESTATUS[0]}
    echo '```'
    case $status in
        0) return 0 ;;
        124 | 137) printf '\nStopped: it took more than %s seconds.\n' "$((left < most ? left : most))" ;;
        *) printf '\nFailed with status %s.\n' "$status" ;;
    esac
    return 1
}

# measured MODEL PRECISION BATCH [OPTION...]: images per second beside PyTorch, with the GPU's memory in use meanwhile.
measured() {
    local model=$1 precision=$2 batch=$3 most
    shift 3
    : >"$runs/memory"
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-compute-apps=name,used_memory --format=csv,noheader --loop-ms=250 >"$runs/memory" 2>/dev/null &
        local sampling=$!
    fi
    section "$model, $precision, batch $batch${*:+, $*}" 120 "$python" bench/compare.py --vitslim "$vitslim" --device "$device" \
        --no-selftest --models "$model" --precision "$precision" --batch "$batch" --rounds 1 --repeats 3 "$@"
    if [[ -n ${sampling-} ]]; then
        kill "$sampling"
        for side in vitslim python; do
            most=$(grep "$side" "$runs/memory" | grep -oE '[0-9]+ MiB' | sort -n | tail -n 1)
            printf '\nMost memory of %s: %s\n' "$side" "${most:-not seen}"
        done
    fi
}

{
    echo "# vitslim on $device"
    printf '\n%s, commit %s, %s\n' "$(date -u +%F)" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$("$vitslim" --version)"
    section "Devices" 30 "$vitslim" devices
    if command -v nvidia-smi >/dev/null; then
        section "Driver" 30 nvidia-smi
    fi
    if section "Selftest" 240 "$vitslim" selftest --device "$device"; then
        section "Quickstart" 120 "$vitslim" run experiments/quickstart.ron --device "$device" --out "$runs" --quiet
        for batch in 256 64 512; do
            for precision in bf16 f32; do
                for model in deit_small deit_base; do
                    measured "$model" "$precision" "$batch"
                done
            done
            if ((batch == 256)); then
                measured deit_small bf16 256 --compile
            fi
        done
    else
        printf '\nFigures of a device that does not compute what it should are worth nothing: nothing was measured.\n'
    fi
    printf '\nTook %s seconds.\n' "$SECONDS"
} | tee "$file"
