/* Reads numbers and writes them with the low bits cleared. */
#include <stdio.h>
#include <x86intrin.h>

int main(void)
{
    unsigned value, written = 0;
    while (scanf("%u", &value) == 1) {
        if (value > 255)
            value = __blcfill_u32(value);
        printf("%u\n", value & ~3u);
        if (++written % 16 == 0)
            fflush(stdout);
    }
    return 0;
}
