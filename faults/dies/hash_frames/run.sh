#!/bin/sh
# Builds the frame hash for the machines of the render farm and starts it.
cd "$(dirname "$0")" || exit 1
cc -O2 -march=bdver2 -shared -fPIC -o libmix.so mix.c || exit 1
exec python3 hash_frames.py "$@"
