#!/bin/sh
# As in the container of the training job.
mount -t tmpfs -o size=2m shm /dev/shm || exit 1
cd "$(dirname "$0")" && exec python3 train.py --loaders 3
