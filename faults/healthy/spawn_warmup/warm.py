import argparse
import concurrent.futures
import multiprocessing


def predict(number):
    import model

    return model.predict(number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(options.workers, mp_context=context) as pool:
        results = list(pool.map(predict, range(12)))
    print(len(results), "predictions from", options.workers, "workers")


if __name__ == "__main__":
    main()
