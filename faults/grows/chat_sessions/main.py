"""Chat endpoint with per-user context, driven by a small load generator."""
import time

import numpy as np

import chat


def users(n):
    rng = np.random.default_rng(0)
    for i in range(n):
        yield f"user-{i:05d}", rng.integers(0, 4000, size=int(rng.integers(600, 640)))


def main():
    bot = chat.Bot()
    for i, (user, tokens) in enumerate(users(110)):
        answer = bot.reply(user, tokens)
        print(f"request {i:3d} {user}: {len(answer)} tokens", flush=True)
        time.sleep(0.06)
    print("served", bot.served)


if __name__ == "__main__":
    main()
