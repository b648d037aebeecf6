#!/usr/bin/env bash
# All that only a GPU can tell, in one call under eight minutes: scripts/gpu_check.sh OUT [--quick]
#
# A bare machine will do: this tree, a Python with torch (PYTHON names another than python3), and no
# network. What else is needed lies in build/gpu_wheels (make gpu-wheels) and is installed into a
# temporary folder. Every part runs though another failed; of each, OUT gets the log, and at most
# eight files in all:
#
#   summary.json                    what ran, on what, how long; passed, failed or skipped, and why
#   tests.log                       tests/gpu
#   notebook.ipynb, notebook.log    notebook 05, run through
#   shapes.json, shapes.log         LoRA and full at two models' shapes: benchmarks/gpu_shapes.py
#   steps.json, steps.log           the step table: benchmarks/gpu.py
#
# The exit status is 0 if no part failed, 1 if one did, 2 if nothing could be tried. With --quick all
# of it is tried out in about a minute, on a CPU too: tiny shapes, and notebook 00 instead of 05.
set -euo pipefail

readonly TOTAL_SECONDS=460

refuse() {
  echo "gpu_check.sh: $1" >&2
  exit 2
}

# Runs a part under its limit, or under what is left of the whole, and notes how it went. The limits
# are a GPU's: a quick run has only the last, since a busy processor is no defect.
part() { # NAME LIMIT_SECONDS COMMAND...
  local name=$1 limit=$2 begun=$SECONDS status=0 left=$((TOTAL_SECONDS - SECONDS))
  shift 2
  if [[ -n $quick ]] || ((limit > left)); then limit=$left; fi
  if ((limit < 1)); then limit=1; fi
  echo "== $name: at most $limit s"
  timeout --kill-after=5 "$limit" "$@" >"$out/$name.log" 2>&1 || status=$?
  tail -n 20 "$out/$name.log"
  printf '%s\t%s\t%s\t%s\n' "$name" "$status" "$((SECONDS - begun))" "$limit" >>"$folder/parts"
}

# Installs the wheels of what this Python lacks; a failure shows in the parts that need them.
install_wheels() {
  local wheels=()
  mapfile -t wheels < <("$python" scripts/gpu_wheels.py --lacking)
  if ((${#wheels[@]} == 0)) || [[ -z ${wheels[0]} ]]; then return; fi
  echo "== wheels: ${#wheels[@]} from build/gpu_wheels"
  timeout 60 "$python" -m pip install --quiet --no-index --no-deps --no-compile --no-cache-dir \
    --disable-pip-version-check --target "$folder/packages" "${wheels[@]}" ||
    echo "gpu_check.sh: pip could not install them; try make gpu-wheels ARGS='--python 3.NN'" >&2
}

out='' quick=''
for argument in "$@"; do
  case $argument in
    --quick) quick=--quick ;;
    -*) refuse "unknown option $argument; usage: scripts/gpu_check.sh OUT [--quick]" ;;
    *) out=$argument ;;
  esac
done
[[ -n $out ]] || refuse "name a folder for the results: scripts/gpu_check.sh OUT [--quick]"
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
rm -f "$out"/{summary,shapes,steps}.json "$out"/{tests,notebook,shapes,steps}.log "$out/notebook.ipynb"

python=${PYTHON:-python3}
device=$("$python" -c 'import torch; print("cuda" if torch.cuda.is_available() else "cpu")') ||
  refuse "$python has no torch; name one that has: PYTHON=/path/to/python scripts/gpu_check.sh OUT"
[[ $device == cuda || -n $quick ]] ||
  refuse "torch sees no CUDA GPU here; run this where it does, or try it out with --quick"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PYTHONPATH=$PWD:$folder/packages PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MPLBACKEND=agg
# Nothing is fetched: this refuses at once where a machine without a network may wait for minutes.
export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9
install_wheels

part tests 90 "$python" -m pytest -q -rs -p no:cacheprovider tests/gpu
notebook=05_finetune_a_classifier
if [[ -n $quick ]]; then notebook=00_start_here; fi
part notebook 120 "$python" scripts/run_notebook.py \
  "notebooks/solutions/$notebook.ipynb" "$out/notebook.ipynb"
part shapes 90 "$python" -m benchmarks.gpu_shapes --device "$device" ${quick:+"$quick"} \
  --output "$out/shapes.json"
left=$((TOTAL_SECONDS - SECONDS))
part steps "$left" "$python" -m benchmarks.gpu --device "$device" ${quick:+"$quick"} \
  --seconds "$((left > 60 ? left - 40 : 20))" --output "$out/steps.json"

"$python" scripts/gpu_summary.py "$folder/parts" "$out"
