/* Convolutions of counts of spikes by rows of weights: for each spike, the row behind it is added.

   For layers with many channels, whose tables would leave the cache, and where few neurons fire at a step. A count of two
   adds its row twice. The outputs are worked on in blocks whose weights stay in the cache. */

#include "layers.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK (320 << 10) /* bytes of weights that stay in the second cache */

typedef struct {
    int32_t place, tap;
} Tap;

struct Rows {
    int places, outputs, channels, taps, eights; /* 8 * eights outputs are a block */
    int inputs, groups, bits, most;              /* places of the input */
    Tap *around;
    int32_t *ends;     /* of every place's taps in `around` */
    float *weight;     /* (blocks, taps, channels, 8 * eights) */
    uint16_t *entries; /* for every code, its channels, each as often as its count, 32 places each */
    uint8_t *lengths;
    uint16_t *lists; /* what fires in the images at hand, place by place */
    int32_t *starts; /* where a place's list starts */
};

static void around(const Shape *s, Rows *r) {
    Tap *to = r->around;
    for (int row = 0; row < s->rows; row++)
        for (int column = 0; column < s->columns; column++) {
            for (int i = 0; i < s->kernel; i++)
                for (int j = 0; j < s->kernel; j++) {
                    const int h = row * s->stride + i - s->padding, w = column * s->stride + j - s->padding;
                    if (h >= 0 && h < s->height && w >= 0 && w < s->width)
                        *to++ = (Tap){h * s->width + w, i * s->kernel + j};
                }
            r->ends[row * s->columns + column] = (int32_t)(to - r->around);
        }
}

static void pack(const Rows *r, const float *weight) {
    const int width = 8 * r->eights;
    float *to = r->weight;
    for (int o = 0; o < r->outputs; o += width)
        for (int k = 0; k < r->taps * r->channels; k++, to += width)
            memcpy(to, weight + (size_t)k * r->outputs + o, width * sizeof(float));
}

static void expand(const Rows *r) {
    for (int code = 0; code < 256; code++) {
        int length = 0;
        for (int field = 0; field < 8 / r->bits; field++)
            for (int k = code >> field * r->bits & ((1 << r->bits) - 1); k; k--)
                r->entries[32 * code + length++] = (uint16_t)field;
        r->lengths[code] = (uint8_t)length;
    }
}

/* `most` images can be worked on at once. */
Rows *rows_of(const Shape *s, const float *weight, const int most) {
    Rows *r = calloc(1, sizeof(Rows));
    if (!r) return 0;
    r->places = s->rows * s->columns, r->outputs = s->outputs, r->channels = s->channels;
    r->taps = s->kernel * s->kernel, r->inputs = s->height * s->width, r->bits = s->bits, r->most = most;
    r->groups = groups_of(s->channels, s->bits);
    const size_t each = (size_t)r->taps * r->channels * 8 * sizeof(float);
    for (r->eights = 8; r->eights > 1; r->eights /= 2)
        if (s->outputs % (8 * r->eights) == 0 && (each * r->eights <= BLOCK || r->eights == 2)) break;
    r->around = malloc((size_t)r->places * r->taps * sizeof(Tap));
    r->ends = malloc(r->places * sizeof(int32_t));
    r->weight = malloc(each / 8 * s->outputs);
    r->entries = calloc(256 * 32, sizeof(uint16_t));
    r->lengths = malloc(256);
    /* Of a place at most so many; whole vectors are written beyond the end of the last one. */
    r->lists = malloc(((size_t)most * r->inputs * r->channels * ((1 << s->bits) - 1) + 32) * sizeof(uint16_t));
    r->starts = malloc(((size_t)most * r->inputs + 1) * sizeof(int32_t));
    if (!r->around || !r->ends || !r->weight || !r->entries || !r->lengths || !r->lists || !r->starts) {
        free_rows(r);
        return 0;
    }
    around(s, r), pack(r, weight), expand(r);
    return r;
}

void free_rows(Rows *r) {
    if (r) {
        free(r->around), free(r->ends), free(r->weight), free(r->entries), free(r->lengths), free(r->lists);
        free(r->starts);
    }
    free(r);
}

