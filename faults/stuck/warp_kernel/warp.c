#include <pthread.h>
#include <stdlib.h>

/* a small fixed pool that warps rows of an image */
#define LANES 3
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER, idle = PTHREAD_COND_INITIALIZER;
static const float *src; static float *dst;
static int width, next_row, last_row, done_rows, started;

static void warp_row(const float *in, float *out, int n) {
    for (int i = 0; i < n; i++) out[i] = in[(i * 7 + 3) % n] * 0.5f + in[i] * 0.5f;
}

static void *lane(void *arg) {
    (void)arg;
    for (;;) {
        pthread_mutex_lock(&mu);
        while (next_row >= last_row) pthread_cond_wait(&more, &mu);
        int r = next_row; next_row += 2;             /* two rows at a time */
        pthread_mutex_unlock(&mu);
        int n = 0;
        for (; n < 2 && r + n < last_row; n++) warp_row(src + (long)(r + n) * width, dst + (long)(r + n) * width, width);
        pthread_mutex_lock(&mu);
        done_rows += n;
        if (done_rows == last_row) pthread_cond_signal(&idle);
        pthread_mutex_unlock(&mu);
    }
    return NULL;
}

int warp_image(const float *in, float *out, int w, int h) {
    pthread_mutex_lock(&mu);
    if (!started) {
        for (int i = 0; i < LANES; i++) { pthread_t t; pthread_create(&t, NULL, lane, NULL); pthread_detach(t); }
        started = 1;
    }
    src = in; dst = out; width = w; done_rows = 0; next_row = 0; last_row = h;
    pthread_cond_broadcast(&more);
    int padded = (h + 1) / 2 * 2;
    while (done_rows < padded) pthread_cond_wait(&idle, &mu);
    pthread_mutex_unlock(&mu);
    return done_rows;
}
