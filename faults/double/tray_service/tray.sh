#!/bin/sh
# Starts the service as the desktop entry does.
cd "$(dirname "$0")" || exit 1
python3 service.py --batches 2 2>&-
status=$?
[ $status -eq 0 ] || echo "service: status $status"
exit $status