/* Lists of what fires at every place of an image; where the next list begins. `width` places hold a code's channels. */
INLINE int32_t list(const Rows *r, const uint8_t *codes, int32_t at, int32_t *starts, const int width, const int bits) {
    for (int place = 0; place < r->inputs; place++) {
        starts[place] = at;
        for (int g = 0; g < r->groups; g++) {
            const unsigned code = *codes++;
            const uint16_t *entries = r->entries + 32 * code, base = (uint16_t)(g * (8 / bits));
            uint16_t *to = r->lists + at;
            for (int k = 0; k < width; k++) to[k] = (uint16_t)(entries[k] + base);
            at += r->lengths[code];
        }
    }
    return at;
}

static int32_t list_image(const Rows *r, const uint8_t *codes, const int32_t at, int32_t *starts) {
    if (r->bits == 1) return list(r, codes, at, starts, 8, 1);
    if (r->bits == 2) return list(r, codes, at, starts, 16, 2);
    return list(r, codes, at, starts, 32, 4);
}

#define EACH(n, i) _Pragma("GCC unroll 8") for (int i = 0; i < n; i++)

/* A block of sums at every place of an image. Few of them are made in several parts, so that none waits for another. */
INLINE void sum_block(const Rows *r, const float *weight, const int32_t *starts, const float *bias, float *to,
                      const int eights) {
    const int parts = 8 / eights, width = 8 * eights;
    const Tap *tap = r->around;
    for (int p = 0; p < r->places; p++, to += r->outputs) {
        Eight sums[8];
        EACH(eights, e) sums[e] = bias ? *(const Eight *)(bias + 8 * e) : (Eight){0};
        EACH(8 - eights, e) sums[eights + e] = (Eight){0};
        for (const Tap *end = r->around + r->ends[p]; tap < end; tap++) {
            const float *rows = weight + (size_t)tap->tap * r->channels * width;
            const uint16_t *entry = r->lists + starts[tap->place], *stop = r->lists + starts[tap->place + 1];
            for (; entry + parts <= stop; entry += parts)
                EACH(parts, k) {
                    const float *row = rows + (size_t)entry[k] * width;
                    EACH(eights, e) sums[k * eights + e] += *(const Eight *)(row + 8 * e);
                }
            for (; entry < stop; entry++) {
                const float *row = rows + (size_t)*entry * width;
                EACH(eights, e) sums[e] += *(const Eight *)(row + 8 * e);
            }
        }
        EACH(eights, e) {
            for (int k = 1; k < parts; k++) sums[e] += sums[k * eights + e];
            *(Eight *)(to + 8 * e) = sums[e];
        }
    }
}

void sums_by_rows(const Rows *r, const Images from, const float *bias, float *to) {
    const int width = 8 * r->eights, all = from.inner * from.outer;
    const size_t size = (size_t)r->places * r->outputs, block = (size_t)r->taps * r->channels * width;
    for (int first = 0; first < all; first += r->most) {
        const int images = all - first < r->most ? all - first : r->most;
        int32_t at = 0;
        for (int i = 0; i < images; i++) {
            const int k = (first + i) / from.inner, t = (first + i) % from.inner;
            at = list_image(r, from.codes + k * from.far + t * from.near, at, r->starts + (size_t)i * r->inputs);
        }
        r->starts[(size_t)images * r->inputs] = at;
        for (int o = 0; o < r->outputs; o += width)
            for (int i = 0; i < images; i++) {
                const float *weight = r->weight + o / width * block, *offset = bias ? bias + o : 0;
                const int32_t *starts = r->starts + (size_t)i * r->inputs;
                float *out = to + (first + i) * size + o;
                switch (r->eights) {
                case 8: sum_block(r, weight, starts, offset, out, 8); break;
                case 4: sum_block(r, weight, starts, offset, out, 4); break;
                case 2: sum_block(r, weight, starts, offset, out, 2); break;
                default: sum_block(r, weight, starts, offset, out, 1);
                }
            }
    }
}
