#!/bin/bash
set -eu
echo "starting the embedding service"
port=$(bash start_service.sh)
echo "service on port $port"
for text in "a cat" "a dog" "a house"; do
    python3 -c "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], sys.argv[2].encode(), 5).read().decode())" \
        "http://127.0.0.1:$port/embed" "$text"
done
python3 -c "import sys, urllib.request as u; u.urlopen(sys.argv[1], b'', 5)" "http://127.0.0.1:$port/quit"
