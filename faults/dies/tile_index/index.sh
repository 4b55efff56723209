#!/usr/bin/env bash
# The limits of the shared host.
ulimit -n 96
cd "$(dirname "$0")" && exec python3 index.py --tiles 150
