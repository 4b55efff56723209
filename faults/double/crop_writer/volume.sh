#!/bin/sh
# Crops go to the volume of the job.
cd "$(dirname "$0")" || exit 1
mkdir -p crops
mount -t tmpfs -o size=1m crops crops || exit 1
exec python3 crops.py --frames 60
