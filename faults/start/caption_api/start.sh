#!/bin/sh
# Starts the metrics page and the caption API on the port of the deployment.
cd "$(dirname "$0")" || exit 1
rm -f port
python3 metrics.py >metrics.log 2>&1 &
metrics=$!
trap 'kill $metrics 2>/dev/null; wait $metrics 2>/dev/null' EXIT
tries=0
while [ ! -s port ] && [ $tries -lt 50 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
python3 api.py --port "$(cat port)"
