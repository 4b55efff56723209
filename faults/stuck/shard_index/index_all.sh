#!/bin/bash
# Indexes the embeddings shard by shard; a shard gets one second, the rest comes in the next night.
mkdir -p out
for shard in 0 1 2; do
    echo "shard $shard"
    timeout -s KILL 1 python3 index.py --shard $shard --seconds $((shard == 0 ? 5 : 0)) \
        || echo "shard $shard was cut short"
    python3 index.py --shard $shard --merge || exit 1
done
echo "index complete"
