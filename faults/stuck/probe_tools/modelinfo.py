import os

print(os.path.getsize("weights.bin") // 4096, "layers")
