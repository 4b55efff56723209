#!/bin/sh
# Exports depth maps to the scratch volume of the job.
cd "$(dirname "$0")" || exit 1
mkdir -p scratch
mount -t tmpfs -o size=3m scratch scratch || exit 1
exec python3 export.py --frames 60 --out scratch/depth
