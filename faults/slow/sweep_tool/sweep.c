/* quantisation sweep: tries a scale for every layer and reports its error */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float weights[1 << 18];

static double try_scale(int bits, float scale) {
    double err = 0;
    float top = (float)(1 << (bits - 1)) - 1;
    for (int i = 0; i < 1 << 18; i++) {
        float q = roundf(weights[i] / scale);
        if (q > top) q = top; else if (q < -top) q = -top;
        double d = q * scale - weights[i];
        err += d * d;
    }
    return err;
}

int main(int argc, char **argv) {
    int layers = 10;
    for (int i = 1; i + 1 < argc; i++) if (!strcmp(argv[i], "--layers")) layers = atoi(argv[i + 1]);
    for (int l = 0; l < layers; l++) {
        for (int i = 0; i < 1 << 18; i++) weights[i] = sinf(i * 0.37f + l) * 0.1f;
        double best = INFINITY; float at = 0;
        for (int s = 1; s <= 300; s++) {
            double e = try_scale(4, s * 0.0002f);
            if (e < best) { best = e; at = s * 0.0002f; }
        }
        printf("layer %d scale %.4f err %.3f\n", l, at, best);
    }
    return 0;
}
