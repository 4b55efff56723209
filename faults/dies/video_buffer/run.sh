#!/bin/sh
# As the job queue starts it.
ulimit -v 900000
export OPENBLAS_NUM_THREADS=1
cd "$(dirname "$0")" && exec python3 interpolate.py --clips 3 --scale 2
