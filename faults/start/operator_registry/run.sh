#!/bin/sh
# The operators are generated for the device found; then the service starts.
cd "$(dirname "$0")" || exit 1
rm -rf generated
python3 generate.py --count 110
exec python3 service.py
