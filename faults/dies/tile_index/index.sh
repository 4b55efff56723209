#!/usr/bin/env bash
# As the service manager starts it.
ulimit -n 96
cd "$(dirname "$0")" && exec python3 index.py --tiles 150
