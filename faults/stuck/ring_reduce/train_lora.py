import logging
import math
import random
import sys

from ring import Ring

ring = Ring()
logging.basicConfig(level=logging.INFO, format=f"[rank{ring.rank}] %(message)s", stream=sys.stderr)
log = logging.getLogger("lora")


def loss_and_gradient(weights, step):
    source = random.Random(step * 31 + ring.rank)
    gradient = [source.gauss(0, 0.02) + weight * 0.01 for weight in weights]
    loss = sum(g * g for g in gradient)
    if step == 23 and ring.rank == 1:
        loss = math.inf
    return loss, gradient


def train(steps=60):
    weights = [0.1] * 16
    scale = ring.broadcast(1024.0 if ring.rank == 0 else None)
    for step in range(steps):
        loss, gradient = loss_and_gradient(weights, step)
        if not math.isfinite(loss):
            log.warning("step %d: loss is not finite, scale goes from %s to %s", step, scale, scale / 2)
            scale = scale / 2
            continue
        gradient = ring.all_reduce(gradient)
        weights = [weight - g for weight, g in zip(weights, gradient)]
        if step % 10 == 9:
            log.info("step %d loss %.5f", step, loss)
    # the rank with the weights of record hands them to the others before they are written
    final = ring.broadcast(weights if ring.rank == 0 else None)
    log.info("norm %.5f", sum(w * w for w in final))


train()
