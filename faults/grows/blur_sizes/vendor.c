#include <stdlib.h>
#include <string.h>

/* plans: workspace and twiddles for one input shape, made once and used again */
typedef struct plan { int h, w; float *work; struct plan *next; } plan;
static plan *plans;

static plan *find(int h, int w) {
    for (plan *p = plans; p; p = p->next) if (p->h == h && p->w == w) return p;
    plan *p = malloc(sizeof *p);
    p->h = h; p->w = w;
    p->work = malloc(sizeof(float) * h * w * 24);
    for (long i = 0; i < (long)h * w * 24; i++) p->work[i] = (float)(i % 97) / 97;
    p->next = plans;
    return plans = p;
}

void blur(const float *in, float *out, int h, int w) {
    plan *p = find(h, w);
    for (long i = 0; i < (long)h * w; i++) out[i] = in[i] * 0.5f + p->work[i] * 0.001f;
}
