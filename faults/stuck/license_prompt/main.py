print("model zoo downloader 0.3")
if input("Accept the licence? [y/N] ").lower() != "y":
    raise SystemExit("not accepted")
