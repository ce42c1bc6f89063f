/* Integrate-and-fire networks of matrices, event by event.

   Each spike adds the row of weights behind it to the currents of the next layer, so what does not fire costs nothing.
   One sample at a time goes through all layers and steps, with its potentials in the fastest cache. Sums may be made in
   any order because the weights are on grids on which no sum rounds (snnbench/snn/conversion.py).

   Sizes of layers are padded to multiples of 8 with weights of zero; such neurons never fire. */

#include "layers.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int32_t layers, steps, candidates, samples;
    const int32_t *sizes;        /* (layers + 1) padded; the last one is that of the readout */
    const float *const *weights; /* (layers) each (size, size of the next) */
} Network;

typedef struct {
    int32_t *const *maps; /* (layers) each (candidates, size): spikes of every neuron */
    int64_t *spikes;      /* (layers, steps, candidates) */
    float *answers;       /* (steps, candidates, samples, size of the readout) */
    uint8_t *silent;      /* (candidates, samples): whether the last layer never fired */
} Found;

/* One step of a layer: H = decay V + x, a spike where H >= threshold, V = H - threshold. Lists who fires.

   The list has room for 8 more than there are neurons: what is written beyond its end is written over by the next. */
INLINE int fire(const float *x, float *v, const float threshold, const float decay, int32_t *map, int32_t *list,
                const int size, const Flags *places) {
    const Eight limit = (Eight){0} + threshold;
    int count = 0;
    for (int i = 0; i < size; i += 8) {
        const Eight h = *(Eight *)(v + i) * decay + *(const Eight *)(x + i);
        const Flags fired = (Flags)(h >= limit);
        *(Eight *)(v + i) = h - (Eight)(fired & (Flags)limit);
        *(Flags *)(map + i) -= fired;
        const unsigned bits = bits_of(fired);
        *(Flags *)(list + count) = places[bits] + i; /* no branch, which nobody could predict */
        count += __builtin_popcount(bits);
    }
    return count;
}

/* The sum of the listed rows, 8 * `eights` columns of it, in registers. */
INLINE void add_rows(const float *weights, const int width, const int32_t *list, const int count, float *to,
                     const int eights) {
    Eight sums[12];
#pragma GCC unroll 12
    for (int e = 0; e < eights; e++) sums[e] = (Eight){0};
    for (int k = 0; k < count; k++) {
        const float *row = weights + (size_t)list[k] * width;
        if (k + 2 < count)
            for (int e = 0; e < eights; e += 2) __builtin_prefetch(weights + (size_t)list[k + 2] * width + 8 * e);
#pragma GCC unroll 12
        for (int e = 0; e < eights; e++) sums[e] += *(const Eight *)(row + 8 * e);
    }
#pragma GCC unroll 12
    for (int e = 0; e < eights; e++) *(Eight *)(to + 8 * e) = sums[e];
}

static void arrive(const float *weights, const int width, const int32_t *list, const int count, float *to) {
    int o = 0;
    for (; o + 96 <= width; o += 96) add_rows(weights + o, width, list, count, to + o, 12);
    for (; o + 48 <= width; o += 48) add_rows(weights + o, width, list, count, to + o, 6);
    for (; o + 24 <= width; o += 24) add_rows(weights + o, width, list, count, to + o, 3);
    for (; o + 16 <= width; o += 16) add_rows(weights + o, width, list, count, to + o, 2);
    for (; o < width; o += 8) add_rows(weights + o, width, list, count, to + o, 1);
}

/* All candidates, thresholds and decays (candidates, layers), on samples whose first neurons receive the same currents
   (samples, size) at every step. What is found is added, but for the answers. 0, or 1 if there is no memory. */
EXPORT int run_events(const Network *n, const float *thresholds, const float *decays, const float *currents, const Found *found) {
    const int layers = n->layers, readout = n->sizes[layers];
    int largest = readout, all = 0;
    for (int l = 0; l < layers; l++) {
        all += n->sizes[l];
        if (n->sizes[l] > largest) largest = n->sizes[l];
    }
    float *v = malloc((size_t)all * sizeof(float)), *x = malloc((size_t)largest * sizeof(float));
    int32_t *list = malloc((size_t)(largest + 8) * sizeof(int32_t));
    Flags *places = malloc(256 * sizeof(Flags)); /* for every byte, which of its bits are set */
    const int bad = !v || !x || !list || !places;
    for (int byte = 0; !bad && byte < 256; byte++)
        for (int bit = 0, count = 0; bit < 8; bit++)
            if (byte >> bit & 1) places[byte][count++] = bit;
    for (int c = 0; !bad && c < n->candidates; c++)
        for (int k = 0; k < n->samples; k++) {
            memset(v, 0, (size_t)all * sizeof(float));
            int fired = 0;
            for (int t = 0; t < n->steps; t++) {
                const float *arriving = currents + (size_t)k * n->sizes[0];
                float *potentials = v;
                for (int l = 0; l < layers; l++) {
                    const int size = n->sizes[l], width = n->sizes[l + 1], place = c * layers + l;
                    const int count = fire(arriving, potentials, thresholds[place], decays[place],
                                           found->maps[l] + (size_t)c * size, list, size, places);
                    found->spikes[((size_t)l * n->steps + t) * n->candidates + c] += count;
                    float *to = x;
                    if (l + 1 == layers) {
                        fired += count;
                        to = found->answers + (((size_t)t * n->candidates + c) * n->samples + k) * readout;
                    }
                    arrive(n->weights[l], width, list, count, to);
                    potentials += size;
                    arriving = x;
                }
            }
            found->silent[(size_t)c * n->samples + k] = !fired;
        }
    free(v), free(x), free(list), free(places);
    return bad;
}
