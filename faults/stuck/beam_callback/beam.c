#include <pthread.h>
#include <stdint.h>

typedef float (*score_fn)(int token, int depth);

struct task { score_fn score; int depth; int vocab; int best; };

static void *expand(void *p) {
    struct task *t = p;
    float top = -1e30f;
    for (int tok = 0; tok < t->vocab; tok++) {
        float s = t->score(tok, t->depth);
        if (s > top) { top = s; t->best = tok; }
    }
    return 0;
}

/* expands every depth on its own thread, then collects the path */
int beam_decode(score_fn score, int depths, int vocab, int32_t *path) {
    pthread_t th[32]; struct task ts[32];
    if (depths > 32) return -1;
    for (int d = 0; d < depths; d++) {
        ts[d] = (struct task){score, d, vocab, 0};
        if (pthread_create(&th[d], 0, expand, &ts[d])) return -2;
    }
    for (int d = 0; d < depths; d++) { pthread_join(th[d], 0); path[d] = ts[d].best; }
    return depths;
}
