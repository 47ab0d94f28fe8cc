#!/usr/bin/env bash
# One virtual environment per peer under runs/peers, with pinned versions.
#   environments.sh [deepxde] [jinns] [deepxde-jax] [pina] [neuraloperator]     the first two if none is named
# The last three are needed for rates of steps only. PYTHON chooses the interpreter, 3.11 or later.
set -euo pipefail
cd "$(dirname "$0")/../../.."

COMMON="numpy==2.4.6 scipy==1.17.1 matplotlib==3.11.2"
JAX="jax==0.10.2 jaxlib==0.10.2 optax==0.2.8"
TORCH="torch==2.13.0"
DEEPXDE="deepxde==1.15.0 scikit-learn==1.9.1 scikit-optimize==0.10.2"

packages() {
  case $1 in
    deepxde) echo "$COMMON $TORCH $DEEPXDE" ;;
    deepxde-jax) echo "$COMMON $JAX $DEEPXDE flax==0.12.8" ;;
    jinns) echo "$COMMON $JAX jinns==1.10.2 equinox==0.13.8 jaxtyping==0.3.11" ;;
    neuraloperator) echo "$COMMON $TORCH neuraloperator==2.0.0" ;;
    pina) echo "$COMMON $TORCH pina-mathlab==0.3.2.post2610 lightning==2.6.6 torch-geometric==2.8.1" ;;
    *) echo "no environment '$1'. Choose deepxde, deepxde-jax, jinns, neuraloperator or pina." >&2; return 1 ;;
  esac
}

if [ $# -eq 0 ]; then set -- deepxde jinns; fi
for name in "$@"; do
  wanted=$(packages "$name")
  folder=runs/peers/$name
  if [ "$(cat "$folder/installed" 2>/dev/null)" = "$wanted" ]; then continue; fi
  "${PYTHON:-python3}" -m venv "$folder"
  # shellcheck disable=SC2086  (a list of packages)
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check $wanted
  echo "$wanted" > "$folder/installed"
  echo "$folder: $wanted"
done
