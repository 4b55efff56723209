import part0
import part1
import part2
import part3
import part4
import part5
print("ready")
