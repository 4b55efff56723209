#!/usr/bin/env bash
# Starts the OCR service and the client that feeds it.
cd "$(dirname "$0")" || exit 1
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
python3 service.py --port "$port" &
service=$!
trap 'kill "$service" 2>/dev/null; wait "$service" 2>/dev/null' EXIT
python3 client.py --url "http://127.0.0.1:$port" --pages 3
