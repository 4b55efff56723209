"""Translates sentences by beam search in pure Python, with a few threads."""
import argparse
import hashlib
import heapq
import queue
import random
import threading
import time


def translate(sentence, beams=12, words=14):
    source = random.Random(sentence)
    current = [(0.0, ())]
    for _ in range(words):
        following = []
        for score, chosen in current:
            for word in range(30):
                digest = hashlib.md5(repr((sentence, chosen, word)).encode()).digest()
                following.append((score - digest[0] / 255 - source.random() / 9, chosen + (word,)))
        current = heapq.nlargest(beams, following)
    return current[0][1]


def work(sentences, results, until):
    while True:
        try:
            sentence = sentences.get_nowait()
        except queue.Empty:
            return
        best = translate(sentence)
        while time.monotonic() < until[0] and sentences.empty():
            best = max(best, translate(sentence + str(len(best))))
        results.append((sentence, best))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    sentences, results, until = queue.Queue(), [], [time.monotonic() + options.seconds]
    for number in range(12):
        sentences.put(f"sentence {number}")
    threads = [threading.Thread(target=work, args=(sentences, results, until)) for _ in range(options.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(results), "sentences")


if __name__ == "__main__":
    main()
