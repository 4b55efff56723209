#!/bin/bash
# Starts the embedding service and prints the port it listens on.
port_file=$(mktemp)
python3 service.py --port-file "$port_file" 2>service.log &
for _ in $(seq 50); do
    [ -s "$port_file" ] && break
    sleep 0.1
done
cat "$port_file"
rm -f "$port_file"
