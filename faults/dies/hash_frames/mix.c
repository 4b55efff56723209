#include <stdint.h>
#include <string.h>
#include <x86intrin.h>

uint32_t mix(const uint8_t *data, int length)
{
    __m128i state = _mm_set1_epi32(0x9e3779b9);
    for (int at = 0; at + 16 <= length; at += 16) {
        __m128i block;
        memcpy(&block, data + at, 16);
        state = _mm_roti_epi32(_mm_xor_si128(state, block), 13);
    }
    return (uint32_t)_mm_cvtsi128_si32(state);
}

uint32_t plain(const uint8_t *data, int length)
{
    uint32_t state = 2166136261u;
    for (int at = 0; at < length; at++)
        state = (state ^ data[at]) * 16777619u;
    return state;
}
