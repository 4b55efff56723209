/* Decodes a picture in tiles, each tile in one of a few worker threads. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#define WORKERS 3

struct picture {
    pthread_mutex_t lock;
    pthread_cond_t finished;
    const uint8_t *input;
    uint8_t *output;
    int tiles, tile_size, length, next, pending;
};

static void *work(void *argument)
{
    struct picture *p = argument;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        int tile = p->next++;
        pthread_mutex_unlock(&p->lock);
        if (tile >= p->tiles)
            return NULL;
        int start = tile * p->tile_size;
        if (start + p->tile_size > p->length)
            return NULL;
        uint8_t value = 0;
        for (int i = 0; i < p->tile_size; i++) {
            value = (uint8_t)(value * 31 + p->input[start + i]);
            p->output[start + i] = value;
        }
        pthread_mutex_lock(&p->lock);
        if (--p->pending == 0)
            pthread_cond_signal(&p->finished);
        pthread_mutex_unlock(&p->lock);
    }
}

int tile_decode(const uint8_t *input, uint8_t *output, int length, int tile_size)
{
    struct picture p = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, input, output, 0, tile_size, length, 0, 0 };
    pthread_t threads[WORKERS];
    p.tiles = p.pending = (length + tile_size - 1) / tile_size;
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, work, &p);
    pthread_mutex_lock(&p.lock);
    while (p.pending > 0)
        pthread_cond_wait(&p.finished, &p.lock);
    pthread_mutex_unlock(&p.lock);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    return p.tiles;
}
